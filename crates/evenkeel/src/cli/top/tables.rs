//! The rows of each table, from one look at the program and the one before. Pure.

use std::cmp::Ordering;
use std::time::Duration;

use evenkeel_admin::message::Event;
use evenkeel_ha::message::{HandoverSnapshot, RouterSnapshot};
use evenkeel_proxy::message::{
    HistogramSnapshot, LATENCY_BOUNDS, ListenerSnapshot, PoolSnapshot, ServerSnapshot, Snapshot,
};

use super::meter::{Look, Spread, rate, spread};

/// What a row is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Subject {
    Listener(String),
    Server { pool: String, server: String },
    Router(String),
    Event(u64),
}

/// How much a row asks to be looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Tone {
    Plain,
    Quiet,
    Warning,
    Bad,
}

/// What is shown in a column, and by what the column is sorted.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Cell {
    pub(super) text: String,
    /// `None` sorts behind every number.
    number: Option<f64>,
    is_number: bool,
}

impl Cell {
    fn text(text: impl Into<String>) -> Self {
        Self { text: text.into(), number: None, is_number: false }
    }

    fn number(text: String, number: Option<f64>) -> Self {
        Self { text, number, is_number: true }
    }

    #[expect(clippy::cast_precision_loss, reason = "only compared")]
    fn count(count: u64) -> Self {
        Self::number(short(count as f64), Some(count as f64))
    }

    fn rate(rate: Option<f64>) -> Self {
        Self::number(rate.map_or_else(|| "–".into(), short), rate)
    }

    fn time(time: Option<Option<Duration>>) -> Self {
        match time {
            None => Self::number("–".into(), None),
            Some(Some(time)) => Self::number(format!("{time:?}"), Some(time.as_secs_f64())),
            Some(None) => {
                Self::number(format!(">{:?}", LATENCY_BOUNDS[LATENCY_BOUNDS.len() - 1]), Some(f64::INFINITY))
            }
        }
    }

    /// Text from A to Z; numbers from large to small, because the large ones are looked for.
    pub(super) fn order(&self, other: &Self) -> Ordering {
        if !self.is_number {
            return self.text.cmp(&other.text);
        }
        let value = |cell: &Self| cell.number.unwrap_or(f64::NEG_INFINITY);
        value(other).total_cmp(&value(self))
    }
}

#[derive(Clone, Debug)]
pub(super) struct Row {
    pub(super) subject: Subject,
    pub(super) cells: Vec<Cell>,
    pub(super) tone: Tone,
    /// What there is no room for.
    pub(super) detail: String,
}

/// A column: its head, its width, and whether it is left out of a narrow screen.
#[derive(Clone, Copy, Debug)]
pub(super) struct Column {
    pub(super) head: &'static str,
    pub(super) width: u16,
    /// It takes what is left.
    pub(super) grows: bool,
}

const fn column(head: &'static str, width: u16) -> Column {
    Column { head, width, grows: false }
}

const fn growing(head: &'static str, width: u16) -> Column {
    Column { head, width, grows: true }
}

pub(super) const LISTENERS: &[Column] = &[
    growing("LISTENER", 18),
    column("MODE", 4),
    column("CONNS", 6),
    column("REQ/S", 6),
    column("REFUSED/S", 9),
    column("IN/S", 6),
    column("OUT/S", 6),
    column("P50", 6),
    column("P99", 6),
];

pub(super) const SERVERS: &[Column] = &[
    growing("POOL/SERVER", 22),
    column("STATE", 11),
    column("WGT", 3),
    column("NOW", 5),
    column("REQ/S", 6),
    column("FAIL/S", 6),
    column("P50", 6),
    column("P99", 6),
];

pub(super) const ROUTERS: &[Column] = &[
    growing("VIRTUAL ROUTER", 16),
    column("STATE", 9),
    column("PRIO", 7),
    column("ACTIVE NODE", 15),
    column("HELD", 5),
    column("HEARD", 7),
    column("ALARMS", 6),
];

pub(super) const EVENTS: &[Column] = &[column("AGO", 8), column("KIND", 15), growing("WHAT", 30)];

pub(super) fn listeners(look: &Look, before: Option<&Look>) -> Vec<Row> {
    let rows = |traffic: &Snapshot| {
        traffic.listeners.iter().map(|listener| self::listener(listener, look, before)).collect()
    };
    look.status.traffic.as_ref().map(rows).unwrap_or_default()
}

