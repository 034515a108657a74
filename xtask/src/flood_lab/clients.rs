//! Ordinary clients: kept connections on which requests go out at a fixed rate, and how long each took.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use evenkeel_testkit::HttpClient;
use evenkeel_testkit::http2::{End, Http2};

const PAUSE: Duration = Duration::from_millis(10);
/// Connections of each kind.
const EACH: usize = 2;

pub(super) struct Clients {
    plain: SocketAddr,
    secure: SocketAddr,
    trust: Arc<rustls::ClientConfig>,
}

/// What one kind of client saw.
pub(super) struct Seen {
    pub(super) p99: Duration,
    pub(super) count: usize,
    pub(super) failed: usize,
}

impl Clients {
    pub(super) fn start(plain: SocketAddr, secure: SocketAddr, trust: Arc<rustls::ClientConfig>) -> Self {
        Self { plain, secure, trust }
    }

    /// Has all of them ask for so long.
    pub(super) fn measure(&self, lasts: Duration) -> [(&'static str, Seen); 2] {
        let until = Instant::now() + lasts;
        std::thread::scope(|scope| {
            let http1: Vec<_> = (0..EACH)
                .map(|_| {
                    scope.spawn(move || {
                        let mut client = HttpClient::connect(self.plain).ok();
                        paced(until, || {
                            let open = match client.take() {
                                Some(open) => Some(open),
                                None => HttpClient::connect(self.plain).ok(),
                            };
                            let Some(mut open) = open else { return false };
                            let good = open.get("/").is_ok_and(|answer| answer.status == 200);
                            client = good.then_some(open);
                            good
                        })
                    })
                })
                .collect();
            let http2: Vec<_> = (0..EACH)
                .map(|_| {
                    scope.spawn(move || {
                        let (mut client, mut stream) = (self.http2(), 1);
                        paced(until, || {
                            if client.is_none() {
                                (client, stream) = (self.http2(), 1);
                            }
                            let Some(open) = &mut client else { return false };
                            let answer = open.get(stream, "/");
                            stream += 2;
                            let good =
                                answer.is_ok_and(|answer| answer.status == 200 && answer.end == End::Clean);
                            if !good {
                                client = None;
                            }
                            good
                        })
                    })
                })
                .collect();
            let all = |threads: Vec<std::thread::ScopedJoinHandle<'_, _>>| {
                seen(threads.into_iter().filter_map(|thread| thread.join().ok()).collect())
            };
            [("HTTP/1.1", all(http1)), ("HTTP/2 over TLS", all(http2))]
        })
    }

    fn http2(&self) -> Option<Http2> {
        let mut client = Http2::connect_tls(self.secure, "test.example", self.trust.clone()).ok()?;
        client.greet(&[]).ok()?;
        Some(client)
    }
}

fn seen(all: Vec<(Vec<Duration>, usize)>) -> Seen {
    let failed = all.iter().map(|(_, failed)| failed).sum();
    let mut times: Vec<Duration> = all.into_iter().flat_map(|(times, _)| times).collect();
    times.sort_unstable();
    let p99 = times.get(times.len() * 99 / 100).copied().unwrap_or(Duration::MAX);
    Seen { p99, count: times.len(), failed }
}

/// Asks at a fixed rate. A request that is due while the one before is under way counts from when it was due.
fn paced(until: Instant, mut ask: impl FnMut() -> bool) -> (Vec<Duration>, usize) {
    let (mut times, mut failed, mut due) = (Vec::new(), 0, Instant::now());
    while due < until {
        std::thread::sleep(due.saturating_duration_since(Instant::now()));
        if ask() {
            times.push(due.elapsed());
        } else {
            failed += 1;
        }
        due += PAUSE;
    }
    (times, failed)
}
