//! What the servers of a pool mean together, and with the pool's algorithm.

use std::collections::BTreeMap;

use evenkeel_traffic::name::Name;
use evenkeel_traffic::pick::{Balance, Priority};

use super::TCP;
use crate::model::{Model, Pool, Server};
use crate::problems::{Problems, Span};

/// The rank of a server, which `backup` and `priority` both may say.
pub(super) fn priority(server: &Server, problems: &mut Problems) -> Priority {
    let settings = &server.settings;
    if let (Some(backup), Some(priority)) = (settings.backup, settings.priority) {
        problems
            .error(backup.span, format!("server `{}` has `backup` and `priority`", server.name.value))
            .see(priority.span, "its rank")
            .help("remove one: `backup = true` is short for `priority = 0`");
    }
    match (settings.backup, settings.priority) {
        (_, Some(priority)) => u8::try_from(priority.value).map_or(Priority::USUAL, Priority),
        (Some(backup), None) if backup.value => Priority::BACKUP,
        _ => Priority::USUAL,
    }
}

/// Warns of servers that will surprise.
pub(super) fn check(pool: &Pool, problems: &mut Problems) {
    same_address(pool, problems);
    let first = pool.balance.as_ref().filter(|balance| balance.value == Balance::First);
    let unbounded = |server: &&Server| server.settings.max_connections.is_none();
    if let (Some(balance), Some((_, but_last))) = (first, pool.servers.split_last())
        && let Some(server) = but_last.iter().find(unbounded)
    {
        problems
            .warning(
                balance.span,
                "a server without `max-connections` is never full: those after it stay idle",
            )
            .see(server.name.span, "it takes everything that comes so far")
            .help("give it `max-connections`, or choose another `balance`");
    }
}

/// Warns of keys that a connection without a request does not have, or a request.
pub(super) fn keys_of_connections(model: &Model, problems: &mut Problems) {
    let named = |tcp: bool| -> Vec<&str> {
        let of_mode = model.listeners.iter().filter(|l| l.mode.is_some_and(|mode| mode.value == TCP) == tcp);
        of_mode
            .flat_map(|listener| {
                listener.pool.iter().chain(listener.routes.iter().filter_map(|r| r.pool.as_ref()))
            })
            .map(|pool| pool.value.as_str())
            .collect()
    };
    let (by_tcp, by_http) = (named(true), named(false));
    for pool in &model.pools {
        let Some(balance) = &pool.balance else { continue };
        let Balance::Hash { key, .. } = &balance.value else { continue };
        let name = pool.name.value.as_str();
        if by_tcp.contains(&name) && !key.is_of_connections() {
            problems
                .warning(
                    balance.span,
                    format!(
                        "a listener with `mode = \"tcp\"` sends to pool `{name}`, where nobody sees a request"
                    ),
                )
                .help("write `balance = \"source\"`; without their key, connections take turns");
        }
        if by_http.contains(&name) && !key.is_of_requests() {
            problems
                .warning(
                    balance.span,
                    format!("a listener with `mode = \"http\"` sends to pool `{name}`, where nobody sees a TLS hello"),
                )
                .help("hash by `{ header = \"host\" }`; without their key, requests take turns");
        }
    }
}

/// Two servers of a pool at one address are one server with two names: a retry would meet it again.
fn same_address(pool: &Pool, problems: &mut Problems) {
    let mut seen: BTreeMap<_, (&Name, Span)> = BTreeMap::new();
    for server in &pool.servers {
        let Some(address) = &server.settings.address else { continue };
        if let Some((name, span)) = seen.get(&address.value) {
            problems
                .warning(address.span, format!("`{}` and `{name}` are the same server", server.name.value))
                .see(*span, format!("`{name}` has this address already"))
                .help("remove one; for a larger share give it a weight");
        } else {
            seen.insert(address.value.clone(), (&server.name.value, address.span));
        }
    }
}
