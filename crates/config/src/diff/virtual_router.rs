//! What changes about virtual routers. Secrets are compared and never shown.

use evenkeel_failover::vrrp::authentication::Authentication;
use evenkeel_failover::vrrp::params::{Coverage, Delivery, Preempt, Settings, Version};

use evenkeel_traffic::name::Name;

mod consequences;

use super::shown::{duration, list};
use super::{Differences, Pair, pair};
use crate::keys::Section;
use crate::plan::VirtualRouter;

pub(super) fn compare(old: &[VirtualRouter], new: &[VirtualRouter], differences: &mut Differences) {
    let paired = pair(old, new, |router| &router.name);
    for change in &paired {
        differences.of(format!("virtual-router {}", change.name()), Section::VirtualRouter);
        match change {
            Pair::Added(new) => {
                differences.add(format!("added (addresses {})", addresses(new)));
                for text in consequences::moved(new, None, old) {
                    differences.add(text);
                }
            }
            Pair::Removed(one) => {
                differences.add(format!("removed; {}", consequences::removed(one, new)));
            }
            Pair::Both(one, other) => {
                router(one, other, differences);
                for text in consequences::moved(other, Some(one), old) {
                    differences.add(text);
                }
                for text in consequences::of(one, other) {
                    differences.add(text);
                }
            }
        }
    }
}

fn addresses(router: &VirtualRouter) -> String {
    let shown: Vec<String> = router
        .params
        .settings()
        .addresses
        .iter()
        .map(|address| format!("{}/{}", address.ip, address.prefix))
        .collect();
    list(&shown)
}

fn router(old: &VirtualRouter, new: &VirtualRouter, differences: &mut Differences) {
    let (before, after) = (old.params.settings(), new.params.settings());
    differences.compare("interface", &old.interface, &new.interface);
    differences.compare("vrid", &before.vrid.number(), &after.vrid.number());
    differences.compare("priority", &before.priority, &after.priority);
    differences.compare("addresses", &addresses(old), &addresses(new));
    differences.compare("version", &version(before), &version(after));
    differences.compare(
        "advertisement-interval",
        &duration(before.interval.duration()),
        &duration(after.interval.duration()),
    );
    differences.compare("preempt", &preempt(before), &preempt(after));
    differences.compare("peers", &peers(before), &peers(after));
    let source = |router: &VirtualRouter| {
        router.source.map_or_else(|| "the interface's own".to_owned(), |source| source.to_string())
    };
    differences.compare("source-address", &source(old), &source(new));
    differences.compare("checksum", checksum(before), checksum(after));
    if before.authentication != after.authentication {
        let (was, is) = (authentication(before), authentication(after));
        differences.add(if was == is {
            format!("authentication changed ({is})")
        } else {
            format!("authentication changed from {was} to {is}")
        });
    }
    let group = |router: &VirtualRouter| {
        router.sync_group.as_ref().map_or_else(|| "none".to_owned(), ToString::to_string)
    };
    differences.compare("sync-group", &group(old), &group(new));
    differences.compare("virtual-mac", &old.virtual_mac, &new.virtual_mac);
    if before.announcing != after.announcing {
        differences.add("announce changed".into());
    }
    if old.track != new.track {
        differences.add("track changed".into());
    }
    if old.notify != new.notify {
        differences.add("notify changed".into());
    }
    if old.provider != new.provider {
        differences.add("provider changed".into());
    }
    if old.routes != new.routes {
        differences.add("routes changed".into());
    }
    if old.rules != new.rules {
        differences.add("rules changed".into());
    }
}

fn version(settings: &Settings) -> u8 {
    match settings.version {
        Version::V2 => 2,
        Version::V3 => 3,
    }
}

fn preempt(settings: &Settings) -> String {
    match settings.preempt {
        Preempt::Yes => "true".into(),
        Preempt::No => "false".into(),
        Preempt::After(delay) => format!("after {}", duration(delay)),
    }
}

fn peers(settings: &Settings) -> String {
    match &settings.delivery {
        Delivery::Multicast => "multicast".into(),
        Delivery::Unicast(peers) => {
            let shown: Vec<String> = peers
                .iter()
                .map(|peer| match peer.least_hop_limit {
                    255 => peer.address.to_string(),
                    limit => format!("{} (hop limit {limit})", peer.address),
                })
                .collect();
            list(&shown)
        }
    }
}

fn checksum(settings: &Settings) -> &'static str {
    match settings.checksum {
        Coverage::WithPseudoHeader => "with-pseudo-header",
        Coverage::MessageOnly => "message-only",
    }
}

fn authentication(settings: &Settings) -> &'static str {
    match settings.authentication {
        Authentication::None => "none",
        Authentication::Pass(_) => "a password",
        Authentication::Hmac(_) => "HMAC",
    }
}

impl Pair<'_, VirtualRouter> {
    fn name(&self) -> &Name {
        match self {
            Self::Added(router) | Self::Removed(router) | Self::Both(router, _) => &router.name,
        }
    }
}
