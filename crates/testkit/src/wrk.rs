//! Load from wrk, and what came of it.

use std::process::Command;
use std::time::Duration;

use crate::{BOUND, Program, Signal};

/// What wrk reports at its end.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Report {
    /// Responses received.
    pub requests: u64,
    /// Responses a second.
    pub requests_per_second: f64,
    /// 99 of 100 responses took no longer.
    pub p99: Duration,
    /// What went wrong.
    pub errors: Errors,
}

/// What went wrong, counted by wrk.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Errors {
    /// Connections that could not be opened.
    pub connect: u64,
    /// Connections that ended in the middle.
    pub read: u64,
    /// Requests that could not be sent.
    pub write: u64,
    /// Responses that took longer than two seconds.
    pub timeout: u64,
    /// Responses that were neither 2xx nor 3xx.
    pub non_2xx: u64,
}

impl Errors {
    /// All of them.
    #[must_use]
    pub fn total(self) -> u64 {
        self.connect + self.read + self.write + self.timeout + self.non_2xx
    }
}

/// A wrk that runs. Ask [`crate::needs`]`("wrk")` first.
pub struct Load {
    program: Program,
    duration: Duration,
}

impl Load {
    /// Starts to load `url` over so many connections; `duration` is rounded up to whole seconds.
    #[must_use]
    pub fn start(url: &str, connections: u16, duration: Duration) -> Self {
        Self::start_with(url, connections, duration, &[])
    }

    /// As [`Self::start`], with header fields in each request: `Connection: close` makes each one open a connection.
    #[must_use]
    pub fn start_with(url: &str, connections: u16, duration: Duration, fields: &[&str]) -> Self {
        let seconds = duration.as_millis().div_ceil(1000).max(1);
        let program = Program::start(
            Command::new("wrk")
                .args(["-t1", "--latency"])
                .arg(format!("-c{connections}"))
                .arg(format!("-d{seconds}s"))
                .args(fields.iter().flat_map(|field| ["-H", field]))
                .arg(url),
        );
        Self { program, duration }
    }

    /// Ends it before its time, when the test has seen enough (some answers at least: before, wrk does not listen), and
    /// returns what it reports.
    #[must_use]
    pub fn stop(self) -> Report {
        self.program.signal(Signal::INT);
        self.report_within(BOUND)
    }

    /// Waits for its end and returns what it reports. Panics when wrk fails.
    #[must_use]
    pub fn finish(self) -> Report {
        self.report_within(self.duration + BOUND)
    }

    fn report_within(&self, bound: Duration) -> Report {
        let code = self.program.wait(bound);
        let text = self.program.wait_for_end_of_output(BOUND).join("\n");
        assert_eq!(code, 0, "wrk failed: {text}");
        match report(&text) {
            Some(report) => report,
            None => panic!("wrk's report was not understood: {text}"),
        }
    }
}

/// Loads `url` for `duration` and returns what wrk reports.
#[must_use]
pub fn wrk(url: &str, connections: u16, duration: Duration) -> Report {
    Load::start(url, connections, duration).finish()
}

fn report(text: &str) -> Option<Report> {
    let mut report = Report::default();
    let (mut counted, mut rated) = (false, false);
    for line in text.lines().map(str::trim) {
        if let Some((count, _)) = line.split_once(" requests in ") {
            report.requests = count.parse().ok()?;
            counted = true;
        } else if let Some(rest) = line.strip_prefix("Socket errors: ") {
            for part in rest.split(", ") {
                let (kind, count) = part.split_once(' ')?;
                let count = count.parse().ok()?;
                match kind {
                    "connect" => report.errors.connect = count,
                    "read" => report.errors.read = count,
                    "write" => report.errors.write = count,
                    "timeout" => report.errors.timeout = count,
                    _ => return None,
                }
            }
        } else if let Some(count) = line.strip_prefix("Non-2xx or 3xx responses: ") {
            report.errors.non_2xx = count.parse().ok()?;
        } else if let Some(time) = line.strip_prefix("99% ") {
            report.p99 = duration(time.trim())?;
        } else if let Some(rate) = line.strip_prefix("Requests/sec:") {
            report.requests_per_second = rate.trim().parse().ok()?;
            rated = true;
        }
    }
    (counted && rated).then_some(report)
}

/// As wrk writes it: `12.34ms`.
fn duration(text: &str) -> Option<Duration> {
    let unit = text.find(|c: char| c.is_ascii_alphabetic())?;
    let seconds = match &text[unit..] {
        "us" => 1e-6,
        "ms" => 1e-3,
        "s" => 1.0,
        "m" => 60.0,
        "h" => 3600.0,
        _ => return None,
    };
    Duration::try_from_secs_f64(text[..unit].parse::<f64>().ok()? * seconds).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{ToyServer, needs};

    #[test]
    fn every_kind_of_error_is_read_from_the_report() {
        let text = "Running 1s test @ http://127.0.0.1:1/\n  1 threads and 2 connections\n  \
                    Thread Stats   Avg      Stdev     Max   +/- Stdev\n  \
                    Latency Distribution\n     50%  402.00us\n     99%    1.25ms\n  \
                    1234 requests in 1.10s, 1.50MB read\n  \
                    Socket errors: connect 1, read 2, write 3, timeout 4\n  \
                    Non-2xx or 3xx responses: 5\nRequests/sec:   1121.50\nTransfer/sec:      1.36MB\n";
        let report = report(text).unwrap();
        assert_eq!((report.requests, report.p99), (1234, Duration::from_micros(1250)));
        assert_eq!(report.errors, Errors { connect: 1, read: 2, write: 3, timeout: 4, non_2xx: 5 });
        assert_eq!(report.errors.total(), 15);
    }

    #[test]
    fn a_report_without_its_end_is_refused() {
        assert_eq!(report("Running 1s test"), None);
        assert_eq!(report("x requests in 1s\nRequests/sec: 1"), None);
    }

    #[test]
    fn a_toy_server_stands_a_real_load() {
        if !needs("wrk") {
            return;
        }
        let server = ToyServer::named("toy");
        let report = wrk(&format!("http://{}/", server.address()), 4, Duration::from_secs(1));
        assert!(report.requests > 0);
        assert_eq!(report.errors, Errors::default());
    }

    #[test]
    fn a_load_is_stopped_once_enough_was_seen_and_its_fields_are_sent() {
        if !needs("wrk") {
            return;
        }
        let server = ToyServer::named("toy");
        let url = format!("http://{}/", server.address());
        let load = Load::start_with(&url, 1, Duration::from_secs(3600), &["X-Load: yes"]);
        let enough = |received: &[Vec<u8>]| received.iter().any(|bytes| bytes.len() > 10_000);
        server.wait_until(enough, BOUND);
        let report = load.stop();
        assert!(report.requests > 100, "{report:?}");
        let received = server.received().concat();
        assert!(String::from_utf8(received).unwrap().contains("\r\nX-Load: yes\r\n"));
    }
}
