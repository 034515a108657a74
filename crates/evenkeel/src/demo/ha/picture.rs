//! What the demo shows: a picture that lives, for people at a terminal, and lines for everybody.

use std::fmt::Write as _;
use std::io::{self, IsTerminal, Write};
use std::time::{Duration, Instant};

use super::client::{Cost, EVERY};
use super::site::{BALANCERS, Site, WEB_SERVERS, WEBSITE};

const WIDTH: usize = 17;
const DIM: &str = "\x1b[2m";
const GREEN: &str = "\x1b[32m";
const RED: &str = "\x1b[31m";
const PLAIN: &str = "\x1b[0m";
/// A pause up to this is what two fetches and a busy machine make.
const UNNOTICED: Duration = Duration::from_millis(40);

/// Where it is drawn.
pub(super) struct Screen {
    live: bool,
    /// Lines of the picture that stand there now.
    drawn: usize,
}

impl Screen {
    pub(super) fn open() -> Self {
        Self { live: io::stdout().is_terminal(), drawn: 0 }
    }

    /// A line that stays.
    pub(super) fn say(&mut self, text: &str) {
        let rubbed = self.rub_out();
        print(&format!("{rubbed}{text}\n"));
    }

    /// The picture as it is now, below the lines that stay.
    pub(super) fn draw(&mut self, site: &mut Site) {
        if !self.live {
            return;
        }
        let picture = picture(site);
        let rubbed = self.rub_out();
        self.drawn = picture.lines().count();
        print(&format!("{rubbed}{picture}"));
    }

    fn rub_out(&mut self) -> String {
        let up = std::mem::take(&mut self.drawn);
        if up == 0 { String::new() } else { format!("\x1b[{up}A\x1b[J") }
    }
}

/// A reader that is gone is no failure.
fn print(text: &str) {
    let mut output = io::stdout().lock();
    let _closed = output.write_all(text.as_bytes()).and_then(|()| output.flush());
}

fn picture(site: &mut Site) -> String {
    let holder = site.holder();
    let seen = site.client.seen();
    let silent = seen.last.map_or(Duration::ZERO, |last| Instant::now().saturating_duration_since(last));
    let (colour, how) = if silent < UNNOTICED {
        (GREEN, "answered".to_owned())
    } else {
        (RED, format!("no answer for {} ms", silent.as_millis()))
    };
    let mut cells: Vec<[(String, &str); 3]> = Vec::new();
    for (place, (name, address, _)) in BALANCERS.iter().enumerate() {
        let (state, colour) = match (&site.balancers[place], holder == Some(place)) {
            (None, _) => ("no power".to_owned(), RED),
            (Some(node), _) if !node.plugged => ("cable cut".to_owned(), RED),
            (Some(_), true) => (format!("* {WEBSITE}"), GREEN),
            (Some(_), false) => ("stands by".to_owned(), DIM),
        };
        cells.push([((*name).to_owned(), ""), (address.to_string(), DIM), (state, colour)]);
    }
    for (node, (name, address)) in site.web_servers.iter().zip(WEB_SERVERS) {
        let (state, colour) = match node.program {
            Some(_) => (format!("{} answers", seen.count(name)), GREEN),
            None => ("killed".to_owned(), RED),
        };
        cells.push([(name.to_owned(), ""), (address.to_string(), DIM), (state, colour)]);
    }
    let mut text =
        format!("\n  client  {} answers, {} failed  {colour}{how}{PLAIN}\n    |\n", seen.all(), seen.failed);
    let line = "=".repeat(WIDTH * cells.len());
    let _ = writeln!(text, "  {line}");
    for row in 0..3 {
        text.push_str("  ");
        for cell in &cells {
            let (word, colour) = &cell[row];
            let _ = write!(text, "{colour}{word:<WIDTH$}{PLAIN}");
        }
        text.push('\n');
    }
    text
}

/// Such as `362 ms without an answer, 0 requests failed`.
pub(super) fn cost(cost: Cost) -> String {
    let requests = if cost.failed == 1 { "request" } else { "requests" };
    format!("{}, {} {requests} failed", pause(cost.pause), cost.failed)
}

/// An outage cannot be told from the time between two fetches when it is as short.
fn pause(pause: Duration) -> String {
    let millis = pause.as_millis();
    if pause <= UNNOTICED {
        format!("no outage (answers at most {millis} ms apart, one asked for every {} ms)", EVERY.as_millis())
    } else {
        format!("outage {millis} ms")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn short_pauses_are_no_outage_and_long_ones_are() {
        let of = |millis, failed| cost(Cost { pause: Duration::from_millis(millis), failed });
        assert_eq!(of(371, 1), "outage 371 ms, 1 request failed");
        assert_eq!(
            of(14, 0),
            "no outage (answers at most 14 ms apart, one asked for every 10 ms), 0 requests failed"
        );
    }
}
