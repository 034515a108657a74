//! Messages as bytes, in pieces that the link carries: [`pieces`] and [`Reassembly`].
//!
//! ```text
//! piece     version 1 | last 1 | part of a message
//! message   count 2, each: family 1 (4 or 6), address      what moves, in order: the key
//!           kind 1 | number 8 ...
//! flows     count 4, each: place of the local address 2 | its port 2 | client's address | its port 2
//! ```
//!
//! Numbers are in network byte order; a client's address is of the family of the local one. There is one way to say each
//! message: what is said in another is refused.
//!
//! Invariants: no bytes make it panic; what is kept of a message that is not whole is bounded by [`MOST_MESSAGE`].

mod read;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};

use super::message::{Message, Why};
use super::{Flow, MOST_FLOWS};

/// The version that is spoken here.
pub const VERSION: u8 = 1;
/// Bytes of a piece at most: what the link carries.
pub const MOST_PIECE: usize = 32_768;
/// Addresses that move together at most.
pub const MOST_ADDRESSES: usize = 1024;
/// Bytes of a message at most: as many addresses and flows of IPv6 as there may be, and the words around them.
pub const MOST_MESSAGE: usize = 2 + MOST_ADDRESSES * 17 + 32 + MOST_FLOWS * 22;
/// Bytes of a piece before the part.
const HEAD: usize = 2;

const HELLO: u8 = 1;
const OFFER: u8 = 2;
const REFUSE: u8 = 3;
const READY: u8 = 4;
const MOVED: u8 = 5;
const ENDED: u8 = 6;
const DONE: u8 = 7;
const STOPPED: u8 = 8;

const WHYS: [Why; 9] = [
    Why::NoLink,
    Why::Silent,
    Why::Busy,
    Why::Active,
    Why::Kernel,
    Why::TooMany,
    Why::Unlisted,
    Why::Unknown,
    Why::Version,
];

/// What is wrong with what the other node says. The session is of no more use then.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flaw {
    /// It speaks this version.
    Version(u8),
    /// A message is longer than [`MOST_MESSAGE`].
    TooLong,
    /// A message ends too early, goes on after its end, or says what cannot be.
    Senseless,
}

impl std::fmt::Display for Flaw {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Version(version) => {
                write!(f, "it speaks version {version} of the handover, and this node version {VERSION}")
            }
            Self::TooLong => f.write_str("it says more than a message may be long"),
            Self::Senseless => f.write_str("what it says about a handover makes no sense"),
        }
    }
}

/// The addresses that move together, sorted: what the two nodes call the machine by.
pub type Key = Vec<IpAddr>;

/// Says a message about the addresses of `key`, at most [`MOST_ADDRESSES`] in order. Flows to other addresses, of which there
/// are none, and those beyond [`MOST_FLOWS`] are left out.
#[must_use]
pub fn pieces(key: &[IpAddr], message: &Message) -> Vec<Vec<u8>> {
    let mut bytes = Vec::new();
    put_u16(&mut bytes, key.len());
    for ip in key {
        bytes.push(if ip.is_ipv4() { 4 } else { 6 });
        put_ip(&mut bytes, *ip);
    }
    put_message(&mut bytes, key, message);
    let mut parts: Vec<Vec<u8>> = bytes
        .chunks(MOST_PIECE - HEAD)
        .map(|part| {
            let mut piece = Vec::with_capacity(HEAD + part.len());
            piece.extend_from_slice(&[VERSION, 0]);
            piece.extend_from_slice(part);
            piece
        })
        .collect();
    if let Some(is_last) = parts.last_mut().and_then(|last| last.get_mut(1)) {
        *is_last = 1;
    }
    parts
}

