//! Orders to nf_tables: tables, chains, sets, elements and rules.

use std::time::Duration;

use super::super::message::{FLAG_ACK, FLAG_CREATE, Request};
use super::expression::{ELEMENT, Steps, VALUE, number};

/// `NFNL_SUBSYS_NFTABLES`, in the upper half of a kind.
const SUBSYSTEM: u16 = 10;
/// `NFNL_MSG_BATCH_BEGIN`, `NFNL_MSG_BATCH_END`.
const BEGIN: u16 = 0x10;
const END: u16 = 0x11;
/// `NLM_F_APPEND`.
const FLAG_APPEND: u16 = 0x800;
/// `NFT_TABLE_F_OWNER`: it goes with the socket that has made it (Linux 5.12).
const OWNER: u32 = 0x2;
/// `NFT_SET_TIMEOUT`, `NFT_SET_EVAL`.
const TIMEOUT: u32 = 0x10;
const EVALUATED: u32 = 0x20;

/// A kind of `NFT_MSG_*`.
#[derive(Clone, Copy)]
enum Kind {
    NewTable = 0,
    DeleteTable = 2,
    NewChain = 3,
    NewRule = 6,
    DeleteRules = 8,
    NewSet = 9,
    NewElements = 12,
    DeleteElements = 14,
}

/// The family of a table: `NFPROTO_*`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Family {
    Arp = 3,
    Netdev = 5,
}

/// `struct nfgenmsg`.
fn general(family: u8, resource: u16) -> [u8; 4] {
    let [high, low] = resource.to_be_bytes();
    [family, 0, high, low]
}

pub(super) fn begin() -> Request {
    Request::new(BEGIN, 0, &general(0, SUBSYSTEM))
}

pub(super) fn end() -> Request {
    Request::new(END, 0, &general(0, SUBSYSTEM))
}

/// Where something is.
#[derive(Clone, Copy)]
pub(super) struct Table<'a> {
    pub(super) family: Family,
    pub(super) name: &'a str,
}

/// A set of one kind of key.
pub(super) struct Set<'a> {
    pub(super) name: &'a str,
    /// For those who list it: `TYPE_*` of nft(8), six bits each.
    pub(super) shown_as: u32,
    pub(super) key_bytes: u32,
    /// Rules add elements, at most so many.
    pub(super) filled_by_rules: Option<u32>,
    pub(super) expires: bool,
}

impl Table<'_> {
    fn order(self, kind: Kind, flags: u16) -> Request {
        let kind = SUBSYSTEM << 8 | kind as u16;
        // Every order is answered, and so are those that fail.
        Request::new(kind, FLAG_ACK | flags, &general(self.family as u8, 0))
    }

    pub(super) fn add(self, is_owned: bool) -> Request {
        let mut request = self.order(Kind::NewTable, FLAG_CREATE);
        request.text(1, self.name);
        number(&mut request, 2, if is_owned { OWNER } else { 0 });
        request
    }

    pub(super) fn delete(self) -> Request {
        let mut request = self.order(Kind::DeleteTable, 0);
        request.text(1, self.name);
        request
    }

    /// A chain that packets enter by themselves, or by a jump only.
    pub(super) fn chain(self, chain: &str, hook: Option<(u32, Option<&str>)>) -> Request {
        let mut request = self.order(Kind::NewChain, FLAG_CREATE);
        request.text(1, self.name).text(3, chain);
        if let Some((place, device)) = hook {
            request.nested(4, |body| {
                number(body, 1, place);
                // The order among chains: before those of others with the usual priority.
                number(body, 2, (-10_i32).cast_unsigned());
                if let Some(device) = device {
                    body.text(3, device);
                }
            });
            request.text(7, "filter");
        }
        request
    }

    pub(super) fn set(self, id: u32, set: &Set<'_>) -> Request {
        let mut request = self.order(Kind::NewSet, FLAG_CREATE);
        request.text(1, self.name).text(2, set.name);
        let evaluated = if set.filled_by_rules.is_some() { EVALUATED } else { 0 };
        number(&mut request, 3, evaluated | if set.expires { TIMEOUT } else { 0 });
        number(&mut request, 4, set.shown_as);
        number(&mut request, 5, set.key_bytes);
        number(&mut request, 10, id);
        if let Some(most) = set.filled_by_rules {
            request.nested(9, |description| number(description, 1, most));
        }
        request
    }

    pub(super) fn add_elements(self, set: &str, keys: &[Vec<u8>], expire: Option<Duration>) -> Request {
        self.elements(Kind::NewElements, FLAG_CREATE, set, keys, expire)
    }

    pub(super) fn delete_elements(self, set: &str, keys: &[Vec<u8>]) -> Request {
        self.elements(Kind::DeleteElements, 0, set, keys, None)
    }

    fn elements(
        self,
        kind: Kind,
        flags: u16,
        set: &str,
        keys: &[Vec<u8>],
        expire: Option<Duration>,
    ) -> Request {
        let mut request = self.order(kind, flags);
        request.text(1, self.name).text(2, set).nested(3, |list| {
            for key in keys {
                list.nested(ELEMENT, |element| {
                    element.nested(1, |data| {
                        data.attribute(VALUE, key);
                    });
                    if let Some(expire) = expire {
                        let millis = u64::try_from(expire.as_millis()).unwrap_or(u64::MAX);
                        element.attribute(4, &millis.to_be_bytes());
                    }
                });
            }
        });
        request
    }

    /// A rule after those that are there.
    pub(super) fn rule(self, chain: &str, fill: impl FnOnce(&mut Steps<'_>)) -> Request {
        let mut request = self.order(Kind::NewRule, FLAG_CREATE | FLAG_APPEND);
        request.text(1, self.name).text(2, chain).nested(4, |list| fill(&mut Steps(list)));
        request
    }

    /// Removes the rules of a chain.
    pub(super) fn clear(self, chain: &str) -> Request {
        let mut request = self.order(Kind::DeleteRules, 0);
        request.text(1, self.name).text(2, chain);
        request
    }
}
