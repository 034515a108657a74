//! Makes the link to the other node, and refuses one that would end at this node or nowhere.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use evenkeel_traffic::address::Address;

use super::{HTTP, time};
use crate::keys::Section;
use crate::model::{Model, Pair, Setting};
use crate::plan::{self, VirtualRouter};
use crate::problems::{At, Problems};

/// The link of the plan; `None`: there is none, or it was refused.
pub(super) fn lower(model: &Model, routers: &[VirtualRouter], problems: &mut Problems) -> Option<plan::Pair> {
    let typed = model.pair.as_ref()?;
    let peer = internet(&typed.peer, problems);
    let bind = internet(&typed.bind, problems);
    for key in &typed.missing {
        let Some(span) = typed.span else { continue };
        let example = Section::Pair.key(key).map_or("", |key| key.example);
        problems
            .error(span, format!("[pair] has no `{key}` for this host"))
            .help(format!("add a line such as `{example}`"))
            .consequence();
    }
    let (peer, key_file) = (peer?, typed.key_file.as_ref()?);
    let span = typed.peer.as_ref()?.span;
    if peer.ip().is_unspecified() {
        problems
            .error(
                span,
                format!("{} is every address of a machine; the other node needs one of its own", peer.ip()),
            )
            .help("write the address at which this node reaches the other one");
        return None;
    }
    let moves = routers
        .iter()
        .find(|router| router.params.settings().addresses.iter().any(|address| address.ip == peer.ip()));
    if let Some(router) = moves {
        problems
            .error(
                span,
                format!("{} moves between the nodes with virtual router `{}`", peer.ip(), router.name),
            )
            .help("write an address that only the other node has");
        return None;
    }
    if let (Some(bind), Some(typed)) = (bind, &typed.bind) {
        if bind.is_ipv4() != peer.is_ipv4() {
            problems
                .error(typed.span, format!("`bind` ({bind}) and `peer` ({peer}) are of different families"))
                .see(span, "the other node")
                .help("write two IPv4 addresses or two IPv6 addresses");
            return None;
        }
        if bind.ip() == peer.ip() {
            problems
                .error(typed.span, format!("`bind` and `peer` have the same address, {}", bind.ip()))
                .see(span, "the other node")
                .help("`peer` is the other node's address, `bind` is this one's");
            return None;
        }
    }
    if routers.is_empty() {
        problems
            .warning(span, "there is no virtual router whose connections this link could keep")
            .help("add `[virtual-router.NAME]`, or remove `[pair]`");
    }
    Some(plan::Pair {
        peer,
        bind: bind.unwrap_or_else(|| everywhere(peer)),
        key_file: key_file.value.clone(),
        handover_timeout: time(typed.handover_timeout, Section::Pair, "handover-timeout", HTTP),
    })
}

/// Where it is listened, as far as that is clear.
pub(super) fn bind(typed: &Pair) -> Option<SocketAddr> {
    match (&typed.bind, &typed.peer) {
        (Some(At { value: Address::Tcp(bind), .. }), _) => Some(*bind),
        (None, Some(At { value: Address::Tcp(peer), .. })) => Some(everywhere(*peer)),
        _ => None,
    }
}

/// Where a node listens that was told nothing.
fn everywhere(peer: SocketAddr) -> SocketAddr {
    let any: IpAddr =
        if peer.is_ipv4() { Ipv4Addr::UNSPECIFIED.into() } else { Ipv6Addr::UNSPECIFIED.into() };
    SocketAddr::new(any, peer.port())
}

fn internet(typed: &Setting<Address>, problems: &mut Problems) -> Option<SocketAddr> {
    let typed = typed.as_ref()?;
    match &typed.value {
        Address::Tcp(address) => Some(*address),
        Address::Unix(_) => {
            problems
                .error(typed.span, "the two nodes reach each other over the network, not over a unix socket")
                .help("write an IP address and a port such as `\"10.0.0.12:7411\"`");
            None
        }
    }
}