fn put_message(bytes: &mut Vec<u8>, key: &[IpAddr], message: &Message) {
    let simple = |bytes: &mut Vec<u8>, kind: u8, number: u64| {
        bytes.push(kind);
        bytes.extend_from_slice(&number.to_be_bytes());
    };
    match message {
        Message::Hello { giving, taking } => {
            bytes.push(HELLO);
            for number in [giving, taking] {
                bytes.push(u8::from(number.is_some()));
                bytes.extend_from_slice(&number.unwrap_or(0).to_be_bytes());
            }
        }
        Message::Offer { number, flows } => {
            simple(bytes, OFFER, *number);
            put_flows(bytes, key, flows);
        }
        Message::Refuse { number, why } => {
            simple(bytes, REFUSE, *number);
            let place = WHYS.iter().position(|known| known == why).unwrap_or(0);
            bytes.push(u8::try_from(place).unwrap_or(0));
        }
        Message::Ready { number } => simple(bytes, READY, *number),
        Message::Moved { number, flows } => {
            simple(bytes, MOVED, *number);
            put_flows(bytes, key, flows);
        }
        Message::Ended { number, flows } => {
            simple(bytes, ENDED, *number);
            put_flows(bytes, key, flows);
        }
        Message::Done { number } => simple(bytes, DONE, *number),
        Message::Stopped { number } => simple(bytes, STOPPED, *number),
    }
}

fn put_flows(bytes: &mut Vec<u8>, key: &[IpAddr], flows: &[Flow]) {
    let places: BTreeMap<IpAddr, usize> = key.iter().enumerate().map(|(place, ip)| (*ip, place)).collect();
    let count_at = bytes.len();
    bytes.extend_from_slice(&[0; 4]);
    let mut count = 0_u32;
    for Flow { client, local } in flows.iter().take(MOST_FLOWS) {
        let Some(place) = places.get(&local.ip()).filter(|_| client.is_ipv4() == local.is_ipv4()) else {
            continue;
        };
        put_u16(bytes, *place);
        bytes.extend_from_slice(&local.port().to_be_bytes());
        put_ip(bytes, client.ip());
        bytes.extend_from_slice(&client.port().to_be_bytes());
        count += 1;
    }
    if let Some(place) = bytes.get_mut(count_at..count_at + 4) {
        place.copy_from_slice(&count.to_be_bytes());
    }
}

fn put_u16(bytes: &mut Vec<u8>, number: usize) {
    bytes.extend_from_slice(&u16::try_from(number).unwrap_or(u16::MAX).to_be_bytes());
}

fn put_ip(bytes: &mut Vec<u8>, ip: IpAddr) {
    match ip {
        IpAddr::V4(ip) => bytes.extend_from_slice(&ip.octets()),
        IpAddr::V6(ip) => bytes.extend_from_slice(&ip.octets()),
    }
}

/// What has come of a message that is not whole yet.
#[derive(Clone, Debug, Default)]
pub struct Reassembly {
    bytes: Vec<u8>,
}

impl Reassembly {
    /// Takes the next piece of the session; the message that it is the last of, with its key.
    ///
    /// # Errors
    /// What is wrong with it: nothing more of the session can be read.
    // fuzz: handover
    pub fn take(&mut self, piece: &[u8]) -> Result<Option<(Key, Message)>, Flaw> {
        let (version, rest) = piece.split_first().ok_or(Flaw::Senseless)?;
        if *version != VERSION {
            return Err(Flaw::Version(*version));
        }
        let (is_last, part) = rest.split_first().ok_or(Flaw::Senseless)?;
        if self.bytes.len() + part.len() > MOST_MESSAGE {
            return Err(Flaw::TooLong);
        }
        self.bytes.extend_from_slice(part);
        match is_last {
            0 if part.is_empty() => Err(Flaw::Senseless),
            0 => Ok(None),
            1 => {
                let bytes = std::mem::take(&mut self.bytes);
                read::message(&bytes).map(Some).ok_or(Flaw::Senseless)
            }
            _ => Err(Flaw::Senseless),
        }
    }
}

/// A flow as the two nodes name it: IPv4 as IPv4, without what is of one machine only.
#[must_use]
pub fn flow(client: SocketAddr, local: SocketAddr) -> Flow {
    let plain = |end: SocketAddr| SocketAddr::new(end.ip().to_canonical(), end.port());
    Flow { client: plain(client), local: plain(local) }
}
