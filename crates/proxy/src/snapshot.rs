//! What `status` may show of the proxy role.

use std::collections::BTreeMap;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant, SystemTime};

use evenkeel_config::plan::{Mode, Protocol, WhenAllDown};
use evenkeel_http::answer::Reason;
use evenkeel_http::frames::Flood;
use evenkeel_http::grpc;
use evenkeel_traffic::sticky::Outcome;
use evenkeel_traffic::usability::{FULL_SHARE, Usability};

use crate::access_log::Logs;
use crate::connections::Connections;
use crate::histogram::Histogram;
use crate::message::{
    Http2Snapshot, ListenerSnapshot, PoolSnapshot, QueueSnapshot, ServerSnapshot, ServerTlsSnapshot,
    Snapshot, TlsSnapshot,
};
use crate::queue::LineCounters;
use crate::table::{Counter, ListenerSlot, Pool, STATUS_CLASSES, Server, Table};
use crate::tls::acceptor::Failure;
use crate::tls::connector;

/// Takes the state now. Counters of different workers are read one after the other, not at one instant.
pub(crate) fn take(
    table: Option<&Table>,
    logs: &Logs,
    connections: &Connections,
    workers: usize,
) -> Snapshot {
    Snapshot {
        revision: table.map_or(0, |table| table.revision),
        workers: u16::try_from(workers).unwrap_or(u16::MAX),
        connections: connections.count(),
        max_connections: connections.most(),
        listeners: table
            .map(|table| table.listeners.iter().map(|slot| listener(slot)).collect())
            .unwrap_or_default(),
        pools: table.map(|table| table.pools.iter().map(|p| pool(p)).collect()).unwrap_or_default(),
        logs: logs.tallies(),
        departing: connections.departing.snapshot(),
    }
}

fn listener(slot: &ListenerSlot) -> ListenerSnapshot {
    let current = slot.current.load();
    ListenerSnapshot {
        name: slot.name.clone(),
        binds: current.plan.binds.clone(),
        mode: match current.plan.mode {
            Mode::Http(_) => "http",
            Mode::Tcp(_) => "tcp",
        }
        .into(),
        connections: slot.counters.sum(|counters| &counters.connections),
        connections_total: slot.counters.sum(|counters| &counters.connections_total),
        requests_total: slot.counters.sum(|counters| &counters.requests_total),
        refused_total: slot.counters.sum(|counters| &counters.refused_total),
        responses_total: responses(slot),
        answers_total: answers(slot, &current.plan.mode),
        bytes_in_total: slot.counters.sum(|counters| &counters.bytes_in_total),
        bytes_out_total: slot.counters.sum(|counters| &counters.bytes_out_total),
        latency: Histogram::sum(slot.counters.all().map(|counters| &counters.latency)),
        durations: Histogram::sum(slot.counters.all().map(|counters| &counters.durations)),
        silent_total: slot.counters.sum(|counters| &counters.silent_total),
        slow_readers_total: slot.counters.sum(|counters| &counters.slow_readers_total),
        proxy_headers_refused_total: slot.counters.sum(|counters| &counters.proxy_headers_refused_total),
        http2: http2(slot),
        tls: current.tls.as_ref().map(|acceptor| tls(slot, acceptor.most)),
    }
}

fn http2(slot: &ListenerSlot) -> Http2Snapshot {
    let count = |flood: Flood| slot.counters.sum(|counters| &counters.http2_floods_total[flood as usize]);
    Http2Snapshot {
        connections_total: slot.counters.sum(|counters| &counters.http2_total),
        streams_total: slot.counters.sum(|counters| &counters.http2_streams_total),
        floods_total: Flood::ALL.map(|flood| (flood.code().into(), count(flood))).into(),
    }
}

