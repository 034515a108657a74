//! What was measured, as a page of the guide.

use std::fmt::Write as _;
use std::path::Path;
use std::time::Duration;

use super::baseline;
use super::fault::{Fault, Outcome};
use super::pair::{FIRST_PRIORITY, Family, SECOND_PRIORITY, Timing};
use super::trial::Measured;
use crate::bench::machine;

/// How much longer than the protocol's own timer an outage may be.
const ALLOWANCE: Duration = Duration::from_millis(5);
const PAGE: &str = "docs/guide/failover-measured.md";

/// All repetitions of one fault with one timing in one family.
#[derive(Debug)]
pub(super) struct Row {
    timing: Timing,
    family: Family,
    fault: Fault,
    measured: Vec<Measured>,
    failures: Vec<String>,
}

impl Row {
    pub(super) fn new(timing: Timing, family: Family, fault: Fault) -> Self {
        Self { timing, family, fault, measured: Vec::new(), failures: Vec::new() }
    }

    pub(super) fn title(&self) -> String {
        format!("{} {} {}", self.timing.name(), self.family.name(), self.fault.name())
    }

    pub(super) fn add(&mut self, measured: Measured) {
        self.measured.push(measured);
    }

    pub(super) fn fail(&mut self, why: String) {
        self.failures.push(why);
    }

    fn sorted(&self, value: impl Fn(&Measured) -> Duration) -> Vec<Duration> {
        let mut values: Vec<Duration> = self.measured.iter().map(value).collect();
        values.sort();
        values
    }

    fn most_late(&self, value: impl Fn(&Measured) -> Option<f64>) -> Option<f64> {
        self.measured.iter().filter_map(value).reduce(f64::max)
    }

    /// How many repetitions have kept each promise: the outage ends with the timer, or there is none; and none after.
    fn kept(&self) -> usize {
        let kept = |one: &&Measured| {
            let in_time = match self.fault.outcome() {
                Outcome::Nothing => one.ping.is_zero(),
                Outcome::TakeOver => {
                    one.ping_late.is_none_or(|late| late <= ALLOWANCE.as_secs_f64())
                        && one.ping <= self.bound() + ALLOWANCE
                }
            };
            in_time && one.back_ping.is_zero()
        };
        self.measured.iter().filter(kept).count()
    }

    fn tried(&self) -> usize {
        self.measured.len() + self.failures.len()
    }

    /// The longest that the protocol lets an address be without owner.
    fn bound(&self) -> Duration {
        match (self.fault.outcome(), self.fault) {
            (Outcome::Nothing, _) => Duration::ZERO,
            (_, Fault::Term | Fault::KillMain) => self.timing.skew(),
            _ => self.timing.down_interval(),
        }
    }
}

/// Prints the page, and keeps it when everything was measured.
pub(super) fn write(root: &Path, rows: &[Row], keep: bool) -> Result<(), String> {
    let text = page(rows);
    println!("{text}");
    if keep {
        std::fs::write(root.join(PAGE), &text)
            .map_err(|error| format!("{PAGE} cannot be written: {error}"))?;
    }
    let (kept, tried): (usize, usize) =
        rows.iter().fold((0, 0), |(kept, tried), row| (kept + row.kept(), tried + row.tried()));
    for row in rows.iter().filter(|row| row.kept() < row.tried()) {
        eprintln!("{}: {} of {} kept; {}", row.title(), row.kept(), row.tried(), row.failures.join("; "));
    }
    if kept == tried {
        Ok(())
    } else {
        Err(format!("{} of {tried} repetitions have not kept a promise", tried - kept))
    }
}

