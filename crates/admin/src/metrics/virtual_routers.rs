//! The families of virtual routers.

use evenkeel_ha::message::{NotifySnapshot, ProviderSnapshot, RouterSnapshot, STATES, Snapshot};

use super::{Kind, Page};

/// A family of one sample for each virtual router.
type Simple = (&'static str, Kind, &'static str, fn(&RouterSnapshot) -> f64);

pub(super) fn write(page: &mut Page, snapshot: &Snapshot) {
    let routers = &snapshot.routers;
    let mut states = page.family(
        "evenkeel_virtual_router_state",
        Kind::Gauge,
        "1 for the state that the virtual router is in, 0 for the others.",
    );
    for router in routers {
        for state in STATES {
            let labels = [("virtual_router", router.name.as_str()), ("state", state)];
            states.sample(&labels, u8::from(router.state == state));
        }
    }
    for (name, kind, help, value) in SIMPLE {
        let mut family = page.family(name, kind, help);
        for router in routers {
            family.sample(&[("virtual_router", router.name.as_str())], value(router));
        }
    }
    let mut well = page.family(
        "evenkeel_virtual_router_track_well",
        Kind::Gauge,
        "1 while what the virtual router tracks is well, 0 while it is ill or not known.",
    );
    for router in routers {
        for track in &router.track {
            let labels = [("virtual_router", router.name.as_str()), ("track", track.name.as_str())];
            well.sample(&labels, u8::from(track.state == "well"));
        }
    }
    let mut parts = page.family(
        "evenkeel_virtual_router_track_priority",
        Kind::Gauge,
        "What a tracked thing adds to the priority at the moment.",
    );
    for router in routers {
        for track in &router.track {
            let labels = [("virtual_router", router.name.as_str()), ("track", track.name.as_str())];
            parts.sample(&labels, track.priority);
        }
    }
    let mut left = page.family(
        "evenkeel_virtual_router_handover_flows",
        Kind::Gauge,
        "Connections that have outlived a planned move of their addresses; without such a move no sample.",
    );
    for router in routers {
        let Some(handover) = &router.handover else { continue };
        for (direction, flows) in [("giving", handover.giving), ("passing", handover.passing)] {
            if let Some(flows) = flows {
                let labels = [("virtual_router", router.name.as_str()), ("direction", direction)];
                left.sample(&labels, flows);
            }
        }
    }
    for (name, kind, help, value) in TOLD {
        let mut family = page.family(name, kind, help);
        for router in routers {
            for target in &router.notify {
                let labels = [("virtual_router", router.name.as_str()), ("target", target.target.as_str())];
                family.sample(&labels, value(target));
            }
        }
    }
    for (name, kind, help, value) in PROVIDED {
        let mut family = page.family(name, kind, help);
        for router in routers {
            if let Some(provider) = &router.provider {
                family.sample(&[("virtual_router", router.name.as_str())], value(provider));
            }
        }
    }
    let mut alarms = page.family(
        "evenkeel_virtual_router_alarm",
        Kind::Gauge,
        "1 while the alarm lasts; without alarms no sample.",
    );
    for router in routers {
        let mut kinds: Vec<&str> = router.alarms.iter().map(|alarm| alarm.kind.as_str()).collect();
        // Several routers may cause the same alarm; a series comes once.
        kinds.sort_unstable();
        kinds.dedup();
        for kind in kinds {
            alarms.sample(&[("virtual_router", router.name.as_str()), ("kind", kind)], 1);
        }
    }
    let mut refused = page.family(
        "evenkeel_virtual_router_refused_total",
        Kind::Counter,
        "Advertisements dropped, by reason.",
    );
    for router in routers {
        for (reason, count) in &router.refused_total {
            refused.sample(&[("virtual_router", router.name.as_str()), ("reason", reason)], count);
        }
    }
    page.family(
        "evenkeel_virtual_router_events_dropped_total",
        Kind::Counter,
        "Events of virtual routers that were lost because the supervisor did not read.",
    )
    .sample(&[], snapshot.events_dropped_total);
}

#[expect(clippy::cast_precision_loss, reason = "a counter above 2^53 may lose its last digit on the page")]
const fn count(value: u64) -> f64 {
    value as f64
}

