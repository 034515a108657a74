//! Which messages count: the checks of RFC 9568 §7.1 and RFC 3768 §7.1 with their errata, and those that unicast needs.
//!
//! Cheap checks of the origin come first and alarms are based on what passed them, so that a stranger from afar can
//! neither cost much nor accuse anybody. A list of addresses that differs is reported, never a reason to drop.

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::time::Duration;

use super::action::Received;
use super::authentication::Authentication;
use super::hmac::{Binding, Guard, window};
use super::interval::Interval;
use super::packet::{HEADER_BYTES, Message, version};
use super::params::{Coverage, Delivery, Family, Priority, Settings, Version};
use super::refusal::Refusal;

/// What a router on the same link has as hop limit on arrival (RFC 5082).
const NEXT_HOP: u8 = 255;
const NO_AUTHENTICATION: u8 = 0;
const PASSWORD: u8 = 1;

/// An advertisement that counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Accepted {
    /// Who sent it.
    pub source: IpAddr,
    /// `None`: it gives up.
    pub priority: Option<Priority>,
    /// How often it advertises.
    pub interval: Interval,
    /// Whether it lists the same addresses as we, in any order.
    pub same_addresses: bool,
    /// What its checksum covers.
    pub coverage: Coverage,
}

/// Makes every check. `own` is the address that we send from, `wall` the wall clock since 1970.
///
/// # Errors
/// The first refusal.
pub fn validate(
    settings: &Settings,
    own: IpAddr,
    wall: Option<Duration>,
    guard: &mut Guard,
    received: &Received<'_>,
) -> Result<Accepted, Refusal> {
    if received.payload.len() < HEADER_BYTES {
        return Err(Refusal::Truncated);
    }
    if received.payload[1] != settings.vrid.number() {
        return Err(Refusal::OtherRouter);
    }
    origin(settings, own, received)?;
    if version(received.payload) != Some(settings.version) {
        return Err(Refusal::Version);
    }
    let message = Message::parse(settings.family, received.payload)?;
    if !message.is_advertisement() {
        return Err(Refusal::Type);
    }
    authentic(settings, wall, guard, received.source, &message)?;
    let coverage = message.coverage(received.source, received.destination).ok_or(Refusal::Checksum)?;
    let interval = message.interval.ok_or(match settings.version {
        Version::V2 => Refusal::Interval,
        Version::V3 => Refusal::ZeroInterval,
    })?;
    if settings.version == Version::V2 && interval != settings.interval {
        return Err(Refusal::Interval);
    }
    let first = message.addresses().next().ok_or(Refusal::NoAddress)?;
    if let IpAddr::V6(first) = first
        && !first.is_unicast_link_local()
    {
        return Err(Refusal::NotLinkLocal);
    }
    Ok(Accepted {
        source: received.source,
        priority: message.priority,
        interval,
        same_addresses: same_addresses(settings, &message),
        coverage,
    })
}

/// Whether it came from where it may, in the way that is configured.
fn origin(settings: &Settings, own: IpAddr, received: &Received<'_>) -> Result<(), Refusal> {
    if Family::of(received.source) != settings.family || Family::of(received.destination) != settings.family {
        return Err(Refusal::Protocol);
    }
    if received.source == own {
        return Err(Refusal::OwnMessage);
    }
    let to_a_group = received.destination.is_multicast();
    let least_hop_limit = match &settings.delivery {
        Delivery::Multicast if !to_a_group => return Err(Refusal::Delivery),
        Delivery::Multicast => NEXT_HOP,
        Delivery::Unicast(_) if to_a_group => return Err(Refusal::Delivery),
        Delivery::Unicast(peers) => {
            let peer = peers.iter().find(|peer| peer.address == received.source);
            peer.ok_or(Refusal::Stranger)?.least_hop_limit
        }
    };
    if received.hop_limit < least_hop_limit { Err(Refusal::HopLimit) } else { Ok(()) }
}

fn authentic(
    settings: &Settings,
    wall: Option<Duration>,
    guard: &mut Guard,
    source: IpAddr,
    message: &Message<'_>,
) -> Result<(), Refusal> {
    let (wanted_type, password) = match settings.authentication {
        Authentication::Pass(password) => (PASSWORD, Some(password)),
        _ => (NO_AUTHENTICATION, None),
    };
    if message.authentication_type != wanted_type {
        return Err(Refusal::AuthenticationType);
    }
    if let (Some(ours), Some(theirs)) = (password, message.password)
        && !same_secret(&ours.0, &theirs.0)
    {
        return Err(Refusal::Password);
    }
    match &settings.authentication {
        Authentication::Hmac(hmac) => {
            let binding = Binding { version: settings.version, vrid: settings.vrid, source };
            let window = window(hmac, settings.interval);
            guard.check(hmac, window, wall, &binding, message.bytes(), message.trailer.as_ref())
        }
        _ if message.trailer.is_some() => Err(Refusal::HmacTrailer),
        _ => Ok(()),
    }
}

/// Takes the same time whatever is wrong.
fn same_secret(ours: &[u8; 8], theirs: &[u8; 8]) -> bool {
    ours.iter().zip(theirs).fold(0, |different, (one, other)| different | (one ^ other)) == 0
}

fn same_addresses(settings: &Settings, message: &Message<'_>) -> bool {
    let ours = || settings.addresses.iter().map(|address| address.ip);
    // Nearly always even the order is the same.
    message.addresses().eq(ours())
        || message.addresses().len() == settings.addresses.len()
            && message.addresses().collect::<BTreeSet<_>>() == ours().collect()
}

#[cfg(test)]
mod tests;
