//! What is told: one change of a virtual router, as JSON and as variables of the environment.

use std::net::IpAddr;

use evenkeel_admin::message::EventKind;
use evenkeel_config::Source;
use evenkeel_config::plan::VirtualRouter;
use evenkeel_ha::message::Transition;
use serde::{Deserialize, Serialize};

use crate::files::Machine;

/// The virtual router that a notice is about.
#[derive(Clone, Debug)]
pub(super) struct About {
    pub(super) router: String,
    pub(super) interface: String,
    pub(super) vrid: u8,
    pub(super) addresses: Vec<(IpAddr, u8)>,
}

impl About {
    pub(super) fn of(router: &VirtualRouter) -> Self {
        let settings = router.params.settings();
        Self {
            router: router.name.to_string(),
            interface: router.interface.clone(),
            vrid: settings.vrid.number(),
            addresses: settings.addresses.iter().map(|address| (address.ip, address.prefix)).collect(),
        }
    }
}

/// An address with the length of its network.
pub(super) fn prefix((ip, length): &(IpAddr, u8)) -> String {
    format!("{ip}/{length}")
}

/// The name of this machine.
pub(super) fn node() -> String {
    Machine.host_name().unwrap_or_default()
}

/// See the module. The names of the fields are what programs rely on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(in super::super) struct Notice {
    /// `transition` or `reasserted`.
    pub(super) event: String,
    /// The number of the event in `/v1/events`.
    pub(super) sequence: u64,
    /// In milliseconds since 1970-01-01T00:00:00Z.
    pub(super) at: u64,
    pub(super) node: String,
    pub(super) router: String,
    pub(super) interface: String,
    pub(super) vrid: u8,
    pub(super) addresses: Vec<String>,
    pub(super) from: String,
    pub(super) to: String,
    pub(super) why: String,
    pub(super) priority: Option<u8>,
    pub(super) peer: Option<IpAddr>,
    pub(super) peer_priority: Option<u8>,
    /// Notices to the same target that were left out right before this one.
    pub(super) dropped: u64,
}

impl Notice {
    pub(super) fn new(
        kind: EventKind,
        transition: &Transition,
        about: &About,
        sequence: u64,
        at: u64,
    ) -> Self {
        let Transition { from, to, why, .. } = transition.clone();
        Self {
            event: if kind == EventKind::Reasserted { "reasserted" } else { "transition" }.into(),
            sequence,
            at,
            node: node(),
            router: about.router.clone(),
            interface: about.interface.clone(),
            vrid: about.vrid,
            addresses: about.addresses.iter().map(prefix).collect(),
            from,
            to,
            why,
            priority: transition.effective_priority,
            peer: transition.peer,
            peer_priority: transition.peer_priority,
            dropped: 0,
        }
    }

    pub(super) fn json(&self) -> String {
        // Nothing in it can fail to be JSON.
        serde_json::to_string(self).unwrap_or_default()
    }

    /// The same for shell scripts; what is not known is empty.
    pub(super) fn variables(&self) -> Vec<(&'static str, String)> {
        let number = |number: Option<u8>| number.map(|number| number.to_string()).unwrap_or_default();
        vec![
            ("EVENKEEL_EVENT", self.event.clone()),
            ("EVENKEEL_SEQUENCE", self.sequence.to_string()),
            ("EVENKEEL_AT", self.at.to_string()),
            ("EVENKEEL_NODE", self.node.clone()),
            ("EVENKEEL_ROUTER", self.router.clone()),
            ("EVENKEEL_INTERFACE", self.interface.clone()),
            ("EVENKEEL_VRID", self.vrid.to_string()),
            ("EVENKEEL_ADDRESSES", self.addresses.join(" ")),
            ("EVENKEEL_FROM", self.from.clone()),
            ("EVENKEEL_TO", self.to.clone()),
            ("EVENKEEL_WHY", self.why.clone()),
            ("EVENKEEL_PRIORITY", number(self.priority)),
            ("EVENKEEL_PEER", self.peer.map(|peer| peer.to_string()).unwrap_or_default()),
            ("EVENKEEL_PEER_PRIORITY", number(self.peer_priority)),
            ("EVENKEEL_DROPPED", self.dropped.to_string()),
        ]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_notice_says_the_same_as_json_and_as_variables() {
        let transition = Transition {
            router: "public".into(),
            from: "backup".into(),
            to: "active".into(),
            why: "no other router is heard".into(),
            effective_priority: Some(150),
            peer: "192.0.2.12".parse().ok(),
            peer_priority: Some(100),
            at: 7,
        };
        let about = About {
            router: "public".into(),
            interface: "eth0".into(),
            vrid: 51,
            addresses: vec![("192.0.2.100".parse().unwrap(), 24)],
        };
        let notice = Notice {
            node: "balancer01".into(),
            ..Notice::new(EventKind::VirtualRouterChanged, &transition, &about, 12, 7001)
        };
        assert_eq!(
            notice.json(),
            "{\"event\":\"transition\",\"sequence\":12,\"at\":7001,\"node\":\"balancer01\",\"router\":\"public\",\
             \"interface\":\"eth0\",\"vrid\":51,\"addresses\":[\"192.0.2.100/24\"],\"from\":\"backup\",\"to\":\"active\",\
             \"why\":\"no other router is heard\",\"priority\":150,\"peer\":\"192.0.2.12\",\"peer_priority\":100,\
             \"dropped\":0}"
        );
        let fields = serde_json::to_value(&notice).unwrap();
        for (name, value) in notice.variables() {
            let field = name.strip_prefix("EVENKEEL_").unwrap().to_lowercase();
            let said = match &fields[&field] {
                serde_json::Value::String(text) => text.clone(),
                serde_json::Value::Array(all) => all[0].as_str().unwrap().to_owned(),
                other => other.to_string(),
            };
            assert_eq!(said, value, "{name}");
        }
        assert_eq!(notice.variables().len(), fields.as_object().unwrap().len());
    }
}
