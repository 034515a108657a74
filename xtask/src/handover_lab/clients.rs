//! What clients hold on to while addresses move, and what each of them saw.

use std::io::{self, Read, Write};
use std::net::{IpAddr, SocketAddr, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant, SystemTime};

use evenkeel_testkit::http2::{Http2, flag, kind};
use evenkeel_testkit::{HttpClient, Load, Report, WebSocket};
use rustls::pki_types::ServerName;

use super::site::{ADDRESSES, FILE, NAME, PLAIN, SECURE};

pub(super) const DOWNLOADS: usize = 200;
pub(super) const WEBSOCKETS: usize = 50;
pub(super) const STREAMS: usize = 20;
/// Between two messages of a WebSocket or stream.
const MESSAGES: Duration = Duration::from_millis(20);
/// How long one answer may take before it counts as lost.
const LOST: Duration = Duration::from_secs(20);

/// What all that held on to something saw.
#[derive(Debug, Default)]
pub(super) struct Seen {
    pub(super) downloads: Count,
    pub(super) websockets: Count,
    pub(super) streams: Count,
    /// The worst round trip of a WebSocket and of a stream, in microseconds: while addresses move, and otherwise.
    pub(super) worst: [[AtomicU64; 2]; 2],
    /// Addresses move, or have just moved.
    pub(super) is_moving: AtomicBool,
    /// Messages that came back.
    pub(super) messages: AtomicU64,
    /// Why something failed, the first of them.
    pub(super) trouble: std::sync::Mutex<Vec<String>>,
}

/// Of one kind.
#[derive(Debug, Default)]
pub(super) struct Count {
    pub(super) good: AtomicU64,
    pub(super) failed: AtomicU64,
}

impl Count {
    fn add(&self, seen: &Seen, what: &str, outcome: io::Result<()>) {
        match outcome {
            Ok(()) => self.good.fetch_add(1, Ordering::Relaxed),
            Err(error) => {
                if let Ok(mut trouble) = seen.trouble.lock()
                    && trouble.len() < 20
                {
                    let at = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
                    trouble.push(format!("{what}, second {:.3}: {error}", at.as_secs_f64() % 60.0));
                }
                self.failed.fetch_add(1, Ordering::Relaxed)
            }
        };
    }

    pub(super) fn both(&self) -> (u64, u64) {
        (self.good.load(Ordering::Relaxed), self.failed.load(Ordering::Relaxed))
    }
}

/// One that holds on to something, until it is told that it is over.
type Holder = Box<dyn FnOnce(&Seen, &AtomicBool) + Send>;

/// Starts everything that holds on, from inside the client's network. Half of it begins now, the rest when `late` is set; it
/// ends when `over` is, but for downloads, which go on to their end.
pub(super) fn hold(
    seen: &Arc<Seen>,
    trust: &Arc<rustls::ClientConfig>,
    lasts: Duration,
    (late, over): (&Arc<AtomicBool>, &Arc<AtomicBool>),
) -> Vec<std::thread::JoinHandle<()>> {
    let mut threads = Vec::new();
    let mut start = |number: usize, act: Holder| {
        let (seen, late, over) = (Arc::clone(seen), Arc::clone(late), Arc::clone(over));
        threads.push(std::thread::spawn(move || {
            while number % 2 == 1 && !late.load(Ordering::Relaxed) {
                std::thread::sleep(MESSAGES);
            }
            act(&seen, &over);
        }));
    };
    for number in 0..DOWNLOADS {
        let (ip, secure, trust) = (address(number), number % 4 > 1, Arc::clone(trust));
        start(
            number,
            Box::new(move |seen, _| {
                come_before(BEHIND);
                let result =
                    if secure { secure_download(ip, &trust, lasts) } else { plain_download(ip, lasts) };
                seen.downloads.add(seen, if secure { "download over TLS" } else { "download" }, result);
            }),
        );
    }
    for number in 0..WEBSOCKETS {
        let (ip, secure, trust) = (address(number), number % 4 > 1, Arc::clone(trust));
        start(
            number,
            Box::new(move |seen, over| {
                let result = websocket(ip, secure.then_some(&*trust), seen, over);
                seen.websockets.add(seen, "WebSocket", result);
            }),
        );
    }
    for number in 0..STREAMS {
        let (ip, secure, trust) = (address(number), number % 4 > 1, Arc::clone(trust));
        start(
            number,
            Box::new(move |seen, over| {
                seen.streams.add(seen, "stream", stream(ip, secure.then_some(trust), seen, over));
            }),
        );
    }
    threads
}

