//! keepalived's `auth_hmac` (draft-cassen-vrrp-auth-hmac as of keepalived 2.4.2): 28 bytes behind the message, which
//! the message's own length and checksum know nothing of.
//!
//! ```text
//! type 1 | key id | reserved 0 (2) | seconds (4) | 1/65536 s (2) | counter (2) | HMAC-SHA-256, first half (16)
//! ```
//!
//! The HMAC covers a pseudo header of 20 bytes (family, version, router, 0, source filled up to 16), the message with
//! checksum 0, the trailer up to the HMAC, and 16 zeros. The time and the counter together are one number that grows
//! with each message. Invariant: what was heard is remembered only after its HMAC was right.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::time::Duration;

use hmac::{KeyInit as _, Mac as _};
use sha2::Sha256;

use super::authentication::{Hmac, Key, Mode};
use super::interval::Interval;
use super::params::{Family, Version, VirtualRouterId};
use super::refusal::Refusal;

/// The length of the trailer.
pub const TRAILER_BYTES: usize = 28;

const PREFIX_BYTES: usize = 12;
const HMAC_BYTES: usize = 16;
const EXTENSION: u8 = 1;
const SHORTEST_WINDOW: Duration = Duration::from_secs(5);
/// Senders that are remembered; [`Delivery::Unicast`](super::params::Delivery) allows no more.
const MOST_SENDERS: usize = super::params::MOST_PEERS;

/// The bytes behind a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Trailer {
    bytes: [u8; TRAILER_BYTES],
}

impl Trailer {
    /// `None` when it is not exactly as long as a trailer.
    // fuzz: vrrp
    #[must_use]
    pub fn parse(bytes: &[u8]) -> Option<Self> {
        Some(Self { bytes: bytes.try_into().ok()? })
    }

    fn key_id(&self) -> u8 {
        self.bytes[1]
    }

    fn is_well_formed(&self) -> bool {
        self.bytes[0] == EXTENSION && self.bytes[2..4] == [0, 0]
    }

    /// Seconds, fraction and counter as one number.
    fn sequence(&self) -> u64 {
        self.bytes[4..PREFIX_BYTES].iter().fold(0, |number, &byte| number << 8 | u64::from(byte))
    }
}

/// What the HMAC binds besides the message.
#[derive(Clone, Copy, Debug)]
pub struct Binding {
    /// The version of the message.
    pub version: Version,
    /// The virtual router.
    pub vrid: VirtualRouterId,
    /// The sender.
    pub source: IpAddr,
}

/// The allowed difference of clocks.
#[must_use]
pub fn window(settings: &Hmac, interval: Interval) -> Duration {
    settings.window.unwrap_or_else(|| SHORTEST_WINDOW.max(interval.duration() * 3))
}

/// The sending side: seals messages with numbers that grow.
#[derive(Clone, Debug, Default)]
pub struct Sealer {
    last: u64,
}

impl Sealer {
    /// The last number.
    #[must_use]
    pub fn last(&self) -> u64 {
        self.last
    }

    /// Goes on after this number, which another process has used.
    pub fn resume(&mut self, last: u64) {
        self.last = self.last.max(last);
    }

    /// The number for a message sent now, as wall clock since 1970.
    ///
    /// One more than the last when the clock has not moved on. When the clock was set back by more than `window`, the
    /// clock wins: receivers refuse numbers of the future anyhow.
    pub fn next(&mut self, wall: Duration, window: Duration) -> u64 {
        let clock = number_of(wall);
        let far = self.last.saturating_sub(clock) > number_of(window);
        self.last = if clock > self.last || far { clock } else { self.last.saturating_add(1) };
        self.last
    }
}