fn listener(listener: &ListenerSnapshot, look: &Look, before: Option<&Look>) -> Row {
    let old = before.and_then(|before| {
        let traffic = before.status.traffic.as_ref()?;
        let old = traffic.listeners.iter().find(|old| old.name == listener.name)?;
        Some((old, look.at - before.at))
    });
    let rate_of = |count: fn(&ListenerSnapshot) -> u64| {
        old.and_then(|(old, span)| rate(count(old), count(listener), span))
    };
    let is_http = listener.mode == "http";
    let requests = rate_of(if is_http { |l| l.requests_total } else { |l| l.connections_total });
    let times: fn(&ListenerSnapshot) -> &HistogramSnapshot =
        if is_http { |l| &l.latency } else { |l| &l.durations };
    let spread = old.and_then(|(old, _)| spread(times(old), times(listener)));
    let refused = rate_of(|l| l.refused_total);
    let binds: Vec<String> = listener.binds.iter().map(ToString::to_string).collect();
    Row {
        subject: Subject::Listener(listener.name.to_string()),
        cells: vec![
            Cell::text(listener.name.to_string()),
            Cell::text(listener.mode.clone()),
            Cell::count(listener.connections),
            Cell::rate(requests),
            Cell::rate(refused),
            Cell::rate(rate_of(|l| l.bytes_in_total)),
            Cell::rate(rate_of(|l| l.bytes_out_total)),
            Cell::time(spread.map(|spread| spread.median)),
            Cell::time(spread.map(|spread| spread.p99)),
        ],
        tone: if refused.is_some_and(|refused| refused > 0.0) { Tone::Warning } else { Tone::Plain },
        detail: format!("{} listens on {}", listener.name, binds.join(", ")),
    }
}

pub(super) fn servers(look: &Look, before: Option<&Look>) -> Vec<Row> {
    let Some(traffic) = &look.status.traffic else { return Vec::new() };
    let of_pool = |pool| {
        let pool: &PoolSnapshot = pool;
        pool.servers.iter().map(|server| self::server(pool, server, look, before))
    };
    traffic.pools.iter().flat_map(of_pool).collect()
}

fn server(pool: &PoolSnapshot, server: &ServerSnapshot, look: &Look, before: Option<&Look>) -> Row {
    let old = before.and_then(|before| {
        let pools = &before.status.traffic.as_ref()?.pools;
        let old = pools.iter().find(|old| old.name == pool.name)?;
        let old = old.servers.iter().find(|old| old.name == server.name)?;
        Some((old, look.at - before.at))
    });
    let rate_of =
        |count: fn(&ServerSnapshot) -> u64| old.and_then(|(old, span)| rate(count(old), count(server), span));
    let spread: Option<Spread> = old.and_then(|(old, _)| spread(&old.first_byte, &server.first_byte));
    let failures = rate_of(|server| server.connect_failures_total + server.failures_total);
    let tone = match server.state.as_str() {
        "up" if failures.is_some_and(|failures| failures > 0.0) => Tone::Warning,
        "up" => Tone::Plain,
        "drain" | "maintenance" => Tone::Quiet,
        "down" | "ejected" => Tone::Bad,
        _ => Tone::Warning,
    };
    let why = server.why.as_deref().map(|why| format!(": {why}")).unwrap_or_default();
    Row {
        subject: Subject::Server { pool: pool.name.to_string(), server: server.name.to_string() },
        cells: vec![
            Cell::text(format!("{}/{}", pool.name, server.name)),
            Cell::text(server.state.clone()),
            Cell::count(server.weight.into()),
            Cell::count(server.running),
            Cell::rate(rate_of(|server| server.total)),
            Cell::rate(failures),
            Cell::time(spread.map(|spread| spread.median)),
            Cell::time(spread.map(|spread| spread.p99)),
        ],
        tone,
        detail: format!("{} at {} is {}{why}", server.name, server.address, server.state),
    }
}

pub(super) fn routers(look: &Look) -> Vec<Row> {
    let known = look.status.virtual_routers.as_ref().and_then(|known| known.state.as_ref());
    known.map(|state| state.routers.iter().map(router).collect()).unwrap_or_default()
}