/// Of both families in turn: each pair of numbers has both.
fn address(number: usize) -> IpAddr {
    ADDRESSES[number / 2 % 2]
}

fn plain_download(ip: IpAddr, lasts: Duration) -> io::Result<()> {
    let stream = TcpStream::connect((ip, PLAIN))?;
    stream.set_read_timeout(Some(LOST))?;
    download(stream, lasts)
}

fn secure_download(ip: IpAddr, trust: &rustls::ClientConfig, lasts: Duration) -> io::Result<()> {
    download(secured(ip, trust)?, lasts)
}

/// A connection with TLS that speaks HTTP/1.1.
fn secured(
    ip: IpAddr,
    trust: &rustls::ClientConfig,
) -> io::Result<rustls::StreamOwned<rustls::ClientConnection, TcpStream>> {
    let stream = TcpStream::connect((ip, SECURE))?;
    stream.set_read_timeout(Some(LOST))?;
    stream.set_nodelay(true)?;
    let name = ServerName::try_from(NAME).map_err(io::Error::other)?;
    let mut config = trust.clone();
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    let client = rustls::ClientConnection::new(Arc::new(config), name).map_err(io::Error::other)?;
    Ok(rustls::StreamOwned::new(client, stream))
}

/// Reads the file evenly over `lasts` and looks at every byte.
fn download(mut stream: impl Read + Write, lasts: Duration) -> io::Result<()> {
    stream.write_all(b"GET /files/big HTTP/1.1\r\nHost: test.example\r\n\r\n")?;
    let begun = Instant::now();
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        stream.read_exact(&mut byte)?;
        head.push(byte[0]);
    }
    if !head.starts_with(b"HTTP/1.1 200 ") {
        return Err(io::Error::other(String::from_utf8_lossy(&head).into_owned()));
    }
    let (mut part, expected) = (vec![0; PART], expected());
    let mut place = 0;
    while place < FILE {
        let left = usize::try_from(FILE - place).unwrap_or(usize::MAX).min(part.len());
        let count = stream.read(&mut part[..left]).map_err(|error| {
            io::Error::other(format!(
                "{error}, behind {place} bytes, {:?} after the request",
                begun.elapsed()
            ))
        })?;
        if count == 0 {
            return Err(io::Error::other(format!("it ended after {place} bytes")));
        }
        let at = usize::try_from(place % PERIOD as u64).unwrap_or(0);
        if part[..count] != expected[at..at + count] {
            return Err(io::Error::other(format!("wrong bytes behind the first {place}")));
        }
        place += count as u64;
        #[expect(clippy::cast_precision_loss, reason = "a share of a file")]
        let due = lasts.mul_f64(place as f64 / FILE as f64);
        std::thread::sleep(due.saturating_sub(begun.elapsed()));
    }
    Ok(())
}

/// Bytes that are read at once.
const PART: usize = 64 * 1024;
/// After so many bytes the file says the same again.
const PERIOD: usize = 251 * 251;

/// What every part of the file is a slice of: see [`evenkeel_testkit::Nginx::file`].
fn expected() -> Vec<u8> {
    (0..PERIOD + PART).map(|place| u8::try_from((place / 251 + place) % 251).unwrap_or(0)).collect()
}

fn websocket(
    ip: IpAddr,
    trust: Option<&rustls::ClientConfig>,
    seen: &Seen,
    over: &AtomicBool,
) -> io::Result<()> {
    come_before(FIRST);
    let mut socket = match trust {
        Some(trust) => WebSocket::over(secured(ip, trust)?, "/socket")?,
        None => WebSocket::connect(SocketAddr::new(ip, PLAIN), "/socket")?,
    };
    let mut number = 0_u64;
    while !over.load(Ordering::Relaxed) {
        let (sent, moving) = (Instant::now(), seen.is_moving.load(Ordering::Relaxed));
        let text = format!("message {number}");
        if socket.echo(&text)? != text {
            return Err(io::Error::other("another message came back"));
        }
        note(seen, 0, moving, sent.elapsed());
        number += 1;
        std::thread::sleep(MESSAGES.saturating_sub(sent.elapsed()));
    }
    Ok(())
}

