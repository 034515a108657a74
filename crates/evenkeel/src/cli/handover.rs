//! Gives addresses to the other node and waits until their connections have ended: for `evenkeel router failover` and
//! `evenkeel stop --handover`.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use evenkeel_admin::message::{FailedOver, Status, VirtualRouters};
use evenkeel_ha::message::{Kept, RouterSnapshot};
use evenkeel_proxy::message::DepartingSnapshot;
use hyper::Method;

use super::client::{Failure, Target};

/// The pause between two looks at what is left.
const LOOK: Duration = Duration::from_millis(500);

/// What came of it.
pub(super) struct GivenAway {
    pub(super) done: Vec<FailedOver>,
    /// Those that are active here still, with why.
    pub(super) failed: Vec<(String, Failure)>,
}

/// Makes another node hold the addresses of every virtual router that is active here.
pub(super) fn all(target: &Target) -> Result<GivenAway, Failure> {
    let mut given = GivenAway { done: Vec::new(), failed: Vec::new() };
    let mut tried = BTreeSet::new();
    loop {
        // Members of a sync group go together: each is looked at again before it is asked.
        let known: VirtualRouters = target.ask(Method::GET, "/v1/virtual-routers")?;
        let routers = known.state.map(|state| state.routers).unwrap_or_default();
        let next =
            routers.into_iter().find(|router| router.state == "active" && !tried.contains(&router.name));
        let Some(router) = next else { return Ok(given) };
        match one(target, &router.name) {
            Ok(done) => given.done.push(done),
            Err(failure) => given.failed.push((router.name.clone(), failure)),
        }
        tried.insert(router.name);
    }
}

/// Makes another node hold the addresses of this one.
pub(super) fn one(target: &Target, router: &str) -> Result<FailedOver, Failure> {
    target.ask(Method::POST, &format!("/v1/virtual-routers/{router}/failover"))
}

/// What has happened, for the operator.
pub(super) fn words(done: &FailedOver) -> String {
    let FailedOver { router, active, kept } = done;
    let kept = match kept {
        Kept::Connections(0) => "it had no connections".into(),
        Kept::Connections(1) => "1 connection goes on here until it ends".into(),
        Kept::Connections(count) => format!("{count} connections go on here until they end"),
        Kept::Without(why) => format!("its connections are not kept: {why}"),
        Kept::Nothing => "its connections are not kept: there is no [pair]".into(),
    };
    format!(
        "{router}: {active} is active now; {kept}\n{router}: this node takes over again when that one falls silent, by the \
         same command there, or after `evenkeel router release {router}` here\n"
    )
}

/// Waits until no connection to addresses of these virtual routers is left here, and says what is whenever that changes. `None`
/// waits for all. How many are left when time is up.
pub(super) fn wait(
    target: &Target,
    names: Option<&[String]>,
    within: Option<Duration>,
    mut say: impl FnMut(&str),
) -> Result<usize, Failure> {
    let until = within.and_then(|within| Instant::now().checked_add(within));
    let mut said = None;
    loop {
        let status: Status = target.ask(Method::GET, "/v1/status")?;
        let routers = status.virtual_routers.and_then(|known| known.state).map(|state| state.routers);
        let count = left(routers.as_deref().unwrap_or_default(), names);
        let kinds = status.traffic.map(|traffic| traffic.departing).unwrap_or_default();
        let Some(count) = count else { return Ok(0) };
        let line = format!("{} left{}\n", connections(count), by_kind(&kinds));
        if said.as_ref() != Some(&line) {
            say(&line);
            said = Some(line);
        }
        if until.is_some_and(|until| until <= Instant::now()) {
            return Ok(count.max(1));
        }
        std::thread::sleep(LOOK);
    }
}

/// How many connections of these are left here; `None` when no such move is under way.
fn left(routers: &[RouterSnapshot], names: Option<&[String]>) -> Option<usize> {
    let wanted = |router: &&RouterSnapshot| names.is_none_or(|names| names.contains(&router.name));
    let mut left: Option<usize> = None;
    // Members of a sync group move as one and tell the same number.
    let mut groups = BTreeSet::new();
    for router in routers.iter().filter(wanted) {
        let giving = router.handover.as_ref().and_then(|handover| handover.giving);
        let is_new = router.sync_group.as_ref().is_none_or(|group| groups.insert(group));
        if let Some(giving) = giving.filter(|_| is_new) {
            left = Some(left.unwrap_or(0) + giving);
        }
    }
    left
}

fn connections(count: usize) -> String {
    if count == 1 { "1 connection".into() } else { format!("{count} connections") }
}

/// Such as ` (HTTP/1 2, TCP 1)`; nothing when there are none.
pub(super) fn by_kind(departing: &DepartingSnapshot) -> String {
    let DepartingSnapshot { http1, http2, tcp, tunnel, .. } = departing;
    let kinds = [("HTTP/1", http1), ("HTTP/2", http2), ("TCP", tcp), ("tunnels", tunnel)];
    let there: Vec<String> = kinds
        .into_iter()
        .filter(|(_, count)| **count > 0)
        .map(|(kind, count)| format!("{kind} {count}"))
        .collect();
    if there.is_empty() { String::new() } else { format!(" ({})", there.join(", ")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds_that_are_not_there_are_not_told() {
        let departing = DepartingSnapshot { http1: 2, tcp: 1, ..DepartingSnapshot::default() };
        assert_eq!(by_kind(&departing), " (HTTP/1 2, TCP 1)");
        assert_eq!(by_kind(&DepartingSnapshot::default()), "");
    }

    #[test]
    fn what_becomes_of_connections_is_said_in_one_line() {
        let line = |kept| {
            let done = FailedOver { router: "public".into(), active: [192, 0, 2, 2].into(), kept };
            words(&done).lines().next().unwrap().to_owned()
        };
        assert_eq!(
            line(Kept::Connections(2)),
            "public: 192.0.2.2 is active now; 2 connections go on here until they end"
        );
        assert_eq!(
            line(Kept::Without("the other node does not answer".into())),
            "public: 192.0.2.2 is active now; its connections are not kept: the other node does not answer"
        );
    }
}