fn tls(slot: &ListenerSlot, most: u32) -> TlsSnapshot {
    let count =
        |failure: Failure| slot.counters.sum(|counters| &counters.handshake_failures_total[failure as usize]);
    TlsSnapshot {
        handshakes: slot.handshakes.load(Ordering::Relaxed),
        max_handshakes: most,
        handshakes_total: slot.counters.sum(|counters| &counters.handshakes_total),
        resumed_total: slot.counters.sum(|counters| &counters.resumed_total),
        failures_total: Failure::ALL.map(|failure| (failure.code().into(), count(failure))).into(),
    }
}

fn responses(slot: &ListenerSlot) -> BTreeMap<String, u64> {
    let count = |class: usize| slot.counters.sum(|counters| &counters.responses_total[class]);
    STATUS_CLASSES.into_iter().enumerate().map(|(place, class)| (class.into(), count(place))).collect()
}

/// Every reason that the listener can have, so that a reader sees each count from zero.
fn answers(slot: &ListenerSlot, mode: &Mode) -> BTreeMap<String, u64> {
    let possible = |reason: Reason| match mode {
        Mode::Http(_) => true,
        Mode::Tcp(_) => matches!(
            reason,
            Reason::NoRoute
                | Reason::NoServer
                | Reason::NoHealthyServer
                | Reason::QueueFull
                | Reason::QueueTimeout
                | Reason::ServerUnverified
                | Reason::ServerHandshake
        ),
    };
    let count = |reason: Reason| slot.counters.sum(|counters| &counters.answers_total[reason as usize]);
    Reason::ALL
        .into_iter()
        .map(|reason| (reason, count(reason)))
        .filter(|&(reason, count)| count > 0 || possible(reason))
        .map(|(reason, count)| (reason.code().into(), count))
        .collect()
}

fn pool(pool: &Pool) -> PoolSnapshot {
    PoolSnapshot {
        name: pool.plan.name.clone(),
        balance: pool.plan.balance.to_string(),
        requests_total: pool.state.counters.sum(|counters| &counters.requests_total),
        retries_total: pool.state.counters.sum(|counters| &counters.retries_total),
        retries_denied_total: pool.state.counters.sum(|counters| &counters.retries_denied_total),
        all_down: pool.all_down().then(|| match pool.plan.when_all_down {
            WhenAllDown::Refuse => "refuse".into(),
            WhenAllDown::TryAll => "try-all".into(),
        }),
        sticky: pool.sticky.as_ref().map(|_| outcomes(pool)),
        grpc_total: (pool.plan.protocol != Protocol::H1).then(|| calls(pool)),
        queue: queue(pool),
        servers: pool.servers.iter().map(|s| server(s, pool.plan.slow_start)).collect(),
    }
}

/// Every status that a call can have, so that a reader sees each count from zero.
fn calls(pool: &Pool) -> BTreeMap<String, u64> {
    let count = |place: usize| pool.state.counters.sum(|counters| &counters.grpc_total[place]);
    grpc::NAMES.iter().enumerate().map(|(place, name)| ((*name).to_owned(), count(place))).collect()
}

fn outcomes(pool: &Pool) -> BTreeMap<String, u64> {
    let count = |outcome| pool.state.counters.sum(|counters| counters.sticky.of(outcome));
    Outcome::ALL.into_iter().map(|outcome| (outcome.name().into(), count(outcome))).collect()
}

fn queue(pool: &Pool) -> QueueSnapshot {
    let line = &pool.state.line;
    let sum = |counter: fn(&LineCounters) -> &Counter| line.counters.sum(counter);
    QueueSnapshot {
        length: line.len() as u64,
        limit: pool.plan.queue.size.into(),
        queued_total: sum(|counters| &counters.joined_total),
        refused_total: sum(|counters| &counters.refused_total),
        timed_out_total: sum(|counters| &counters.timed_out_total),
        left_total: sum(|counters| &counters.left_total),
        waits: Histogram::sum(line.counters.all().map(|counters| &counters.waits)),
    }
}

