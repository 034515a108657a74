//! Decides what virtual routers mean, and whether they fit together.

use std::collections::BTreeMap;
use std::net::IpAddr;

use evenkeel_failover::vrrp::authentication::{self, Authentication, Hmac, Key, Password};
use evenkeel_failover::vrrp::interval::Interval;
use evenkeel_failover::vrrp::params::{
    Announcing, Coverage, Delivery, Family, Params, Part, Peer, Preempt, Priority, Settings, Version,
    VirtualRouterId,
};

use super::{HTTP, PoolNames, count, default, sync_group, telling, time, track};
use crate::keys::Section;
use crate::model::{self, Model, VirtualRouter};
use crate::plan::{self, FollowingRoute, FollowingRule};
use crate::problems::{At, Problems, Span};

const SECTION: Section = Section::VirtualRouter;
/// What to do when there is nothing better to say.
const SEE: &str = "`evenkeel explain virtual-router` tells what is possible";
/// The longest password of version 2, in bytes.
const LONGEST_PASSWORD: usize = 8;

/// All virtual routers; `None` when one of them cannot be.
pub(super) fn lower(
    model: &Model,
    pools: &PoolNames,
    problems: &mut Problems,
) -> Option<Vec<plan::VirtualRouter>> {
    let lowered: Vec<Option<plan::VirtualRouter>> =
        model.virtual_routers.iter().map(|typed| virtual_router(typed, model, pools, problems)).collect();
    let mut routers: Vec<plan::VirtualRouter> = lowered.into_iter().collect::<Option<_>>()?;
    together(&model.virtual_routers, &routers, problems);
    sync_group::together(&model.virtual_routers, &mut routers, problems);
    Some(routers)
}

fn virtual_router(
    typed: &VirtualRouter,
    model: &Model,
    pools: &PoolNames,
    problems: &mut Problems,
) -> Option<plan::VirtualRouter> {
    let name = &typed.name.value;
    let interface = required(typed, "interface", &typed.interface, problems);
    let vrid = required(typed, "vrid", &typed.vrid, problems);
    if !is_given(typed, "addresses") {
        missing(typed, "addresses", problems);
    }
    let (interface, vrid) = (interface?, vrid?);
    let family = Family::of(typed.addresses.first()?.value.ip);
    if let IpAddr::V6(first) = typed.addresses.first()?.value.ip
        && !first.is_unicast_link_local()
    {
        problems
            .error(typed.addresses.first()?.span, "the first address of an IPv6 router must be link-local")
            .help("put one such as `\"fe80::100/64\"` before it, the same on all nodes (RFC 9568 §5.2.9)");
        return None;
    }
    let settings = Settings {
        version: if count(typed.version, SECTION, "version") == 2 { Version::V2 } else { Version::V3 },
        family,
        vrid: VirtualRouterId::new(u8::try_from(vrid).ok()?)?,
        priority: Priority::new(u8::try_from(count(typed.priority, SECTION, "priority")).ok()?)?,
        interval: interval(typed, problems)?,
        preempt: match typed.preempt.map(|preempt| preempt.value) {
            None | Some(model::FlagOr::Flag(true)) => Preempt::Yes,
            Some(model::FlagOr::Flag(false)) => Preempt::No,
            Some(model::FlagOr::Time(delay)) if delay.is_zero() => Preempt::Yes,
            Some(model::FlagOr::Time(delay)) => Preempt::After(delay),
        },
        addresses: typed.addresses.iter().map(|address| address.value).collect(),
        delivery: delivery(typed, problems)?,
        checksum: match typed
            .checksum
            .map_or_else(|| default(SECTION, "checksum", HTTP).unwrap_or_default(), |checksum| checksum.value)
        {
            "message-only" => Coverage::MessageOnly,
            _ => Coverage::WithPseudoHeader,
        },
        authentication: authentication(typed, problems)?,
        announcing: announcing(typed)?,
    };
    let params = match Params::new(settings) {
        Ok(params) => params,
        Err(found) => {
            for invalid in found {
                // The sentences say what is wrong, and after a colon what to do.
                let (message, help) = invalid.what.rsplit_once(": ").unwrap_or((&invalid.what, SEE));
                problems.error(place(typed, invalid.part), message).help(help).consequence();
            }
            return None;
        }
    };
    if let Some(source) = typed.source.filter(|source| Family::of(source.value) != family) {
        problems
            .error(
                source.span,
                format!("{} is of the other family than the router's addresses", source.value),
            )
            .help("write an address of the same family, or leave the line out");
    }
    let routes = typed.routes.iter().map(|route| following_route(route, problems)).collect::<Option<_>>()?;
    let rules = typed.rules.iter().map(|rule| following_rule(rule, problems)).collect::<Option<_>>()?;
    let virtual_mac = typed.virtual_mac.is_some_and(|flag| flag.value);
    if let Some(flag) = typed.virtual_mac.filter(|flag| flag.value && !typed.peers.is_empty()) {
        problems
            .error(flag.span, format!("virtual router `{name}` has `peers` and a virtual hardware address"))
            .help("leave one of them out: advertisements to peers need the interface's own hardware address");
    }
    Some(plan::VirtualRouter {
        name: name.clone(),
        interface,
        source: typed.source.map(|source| source.value),
        params,
        virtual_mac,
        sync_group: typed.sync_group.as_ref().map(|group| group.value.clone()),
        routes,
        rules,
        track: track::lower(typed, model, pools, problems)?,
        notify: telling::notify(typed, model, problems)?,
        provider: telling::provider(typed, model, problems)?,
    })
}

