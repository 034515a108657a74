//! Makes rules of routes and finds those that can never match.

use evenkeel_traffic::route::{Conditions, Rule};

use super::{PoolNames, TCP};
use crate::model::Listener;
use crate::problems::Problems;

pub(super) fn lower(
    listener: &Listener,
    mode: &str,
    pools: &PoolNames,
    problems: &mut Problems,
) -> Vec<Rule> {
    if mode == TCP {
        for key in listener.routes.iter().flat_map(|route| &route.http_keys) {
            problems
                .error(
                    key.span,
                    format!("a route of a listener with `mode = \"tcp\"` cannot ask for a `{}`", key.value),
                )
                .help("ask for `source` or `sni`, or set `mode = \"http\"`");
        }
    }
    for span in listener.routes.iter().filter(|_| mode != TCP).filter_map(|route| route.sni) {
        problems
            .error(span, "a route of a listener with `mode = \"http\"` cannot ask for `sni`")
            .help("ask for `host`, which clients send with each request, or set `mode = \"tcp\"`");
    }
    unreachable(listener, problems);
    listener
        .routes
        .iter()
        .filter_map(|route| {
            let pool = pools.resolve(route.pool.as_ref()?, problems)?;
            Some(Rule { conditions: route.conditions.clone(), pool })
        })
        .collect()
}

/// Warns of routes behind one that takes all they would.
fn unreachable(listener: &Listener, problems: &mut Problems) {
    let nothing = Conditions::default();
    for (index, route) in listener.routes.iter().enumerate() {
        let earlier = listener.routes.iter().take(index).find(|earlier| {
            // A route whose conditions are all wrong seems to have none: the errors are enough.
            !earlier.has_conditions || (earlier.conditions == route.conditions && route.conditions != nothing)
        });
        let Some(earlier) = earlier else { continue };
        let why = if !earlier.has_conditions { "takes everything" } else { "asks for the same" };
        problems
            .warning(route.span, "this route never matches")
            .see(earlier.span, format!("this one comes first and {why}"))
            .help("move it before the other, or remove it");
    }
}