type Told = (&'static str, Kind, &'static str, fn(&NotifySnapshot) -> u64);

const TOLD: [Told; 4] = [
    (
        "evenkeel_virtual_router_notify_waiting",
        Kind::Gauge,
        "Notices of changes of state that wait to be told.",
        |target| target.waiting,
    ),
    (
        "evenkeel_virtual_router_notify_delivered_total",
        Kind::Counter,
        "Notices that were confirmed.",
        |target| target.delivered_total,
    ),
    (
        "evenkeel_virtual_router_notify_failed_total",
        Kind::Counter,
        "Attempts to tell a notice that failed.",
        |target| target.failed_total,
    ),
    (
        "evenkeel_virtual_router_notify_dropped_total",
        Kind::Counter,
        "Notices left out because newer ones came too fast or too many attempts had failed.",
        |target| target.dropped_total,
    ),
];

type Provided = (&'static str, Kind, &'static str, fn(&ProviderSnapshot) -> u64);

const PROVIDED: [Provided; 3] = [
    (
        "evenkeel_virtual_router_provider_confirmed",
        Kind::Gauge,
        "1 while the provider has confirmed what is wanted of it.",
        |provider| u64::from(provider.wanted.is_some() && provider.wanted == provider.confirmed),
    ),
    (
        "evenkeel_virtual_router_provider_confirmed_total",
        Kind::Counter,
        "Calls of the provider that were confirmed.",
        |provider| provider.confirmed_total,
    ),
    (
        "evenkeel_virtual_router_provider_failed_total",
        Kind::Counter,
        "Calls of the provider that failed.",
        |provider| provider.failed_total,
    ),
];

const SIMPLE: [Simple; 14] = [
    (
        "evenkeel_virtual_router_yielding",
        Kind::Gauge,
        "1 while it stands with the least priority because something that it tracks is not well.",
        |router| u8::from(router.yielding).into(),
    ),
    (
        "evenkeel_virtual_router_priority",
        Kind::Gauge,
        "The effective priority; 0 while it may not stand for election.",
        |router| router.effective_priority.unwrap_or(0).into(),
    ),
    (
        "evenkeel_virtual_router_addresses_held",
        Kind::Gauge,
        "Addresses of the virtual router that this machine holds.",
        |router| count(router.addresses.iter().filter(|address| address.held).count() as u64),
    ),
    (
        "evenkeel_virtual_router_since_seconds",
        Kind::Gauge,
        "Start of the state, in seconds since 1970-01-01T00:00:00Z.",
        |router| count(router.since.unwrap_or(0)),
    ),
    (
        "evenkeel_virtual_router_down_interval_seconds",
        Kind::Gauge,
        "The silence of the active router after which this one takes over.",
        |router| router.down_interval,
    ),
    (
        "evenkeel_virtual_router_sent_total",
        Kind::Counter,
        "Advertisements sent, each copy counted.",
        |router| count(router.sent_total),
    ),
    (
        "evenkeel_virtual_router_released_total",
        Kind::Counter,
        "Advertisements sent with priority 0.",
        |router| count(router.released_total),
    ),
    (
        "evenkeel_virtual_router_received_total",
        Kind::Counter,
        "Advertisements that passed every check.",
        |router| count(router.received_total),
    ),
    (
        "evenkeel_virtual_router_became_active_total",
        Kind::Counter,
        "Times the virtual router became active here.",
        |router| count(router.became_active_total),
    ),
    (
        "evenkeel_virtual_router_dual_owner_total",
        Kind::Counter,
        "Advertisements of another active router that came while active here and did not win.",
        |router| count(router.dual_owner_total),
    ),
    (
        "evenkeel_virtual_router_dual_owner_seconds_total",
        Kind::Counter,
        "How long two machines were active at once.",
        |router| router.dual_owner_seconds,
    ),
    (
        "evenkeel_virtual_router_announced_total",
        Kind::Counter,
        "Rounds of gratuitous ARP or unsolicited neighbour advertisements.",
        |router| count(router.announced_total),
    ),
    (
        "evenkeel_virtual_router_stalled_total",
        Kind::Counter,
        "Times the process was not run for so long that others may have acted.",
        |router| count(router.stalled_total),
    ),
    (
        "evenkeel_virtual_router_repaired_total",
        Kind::Counter,
        "Addresses that somebody else had added or removed and that were put right.",
        |router| count(router.repaired_total),
    ),
];

