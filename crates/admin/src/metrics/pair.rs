//! The link to the other node.

use evenkeel_pair::message::{REFUSALS, State};

use super::{Kind, Page};

type Family = (&'static str, Kind, &'static str, fn(&State) -> u64);

const FAMILIES: [Family; 5] = [
    ("evenkeel_pair_up", Kind::Gauge, "1 while the other node of the pair is linked, else 0.", |state| {
        u64::from(state.up)
    }),
    (
        "evenkeel_pair_changed_timestamp_seconds",
        Kind::Gauge,
        "Since when the other node is linked, or is not, in seconds since 1970-01-01T00:00:00Z.",
        |state| state.since,
    ),
    (
        "evenkeel_pair_sessions_total",
        Kind::Counter,
        "How often the link began, since its role was started.",
        |state| state.sessions_total,
    ),
    ("evenkeel_pair_sent_total", Kind::Counter, "Pieces said to the other node.", |state| state.sent_total),
    ("evenkeel_pair_received_total", Kind::Counter, "Pieces heard from the other node.", |state| {
        state.received_total
    }),
];

pub(super) fn write(page: &mut Page, state: &State) {
    for (name, kind, help, value) in FAMILIES {
        page.family(name, kind, help).sample(&[], value(state));
    }
    let mut refused = page.family(
        "evenkeel_pair_refused_total",
        Kind::Counter,
        "Who called, or was called, and was not believed, by reason.",
    );
    for reason in REFUSALS {
        refused.sample(&[("reason", reason)], state.refused_total.get(reason).unwrap_or(&0));
    }
}
