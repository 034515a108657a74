//! Virtual routers that move together: what holds for one of a group holds for all.
//!
//! Here the things that members track become those of all, so that what follows need not know of groups to tell the
//! priority: members always stand with the same one.

use evenkeel_failover::vrrp::group::MOST_MEMBERS;
use evenkeel_failover::vrrp::params::Priority;
use evenkeel_traffic::name::Name;

use crate::model::VirtualRouter;
use crate::plan::{self, Track};
use crate::problems::{Problems, Span};

/// Checks every group and shares what its members track.
pub(super) fn together(
    typed: &[VirtualRouter],
    routers: &mut [plan::VirtualRouter],
    problems: &mut Problems,
) {
    let mut names: Vec<Name> = routers.iter().filter_map(|router| router.sync_group.clone()).collect();
    names.sort();
    names.dedup();
    for name in names {
        let places: Vec<usize> =
            (0..routers.len()).filter(|&place| routers[place].sync_group.as_ref() == Some(&name)).collect();
        agree(&name, &places, typed, routers, problems);
        let mut shared: Vec<Track> = Vec::new();
        for track in places.iter().flat_map(|&place| &routers[place].track) {
            if !shared.contains(track) {
                shared.push(track.clone());
            }
        }
        for place in places {
            routers[place].track.clone_from(&shared);
        }
    }
}

/// Members that do not stand alike may wait for each other's nodes for ever.
fn agree(
    group: &Name,
    places: &[usize],
    typed: &[VirtualRouter],
    routers: &[plan::VirtualRouter],
    problems: &mut Problems,
) {
    let Some((&first, others)) = places.split_first() else { return };
    let own_name = |place: usize| &typed[place].name.value;
    let span = |place: usize, key: &str| -> Span {
        let given = typed[place].given.iter().find(|given| given.value == key);
        given.map_or(typed[place].name.span, |given| given.span)
    };
    if others.is_empty() {
        problems
            .warning(
                span(first, "sync-group"),
                format!("virtual router `{}` is alone in the sync group `{group}`", own_name(first)),
            )
            .help("write the same `sync-group` into each router that shall move with it, or leave it out");
    }
    if let Some(&surplus) = places.get(MOST_MEMBERS) {
        problems
            .error(
                span(surplus, "sync-group"),
                format!("the sync group `{group}` has more than {MOST_MEMBERS} members"),
            )
            .help("one virtual router may have many addresses");
    }
    let priority = |place: usize| -> Priority { routers[place].params.settings().priority };
    for &other in others.iter().filter(|&&other| priority(other) != priority(first)) {
        problems
            .error(
                span(other, "priority"),
                format!(
                    "`{}` and `{}` of the sync group `{group}` have the priorities {} and {}",
                    own_name(first),
                    own_name(other),
                    priority(first),
                    priority(other)
                ),
            )
            .help("give all members the same on this host: otherwise each node may wait for the other")
            .see(span(first, "priority"), "the other one");
    }
    let preempt = |place: usize| routers[place].params.settings().preempt;
    for &other in others.iter().filter(|&&other| preempt(other) != preempt(first)) {
        problems
            .warning(
                span(other, "preempt"),
                format!(
                    "`{}` and `{}` of the sync group `{group}` differ in `preempt`",
                    own_name(first),
                    own_name(other)
                ),
            )
            .help("write the same into both: the group takes over only when each of its members would")
            .see(span(first, "preempt"), "the other one");
    }
}