#[cfg(test)]
pub(super) mod tests {
    use std::collections::BTreeMap;

    use evenkeel_ha::message::{AddressSnapshot, AlarmSnapshot, HandoverSnapshot, TrackSnapshot};

    use super::*;

    pub(in crate::metrics) fn router() -> RouterSnapshot {
        let alarm = |source: &str| AlarmSnapshot {
            kind: "equal-priority".into(),
            since: 3,
            source: source.parse().ok(),
            text: String::new(),
        };
        RouterSnapshot {
            name: "public".into(),
            state: "active".into(),
            why: None,
            since: Some(1_007_200),
            interface: "eth0".into(),
            vrid: 51,
            version: 3,
            priority: 150,
            effective_priority: Some(130),
            yielding: false,
            standing_by: false,
            sync_group: None,
            track: vec![TrackSnapshot {
                name: "interface eth1".into(),
                state: "ill".into(),
                why: None,
                effect: "priority".into(),
                priority: -20,
            }],
            source: None,
            owner: None,
            addresses: vec![AddressSnapshot { address: "192.0.2.100/24".into(), held: true }],
            interval: 1.0,
            active_interval: 1.0,
            down_interval: 3.5,
            last_heard: None,
            last_sent: None,
            dual_owner_seconds: 0.25,
            alarms: vec![alarm("192.0.2.12"), alarm("192.0.2.13")],
            sent_total: 9,
            released_total: 1,
            received_total: 2,
            became_active_total: 3,
            dual_owner_total: 4,
            announced_total: 5,
            stalled_total: 6,
            refused_total: BTreeMap::from([("checksum".to_owned(), 8)]),
            handover: Some(HandoverSnapshot { giving: Some(16), ..HandoverSnapshot::default() }),
            repaired_total: 7,
            notify: vec![NotifySnapshot {
                target: "script /bin/tell".into(),
                waiting: 2,
                delivered_total: 11,
                failed_total: 12,
                dropped_total: 13,
                failure: None,
                failing_since: None,
            }],
            provider: Some(ProviderSnapshot {
                program: "/bin/assign".into(),
                wanted: Some("own".into()),
                confirmed: Some("own".into()),
                confirmed_total: 14,
                failed_total: 15,
                failure: None,
                failing_since: None,
            }),
        }
    }

    #[test]
    fn every_series_comes_once() {
        let mut page = Page(String::new());
        write(&mut page, &Snapshot { routers: vec![router()], ..Snapshot::default() });
        let samples: Vec<&str> = page.0.lines().filter(|line| !line.starts_with('#')).collect();
        for expected in [
            "evenkeel_virtual_router_state{virtual_router=\"public\",state=\"active\"} 1",
            "evenkeel_virtual_router_state{virtual_router=\"public\",state=\"backup\"} 0",
            "evenkeel_virtual_router_track_well{virtual_router=\"public\",track=\"interface eth1\"} 0",
            "evenkeel_virtual_router_track_priority{virtual_router=\"public\",track=\"interface eth1\"} -20",
            "evenkeel_virtual_router_yielding{virtual_router=\"public\"} 0",
            "evenkeel_virtual_router_priority{virtual_router=\"public\"} 130",
            "evenkeel_virtual_router_addresses_held{virtual_router=\"public\"} 1",
            "evenkeel_virtual_router_down_interval_seconds{virtual_router=\"public\"} 3.5",
            "evenkeel_virtual_router_dual_owner_seconds_total{virtual_router=\"public\"} 0.25",
            "evenkeel_virtual_router_alarm{virtual_router=\"public\",kind=\"equal-priority\"} 1",
            "evenkeel_virtual_router_refused_total{virtual_router=\"public\",reason=\"checksum\"} 8",
            "evenkeel_virtual_router_handover_flows{virtual_router=\"public\",direction=\"giving\"} 16",
        ] {
            assert_eq!(samples.iter().filter(|line| **line == expected).count(), 1, "{expected}\n{}", page.0);
        }
        assert!(!page.0.contains("direction=\"passing\""), "nothing is said of what is not under way");
    }
}