fn server(server: &Server, slow_start: Duration) -> ServerSnapshot {
    let now = Instant::now();
    let mut judged = Judged::of(server.state.gate.usability(slow_start, now), now);
    judged.mention(server.state.gate.agent_why());
    let state = &server.state;
    let sum = |counter: fn(&crate::table::ServerCounters) -> &Counter| state.counters.sum(counter);
    ServerSnapshot {
        name: server.plan.name.clone(),
        address: server.plan.address.clone(),
        state: judged.state.into(),
        why: judged.why,
        since: judged.since.map(|since| unix_time(now, since)),
        weight: server.plan.weight.value(),
        running: state.load.running().into(),
        total: sum(|counters| &counters.total),
        connect_failures_total: sum(|counters| &counters.connect_failures_total),
        failures_total: sum(|counters| &counters.failures_total),
        opened_total: sum(|counters| &counters.opened_total),
        reused_total: sum(|counters| &counters.reused_total),
        tls: server.tls.as_ref().map(|_| ServerTlsSnapshot {
            handshakes_total: sum(|counters| &counters.handshakes_total),
            resumed_total: sum(|counters| &counters.resumed_total),
            failures_total: connector::Failure::ALL
                .map(|failure| {
                    let count =
                        state.counters.sum(|counters| &counters.handshake_failures_total[failure as usize]);
                    (failure.code().into(), count)
                })
                .into(),
        }),
        idle: state.idle.count() as u64,
        multiplexed: state.multiplexed.count() as u64,
        first_byte: Histogram::sum(state.counters.all().map(|counters| &counters.first_byte)),
        last_failure: state.last_failure(),
    }
}

/// What `status` says of a server's health.
struct Judged {
    state: &'static str,
    why: Option<String>,
    since: Option<Instant>,
}

impl Judged {
    fn of(usability: Usability, now: Instant) -> Self {
        let (state, why, since) = match usability {
            Usability::Up { doubt } => ("up", doubt.map(|doubt| format!("in doubt: {doubt}")), None),
            Usability::SlowStart { since, share } => {
                let percent = u32::from(share) * 100 / u32::from(FULL_SHARE);
                ("slow-start", Some(format!("takes {percent} % of its share")), Some(since))
            }
            Usability::Checking { since } => {
                ("checking", Some("no check has ended yet".to_owned()), Some(since))
            }
            Usability::Down { since, why } => ("down", Some(why), Some(since)),
            Usability::Ejected { since, until, why } => {
                let left = until.saturating_duration_since(now).as_secs();
                ("ejected", Some(format!("{why}; on probation in {left} s")), Some(since))
            }
            Usability::Probation { since, on_trial, why } => {
                let how = if on_trial { "a request is on trial" } else { "the next request decides" };
                ("probation", Some(format!("{why}; {how}")), Some(since))
            }
            Usability::Drain { since, why } => ("drain", Some(why), Some(since)),
            Usability::Maintenance { since, why } => ("maintenance", Some(why), Some(since)),
        };
        Self { state, why, since }
    }

    /// Adds what the agent says, unless that is the reason already.
    fn mention(&mut self, agent: Option<String>) {
        let Some(agent) = agent else { return };
        self.why = match self.why.take() {
            Some(why) if why.contains(&agent) => Some(why),
            Some(why) => Some(format!("{why}; {agent}")),
            None => Some(agent),
        };
    }
}

/// The wall clock at an instant before `now`, in seconds.
fn unix_time(now: Instant, then: Instant) -> u64 {
    let ago = now.saturating_duration_since(then);
    let since_epoch = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    since_epoch.saturating_sub(ago).as_secs()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::SERVER_STATES;

    #[test]
    fn every_state_has_its_word_in_the_list_in_their_order() {
        let (since, until, why) = (Instant::now(), Instant::now(), String::new());
        let states = [
            Usability::Up { doubt: None },
            Usability::SlowStart { since, share: 1 },
            Usability::Checking { since },
            Usability::Down { since, why: why.clone() },
            Usability::Ejected { since, until, why: why.clone() },
            Usability::Probation { since, on_trial: false, why: why.clone() },
            Usability::Drain { since, why: why.clone() },
            Usability::Maintenance { since, why },
        ];
        assert_eq!(states.map(|state| Judged::of(state, since).state), SERVER_STATES);
    }
}