fn required<T: Clone>(
    typed: &VirtualRouter,
    key: &'static str,
    setting: &Option<At<T>>,
    problems: &mut Problems,
) -> Option<T> {
    if setting.is_none() && !is_given(typed, key) {
        missing(typed, key, problems);
    }
    setting.as_ref().map(|setting| setting.value.clone())
}

fn missing(typed: &VirtualRouter, key: &str, problems: &mut Problems) {
    let name = &typed.name.value;
    let example = SECTION.key(key).map_or("", |key| key.example);
    problems
        .error(typed.name.span, format!("virtual router `{name}` has no `{key}`"))
        .help(format!(
            "add a line such as `{example}`, or one for this host in `[virtual-router.{name}.on.HOST]`"
        ))
        .consequence();
}

fn is_given(typed: &VirtualRouter, key: &str) -> bool {
    typed.given.iter().any(|given| given.value == key)
}

fn interval(typed: &VirtualRouter, problems: &mut Problems) -> Option<Interval> {
    let duration = time(typed.interval, SECTION, "advertisement-interval", HTTP);
    let interval = Interval::new(duration);
    if interval.is_none() {
        let span = typed.interval.map_or(typed.name.span, |interval| interval.span);
        problems
            .error(span, "the protocol counts in hundredths of a second")
            .help("write a multiple of `\"10ms\"`");
    }
    interval
}

fn delivery(typed: &VirtualRouter, problems: &mut Problems) -> Option<Delivery> {
    if !is_given(typed, "peers") {
        if let Some(limit) = typed.least_hop_limit {
            problems
                .error(
                    limit.span,
                    "`least-hop-limit` is for `peers`: what comes by multicast never crosses a router",
                )
                .help("remove the line, or name the peers");
        }
        return Some(Delivery::Multicast);
    }
    let least_hop_limit = u8::try_from(count(typed.least_hop_limit, SECTION, "least-hop-limit")).ok()?;
    let peers = typed.peers.iter().map(|peer| Peer { address: peer.value, least_hop_limit }).collect();
    Some(Delivery::Unicast(peers))
}

fn authentication(typed: &VirtualRouter, problems: &mut Problems) -> Option<Authentication> {
    let Some(typed) = &typed.authentication else { return Some(Authentication::None) };
    match (&typed.password, &typed.keys) {
        (Some(password), None) => {
            if password.value.len() > LONGEST_PASSWORD {
                problems
                    .error(password.span, format!("the password has more than {LONGEST_PASSWORD} bytes"))
                    .help("write its first 8 bytes: the others would not be looked at");
            }
            Some(Authentication::Pass(Password::new(&password.value)))
        }
        (None, Some(keys)) => {
            let only = || match keys.value.as_slice() {
                [(id, _)] => Some(*id),
                _ => None,
            };
            let active_key = match typed.active_key {
                Some(id) => u8::try_from(id.value).ok(),
                None => only(),
            };
            let Some(active_key) = active_key else {
                problems
                    .error(keys.span, "which of the keys is used for sending is not said")
                    .help("add a line such as `active-key = 1`");
                return None;
            };
            Some(Authentication::Hmac(Hmac {
                keys: keys
                    .value
                    .iter()
                    .map(|(id, secret)| Key { id: *id, secret: secret.as_bytes().to_vec() })
                    .collect(),
                active_key,
                mode: match typed.mode.map(|mode| mode.value) {
                    Some("receive-only") => authentication::Mode::ReceiveOnly,
                    Some("permissive") => authentication::Mode::Permissive,
                    _ => authentication::Mode::Enforce,
                },
                window: typed.window.map(|window| window.value),
            }))
        }
        (Some(password), Some(_)) => {
            problems
                .error(password.span, "there is a password and there are keys")
                .help("leave one of them out: the password is for version 2, keys are for `peers`");
            None
        }
        (None, None) => {
            problems
                .error(typed.span, "`authentication` has neither a password nor keys")
                .help("write `authentication = { password = \"…\" }` or `{ keys = { 1 = \"…\" } }`, or leave it out")
                .consequence();
            None
        }
    }
}

