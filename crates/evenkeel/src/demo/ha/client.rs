//! A client that fetches the website all the time, and measures how long it gets no answer.
//!
//! Each fetch is a connection of its own, whatever became of those before: so an outage ends for the client when it ends.

use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use evenkeel_sys::namespace::Namespace;

/// Between two fetches.
pub(super) const EVERY: Duration = Duration::from_millis(10);
/// How long one fetch may take.
const PATIENCE: Duration = Duration::from_secs(3);
/// Fetches under way; in a longer outage no more are begun.
const MOST_FETCHES: usize = 400;
/// The longest response, in bytes.
const LONGEST: u64 = 16 * 1024;

/// What the client has seen.
#[derive(Clone, Debug, Default)]
pub(super) struct Seen {
    /// Answers by the name of the web server.
    pub(super) answers: Vec<(String, u64)>,
    /// Fetches that came to nothing.
    pub(super) failed: u64,
    pub(super) last: Option<Instant>,
    /// The longest time between two answers since the last [`Client::begin`].
    longest: Duration,
    failed_before: u64,
}

/// What one event cost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Cost {
    /// The longest time without an answer.
    pub(super) pause: Duration,
    pub(super) failed: u64,
}

impl Seen {
    fn answered(&mut self, server: &str, now: Instant) {
        match self.answers.iter_mut().find(|(name, _)| name == server) {
            Some((_, count)) => *count += 1,
            None => self.answers.push((server.to_owned(), 1)),
        }
        if let Some(last) = self.last {
            self.longest = self.longest.max(now.saturating_duration_since(last));
        }
        self.last = Some(now);
    }

    /// What was seen since [`Self::begin`]. The pause that goes on counts.
    fn cost(&self, now: Instant) -> Cost {
        let goes_on = self.last.map_or(Duration::ZERO, |last| now.saturating_duration_since(last));
        Cost { pause: self.longest.max(goes_on), failed: self.failed - self.failed_before }
    }

    fn begin(&mut self) {
        self.longest = Duration::ZERO;
        self.failed_before = self.failed;
    }

    pub(super) fn count(&self, server: &str) -> u64 {
        self.answers.iter().find(|(name, _)| name == server).map_or(0, |(_, count)| *count)
    }

    pub(super) fn all(&self) -> u64 {
        self.answers.iter().map(|(_, count)| count).sum()
    }
}

/// A running client.
pub(super) struct Client {
    seen: Arc<Mutex<Seen>>,
    over: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Client {
    pub(super) fn start(namespace: &Namespace, website: Ipv4Addr) -> io::Result<Self> {
        let (seen, over) = (Arc::new(Mutex::new(Seen::default())), Arc::new(AtomicBool::new(false)));
        let (noted, ended) = (Arc::clone(&seen), Arc::clone(&over));
        // A thread that begins inside stays there, and so do those that it starts.
        let thread = namespace.inside(move || {
            let fetch = move || fetch_until((website, 80).into(), &noted, &ended);
            std::thread::Builder::new().name("client".into()).spawn(fetch)
        })??;
        Ok(Self { seen, over, thread: Some(thread) })
    }

    pub(super) fn seen(&self) -> Seen {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Something is about to happen, the cost of which shall be known.
    pub(super) fn begin(&self) {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner).begin();
    }

    pub(super) fn cost(&self) -> Cost {
        self.seen().cost(Instant::now())
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        self.over.store(true, Ordering::SeqCst);
        if let Some(thread) = self.thread.take() {
            let _panicked = thread.join();
        }
    }
}

fn fetch_until(website: SocketAddr, seen: &Arc<Mutex<Seen>>, over: &AtomicBool) {
    let running = Arc::new(AtomicUsize::new(0));
    while !over.load(Ordering::SeqCst) {
        if running.load(Ordering::SeqCst) < MOST_FETCHES {
            running.fetch_add(1, Ordering::SeqCst);
            let (noted, ended) = (Arc::clone(seen), Arc::clone(&running));
            let started = std::thread::Builder::new().spawn(move || {
                let result = fetch(website);
                let mut seen = noted.lock().unwrap_or_else(PoisonError::into_inner);
                match result {
                    Ok(server) => seen.answered(&server, Instant::now()),
                    Err(_) => seen.failed += 1,
                }
                ended.fetch_sub(1, Ordering::SeqCst);
            });
            if started.is_err() {
                running.fetch_sub(1, Ordering::SeqCst);
            }
        }
        std::thread::sleep(EVERY);
    }
}

/// The name of the server that has answered.
fn fetch(website: SocketAddr) -> io::Result<String> {
    let mut stream = TcpStream::connect_timeout(&website, PATIENCE)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.write_all(b"GET / HTTP/1.1\r\nHost: www.example.com\r\nConnection: close\r\n\r\n")?;
    let mut text = String::new();
    stream.take(LONGEST).read_to_string(&mut text)?;
    let invalid = || io::Error::from(io::ErrorKind::InvalidData);
    let head = text.strip_prefix("HTTP/1.1 200 ").ok_or_else(invalid)?;
    let line =
        head.lines().find_map(|line| line.to_ascii_lowercase().strip_prefix("x-server: ").map(str::to_owned));
    line.ok_or_else(invalid)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_cost_of_an_event_is_the_longest_pause_and_the_failures_since_it_began() {
        let epoch = Instant::now();
        let at = |millis: u64| epoch + Duration::from_millis(millis);
        let mut seen = Seen::default();
        seen.answered("webserver01", at(0));
        seen.answered("webserver02", at(50));
        seen.failed = 2;
        seen.begin();
        assert_eq!(seen.cost(at(60)), Cost { pause: Duration::from_millis(10), failed: 0 });
        seen.answered("webserver01", at(380));
        seen.failed += 1;
        assert_eq!(seen.cost(at(390)), Cost { pause: Duration::from_millis(330), failed: 1 });
        assert_eq!((seen.count("webserver01"), seen.count("webserver03"), seen.all()), (2, 0, 3));
    }
}
