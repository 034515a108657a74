//! Rules that say which routing table is asked (ip-rule(8)).

use std::net::IpAddr;

use super::OWN_PROTOCOL;
use super::message::{
    FLAG_ACK, FLAG_CREATE, FLAG_DUMP, FLAG_EXCLUSIVE, INET, Request, attributes, ip, octets, u32_at,
};

pub(super) const NEW: u16 = 32;
pub(super) const DELETE: u16 = 33;
pub(super) const GET: u16 = 34;

/// Bytes of `struct fib_rule_hdr`.
const FIXED: usize = 12;
const FRA_DST: u16 = 1;
const FRA_SRC: u16 = 2;
const FRA_PRIORITY: u16 = 6;
const FRA_TABLE: u16 = 15;
const FRA_PROTOCOL: u16 = 21;
const TO_TABLE: u8 = 1;

/// A rule of ours.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rule {
    /// It is one for IPv6.
    pub is_v6: bool,
    /// Source network of packets.
    pub from: Option<(IpAddr, u8)>,
    /// Destination network of packets.
    pub to: Option<(IpAddr, u8)>,
    /// The routing table that is asked for them.
    pub table: u32,
    /// Rules with less are asked first.
    pub priority: u32,
}

impl Rule {
    fn request(&self, kind: u16, flags: u16) -> Request {
        let length = |network: Option<(IpAddr, u8)>| network.map_or(0, |(_, prefix)| prefix);
        let table = u8::try_from(self.table).unwrap_or(0);
        let fixed =
            [family(self.is_v6), length(self.to), length(self.from), 0, table, 0, 0, TO_TABLE, 0, 0, 0, 0];
        let mut request = Request::new(kind, flags | FLAG_ACK, &fixed);
        if let Some((ip, _)) = self.to {
            request.attribute(FRA_DST, &octets(ip));
        }
        if let Some((ip, _)) = self.from {
            request.attribute(FRA_SRC, &octets(ip));
        }
        request.number(FRA_PRIORITY, self.priority).number(FRA_TABLE, self.table);
        request.attribute(FRA_PROTOCOL, &[OWN_PROTOCOL]);
        request
    }

    pub(super) fn add(&self) -> Request {
        self.request(NEW, FLAG_CREATE | FLAG_EXCLUSIVE)
    }

    pub(super) fn delete(&self) -> Request {
        self.request(DELETE, 0)
    }
}

fn family(is_v6: bool) -> u8 {
    if is_v6 { super::message::INET6 } else { INET }
}

pub(super) fn list(family: u8) -> Request {
    let mut fixed = [0; FIXED];
    fixed[0] = family;
    Request::new(GET, FLAG_DUMP, &fixed)
}

/// A rule of ours; `None` for those of others.
pub(super) fn decode(body: &[u8]) -> Option<Rule> {
    let is_v6 = *body.first()? != INET;
    let mut rule = Rule { is_v6, from: None, to: None, table: u32::from(*body.get(4)?), priority: 0 };
    let mut protocol = 0;
    let (to, from) = (*body.get(1)?, *body.get(2)?);
    for (kind, value) in attributes(body, FIXED) {
        match kind {
            FRA_DST => rule.to = Some((ip(value)?, to)),
            FRA_SRC => rule.from = Some((ip(value)?, from)),
            FRA_PRIORITY => rule.priority = u32_at(value, 0)?,
            FRA_TABLE => rule.table = u32_at(value, 0)?,
            FRA_PROTOCOL => protocol = *value.first()?,
            _ => {}
        }
    }
    (protocol == OWN_PROTOCOL).then_some(rule)
}

#[cfg(test)]
mod tests {
    use super::super::message::messages;
    use super::*;

    #[test]
    fn a_rule_is_read_as_it_was_written() {
        let rule = Rule {
            is_v6: false,
            from: Some(("192.0.2.100".parse().unwrap(), 32)),
            to: None,
            table: 1000,
            priority: 90,
        };
        let bytes = rule.add().finish(1);
        assert_eq!(decode(messages(&bytes).next().unwrap().body), Some(rule));
        for end in 0..bytes.len() {
            let _ = decode(bytes.get(16..end).unwrap_or_default());
        }
    }
}
