//! Virtual routers on the screen.

use std::collections::BTreeMap;
use std::fmt::Write;

use evenkeel_admin::message::VirtualRouters;
use evenkeel_ha::message::{HandoverSnapshot, ProviderSnapshot, RouterSnapshot, TrackSnapshot, Transition};

use super::{duration, table};

/// Transitions that are shown.
const MOST_TRANSITIONS: usize = 5;

pub(super) fn draw(known: &VirtualRouters, now: u64) -> String {
    let mut text = String::from("\nVIRTUAL ROUTERS\n");
    let Some(state) = &known.state else {
        let why = known.missing.as_deref().unwrap_or("it does not answer");
        return format!(
            "\nvirtual routers are not shown, the high availability role cannot be asked: {why}\n"
        );
    };
    let columns = [
        "NAME",
        "STATE",
        "FOR",
        "PRIORITY",
        "ACTIVE ROUTER",
        "HEARD",
        "INTERFACE",
        "ADDRESSES",
        "BOTH ACTIVE",
        "WHY",
    ];
    text.push_str(&table(
        &columns,
        state.routers.iter().flat_map(|router| rows(router, &known.transitions, now)),
    ));
    text.push_str(&groups(&state.routers));
    for router in &state.routers {
        for track in &router.track {
            let _ = writeln!(text, "  {} tracks {}", router.name, tracked(track));
        }
        if let Some(provider) = &router.provider {
            let ProviderSnapshot { program, wanted, confirmed, .. } = provider;
            let wanted = wanted.as_deref().unwrap_or("nothing yet");
            let how = if confirmed.is_some() { "confirmed" } else { "not confirmed" };
            let _ = writeln!(text, "  provider of {}: {program}: {wanted}, {how}", router.name);
        }
        if let Some(handover) = &router.handover {
            text.push_str(&moved(&router.name, handover, now));
        }
        for alarm in &router.alarms {
            let from = alarm.source.map(|source| format!(" ({source})")).unwrap_or_default();
            let lasts = duration(now.saturating_sub(alarm.since));
            let _ = writeln!(text, "  alarm of {} for {lasts}: {}{from}", router.name, alarm.text);
        }
    }
    text.push_str(&crate::cli::diff::runtime_priorities(&known.runtime_priorities));
    let first = known.transitions.len().saturating_sub(MOST_TRANSITIONS);
    for Transition { router, from, to, why, at, .. } in &known.transitions[first..] {
        let ago = duration(now.saturating_sub(*at));
        let _ = writeln!(text, "  {ago} ago: {router} became {to} (was {from}): {why}");
    }
    text
}

/// How a planned move stands: `public: 12 connections go on here, until 9m 50s from now at the latest`.
fn moved(name: &str, handover: &HandoverSnapshot, now: u64) -> String {
    let ends = handover.ends.map_or_else(String::new, |ends| {
        format!(", until {} from now at the latest", duration(ends.saturating_sub(now)))
    });
    let mut text = String::new();
    let connections = |count: usize| match count {
        1 => "1 connection".to_owned(),
        count => format!("{count} connections"),
    };
    if let Some(left) = handover.giving {
        let _ = writeln!(text, "  {name}: {} left here{ends}", connections(left));
    }
    if let Some(passed) = handover.passing {
        let _ = writeln!(text, "  {name}: {} passed on to the other node", connections(passed));
    }
    if let (None, None, Some(last)) = (handover.giving, handover.passing, &handover.last) {
        let _ = writeln!(text, "  {name}: the last planned move: {last}");
    }
    text
}

/// Such as `sync group firewall: outside, inside; active together`.
fn groups(routers: &[RouterSnapshot]) -> String {
    let mut groups: BTreeMap<&str, Vec<&RouterSnapshot>> = BTreeMap::new();
    for router in routers {
        if let Some(group) = &router.sync_group {
            groups.entry(group).or_default().push(router);
        }
    }
    let line = |(group, members): (&str, Vec<&RouterSnapshot>)| {
        let names: Vec<&str> = members.iter().map(|member| member.name.as_str()).collect();
        let first = members.first().map_or("", |member| member.state.as_str());
        let how = if members.iter().all(|member| member.state == first) {
            format!("{first} together")
        } else {
            let fault = members.iter().find(|member| member.state == "fault");
            fault.map_or_else(
                || "not together yet".to_owned(),
                |member| format!("{} keeps all of them from being active", member.name),
            )
        };
        format!("  sync group {group}: {}; {how}\n", names.join(", "))
    };
    groups.into_iter().map(line).collect()
}

/// Such as `pool website: ill, so it yields: 0 of 2 servers take traffic, 1 are needed`.
fn tracked(track: &TrackSnapshot) -> String {
    let effect = match track.effect.as_str() {
        "priority" => format!(", {:+} to its priority", track.priority),
        "yield" => ", so it yields".to_owned(),
        "fault" => ", so it may not be active".to_owned(),
        _ => String::new(),
    };
    let why = track.why.as_ref().map(|why| format!(": {why}")).unwrap_or_default();
    format!("{}: {}{effect}{why}", track.name, track.state)
}

/// One line for the first address with everything else, one for each further address.
fn rows(router: &RouterSnapshot, transitions: &[Transition], now: u64) -> Vec<Vec<String>> {
    let mut addresses = router
        .addresses
        .iter()
        .map(|address| format!("{}{}", address.address, if address.held { "" } else { " (not here)" }));
    let none = || "-".to_owned();
    let priority = match router.effective_priority {
        None => format!("none ({})", router.priority),
        Some(effective) if effective == router.priority => effective.to_string(),
        Some(effective) => format!("{effective} ({})", router.priority),
    };
    let last = transitions.iter().rev().find(|transition| transition.router == router.name);
    let why = router.why.clone().or_else(|| last.map(|transition| transition.why.clone()));
    let mut rows = vec![vec![
        router.name.clone(),
        router.state.clone(),
        router.since.map_or_else(none, |since| duration(now.saturating_sub(since))),
        priority,
        router.owner.map_or_else(none, |owner| owner.to_string()),
        router.last_heard.as_ref().map_or_else(none, |heard| {
            format!("{:.1} s ago: {} priority {}", heard.ago, heard.source, heard.priority)
        }),
        router.interface.clone(),
        addresses.next().unwrap_or_default(),
        format!("{:.3} s", router.dual_owner_seconds),
        why.unwrap_or_else(none),
    ]];
    let empty = || vec![String::new(); 7];
    rows.extend(addresses.map(|address| empty().into_iter().chain([address]).collect()));
    rows
}