fn router(router: &RouterSnapshot) -> Row {
    let held = router.addresses.iter().filter(|address| address.held).count();
    let effective = router.effective_priority.map_or_else(|| "–".into(), |priority| priority.to_string());
    let owner = router.owner.map_or_else(|| "–".into(), |owner| owner.to_string());
    let heard = router.last_heard.as_ref();
    let ill: Vec<String> = router
        .track
        .iter()
        .filter(|track| track.state == "ill")
        .map(|track| format!("{} ({})", track.name, track.why.as_deref().unwrap_or("ill")))
        .collect();
    let addresses: Vec<&str> = router.addresses.iter().map(|address| address.address.as_str()).collect();
    let mut detail = format!("{} on {}", addresses.join(", "), router.interface);
    let moves = moves(router.handover.as_ref());
    let parts = router.why.iter().chain(router.alarms.iter().map(|alarm| &alarm.text)).chain(&ill);
    for part in parts.chain(&moves) {
        detail.push_str("; ");
        detail.push_str(part);
    }
    let tone = match router.state.as_str() {
        "fault" | "stopped" => Tone::Bad,
        _ if !router.alarms.is_empty() || router.yielding || !ill.is_empty() => Tone::Warning,
        _ => Tone::Plain,
    };
    Row {
        subject: Subject::Router(router.name.clone()),
        cells: vec![
            Cell::text(router.name.clone()),
            Cell::text(router.state.clone()),
            Cell::number(
                format!("{effective}/{}", router.priority),
                router.effective_priority.map(f64::from),
            ),
            Cell::text(owner),
            Cell::text(format!("{held}/{}", router.addresses.len())),
            Cell::number(
                heard.map_or_else(|| "–".into(), |heard| format!("{:.1}s", heard.ago)),
                heard.map(|heard| heard.ago),
            ),
            Cell::count(router.alarms.len() as u64),
        ],
        tone,
        detail,
    }
}

/// What is left of planned moves: `12 connections are left here`.
fn moves(handover: Option<&HandoverSnapshot>) -> Vec<String> {
    let Some(handover) = handover else { return Vec::new() };
    let parts = [(handover.giving, "left here"), (handover.passing, "passed on to the other node")];
    let said = |(count, what): (Option<usize>, &str)| match count? {
        1 => Some(format!("1 connection is {what}")),
        count => Some(format!("{count} connections are {what}")),
    };
    parts.into_iter().filter_map(said).collect()
}

/// `now` in milliseconds of Unix time.
pub(super) fn events<'a>(events: impl Iterator<Item = &'a Event>, now: u64) -> Vec<Row> {
    events.map(|event| self::event(event, now)).collect()
}

fn event(event: &Event, now: u64) -> Row {
    let ago = now.saturating_sub(event.at) / 1000;
    let subject = if event.subject.is_empty() { String::new() } else { format!("{}: ", event.subject) };
    let by = event.by.as_deref().map(|by| format!(" (by {by})")).unwrap_or_default();
    let what = format!("{subject}{}{by}", event.what);
    #[expect(clippy::cast_precision_loss, reason = "only compared")]
    let sorted = Some(-(ago as f64));
    Row {
        subject: Subject::Event(event.id),
        cells: vec![
            Cell::number(super::super::screen::duration(ago), sorted),
            Cell::text(event.kind.name()),
            Cell::text(what.clone()),
        ],
        tone: if event.kind.name() == "alarm" { Tone::Warning } else { Tone::Plain },
        detail: what,
    }
}

/// Three digits and a letter: `0`, `12`, `1.2k`, `34k`, `5.6M`.
fn short(number: f64) -> String {
    const LETTERS: [&str; 5] = ["", "k", "M", "G", "T"];
    let (mut number, mut letter) = (number, 0);
    while number >= 999.5 && letter + 1 < LETTERS.len() {
        number /= 1000.0;
        letter += 1;
    }
    let digits = usize::from(number < 9.95 && number.fract() > 0.0);
    format!("{number:.digits$}{}", LETTERS[letter])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_short() {
        let cases =
            [(0.0, "0"), (0.4, "0.4"), (12.0, "12"), (999.0, "999"), (999.6, "1.0k"), (1234.0, "1.2k")];
        for (number, text) in cases {
            assert_eq!(short(number), text);
        }
        assert_eq!(short(34_000_000.0), "34M");
    }

    #[test]
    fn moves_are_said_both_ways() {
        assert!(moves(None).is_empty());
        let handover = HandoverSnapshot { giving: Some(1), passing: Some(12), ..HandoverSnapshot::default() };
        assert_eq!(
            moves(Some(&handover)),
            ["1 connection is left here", "12 connections are passed on to the other node"]
        );
    }

    #[test]
    fn large_numbers_come_first_and_unknown_ones_last() {
        let mut cells = [Cell::rate(None), Cell::rate(Some(1.0)), Cell::rate(Some(20.0))];
        cells.sort_by(Cell::order);
        assert_eq!(cells.map(|cell| cell.text), ["20", "1", "–"]);
    }
}
