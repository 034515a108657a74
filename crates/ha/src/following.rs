//! Routes and rules that exist while addresses are held: compares and repairs, as for addresses.

use std::collections::BTreeSet;
use std::io;

use evenkeel_config::plan::{FollowingRoute, FollowingRule};
use evenkeel_sys::netlink::{Netlink, Route, Rule};

/// What shall be there now, of all virtual routers together.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Wanted {
    routes: Vec<Route>,
    rules: Vec<Rule>,
}

impl Wanted {
    /// The followers of one virtual router whose addresses are held on the interface of this number.
    pub(crate) fn add(&mut self, index: u32, routes: &[FollowingRoute], rules: &[FollowingRule]) {
        self.routes.extend(routes.iter().map(|route| Route {
            destination: route.to.network(),
            prefix: route.to.prefix_len(),
            via: route.via,
            index,
            source: route.source,
            table: route.table,
            metric: route.metric,
        }));
        self.rules.extend(rules.iter().map(|rule| Rule {
            is_v6: rule.is_v6(),
            from: rule.from.map(|network| (network.network(), network.prefix_len())),
            to: rule.to.map(|network| (network.network(), network.prefix_len())),
            table: rule.table,
            priority: rule.priority,
        }));
    }
}

/// What is different: what is missing, what is too much.
fn difference<T: PartialEq + Copy>(wanted: &[T], present: &[T]) -> (Vec<T>, Vec<T>) {
    let missing = wanted.iter().filter(|one| !present.contains(one)).copied().collect();
    let surplus = present.iter().filter(|one| !wanted.contains(one)).copied().collect();
    (missing, surplus)
}

/// Makes the kernel have what is wanted and nothing else of ours. What cannot be done comes back in words.
pub(crate) fn reconcile(netlink: &mut Netlink, wanted: &Wanted) -> BTreeSet<String> {
    let mut failures = BTreeSet::new();
    let mut tell = |what: &str, result: io::Result<()>| {
        if let Err(error) = result {
            failures.insert(format!("{what}: {error}"));
        }
    };
    match netlink.own_rules() {
        Ok(present) => {
            let (missing, surplus) = difference(&wanted.rules, &present);
            for rule in &surplus {
                tell(&format!("cannot remove {}", shown_rule(rule)), netlink.remove_rule(rule));
            }
            for rule in &missing {
                tell(&format!("cannot add {}", shown_rule(rule)), netlink.add_rule(rule));
            }
        }
        Err(error) => tell("cannot list the rules", Err(error)),
    }
    match netlink.own_routes() {
        Ok(present) => {
            let (missing, surplus) = difference(&wanted.routes, &present);
            for route in &surplus {
                tell(&format!("cannot remove {}", shown_route(route)), netlink.remove_route(route));
            }
            for route in &missing {
                tell(&format!("cannot add {}", shown_route(route)), netlink.add_route(route));
            }
        }
        Err(error) => tell("cannot list the routes", Err(error)),
    }
    failures
}

fn shown_route(route: &Route) -> String {
    let via = route.via.map(|via| format!(" via {via}")).unwrap_or_default();
    format!("the route to {}/{}{via} in table {}", route.destination, route.prefix, route.table)
}

fn shown_rule(rule: &Rule) -> String {
    let network = |word, net: Option<(std::net::IpAddr, u8)>| {
        net.map(|(ip, prefix)| format!(" {word} {ip}/{prefix}")).unwrap_or_default()
    };
    let (from, to) = (network("from", rule.from), network("to", rule.to));
    format!("the rule{from}{to} with priority {} for table {}", rule.priority, rule.table)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wanted(metric: u32) -> Wanted {
        let mut wanted = Wanted::default();
        let route = FollowingRoute {
            to: "198.51.100.7/24".parse().unwrap(),
            via: Some("192.0.2.1".parse().unwrap()),
            source: None,
            table: 254,
            metric,
        };
        let rule = FollowingRule {
            from: Some("192.0.2.100/32".parse().unwrap()),
            to: None,
            table: 100,
            priority: 90,
        };
        wanted.add(3, &[route], &[rule]);
        wanted
    }

    #[test]
    fn what_is_there_already_is_left_alone() {
        let one = wanted(5);
        assert_eq!(difference(&one.routes, &one.routes), (Vec::new(), Vec::new()));
        let other = wanted(6);
        assert_eq!(difference(&one.routes, &other.routes), (one.routes.clone(), other.routes.clone()));
        // Bits of the host are no part of a destination.
        assert_eq!(shown_route(&one.routes[0]), "the route to 198.51.100.0/24 via 192.0.2.1 in table 254");
    }
}