/// A stream of HTTP/2 with messages both ways, framed as gRPC does it.
fn stream(
    ip: IpAddr,
    trust: Option<Arc<rustls::ClientConfig>>,
    seen: &Seen,
    over: &AtomicBool,
) -> io::Result<()> {
    come_before(FIRST);
    let mut client = match trust {
        Some(trust) => Http2::connect_tls(SocketAddr::new(ip, SECURE), NAME, trust)?,
        None => Http2::connect(SocketAddr::new(ip, PLAIN))?,
    };
    client.greet(&[])?;
    let fields = [
        (":method", "POST"),
        (":scheme", "http"),
        (":path", "/lab.Calls/Echo"),
        (":authority", NAME),
        ("content-type", "application/grpc"),
        ("te", "trailers"),
    ];
    client.head(1, &fields, false)?;
    let mut number = 0_u64;
    while !over.load(Ordering::Relaxed) {
        let (sent, moving) = (Instant::now(), seen.is_moving.load(Ordering::Relaxed));
        let message = [&[0, 0, 0, 0, 8], number.to_be_bytes().as_slice()].concat();
        client.frame(kind::DATA, 0, 1, message.clone())?;
        let mut came = Vec::new();
        while came.len() < message.len() {
            let frame = client.next_frame()?.ok_or_else(|| io::Error::other("the connection ended"))?;
            match frame.kind {
                kind::DATA => came.extend_from_slice(&frame.payload),
                kind::RST_STREAM => return Err(io::Error::other("the stream was reset")),
                _ => {}
            }
        }
        if came != message {
            return Err(io::Error::other("another message came back"));
        }
        let by = u32::try_from(came.len()).unwrap_or(0);
        client.open(0, by)?;
        client.open(1, by)?;
        note(seen, 1, moving, sent.elapsed());
        number += 1;
        std::thread::sleep(MESSAGES.saturating_sub(sent.elapsed()));
    }
    client.frame(kind::DATA, flag::END_STREAM, 1, [])?;
    while let Some(frame) = client.next_frame()? {
        if frame.kind == kind::HEADERS && frame.has(flag::END_STREAM) {
            return Ok(());
        }
    }
    Err(io::Error::other("the call had no end"))
}

fn note(seen: &Seen, which: usize, moving: bool, took: Duration) {
    let moving = moving || seen.is_moving.load(Ordering::Relaxed);
    seen.messages.fetch_add(1, Ordering::Relaxed);
    seen.worst[which][usize::from(!moving)]
        .fetch_max(u64::try_from(took.as_micros()).unwrap_or(u64::MAX), Ordering::Relaxed);
}

/// Requests as fast as they are answered, from inside the client's network; each with a name.
pub(super) fn load(lasts: Duration) -> Vec<(&'static str, Report)> {
    let [v4, v6] = ADDRESSES;
    let loads = [
        ("kept connections, IPv4", format!("http://{v4}/"), 2, None),
        ("kept connections, IPv6, TLS", format!("https://[{v6}]/"), 2, None),
        ("a connection a request, IPv6", format!("http://[{v6}]/"), 1, Some("Connection: close")),
        ("a connection a request, IPv4, TLS", format!("https://{v4}/"), 1, Some("Connection: close")),
    ];
    let running: Vec<_> = loads
        .into_iter()
        .map(|(name, url, connections, field)| {
            std::thread::spawn(move || {
                idle();
                let fields: Vec<&str> = field.into_iter().collect();
                (name, Load::start_with(&url, connections, lasts, &fields).finish())
            })
        })
        .collect();
    running.into_iter().filter_map(|thread| thread.join().ok()).collect()
}

/// Niceness: on machines of their own they would not be in each other's way. Who measures comes first, then the balancers, then servers,
/// then downloads, and wrk takes what is left.
pub(super) const FIRST: i32 = -10;
pub(super) const BALANCERS: i32 = -5;
pub(super) const OTHERS: i32 = 0;
const BEHIND: i32 = 10;

/// Has this thread, and what it starts from here on, come before those of a larger number.
pub(super) fn come_before(number: i32) {
    // Without it the figures are worse, and that is all.
    let _ = rustix::process::setpriority_process(None, number);
}

/// What this thread starts takes what is left of the processor: load that asks as fast as it is answered would otherwise be all that
/// is measured.
fn idle() {
    let thread = rustix::thread::gettid().as_raw_nonzero().to_string();
    // Without it the figures are worse, and that is all.
    let _ = std::process::Command::new("chrt").args(["-i", "-p", "0", &thread]).status();
}

/// One new connection and one request on it.
pub(super) fn fetch(ip: IpAddr) -> io::Result<()> {
    let answer = HttpClient::connect(SocketAddr::new(ip, PLAIN))?.get("/")?;
    if answer.status == 200 { Ok(()) } else { Err(io::Error::other(answer.status_line)) }
}
