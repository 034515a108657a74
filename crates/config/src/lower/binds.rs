//! Checks that no two sockets of the program want the same address, and that the API is out of strangers' reach.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;

use evenkeel_traffic::address::Address;

use super::{HTTP, default};
use crate::keys::Section;
use crate::model::Model;
use crate::plan::MOST_BINDS;
use crate::problems::{At, Problems, Span};
use crate::suggest::quoted;

/// An address that is listened on, by whom, and where the file says so.
struct Bind {
    address: Address,
    owner: String,
    span: Option<Span>,
}

pub(super) fn check(model: &Model, problems: &mut Problems) {
    let mut binds: Vec<Bind> = Vec::new();
    let control = model.global.control_socket.as_ref();
    let control_path = control.map_or_else(
        || default(Section::Global, "control-socket", HTTP).unwrap_or_default().into(),
        |path| path.value.clone(),
    );
    binds.push(Bind {
        address: Address::Unix(control_path),
        owner: "the control socket".into(),
        span: control.map(|path| path.span),
    });
    if let Some(admin) = model.admin.as_ref().filter(|admin| admin.token_file.is_none())
        && let Some(bind) = &admin.bind
    {
        loopback(bind, problems);
    }
    if let Some(admin) = &model.admin {
        let given = admin.bind.as_ref().map(|bind| bind.value.clone());
        let address = given.or_else(|| default(Section::Admin, "bind", HTTP)?.parse().ok());
        binds.extend(address.map(|address| Bind {
            address,
            owner: "[admin]".into(),
            span: admin.bind.as_ref().map(|bind| bind.span),
        }));
    }
    if let Some(pair) = &model.pair
        && let Some(bind) = super::pair::bind(pair)
    {
        binds.push(Bind {
            address: Address::Tcp(bind),
            owner: "[pair]".into(),
            span: pair.bind.as_ref().or(pair.peer.as_ref()).map(|typed| typed.span),
        });
    }
    for listener in &model.listeners {
        binds.extend(listener.binds.iter().map(|bind| Bind {
            address: bind.value.clone(),
            owner: format!("listener `{}`", listener.name.value),
            span: Some(bind.span),
        }));
    }
    let count: usize = model.listeners.iter().map(|listener| listener.binds.len()).sum();
    if count > MOST_BINDS
        && let Some(bind) = binds.last()
        && let Some(span) = bind.span
    {
        problems
            .error(span, format!("the listeners bind {count} addresses; {MOST_BINDS} are allowed"))
            .help("bind `0.0.0.0` and `[::]` instead of each address by itself");
    }
    same(&binds, problems);
    circles(model, problems);
}

fn loopback(bind: &At<Address>, problems: &mut Problems) {
    let Address::Tcp(socket) = &bind.value else { return };
    if socket.ip().to_canonical().is_loopback() {
        return;
    }
    let local = if socket.is_ipv4() { "127.0.0.1" } else { "[::1]" };
    problems
        .error(bind.span, format!("the API may not listen on {}", quoted(&bind.value.to_string())))
        .label("everyone who reaches it could steer the program")
        .help(format!(
            "write `\"{local}:{}\"` and reach it from elsewhere through an SSH tunnel, or set `token-file`",
            socket.port()
        ));
}

fn same(binds: &[Bind], problems: &mut Problems) {
    let all: BTreeMap<&Address, &Bind> = binds.iter().rev().map(|bind| (&bind.address, bind)).collect();
    let mut first: BTreeMap<&Address, &Bind> = BTreeMap::new();
    for bind in binds {
        if let Some(earlier) = first.get(&bind.address) {
            // The control socket and the API come first and may stand on a default without a place.
            let Some(span) = bind.span.or(earlier.span) else { continue };
            let message = if bind.owner == earlier.owner {
                format!("{} binds {} twice", bind.owner, bind.address)
            } else {
                format!("{} is bound by {} and by {}", bind.address, earlier.owner, bind.owner)
            };
            let draft = problems.error(span, message);
            match earlier.span.filter(|earlier| *earlier != span) {
                Some(earlier) => {
                    draft.see(earlier, "it is already here").help("give one of them another address or port");
                }
                None => {
                    draft
                        .help(format!("give it another address: {} uses this one by default", earlier.owner));
                }
            }
            continue;
        }
        first.insert(&bind.address, bind);
        let covering = wildcard_of(&bind.address).and_then(|wildcard| all.get(&wildcard));
        if let (Some(covering), Some(span)) = (covering, bind.span) {
            let draft = problems.warning(
                span,
                format!("clients of {} arrive here and not at {}", bind.address, covering.address),
            );
            draft.help = Some(format!("this is fine if it is meant; {} gets the others", covering.owner));
            if let Some(covering) = covering.span {
                draft.see(covering, "this binds the port on every address");
            }
        }
    }
}

/// The wildcard address that takes this one's clients as well.
fn wildcard_of(address: &Address) -> Option<Address> {
    let Address::Tcp(socket) = address else { return None };
    let any: std::net::IpAddr = if socket.is_ipv4() {
        std::net::Ipv4Addr::UNSPECIFIED.into()
    } else {
        std::net::Ipv6Addr::UNSPECIFIED.into()
    };
    (!socket.ip().is_unspecified()).then(|| Address::Tcp(SocketAddr::new(any, socket.port())))
}

/// Warns of a listener whose own address is a server of a pool it sends to.
fn circles(model: &Model, problems: &mut Problems) {
    for listener in &model.listeners {
        let pools: BTreeSet<&str> = listener
            .pool
            .iter()
            .chain(listener.routes.iter().filter_map(|route| route.pool.as_ref()))
            .map(|pool| pool.value.as_str())
            .collect();
        let binds: BTreeMap<&Address, Span> =
            listener.binds.iter().map(|bind| (&bind.value, bind.span)).collect();
        let servers = model
            .pools
            .iter()
            .filter(|pool| pools.contains(pool.name.value.as_str()))
            .flat_map(|pool| &pool.servers);
        for server in servers {
            let Some(address) = &server.settings.address else { continue };
            if let Some(bind) = binds.get(&address.value) {
                problems
                    .warning(
                        address.span,
                        format!(
                            "server `{}` is listener `{}` itself",
                            server.name.value, listener.name.value
                        ),
                    )
                    .see(*bind, "the listener's own address")
                    .help("write the address of a server behind it; else requests go round in circles");
            }
        }
    }
}
