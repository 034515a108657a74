//! Makes events of what the proxy role tells of servers and pools. The role has logged it already.
//!
//! Invariant: one message makes at most [`MOST_EVENTS`] events of servers, so that many servers that come and go do not wash
//! everything else out of the history: those of one pool that fare alike are told together, and the last event
//! says how many are left out.

use std::collections::BTreeMap;

use evenkeel_admin::message::EventKind;
use evenkeel_proxy::message::{Condition, PoolNews, ServerNews};
use evenkeel_traffic::name::Name;

use super::Supervisor;
use super::events::Happened;

/// Servers of one pool that fare alike and are told one by one.
const MOST_ALONE: usize = 4;
/// Events that one message makes of servers.
const MOST_EVENTS: usize = 16;
/// Names that an event tells.
const MOST_NAMES: usize = 8;

impl Supervisor {
    /// Servers take traffic no more, or again.
    pub(super) fn conditions_changed(&mut self, servers: Vec<ServerNews>, pools: Vec<PoolNews>) {
        for event in of_servers(servers) {
            self.happened(event);
        }
        for PoolNews { pool, down } in pools {
            let (kind, what) = match down {
                Some(traffic) => (EventKind::PoolDown, format!("all servers are down: {traffic}")),
                None => (EventKind::PoolUp, "not all servers are down any more".to_owned()),
            };
            self.happened(Happened { subject: pool.to_string(), ..Happened::new(kind, what) });
        }
    }
}

fn of_servers(servers: Vec<ServerNews>) -> Vec<Happened> {
    let mut groups: BTreeMap<(Name, u8), Vec<ServerNews>> = BTreeMap::new();
    for news in servers {
        groups.entry((news.pool.clone(), rank(news.now))).or_default().push(news);
    }
    let mut events = Vec::new();
    let mut left_out = 0;
    for ((pool, _), group) in groups {
        let size = if group.len() > MOST_ALONE { 1 } else { group.len() };
        if events.len() + size > MOST_EVENTS - 1 {
            left_out += group.len();
        } else if group.len() > MOST_ALONE {
            events.push(together(&pool, &group));
        } else {
            events.extend(group.into_iter().map(alone));
        }
    }
    if left_out > 0 {
        let what = format!("{left_out} further servers changed: `evenkeel status` shows how they are");
        events.push(Happened::new(EventKind::ServerDown, what));
    }
    events
}

fn alone(ServerNews { pool, server, before, now, why }: ServerNews) -> Happened {
    let (kind, sentence) = described(now);
    Happened {
        subject: format!("{pool}/{server}"),
        before: Some(word(before).into()),
        after: Some(word(now).into()),
        ..Happened::new(kind, format!("{sentence}: {why}"))
    }
}

fn together(pool: &Name, group: &[ServerNews]) -> Happened {
    let names: Vec<&str> = group.iter().take(MOST_NAMES).map(|news| news.server.as_str()).collect();
    let more = match group.len().saturating_sub(MOST_NAMES) {
        0 => String::new(),
        more => format!(" and {more} further"),
    };
    let Some(first) = group.first() else { return Happened::new(EventKind::ServerUp, "nothing") };
    let (kind, sentence) = described(first.now);
    let what = format!(
        "{} servers: {sentence}: {}{more}; the first of them: {}",
        group.len(),
        names.join(", "),
        first.why
    );
    Happened { subject: pool.to_string(), after: Some(word(first.now).into()), ..Happened::new(kind, what) }
}

fn described(condition: Condition) -> (EventKind, &'static str) {
    match condition {
        Condition::Up => (EventKind::ServerUp, "up"),
        Condition::Checking => (EventKind::ServerDown, "not known yet"),
        Condition::Down => (EventKind::ServerDown, "down"),
        Condition::Ejected => (EventKind::ServerEjected, "ejected"),
        Condition::Away => (EventKind::ServerDown, "takes nothing new"),
    }
}

fn word(condition: Condition) -> &'static str {
    match condition {
        Condition::Up => "up",
        Condition::Checking => "checking",
        Condition::Down => "down",
        Condition::Ejected => "ejected",
        Condition::Away => "away",
    }
}

/// What is bad news comes first.
fn rank(condition: Condition) -> u8 {
    match condition {
        Condition::Down => 0,
        Condition::Ejected => 1,
        Condition::Away => 2,
        Condition::Checking => 3,
        Condition::Up => 4,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn news(pool: &str, count: usize, now: Condition) -> Vec<ServerNews> {
        let one = |index: usize| ServerNews {
            pool: pool.parse().unwrap(),
            server: format!("s{index}").parse().unwrap(),
            before: Condition::Up,
            now,
            why: "connection refused".into(),
        };
        (0..count).map(one).collect()
    }

    #[test]
    fn a_few_servers_are_told_one_by_one() {
        let events = of_servers(news("web", 2, Condition::Down));
        let told: Vec<_> = events.iter().map(|event| (event.subject.as_str(), event.what.as_str())).collect();
        assert_eq!(told, [("web/s0", "down: connection refused"), ("web/s1", "down: connection refused")]);
        assert_eq!(events[0].kind, EventKind::ServerDown);
        assert_eq!((events[0].before.as_deref(), events[0].after.as_deref()), (Some("up"), Some("down")));
    }

    #[test]
    fn many_of_a_pool_are_one_event() {
        let events = of_servers(news("web", 256, Condition::Ejected));
        assert_eq!(events.len(), 1);
        assert_eq!(
            (events[0].subject.as_str(), events[0].what.as_str()),
            (
                "web",
                "256 servers: ejected: s0, s1, s2, s3, s4, s5, s6, s7 and 248 further; the first of them: connection refused"
            )
        );
    }

    #[test]
    fn many_pools_are_told_up_to_a_bound() {
        let all: Vec<ServerNews> =
            (0..100).flat_map(|pool| news(&format!("p{pool}"), 1, Condition::Up)).collect();
        let events = of_servers(all);
        assert_eq!(events.len(), MOST_EVENTS);
        assert!(events[MOST_EVENTS - 1].what.starts_with("85 further servers changed"));
    }
}
