//! Routes that follow an address.

use std::net::{IpAddr, Ipv6Addr};

use super::OWN_PROTOCOL;
use super::message::{
    FLAG_ACK, FLAG_CREATE, FLAG_DUMP, FLAG_REPLACE, INET, INET6, Request, attributes, ip, octets, u32_at,
};

pub(super) const NEW: u16 = 24;
pub(super) const DELETE: u16 = 25;
pub(super) const GET: u16 = 26;

/// Bytes of `struct rtmsg`.
const FIXED: usize = 12;
const RTA_DST: u16 = 1;
const RTA_OIF: u16 = 4;
const RTA_GATEWAY: u16 = 5;
const RTA_PRIORITY: u16 = 6;
const RTA_PREFSRC: u16 = 7;
const RTA_TABLE: u16 = 15;
const RTA_EXPIRES: u16 = 23;
const RTN_UNICAST: u8 = 1;
const RTN_LOCAL: u8 = 2;
const TABLE_LOCAL: u8 = 255;
/// Much longer than the kernel's worker needs on a busy machine.
const LOCAL_SECONDS: u32 = 10;
const SCOPE_UNIVERSE: u8 = 0;
const SCOPE_LINK: u8 = 253;
/// The kernel gives an IPv6 route this metric when none is asked for.
const DEFAULT_METRIC_V6: u32 = 1024;

/// A route of ours.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Route {
    /// Where packets go to; its family is that of the route.
    pub destination: IpAddr,
    /// Length of the destination's network; 0 is every destination.
    pub prefix: u8,
    /// The router that takes them; `None` when they are on the interface's own network.
    pub via: Option<IpAddr>,
    /// The interface.
    pub index: u32,
    /// The source address of packets that this machine sends itself.
    pub source: Option<IpAddr>,
    /// The routing table; 254 is the main one.
    pub table: u32,
    /// Routes with less are preferred; 0 is the kernel's default.
    pub metric: u32,
}

impl Route {
    fn request(&self, kind: u16, flags: u16) -> Request {
        let family = super::message::family(self.destination);
        let scope = match self.via {
            None if family == INET => SCOPE_LINK,
            _ => SCOPE_UNIVERSE,
        };
        let table = u8::try_from(self.table).unwrap_or(0);
        let fixed = [family, self.prefix, 0, 0, table, OWN_PROTOCOL, scope, RTN_UNICAST, 0, 0, 0, 0];
        let mut request = Request::new(kind, flags | FLAG_ACK, &fixed);
        if self.prefix > 0 {
            request.attribute(RTA_DST, &octets(self.destination));
        }
        if let Some(via) = self.via {
            request.attribute(RTA_GATEWAY, &octets(via));
        }
        request.number(RTA_OIF, self.index).number(RTA_TABLE, self.table);
        if self.metric > 0 {
            request.number(RTA_PRIORITY, self.metric);
        }
        if let Some(source) = self.source {
            request.attribute(RTA_PREFSRC, &octets(source));
        }
        request
    }

    pub(super) fn add(&self) -> Request {
        self.request(NEW, FLAG_CREATE | FLAG_REPLACE)
    }

    pub(super) fn delete(&self) -> Request {
        self.request(DELETE, 0)
    }
}

/// The kernel takes packets for an IPv6 address only when its own route for it is there, which a worker of ordinary priority
/// adds some milliseconds after the address. This one does the same until then, and goes by itself.
pub(super) fn local(index: u32, ip: Ipv6Addr) -> Request {
    let mut request = local_request(NEW, FLAG_CREATE | FLAG_REPLACE, index, ip);
    request.number(RTA_EXPIRES, LOCAL_SECONDS);
    request
}

/// Removes it before its time.
pub(super) fn no_local(index: u32, ip: Ipv6Addr) -> Request {
    local_request(DELETE, 0, index, ip)
}

fn local_request(kind: u16, flags: u16, index: u32, ip: Ipv6Addr) -> Request {
    let fixed = [INET6, 128, 0, 0, TABLE_LOCAL, OWN_PROTOCOL, SCOPE_UNIVERSE, RTN_LOCAL, 0, 0, 0, 0];
    let mut request = Request::new(kind, flags | FLAG_ACK, &fixed);
    // Not the kernel's own, whose metric is 0.
    request.attribute(RTA_DST, &ip.octets()).number(RTA_OIF, index).number(RTA_PRIORITY, DEFAULT_METRIC_V6);
    request
}

pub(super) fn list(family: u8) -> Request {
    let mut fixed = [0; FIXED];
    fixed[0] = family;
    // With strict checking the kernel lists only what has our mark.
    fixed[5] = OWN_PROTOCOL;
    Request::new(GET, FLAG_DUMP, &fixed)
}

/// A route of ours; `None` for those of others, and for those that belong to an address.
pub(super) fn decode(body: &[u8]) -> Option<Route> {
    if *body.get(5)? != OWN_PROTOCOL || *body.get(7)? == RTN_LOCAL {
        return None;
    }
    let unspecified = |family| if family == INET { IpAddr::from([0; 4]) } else { IpAddr::from([0; 16]) };
    let family = *body.first()?;
    let mut route = Route {
        destination: unspecified(family),
        prefix: *body.get(1)?,
        via: None,
        index: 0,
        source: None,
        table: u32::from(*body.get(4)?),
        metric: 0,
    };
    for (kind, value) in attributes(body, FIXED) {
        match kind {
            RTA_DST => route.destination = ip(value)?,
            RTA_GATEWAY => route.via = ip(value),
            RTA_OIF => route.index = u32_at(value, 0)?,
            RTA_PRIORITY => route.metric = u32_at(value, 0)?,
            RTA_PREFSRC => route.source = ip(value),
            RTA_TABLE => route.table = u32_at(value, 0)?,
            _ => {}
        }
    }
    if family != INET && route.metric == DEFAULT_METRIC_V6 {
        route.metric = 0;
    }
    Some(route)
}

#[cfg(test)]
mod tests {
    use super::super::message::messages;
    use super::*;

    #[test]
    fn a_route_is_read_as_it_was_written() {
        let route = Route {
            destination: "0.0.0.0".parse().unwrap(),
            prefix: 0,
            via: Some("192.0.2.1".parse().unwrap()),
            index: 4,
            source: Some("192.0.2.100".parse().unwrap()),
            table: 1000,
            metric: 5,
        };
        let bytes = route.add().finish(1);
        assert_eq!(decode(messages(&bytes).next().unwrap().body), Some(route));
        for end in 0..bytes.len() {
            let _ = decode(bytes.get(16..end).unwrap_or_default());
        }
    }

    #[test]
    fn routes_of_others_are_passed_over() {
        let mut body = [0; FIXED];
        (body[0], body[5]) = (INET, 3);
        assert_eq!(decode(&body), None);
        let local = local(4, "fd99::50".parse().unwrap()).finish(1);
        assert_eq!(decode(messages(&local).next().unwrap().body), None);
    }
}
