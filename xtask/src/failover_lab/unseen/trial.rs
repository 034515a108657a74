//! One repetition: the site is quiet, something is done to it, it is undone; what the client and the kernels saw.

use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::{Duration, Instant};

use super::case::{self, Case};
use super::site::{INTERVAL, Probes, Site, target};
use crate::failover_lab::trial::{held, overlap};

/// The client goes on for so long when nothing is to happen any more.
const TAIL: Duration = Duration::from_millis(1500);
/// The same where both nodes are ill: nothing may happen for longer than any of their timers.
const LONG_TAIL: Duration = Duration::from_secs(4);

/// What was seen.
#[derive(Clone, Debug, Default)]
pub(super) struct Measured {
    /// Without answers to echoes.
    pub(super) ping: Duration,
    /// Without pages.
    pub(super) fetch: Duration,
    /// Until the peer held the address.
    pub(super) moved: Option<Duration>,
    /// How often the peer took it.
    pub(super) moves: usize,
    /// How long both held it since what was killed is ready again.
    pub(super) both: Duration,
    /// Outages after it was undone.
    pub(super) back_ping: Duration,
    pub(super) back_fetch: Duration,
}

impl fmt::Display for Measured {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ms = |time: Duration| time.as_secs_f64() * 1000.0;
        write!(
            f,
            "ping {:.1} fetch {:.1} moved after {} ({} times) both {:.1}; back: ping {:.1} fetch {:.1}",
            ms(self.ping),
            ms(self.fetch),
            self.moved.map_or("-".to_owned(), |moved| format!("{:.1}", ms(moved))),
            self.moves,
            ms(self.both),
            ms(self.back_ping),
            ms(self.back_fetch)
        )
    }
}

/// Runs it; what a wait of the lab complains about comes back as words.
pub(super) fn run(site: &mut Site, case: Case, repetition: usize) -> Result<Measured, String> {
    catch_unwind(AssertUnwindSafe(|| measure(site, case, repetition))).unwrap_or_else(|panic| {
        let text = panic.downcast_ref::<String>().cloned();
        Err(text.or_else(|| panic.downcast_ref::<&str>().map(|&text| text.to_owned())).unwrap_or_default())
    })
}

fn measure(site: &mut Site, case: Case, repetition: usize) -> Result<Measured, String> {
    site.settle();
    let victim = case.victim(site)?;
    let processes = site.first_node()?.processes();
    case.prepare(site)?;
    // At another moment between two advertisements each time.
    let part = u32::try_from(repetition % 5).unwrap_or(0);
    std::thread::sleep(TAIL + INTERVAL * part / 5);

    let probes = site.probe();
    let struck = Instant::now();
    case.strike(site, victim)?;
    if case.must_move() {
        wait_for_move(site, struck)?;
    }
    let is_long = matches!(case, Case::BothSick | Case::BothAtOnce);
    std::thread::sleep(if is_long { LONG_TAIL } else { TAIL });
    if case == Case::KillMain {
        case::wait_for_end(&processes)?;
    }
    let seen = stop(probes);
    let quiet = Instant::now();

    // Without answers from the servers there is nothing to compare with.
    let probes = if is_long { None } else { Some(site.probe()) };
    case.undo(site, victim)?;
    site.settle();
    std::thread::sleep(TAIL);
    let back = probes.map(stop).unwrap_or_default();
    let ready = site.first_node()?.ready_at();
    let (on_first, on_second) = (site.on_first.changes(), site.on_second.changes());
    let takes: Vec<Instant> = on_second
        .iter()
        .filter(|change| {
            change.address == target() && change.held && change.at >= struck && change.at < quiet
        })
        .map(|change| change.at)
        .collect();
    let both = if ready > struck && ready < quiet {
        let of = |changes| held(changes, target(), ready, quiet);
        overlap(&of(&on_first), &of(&on_second))
    } else {
        Duration::ZERO
    };
    case.refresh(site)?;
    Ok(Measured {
        ping: seen.0,
        fetch: seen.1,
        moved: takes.first().map(|at| at.saturating_duration_since(struck)),
        moves: takes.len(),
        both,
        back_ping: back.0,
        back_fetch: back.1,
    })
}

fn wait_for_move(site: &Site, struck: Instant) -> Result<(), String> {
    let begun = Instant::now();
    let took = || {
        let changes = site.on_second.changes();
        changes.iter().any(|change| change.held && change.address == target() && change.at >= struck)
    };
    while !took() {
        if begun.elapsed() > evenkeel_testkit::BOUND {
            return Err("the second node did not take the address".into());
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    Ok(())
}

/// The longest outages.
fn stop(probes: Probes) -> (Duration, Duration) {
    (probes.echo.stop().longest(), probes.fetch.stop().longest())
}
