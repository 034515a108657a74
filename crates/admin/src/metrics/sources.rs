//! Sources of servers.

use super::{Kind, Page};
use crate::message::SourceStatus;

type Family = (&'static str, Kind, &'static str, fn(&SourceStatus) -> Option<u64>);

const FAMILIES: [Family; 6] = [
    (
        "evenkeel_source_up",
        Kind::Gauge,
        "1 while the source of servers can be asked and is believed, else 0.",
        |source| Some(u64::from(source.problem.is_none() && source.servers.is_some())),
    ),
    ("evenkeel_source_servers", Kind::Gauge, "Servers that the source has named last.", |source| {
        source.servers.and_then(|count| u64::try_from(count).ok())
    }),
    (
        "evenkeel_source_changes_total",
        Kind::Counter,
        "How often the source has named other servers than before.",
        |source| Some(source.changes_total),
    ),
    (
        "evenkeel_source_changed_timestamp_seconds",
        Kind::Gauge,
        "When the source has named other servers the last time, in seconds since 1970-01-01T00:00:00Z.",
        |source| source.changed_at,
    ),
    (
        "evenkeel_source_looks_total",
        Kind::Counter,
        "How often the source was looked at, since the proxy role follows it.",
        |source| Some(source.looks_total),
    ),
    ("evenkeel_source_failures_total", Kind::Counter, "How often that went wrong.", |source| {
        Some(source.failures_total)
    }),
];

/// Nothing where there is no source.
pub(super) fn write(page: &mut Page, sources: &[SourceStatus]) {
    for (name, kind, help, value) in FAMILIES {
        let samples: Vec<_> = sources.iter().filter_map(|source| Some((source, value(source)?))).collect();
        if samples.is_empty() {
            continue;
        }
        let mut family = page.family(name, kind, help);
        for (source, value) in samples {
            family.sample(&[("pool", source.pool.as_str()), ("source", source.source.as_str())], value);
        }
    }
}
