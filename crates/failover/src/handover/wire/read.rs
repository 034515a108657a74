//! Reads whole messages. Whatever is not said as [`super::pieces`] would say it is refused.

use std::net::{IpAddr, SocketAddr};

use super::{DONE, ENDED, HELLO, Key, MOST_ADDRESSES, MOVED, OFFER, READY, REFUSE, STOPPED, WHYS};
use crate::handover::message::Message;
use crate::handover::{Flow, MOST_FLOWS};

pub(super) fn message(bytes: &[u8]) -> Option<(Key, Message)> {
    let mut reader = Reader(bytes);
    let key = reader.key()?;
    let message = match reader.byte()? {
        HELLO => Message::Hello { giving: reader.maybe()?, taking: reader.maybe()? },
        OFFER => Message::Offer { number: reader.number()?, flows: reader.flows(&key)? },
        REFUSE => Message::Refuse { number: reader.number()?, why: *WHYS.get(usize::from(reader.byte()?))? },
        READY => Message::Ready { number: reader.number()? },
        MOVED => Message::Moved { number: reader.number()?, flows: reader.flows(&key)? },
        ENDED => Message::Ended { number: reader.number()?, flows: reader.flows(&key)? },
        DONE => Message::Done { number: reader.number()? },
        STOPPED => Message::Stopped { number: reader.number()? },
        _ => return None,
    };
    reader.0.is_empty().then_some((key, message))
}

struct Reader<'a>(&'a [u8]);

impl Reader<'_> {
    fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (first, rest) = self.0.split_first_chunk()?;
        self.0 = rest;
        Some(*first)
    }

    fn byte(&mut self) -> Option<u8> {
        self.array::<1>().map(|[byte]| byte)
    }

    fn short(&mut self) -> Option<u16> {
        self.array().map(u16::from_be_bytes)
    }

    fn number(&mut self) -> Option<u64> {
        self.array().map(u64::from_be_bytes)
    }

    fn maybe(&mut self) -> Option<Option<u64>> {
        match (self.byte()?, self.number()?) {
            (0, 0) => Some(None),
            (1, number) => Some(Some(number)),
            _ => None,
        }
    }

    fn ip(&mut self, is_v6: bool) -> Option<IpAddr> {
        if is_v6 {
            // An IPv4 address has another name.
            let ip = IpAddr::from(self.array::<16>()?);
            (ip.to_canonical() == ip).then_some(ip)
        } else {
            self.array::<4>().map(IpAddr::from)
        }
    }

    fn key(&mut self) -> Option<Key> {
        let count = usize::from(self.short()?);
        if count == 0 || count > MOST_ADDRESSES {
            return None;
        }
        let mut key = Key::new();
        for _ in 0..count {
            let is_v6 = match self.byte()? {
                4 => false,
                6 => true,
                _ => return None,
            };
            let ip = self.ip(is_v6)?;
            if key.last().is_some_and(|last| *last >= ip) {
                return None;
            }
            key.push(ip);
        }
        Some(key)
    }

    fn flows(&mut self, key: &[IpAddr]) -> Option<Vec<Flow>> {
        /// Bytes of a flow of IPv4.
        const LEAST: usize = 10;
        let count = usize::try_from(self.array().map(u32::from_be_bytes)?).ok()?;
        if count > MOST_FLOWS || count > self.0.len() / LEAST {
            return None;
        }
        let mut flows = Vec::with_capacity(count);
        for _ in 0..count {
            let ip = *key.get(usize::from(self.short()?))?;
            let local = SocketAddr::new(ip, self.short()?);
            let client = SocketAddr::new(self.ip(ip.is_ipv6())?, self.short()?);
            flows.push(Flow { client, local });
        }
        Some(flows)
    }
}
