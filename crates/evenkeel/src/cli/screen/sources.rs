//! Sources of servers.

use evenkeel_admin::message::SourceStatus;

use super::{duration, table};

/// Nothing where there is no source.
pub(super) fn draw(sources: &[SourceStatus], now: u64) -> String {
    if sources.is_empty() {
        return String::new();
    }
    let row = |source: &SourceStatus| {
        let ago = |at: u64| format!("{} ago", duration(now.saturating_sub(at)));
        let why = match (&source.problem, source.problem_since) {
            (Some(why), Some(since)) => format!("for {}: {why}", duration(now.saturating_sub(since))),
            (Some(why), None) => why.clone(),
            (None, _) if source.servers.is_none() => "no answer yet".into(),
            (None, _) => "-".into(),
        };
        vec![
            source.pool.to_string(),
            source.source.to_string(),
            source.from.clone(),
            source.servers.map_or("-".into(), |count| count.to_string()),
            source.changed_at.map_or("-".into(), ago),
            source.failures_total.to_string(),
            why,
        ]
    };
    let columns = ["POOL", "SOURCE", "FROM", "SERVERS", "CHANGED", "FAILURES", "PROBLEM"];
    format!("\nSOURCES\n{}", table(&columns, sources.iter().map(row)))
}
