//! `evenkeel events`

use std::time::Duration;

use clap::Args;
use evenkeel_admin::message::Event;
use hyper::Method;

use super::client::{Target, Wish};
use crate::exit::Exit;

/// Pause before a stream that ended is opened again.
const PAUSE: Duration = Duration::from_secs(1);

#[derive(Debug, Args)]
pub(super) struct Events {
    #[command(flatten)]
    target: Target,
    /// Go on and show events as they happen
    #[arg(short, long)]
    follow: bool,
    /// Begin after the event of this number
    #[arg(long, value_name = "ID")]
    after: Option<u64>,
    /// Print each event as a line of JSON
    #[arg(long)]
    json: bool,
}

impl Events {
    pub(super) fn perform(self) -> Exit {
        let mut seen = self.after;
        loop {
            let after = seen.map(|id| id.to_string());
            let headers: Vec<(&'static str, &str)> =
                after.iter().map(|id| ("last-event-id", id.as_str())).collect();
            let path = if self.follow { "/v1/events" } else { "/v1/events?follow=false" };
            let wish = Wish { method: Method::GET, path, headers: &headers, body: None };
            let before = seen;
            let ended = self.target.lines(&wish, |line| {
                if line == "event: gap" {
                    eprintln!("events are missing here: they were not kept long enough");
                }
                let Some(data) = line.strip_prefix("data: ") else { return true };
                if let Ok(event) = serde_json::from_str::<Event>(data) {
                    seen = Some(event.id);
                    self.show(&event);
                }
                true
            });
            match ended {
                Ok(()) if !self.follow => return Exit::Well,
                // A stream ends after some minutes, and when the role behind it is started again.
                Ok(()) => {}
                Err(_) if self.follow && before.or(seen).is_some() && seen != before => {}
                Err(failure) => return failure.report(self.json),
            }
            std::thread::sleep(PAUSE);
        }
    }

    fn show(&self, event: &Event) {
        if self.json {
            super::print(&format!("{}\n", serde_json::to_string(event).unwrap_or_default()));
            return;
        }
        let Event { id, at, kind, subject, what, by, .. } = event;
        let subject = if subject.is_empty() { String::new() } else { format!(" {subject}") };
        let by = by.as_ref().map(|by| format!("  (by {by})")).unwrap_or_default();
        super::print(&format!("{}  {id}  {}{subject}: {what}{by}\n", moment(*at), kind.name()));
    }
}

/// Milliseconds of Unix time as `2026-11-22T22:13:49.000Z`.
fn moment(at: u64) -> String {
    let (seconds, millis) = (at / 1000, at % 1000);
    let (days, rest) = (seconds / 86_400, seconds % 86_400);
    // Days since 0000-03-01, in eras of 400 years (Howard Hinnant, "chrono-compatible low-level date algorithms").
    let days = days + 719_468;
    let (era, day) = (days / 146_097, days % 146_097);
    let year = (day - day / 1460 + day / 36_524 - day / 146_096) / 365;
    let day = day - (365 * year + year / 4 - year / 100);
    let shifted = (5 * day + 2) / 153;
    let (day, month) =
        (day - (153 * shifted + 2) / 5 + 1, if shifted < 10 { shifted + 3 } else { shifted - 9 });
    let year = year + era * 400 + u64::from(month <= 2);
    let (hour, minute, second) = (rest / 3600, rest / 60 % 60, rest % 60);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{millis:03}Z")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_are_dates() {
        assert_eq!(moment(0), "1970-01-01T00:00:00.000Z");
        assert_eq!(moment(951_782_400_000), "2000-02-29T00:00:00.000Z");
        assert_eq!(moment(1_795_385_629_007), "2026-11-22T22:13:49.007Z");
        assert_eq!(moment(4_107_542_399_999), "2100-02-28T23:59:59.999Z");
    }
}
