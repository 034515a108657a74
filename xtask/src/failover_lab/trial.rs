//! One repetition: the pair is quiet, something breaks, somebody takes over, it is mended.

use std::fmt;
use std::net::IpAddr;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::{Duration, Instant};

use evenkeel_testkit::lab::{AddressChange, Frame, Outage, ProbeReport};

use super::fault::{Fault, Outcome};
use super::pair::{Family, Pair, Probes};

/// A partition is healed only when the first node has been active for longer than this: its second round of
/// announcements, five seconds after the first, must not mend by luck what the heal has broken.
const AGE: Duration = Duration::from_secs(6);
/// The client goes on for so long when nothing is to happen any more.
const TAIL: Duration = Duration::from_millis(1500);

/// What was seen of one family.
#[derive(Clone, Debug, Default)]
pub(super) struct Measured {
    /// Without answers to echoes, after the fault.
    pub(super) ping: Duration,
    /// Without TCP connections.
    pub(super) tcp: Duration,
    /// From the end of the protocol's own timer to the first answer of the second node; negative by the exactness of the
    /// probes. None when there was no outage.
    pub(super) ping_late: Option<f64>,
    /// To the second node's first advertisement, and to its first announcement to the neighbours; in seconds.
    pub(super) advertised_late: Option<f64>,
    pub(super) announced_late: Option<f64>,
    /// How long both held the address, until the fault was undone and after.
    pub(super) both: Duration,
    pub(super) both_after: Duration,
    /// Outages after it was undone.
    pub(super) back_ping: Duration,
    pub(super) back_tcp: Duration,
}

impl fmt::Display for Measured {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ms = |time: Duration| time.as_secs_f64() * 1000.0;
        let late = |late: Option<f64>| late.map_or("-".to_owned(), |late| format!("{:.2}", late * 1000.0));
        write!(
            f,
            "ping {:.1} tcp {:.1} late {} (advertised {}, announced {}) both {:.1}; back ping {:.1} tcp {:.1} both {:.1}",
            ms(self.ping),
            ms(self.tcp),
            late(self.ping_late),
            late(self.advertised_late),
            late(self.announced_late),
            ms(self.both),
            ms(self.back_ping),
            ms(self.back_tcp),
            ms(self.both_after)
        )
    }
}

/// Runs it; what a wait of the lab complains about comes back as words.
pub(super) fn run(pair: &mut Pair, fault: Fault, repetition: usize) -> Result<Vec<Measured>, String> {
    catch_unwind(AssertUnwindSafe(|| measure(pair, fault, repetition))).unwrap_or_else(|panic| {
        let text = panic.downcast_ref::<String>().cloned();
        Err(text.or_else(|| panic.downcast_ref::<&str>().map(|&text| text.to_owned())).unwrap_or_default())
    })
}

fn measure(pair: &mut Pair, fault: Fault, repetition: usize) -> Result<Vec<Measured>, String> {
    let families = pair.timing.families();
    let interval = pair.timing.interval;
    pair.settle();
    let capture = pair.client.capture("eth0");
    fault.prepare(pair)?;
    let rest = if fault.heals_two_owners() { AGE } else { TAIL.min(interval * 10).max(interval * 2) };
    // At another moment between two advertisements each time.
    let part = u32::try_from(repetition % 5).unwrap_or(0);
    std::thread::sleep(rest + interval * part / 5);

    let probes = pair.probe();
    let struck = Instant::now();
    fault.strike(pair)?;
    if fault.outcome() == Outcome::TakeOver {
        for family in families {
            pair.on_second.wait_until(family.target(), true);
        }
    }
    std::thread::sleep(TAIL);
    let after_fault = stop(probes);

    let probes = pair.probe();
    let undone = Instant::now();
    fault.undo(pair)?;
    pair.settle();
    std::thread::sleep(TAIL);
    let after_undoing = stop(probes);
    let end = Instant::now();

    let frames = capture.frames();
    let (on_first, on_second) = (pair.on_first.changes(), pair.on_second.changes());
    let measured =
        families.iter().zip(after_fault).zip(after_undoing).map(|((&family, fault_seen), back_seen)| {
            let target = family.target();
            let both =
                |from, to| overlap(&held(&on_first, target, from, to), &held(&on_second, target, from, to));
            let mut measured = Measured {
                ping: fault_seen.0.longest(),
                tcp: fault_seen.1.longest(),
                both: both(struck, undone),
                both_after: both(undone, end),
                back_ping: back_seen.0.longest(),
                back_tcp: back_seen.1.longest(),
                ..Measured::default()
            };
            if fault.outcome() == Outcome::TakeOver {
                judge(pair, family, &frames, struck, &fault_seen.0, &mut measured);
            }
            measured
        });
    Ok(measured.collect())
}