fn announcing(typed: &VirtualRouter) -> Option<Announcing> {
    let refresh = time(typed.announce.refresh, Section::Announce, "refresh", HTTP);
    Some(Announcing {
        count: u8::try_from(count(typed.announce.count, Section::Announce, "count")).ok()?,
        again_after: time(typed.announce.again_after, Section::Announce, "again-after", HTTP),
        refresh: (!refresh.is_zero()).then_some(refresh),
    })
}

fn following_route(typed: &model::FollowingRoute, problems: &mut Problems) -> Option<FollowingRoute> {
    let to = typed.to.map(|to| to.value)?;
    for ip in [typed.via, typed.source].into_iter().flatten() {
        if ip.value.is_ipv4() != to.addr().is_ipv4() {
            problems
                .error(ip.span, format!("{} is of the other family than the destination {to}", ip.value))
                .help("write an address of the same family");
            return None;
        }
    }
    let table = u32::try_from(count(typed.table, Section::FollowingRoute, "table")).ok()?;
    let metric = u32::try_from(count(typed.metric, Section::FollowingRoute, "metric")).ok()?;
    let address = |setting: Option<At<IpAddr>>| setting.map(|ip| ip.value);
    Some(FollowingRoute { to, via: address(typed.via), source: address(typed.source), table, metric })
}

fn following_rule(typed: &model::FollowingRule, problems: &mut Problems) -> Option<FollowingRule> {
    let (from, to) = (typed.from.map(|from| from.value), typed.to.map(|to| to.value));
    if from.is_none() && to.is_none() {
        problems
            .error(typed.span, "a rule without `from` and `to` is one for every packet of the machine")
            .help("add a line such as `from = \"192.168.1.100\"`")
            .consequence();
        return None;
    }
    if let (Some(from), Some(to)) = (from, to)
        && from.addr().is_ipv4() != to.addr().is_ipv4()
    {
        problems
            .error(typed.span, format!("{from} and {to} are of different families"))
            .help("write two rules");
        return None;
    }
    let table = u32::try_from(typed.table?.value).ok()?;
    let priority = u32::try_from(typed.priority?.value).ok()?;
    Some(FollowingRule { from, to, table, priority })
}

/// Where a part that is wrong stands.
fn place(typed: &VirtualRouter, part: Part) -> Span {
    let key = match part {
        Part::Version => "version",
        Part::Interval => "advertisement-interval",
        Part::Preempt => "preempt",
        Part::Addresses => "addresses",
        Part::Delivery => "peers",
        Part::Authentication => "authentication",
        Part::Announcing => "announce",
        _ => "",
    };
    typed.given.iter().find(|given| given.value == key).map_or(typed.name.span, |given| given.span)
}

/// Virtual routers of one machine must not be in each other's way.
fn together(typed: &[VirtualRouter], routers: &[plan::VirtualRouter], problems: &mut Problems) {
    let mut numbers: BTreeMap<(&str, u8, bool), &VirtualRouter> = BTreeMap::new();
    let mut holders: BTreeMap<IpAddr, &VirtualRouter> = BTreeMap::new();
    for (typed, router) in typed.iter().zip(routers) {
        let settings = router.params.settings();
        let number = settings.vrid.number();
        if let Some(other) = numbers.insert((&router.interface, number, router.is_v6()), typed) {
            let span = typed.vrid.map_or(typed.name.span, |vrid| vrid.span);
            problems
                .error(
                    span,
                    format!(
                        "virtual routers `{}` and `{}` have the same number {number} on `{}`",
                        other.name.value, typed.name.value, router.interface
                    ),
                )
                .help("give each router on an interface its own `vrid`, or make them one with more addresses")
                .see(other.name.span, "the other one");
        }
        for address in &typed.addresses {
            if let Some(other) = holders.insert(address.value.ip, typed) {
                if std::ptr::eq(other, typed) {
                    continue;
                }
                problems
                    .error(
                        address.span,
                        format!(
                            "{} belongs to the virtual router `{}` as well",
                            address.value.ip, other.name.value
                        ),
                    )
                    .help("leave it out of one of them")
                    .see(other.name.span, "the other one");
            }
        }
        let own = u64::from(settings.priority.number());
        if let Some(same) = typed.other_priorities.iter().find(|other| other.value == own) {
            problems
                .warning(same.span, format!("another host has the same priority {own} as this one"))
                .help("give each node its own, so that it is clear who takes over");
        }
    }
}