/// Appends the trailer to `message`, whose mode asks for one.
pub fn seal(settings: &Hmac, binding: &Binding, sequence: u64, message: &mut Vec<u8>) {
    let key = settings.keys.iter().find(|key| key.id == settings.active_key);
    let Some(key) = key.filter(|_| settings.mode != Mode::ReceiveOnly) else { return };
    let mut prefix = [0; PREFIX_BYTES];
    prefix[..2].copy_from_slice(&[EXTENSION, key.id]);
    prefix[4..].copy_from_slice(&sequence.to_be_bytes());
    let code = code(key, binding, message, &prefix).finalize().into_bytes();
    message.extend(prefix);
    message.extend(&code[..HMAC_BYTES]);
}

/// The receiving side: remembers the last number of each sender.
#[derive(Clone, Debug, Default)]
pub struct Guard {
    senders: BTreeMap<IpAddr, u64>,
}

impl Guard {
    /// Judges a message and its trailer. `wall`: our clock since 1970, if we know it.
    ///
    /// # Errors
    /// The five refusals that begin with `Hmac`.
    pub fn check(
        &mut self,
        settings: &Hmac,
        window: Duration,
        wall: Option<Duration>,
        binding: &Binding,
        message: &[u8],
        trailer: Option<&Trailer>,
    ) -> Result<(), Refusal> {
        let Some(trailer) = trailer else {
            return if settings.mode == Mode::Enforce { Err(Refusal::HmacTrailer) } else { Ok(()) };
        };
        if !trailer.is_well_formed() {
            return Err(Refusal::HmacTrailer);
        }
        // Before the costly part, so that a flood of old messages stays cheap.
        let theirs = Duration::from_secs(trailer.sequence() >> 32);
        let ours = Duration::from_secs(wall.ok_or(Refusal::HmacStale)?.as_secs());
        if ours.abs_diff(theirs) > window {
            return Err(Refusal::HmacStale);
        }
        let key = settings.keys.iter().find(|key| key.id == trailer.key_id());
        let key = key.ok_or(Refusal::HmacKey)?;
        let (prefix, code_bytes) = trailer.bytes.split_at(PREFIX_BYTES);
        // Compares in constant time.
        code(key, binding, message, prefix)
            .verify_truncated_left(code_bytes)
            .map_err(|_| Refusal::HmacWrong)?;
        let sequence = trailer.sequence();
        if self.senders.get(&binding.source).is_some_and(|&last| sequence <= last) {
            return Err(Refusal::HmacReplayed);
        }
        if self.senders.len() >= MOST_SENDERS && !self.senders.contains_key(&binding.source) {
            self.senders.pop_first();
        }
        self.senders.insert(binding.source, sequence);
        Ok(())
    }
}

/// Seconds in the upper half, then the fraction, then room for the counter.
fn number_of(wall: Duration) -> u64 {
    let fraction = (u64::from(wall.subsec_nanos()) << 16) / 1_000_000_000;
    (wall.as_secs() & 0xffff_ffff) << 32 | fraction << 16
}

fn code(key: &Key, binding: &Binding, message: &[u8], prefix: &[u8]) -> hmac::Hmac<Sha256> {
    // Keys of every length are taken (RFC 2104); the empty one stands for "cannot happen".
    let mut code = hmac::Hmac::<Sha256>::new_from_slice(&key.secret)
        .unwrap_or_else(|_| hmac::Hmac::<Sha256>::new(&[0; 64].into()));
    let family = if Family::of(binding.source) == Family::V4 { 4 } else { 6 };
    let version = if binding.version == Version::V2 { 2 } else { 3 };
    let mut pseudo = [0; 20];
    pseudo[..3].copy_from_slice(&[family, version, binding.vrid.number()]);
    match binding.source {
        IpAddr::V4(source) => pseudo[4..8].copy_from_slice(&source.octets()),
        IpAddr::V6(source) => pseudo[4..].copy_from_slice(&source.octets()),
    }
    code.update(&pseudo);
    // The checksum differs from peer to peer; the HMAC is one for all.
    let (before, rest) = message.split_at(message.len().min(6));
    code.update(before);
    code.update(&[0; 2]);
    code.update(rest.get(2..).unwrap_or_default());
    code.update(prefix);
    code.update(&[0; HMAC_BYTES]);
    code
}

#[cfg(test)]
mod tests;
