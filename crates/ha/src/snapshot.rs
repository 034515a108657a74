//! What `status` may show.

use std::time::{Duration, Instant, SystemTime};

use evenkeel_failover::track::Effective;
use evenkeel_failover::vrrp::params::{Priority, Version};
use evenkeel_failover::vrrp::refusal::Refusal;
use evenkeel_failover::vrrp::status::{State, Status};

use crate::message::{AddressSnapshot, AlarmSnapshot, HeardSnapshot, RouterSnapshot, Transition};
use crate::router::Router;
use crate::words;

/// One virtual router now.
pub(crate) fn of(router: &Router, now: Instant) -> RouterSnapshot {
    let status = router.machine().status(now);
    let (plan, settings) = (router.plan(), router.plan().params.settings());
    let ago = |then: Instant| now.saturating_duration_since(then).as_secs_f64();
    let mut alarms: Vec<AlarmSnapshot> = status
        .alarms
        .iter()
        .map(|alarm| {
            let (kind, text) = words::alarm(alarm.kind);
            AlarmSnapshot {
                kind: kind.into(),
                since: unix_time(now, alarm.since),
                source: Some(alarm.source),
                text: text.into(),
            }
        })
        .collect();
    alarms.extend(router.failure().map(|(since, text)| AlarmSnapshot {
        kind: "address-failed".into(),
        since: unix_time(now, since),
        source: None,
        text: text.to_owned(),
    }));
    RouterSnapshot {
        name: plan.name.to_string(),
        state: status.state.name().into(),
        why: router.missing().map(str::to_owned),
        since: status.since.map(|since| unix_time(now, since)),
        interface: plan.interface.clone(),
        vrid: settings.vrid.number(),
        version: match settings.version {
            Version::V2 => 2,
            Version::V3 => 3,
        },
        priority: settings.priority.number(),
        effective_priority: effective(status.effective),
        yielding: status.effective == Effective::Yielding,
        standing_by: status.standing_by,
        sync_group: router.sync_group(),
        track: router.tracked(),
        source: router.source(),
        owner: status.owner,
        addresses: settings
            .addresses
            .iter()
            .map(|address| AddressSnapshot {
                address: format!("{}/{}", address.ip, address.prefix),
                held: router.holds(address.ip),
            })
            .collect(),
        interval: status.interval.as_secs_f64(),
        active_interval: status.active_interval.as_secs_f64(),
        down_interval: status.down_interval.as_secs_f64(),
        last_heard: status.last_heard.map(|heard| HeardSnapshot {
            ago: ago(heard.at),
            source: heard.source,
            priority: heard.priority.map_or(0, Priority::number),
        }),
        last_sent: status.last_sent.map(ago),
        dual_owner_seconds: status.dual_owner_time.as_secs_f64(),
        handover: None,
        alarms,
        sent_total: status.counters.sent,
        released_total: status.counters.released,
        received_total: status.counters.received,
        became_active_total: status.counters.became_active,
        dual_owner_total: status.counters.dual_heard,
        announced_total: status.counters.announced,
        stalled_total: status.counters.stalled,
        refused_total: Refusal::ALL
            .into_iter()
            .map(|refusal| (refusal.name().to_owned(), status.counters.refused(refusal)))
            .filter(|&(_, count)| count > 0)
            .collect(),
        repaired_total: router.repaired(),
        notify: Vec::new(),
        provider: None,
    }
}

/// A change of state, for those who are told.
pub(crate) fn transition(
    router: &str,
    (from, to): (State, State),
    why: String,
    status: &Status,
) -> Transition {
    let heard = status.last_heard.as_ref();
    Transition {
        router: router.to_owned(),
        from: from.name().into(),
        to: to.name().into(),
        why,
        effective_priority: effective(status.effective),
        peer: heard.map(|heard| heard.source),
        peer_priority: heard.map(|heard| heard.priority.map_or(0, Priority::number)),
        at: since_1970().as_secs(),
    }
}

/// A priority, unless it may not stand for election.
pub(crate) fn effective(effective: Effective) -> Option<u8> {
    match effective {
        Effective::Priority(priority) => Some(priority.number()),
        Effective::Yielding => Some(Priority::LEAST.number()),
        Effective::Withdrawn => None,
    }
}

/// The wall clock at an instant before `now`, in seconds since 1970.
pub(crate) fn unix_time(now: Instant, then: Instant) -> u64 {
    since_1970().saturating_sub(now.saturating_duration_since(then)).as_secs()
}

/// The wall clock now.
pub(crate) fn since_1970() -> Duration {
    SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default()
}