fn stop(probes: Vec<Probes>) -> Vec<(ProbeReport, ProbeReport)> {
    probes.into_iter().map(|one| (one.echo.stop(), one.connect.stop())).collect()
}

/// Compares what the second node did with when its timer was over: so long after the last word of the first.
fn judge(
    pair: &Pair,
    family: Family,
    frames: &[Frame],
    struck: Instant,
    echoes: &ProbeReport,
    measured: &mut Measured,
) {
    let [first, second] = pair.sources(family);
    let says = |frame: &Frame, source: IpAddr| {
        frame.packet.vrrp().filter(|vrrp| vrrp.source == source).map(|vrrp| vrrp.priority)
    };
    let begun = frames
        .iter()
        .enumerate()
        .find(|(_, frame)| frame.at > struck && says(frame, second).is_some_and(|priority| priority > 0));
    let Some((place, begun)) = begun else { return };
    let last_word = frames[..place].iter().rev().find_map(|frame| Some((frame.at, says(frame, first)?)));
    let Some((at, priority)) = last_word else { return };
    let timer = if priority == 0 { pair.timing.skew() } else { pair.timing.down_interval() };
    let over = at + timer;
    let late = |moment: Instant| {
        moment.saturating_duration_since(over).as_secs_f64()
            - over.saturating_duration_since(moment).as_secs_f64()
    };
    measured.advertised_late = Some(late(begun.at));
    let announced = frames[place..]
        .iter()
        .find(|frame| frame.packet.announces(family.target()) && frame.source == pair.second_mac);
    measured.announced_late = announced.map(|frame| late(frame.at));
    let longest = echoes.outages.iter().max_by_key(|outage| outage.length);
    measured.ping_late = longest.map(|Outage { start, length, .. }| late(*start + *length));
}

/// When a host held an address between two moments.
pub(super) fn held(
    changes: &[AddressChange],
    address: IpAddr,
    from: Instant,
    to: Instant,
) -> Vec<(Instant, Instant)> {
    let mut spans = Vec::new();
    let mut since: Option<Instant> = None;
    for change in changes.iter().filter(|change| change.address == address) {
        match (change.held, since) {
            (true, None) => since = Some(change.at),
            (false, Some(start)) => {
                spans.push((start, change.at));
                since = None;
            }
            _ => {}
        }
    }
    spans.extend(since.map(|start| (start, to)));
    spans
        .into_iter()
        .map(|(start, end)| (start.max(from), end.min(to)))
        .filter(|(start, end)| start < end)
        .collect()
}

/// How long both had it at once.
pub(super) fn overlap(one: &[(Instant, Instant)], other: &[(Instant, Instant)]) -> Duration {
    let pairs = one.iter().flat_map(|a| other.iter().map(move |b| (a.0.max(b.0), a.1.min(b.1))));
    pairs.map(|(start, end)| end.saturating_duration_since(start)).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_hold_it_from_the_later_beginning_to_the_earlier_end() {
        let start = Instant::now();
        let at = |ms| start + Duration::from_millis(ms);
        let address = IpAddr::from([10, 99, 0, 50]);
        let change = |ms, held| AddressChange { at: at(ms), address, held };
        let one = held(&[change(0, true), change(50, false)], address, at(10), at(100));
        let other = held(&[change(30, true)], address, at(10), at(100));
        assert_eq!(
            (one.as_slice(), other.as_slice()),
            ([(at(10), at(50))].as_slice(), [(at(30), at(100))].as_slice())
        );
        assert_eq!(overlap(&one, &other), Duration::from_millis(20));
        let elsewhere = IpAddr::from([10, 99, 0, 51]);
        assert!(held(&[change(0, true)], elsewhere, at(10), at(100)).is_empty());
    }
}
