//! Clients that are at work while something changes: wrk with kept connections and with one for each request, a
//! WebSocket, and a download that is read a share at a time so that it lasts as long as the changes do.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::JoinHandle;
use std::time::Duration;

use evenkeel_testkit::{BOUND, Load, Report, WebSocket};

use super::page::Part;

/// Longer than any part of the lab; loads are stopped before.
const LONGEST: Duration = Duration::from_secs(3600);
const KEPT: u16 = 16;
const OPENED: u16 = 4;
/// What the kernel may hold for a client that does not read, so that a download is not over before it is read.
const RECEIVE_BUFFER: usize = 256 * 1024;
/// After so many bytes the bytes of [`evenkeel_testkit::Nginx::file`] come again.
const PERIOD: usize = 251 * 251;
const PIECE: usize = 64 * 1024;

/// Both kinds of load by wrk.
pub(super) struct Loads {
    kept: Load,
    opened: Load,
}

impl Loads {
    pub(super) fn start(address: SocketAddr) -> Self {
        Self::start_at(&format!("http://{address}/"))
    }

    pub(super) fn start_at(url: &str) -> Self {
        Self {
            kept: Load::start(url, KEPT, LONGEST),
            opened: Load::start_with(url, OPENED, LONGEST, &["Connection: close"]),
        }
    }

    /// Ends both and judges what they saw.
    pub(super) fn stop(self, part: &mut Part) {
        for (load, kind) in [(self.kept, "kept connections"), (self.opened, "one connection each")] {
            judge(part, kind, &load.stop());
        }
    }
}

/// Nothing may have failed.
pub(super) fn judge(part: &mut Part, kind: &str, report: &Report) {
    let errors = report.errors;
    let failed = errors.non_2xx + errors.timeout;
    let reset = errors.connect + errors.read + errors.write;
    let seen = format!("{} requests: {failed} failed, {reset} reset", report.requests);
    part.judge(kind, seen, errors.total() == 0 && report.requests > 0);
}

/// A WebSocket that says something between the changes.
pub(super) struct Chat {
    socket: WebSocket,
    said: u32,
}

impl Chat {
    pub(super) fn open(address: SocketAddr) -> Result<Self, String> {
        let socket =
            WebSocket::connect(address, "/chat").map_err(|error| format!("no WebSocket: {error}"))?;
        Ok(Self { socket, said: 0 })
    }

    pub(super) fn say(&mut self) -> Result<(), String> {
        self.said += 1;
        let text = format!("message {}", self.said);
        match self.socket.echo(&text) {
            Ok(back) if back == text => Ok(()),
            Ok(back) => Err(format!("the WebSocket said {back:?} for {text:?}")),
            Err(error) => Err(format!("the WebSocket broke at {text}: {error}")),
        }
    }

    pub(super) fn finish(mut self, part: &mut Part) -> Result<(), String> {
        self.say()?;
        part.see("a WebSocket", format!("{} messages there and back", self.said));
        Ok(())
    }
}

/// A long download on a thread of its own.
pub(super) struct Download {
    length: u64,
    share: u64,
    allowed: u64,
    allow: Sender<u64>,
    thread: JoinHandle<Result<u64, String>>,
}

impl Download {
    /// Begins to fetch a file of [`evenkeel_testkit::Nginx::file`] that is to last for so many steps.
    pub(super) fn start(address: SocketAddr, path: &str, length: u64, steps: u64) -> Self {
        let (allow, allowed) = channel();
        let path = path.to_owned();
        let thread = std::thread::spawn(move || read(address, &path, length, &allowed));
        let share = length / (steps + 1);
        let mut download = Self { length, share, allowed: 0, allow, thread };
        download.step();
        download
    }

    /// One share more may be read.
    pub(super) fn step(&mut self) {
        self.allowed = (self.allowed + self.share).min(self.length - 1);
        // A download that has broken off says why at its end.
        let _broken = self.allow.send(self.allowed);
    }

    /// Reads the rest.
    pub(super) fn finish(self, part: &mut Part) {
        let _broken = self.allow.send(self.length);
        let read = self.thread.join().unwrap_or_else(|_| Err("the thread of the download panicked".into()));
        let whole = read == Ok(self.length);
        let seen = match read {
            Ok(read) => format!("{read} bytes, each as it should be"),
            Err(why) => why,
        };
        part.judge("a slow download", seen, whole);
    }
}

fn read(address: SocketAddr, path: &str, length: u64, allowed: &Receiver<u64>) -> Result<u64, String> {
    let failed = |error: std::io::Error| format!("the download broke: {error}");
    let mut stream = TcpStream::connect(address).map_err(failed)?;
    rustix::net::sockopt::set_socket_recv_buffer_size(&stream, RECEIVE_BUFFER)
        .map_err(|error| failed(error.into()))?;
    stream.set_read_timeout(Some(BOUND)).map_err(failed)?;
    stream.write_all(format!("GET {path} HTTP/1.1\r\nHost: lab\r\n\r\n").as_bytes()).map_err(failed)?;
    let mut head = Vec::new();
    let mut byte = [0];
    while !head.ends_with(b"\r\n\r\n") {
        stream.read_exact(&mut byte).map_err(failed)?;
        head.push(byte[0]);
    }
    let head = String::from_utf8_lossy(&head).to_ascii_lowercase();
    if !(head.starts_with("http/1.1 200 ") && head.contains(&format!("content-length: {length}\r\n"))) {
        return Err(format!("the download was answered with {head:?}"));
    }
    let expected = pattern();
    let mut piece = vec![0; PIECE];
    let mut done = 0;
    while let Ok(until) = allowed.recv() {
        while done < until {
            let most = usize::try_from(until - done).unwrap_or(PIECE).min(PIECE);
            let count = stream.read(&mut piece[..most]).map_err(failed)?;
            if count == 0 {
                return Err(format!("the download ended after {done} of {length} bytes"));
            }
            let phase = usize::try_from(done % PERIOD as u64).unwrap_or(0);
            if piece[..count] != expected[phase..phase + count] {
                return Err(format!("the download is wrong between {done} and {}", done + count as u64));
            }
            done += count as u64;
        }
        if done == length {
            break;
        }
    }
    Ok(done)
}

/// More than a period of the bytes of a file.
fn pattern() -> Vec<u8> {
    (0..PERIOD + PIECE).map(|place| u8::try_from((place / 251 + place) % 251).unwrap_or(0)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bytes_of_a_file_come_again_after_a_period() {
        let byte = |place: usize| (place / 251 + place) % 251;
        assert!((0..3 * PERIOD).step_by(97).all(|place| byte(place) == byte(place + PERIOD)));
        let bytes = pattern();
        assert_eq!((bytes[0], bytes[250], bytes[251], bytes[PERIOD]), (0, 250, 1, 0));
    }
}
