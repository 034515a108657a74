//! The thread that writes the lines of one place.
//!
//! It alone waits for disks, pipes and the system log. While it waits, lanes fill up and further lines are dropped.
//! A failure costs the lines at hand, is told once, and the next lines are tried again.

use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use super::output::{Output, Sent};
use super::sink::Shared;

/// How long one wait for room lasts before the writer looks around.
const LOOK_AROUND: Duration = Duration::from_millis(200);
/// How long a place that takes nothing is waited for once the log is closed.
const PARTING: Duration = Duration::from_secs(1);

/// Writes until the log is closed and empty.
pub(super) fn run(shared: &Shared, output: Output) {
    let mut writer = Writer { shared, output, in_trouble: false, give_up: None };
    let mut lines = Vec::new();
    loop {
        shared.wait_for_work();
        let closed = shared.is_closed();
        writer.follow_replacement();
        let mut found = false;
        for lane in shared.lanes.all() {
            lane.take(&mut lines);
            found |= !lines.is_empty();
            writer.write(&lines);
            lines.clear();
        }
        if closed && !found {
            return;
        }
    }
}

struct Writer<'a> {
    shared: &'a Shared,
    output: Output,
    /// The last write failed, and that was told.
    in_trouble: bool,
    /// When a place that takes nothing is left, after the log was closed.
    give_up: Option<Instant>,
}

impl Writer<'_> {
    fn write(&mut self, lines: &[u8]) {
        let mut written = 0;
        while written < lines.len() {
            match self.output.send(&lines[written..], LOOK_AROUND) {
                Ok(Sent::Bytes(count)) => {
                    written += count;
                    self.recovered();
                }
                Ok(Sent::NothingYet) => {
                    if self.must_give_up() {
                        self.lose(&lines[written..]);
                        return;
                    }
                    if self.follow_replacement() {
                        // The new file shall begin with a whole line.
                        written =
                            lines[..written].iter().rposition(|&byte| byte == b'\n').map_or(0, |at| at + 1);
                    }
                }
                Err(error) => {
                    self.failed(&error);
                    self.lose(&lines[written..]);
                    return;
                }
            }
        }
    }

    fn follow_replacement(&mut self) -> bool {
        let Some(file) = self.shared.take_replacement() else { return false };
        match Output::file(file) {
            Ok(output) => self.output = output,
            Err(error) => self.failed(&error),
        }
        true
    }

    fn must_give_up(&mut self) -> bool {
        self.shared.is_closed()
            && *self.give_up.get_or_insert_with(|| Instant::now() + PARTING) <= Instant::now()
    }

    fn lose(&self, lines: &[u8]) {
        let count = lines.iter().filter(|&&byte| byte == b'\n').count();
        self.shared.lost.fetch_add(count as u64, Ordering::Relaxed);
    }

    fn failed(&mut self, error: &std::io::Error) {
        if !self.in_trouble {
            self.in_trouble = true;
            tracing::error!(
                "the access log {} cannot be written: {error}; lines are dropped and counted",
                self.shared.to
            );
        }
    }

    fn recovered(&mut self) {
        if self.in_trouble {
            self.in_trouble = false;
            tracing::info!("the access log {} is written again", self.shared.to);
        }
    }
}

#[cfg(test)]
#[path = "writer/tests.rs"]
mod tests;
