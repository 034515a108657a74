//! What was measured, as a page of the guide.

use std::fmt::Write as _;
use std::path::Path;
use std::time::Duration;

use super::case::{Case, Moves};
use super::many::Many;
use super::site::{CHECK_BOUND, skew};
use super::trial::Measured;
use crate::bench::machine;
use crate::failover_lab::pair::{FIRST_PRIORITY, SECOND_PRIORITY};

const PAGE: &str = "docs/guide/failover-nobody-sees.md";

/// All repetitions of one case.
#[derive(Debug)]
pub(super) struct Row {
    case: Case,
    measured: Vec<Measured>,
    failures: Vec<String>,
}

impl Row {
    pub(super) fn new(case: Case) -> Self {
        Self { case, measured: Vec::new(), failures: Vec::new() }
    }

    pub(super) fn add(&mut self, measured: Measured) {
        self.measured.push(measured);
    }

    pub(super) fn fail(&mut self, why: String) {
        self.failures.push(why);
    }

    fn kept(&self) -> usize {
        self.measured.iter().filter(|measured| self.case.judge(measured).is_empty()).count()
    }

    fn tried(&self) -> usize {
        self.measured.len() + self.failures.len()
    }

    fn line(&self) -> String {
        let sorted = |value: fn(&Measured) -> Duration| {
            let mut values: Vec<Duration> = self.measured.iter().map(value).collect();
            values.sort();
            values
        };
        let two = |value| {
            let values = sorted(value);
            format!("{} / {}", ms(values.get(values.len() / 2).copied()), ms(values.last().copied()))
        };
        let moved = self.measured.iter().filter_map(|one| one.moved).max();
        let both = self.case.bounds().both.and(sorted(|one| one.both).last().copied());
        format!(
            "| {} | {} | {} | {} | {} | {} | {} / {} | {} of {} |",
            self.case.title(),
            must_be(self.case),
            two(|one| one.ping),
            two(|one| one.fetch),
            ms(moved),
            ms(both),
            ms(sorted(|one| one.back_ping).last().copied()),
            ms(sorted(|one| one.back_fetch).last().copied()),
            self.kept(),
            self.tried()
        )
    }
}

/// The promise, in short.
fn must_be(case: Case) -> String {
    let bounds = case.bounds();
    let mut parts = vec![format!("ping {}", ms(Some(bounds.ping)))];
    parts.extend(bounds.fetch.map(|fetch| format!("pages {}", ms(Some(fetch)))));
    parts.extend(bounds.both.map(|both| format!("two owners {}", ms(Some(both)))));
    parts.extend(match bounds.moves {
        Moves::Never => Some("the address stays".to_owned()),
        Moves::AtMostOnce => Some("it moves once at most".to_owned()),
        Moves::Within(time) => Some(format!("at the peer within {}", ms(Some(time)))),
        Moves::Once => None,
    });
    parts.join(", ")
}

/// Prints the page, and keeps it when everything was measured.
pub(super) fn write(root: &Path, rows: &[Row], many: Option<&Many>, keep: bool) -> Result<(), String> {
    let text = page(rows, many);
    println!("{text}");
    if keep {
        std::fs::write(root.join(PAGE), &text)
            .map_err(|error| format!("{PAGE} cannot be written: {error}"))?;
    }
    let mut broken = 0;
    for row in rows.iter().filter(|row| row.kept() < row.tried()) {
        broken += row.tried() - row.kept();
        eprintln!("{}: {} of {} kept; {}", row.case.name(), row.kept(), row.tried(), row.failures.join("; "));
    }
    match (broken, many.map(Many::wrong).unwrap_or_default().as_slice()) {
        (0, []) => Ok(()),
        (broken, wrong) => Err(format!("{broken} repetitions have not kept a promise; {}", wrong.join(", "))),
    }
}

fn page(rows: &[Row], many: Option<&Many>) -> String {
    let mut text = format!(
        "# Failovers that nobody sees, measured\n\n\
         What a client sees of everything that is planned, and of parts of the program that die. What happens to cables and \
         machines is [measured elsewhere](failover-measured.md). Made by \
         `cargo xtask failover-lab --only nobody-sees`, which anybody can run as root.\n\n\
         Two balancers (priorities {FIRST_PRIORITY} and {SECOND_PRIORITY}, an advertisement every 0.1 s) and a client at one \
         switch, two nginx behind the balancers at another, in network namespaces. The client sends an echo to the virtual \
         address every 2 ms and fetches a page from it, over a new connection, every 5 ms. An outage lasts from the last \
         answered one before it to the first answered one after it. All figures are milliseconds. Machine: {}.\n\n\
         - **ping**, **pages**: the outage that the client saw: median / most.\n\
         - **moved**: the most until the peer held the address.\n\
         - **two owners**: the most that both held it, from when the program that was started again was ready.\n\
         - **back**: the longest outage of pings / of pages when it was undone and the first node took the address back.\n\
         - **kept**: repetitions that were as they must be, with no lost echo afterwards.\n\n\
         The peer's skew is {} ms, the bound of the check {} ms. A proxy role cannot be started again when the mode of the \
         program's file has been taken away.\n\n\
         | case | must be | ping | pages | moved | two owners | back | kept |\n|---|---|---|---|---|---|---|---|\n",
        machine(),
        ms(Some(skew())),
        ms(Some(CHECK_BOUND)),
    );
    for row in rows {
        let _ = writeln!(text, "{}", row.line());
    }
    if let Some(many) = many {
        let _ = write!(text, "\n{}", many.paragraph());
    }
    text
}

/// In whole milliseconds, below ten with a digit after the point.
pub(super) fn ms(time: Option<Duration>) -> String {
    time.map_or("–".to_owned(), |time| {
        let ms = time.as_secs_f64() * 1000.0;
        if ms > 0.0 && ms < 9.95 { format!("{ms:.1}") } else { format!("{ms:.0}") }
    })
}