fn page(rows: &[Row]) -> String {
    let mut text = format!(
        "# Failover, measured\n\n\
         How long a [virtual address](virtual-addresses.md) does not answer when something breaks. Made by \
         `cargo xtask failover-lab`, which anybody can run as root.\n\n\
         Two nodes (priorities {FIRST_PRIORITY} and {SECOND_PRIORITY}) and a client at one switch, in network namespaces; \
         IPv4 and IPv6 at once. The client sends an echo every 2 ms (1 ms at 0.01 s) and opens a TCP connection every 5 ms \
         (3 ms). An outage lasts from the last answered probe before it to the first answered one after it. All figures are \
         milliseconds.\n\n\
         Machine: {}; pairs with different timers ran side by side, and other programs ran as well.\n\n\
         Columns:\n\n\
         - **timer**: what the protocol itself allows. After a fault it is three intervals and the skew of the second node, \
         (256 − {SECOND_PRIORITY}) / 256 of an interval (of a second in version 2), from the last advertisement on; after an \
         end in good order the skew alone.\n\
         - **late**: the most by which the first answer came after that timer had ended, reckoned from the last advertisement \
         that was on the wire; in parentheses the second node's advertisement. It includes the time between two probes. \
         Negative: the second node owed less than a whole interval between probes.\n\
         - **two owners**: the longest time that both nodes held the address while the fault lasted, and after it was undone. A \
         node that cannot hear, or does not run, cannot give it up.\n\
         - **back**: the longest outage when the fault was undone and the first node took the address back.\n\
         - **kept**: repetitions with an outage of at most the timer and {} ms, and with no lost echo afterwards.\n\
         - **keepalived**: version 2.2.7 in the same kind of network: median (most), with a stand-in for the web server that \
         lived on; nothing where it was not measured.\n",
        machine(),
        ALLOWANCE.as_millis(),
    );
    let mut timing = None;
    for row in rows {
        if timing.replace(row.timing) != Some(row.timing) {
            let _ = write!(
                text,
                "\n## Version {}, an advertisement every {} s\n\n\
                 | fault | family | n | timer | ping: least / median / most | TCP: median / most | late | two owners | after | \
                 back: ping | back: TCP | kept | keepalived: ping |\n|---|---|---|---|---|---|---|---|---|---|---|---|---|\n",
                row.timing.version,
                row.timing.interval.as_secs_f64()
            );
        }
        line(&mut text, row);
    }
    text.push_str(
        "\n## When a partition heals\n\nBoth nodes were active; the first for longer than six seconds.\n\n\
                   | timers | family | repetitions with an outage | keepalived |\n|---|---|---|---|\n",
    );
    for row in rows.iter().filter(|row| row.fault.heals_two_owners()) {
        let hit = row.measured.iter().filter(|one| !one.back_ping.is_zero()).count();
        let (timing, family) = (row.timing, row.family);
        let _ = writeln!(
            text,
            "| {} | {} | {hit} of {} | {} |",
            timing.name(),
            family.name(),
            row.measured.len(),
            baseline::of_heal(timing, family).unwrap_or("–")
        );
    }
    text
}

fn line(text: &mut String, row: &Row) {
    let (ping, tcp) = (row.sorted(|one| one.ping), row.sorted(|one| one.tcp));
    let most = |value: fn(&Measured) -> Duration| ms(row.sorted(value).last().copied());
    let late = match (row.most_late(|one| one.ping_late), row.most_late(|one| one.advertised_late)) {
        (None, None) => "–".to_owned(),
        (ping, advertised) => format!("{} ({})", signed(ping), signed(advertised)),
    };
    let keepalived = baseline::of_fault(row.timing, row.family, row.fault);
    let _ = writeln!(
        text,
        "| {} | {} | {} | {} | {} / {} / {} | {} / {} | {late} | {} | {} | {} | {} | {} of {} | {} |",
        row.fault.name(),
        row.family.name(),
        row.tried(),
        ms(Some(row.bound())),
        ms(ping.first().copied()),
        ms(median(&ping)),
        ms(ping.last().copied()),
        ms(median(&tcp)),
        ms(tcp.last().copied()),
        most(|one| one.both),
        most(|one| one.both_after),
        most(|one| one.back_ping),
        most(|one| one.back_tcp),
        row.kept(),
        row.tried(),
        keepalived.map_or("–".to_owned(), |found| format!("{} ({})", found.median, found.most)),
    );
}

fn median(sorted: &[Duration]) -> Option<Duration> {
    sorted.get(sorted.len() / 2).copied()
}

/// In whole milliseconds, below ten with a digit after the point.
fn ms(time: Option<Duration>) -> String {
    time.map_or("–".to_owned(), |time| {
        let ms = time.as_secs_f64() * 1000.0;
        if ms > 0.0 && ms < 9.95 { format!("{ms:.1}") } else { format!("{ms:.0}") }
    })
}

fn signed(seconds: Option<f64>) -> String {
    seconds.map_or("–".to_owned(), |seconds| format!("{:+.1}", seconds * 1000.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn measured(ping: u64, late: f64, back: u64) -> Measured {
        Measured {
            ping: Duration::from_millis(ping),
            ping_late: Some(late),
            back_ping: Duration::from_millis(back),
            ..Measured::default()
        }
    }

    #[test]
    fn a_promise_is_kept_by_an_outage_that_ends_with_the_timer_and_none_after() {
        let timing = Timing { version: 3, interval: Duration::from_millis(100) };
        let mut row = Row::new(timing, Family::V4, Fault::LinkDown);
        // 3 * 100 + 156 / 256 * 100 = 360.9
        row.add(measured(362, 0.002, 0));
        assert_eq!((row.kept(), row.tried()), (1, 1));
        // Too long, too late after a fault shortly before an advertisement, and a hole at the heal.
        row.add(measured(367, 0.004, 0));
        row.add(measured(300, 0.006, 0));
        row.add(measured(300, 0.001, 4));
        row.fail("it did not take over".into());
        assert_eq!((row.kept(), row.tried()), (1, 5));
    }

    #[test]
    fn figures_are_short() {
        assert_eq!(ms(Some(Duration::from_micros(3_609_375))), "3609");
        assert_eq!(ms(Some(Duration::from_micros(1_840))), "1.8");
        assert_eq!((ms(Some(Duration::ZERO)), ms(None)), ("0".to_owned(), "–".to_owned()));
        assert_eq!(signed(Some(-0.0004)), "-0.4");
    }
}
