//! Whether settings agree with each other and with the protocol.

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::time::Duration;

use super::authentication::{Authentication, Hmac, MOST_KEYS, SECRET_BYTES};
use super::params::{
    Announcing, Delivery, Family, Invalid, LONGEST_PREEMPT_DELAY, MOST_ADDRESSES_V4, MOST_ADDRESSES_V6,
    MOST_ANNOUNCEMENTS, MOST_PEERS, Part, Peer, Preempt, Settings, Version,
};

/// The longest pause between two rounds of announcements.
const LONGEST_ANNOUNCE_PAUSE: Duration = Duration::from_secs(24 * 3600);
/// Announcing more often would load the link for nothing.
const SHORTEST_REFRESH: Duration = Duration::from_secs(1);
const LONGEST_WINDOW: Duration = Duration::from_secs(3600);

/// Everything that is wrong.
pub(super) fn check(settings: &Settings) -> Vec<Invalid> {
    let mut found = Findings(Vec::new());
    if settings.version == Version::V2 && settings.family == Family::V6 {
        found.add(Part::Version, "version 2 is for IPv4 only: use version 3 for IPv6 addresses".to_owned());
    }
    if !settings.interval.fits(settings.version) {
        found.add(
            Part::Interval,
            match settings.version {
                Version::V2 => {
                    "version 2 knows whole seconds only: give whole seconds, or use version 3".to_owned()
                }
                Version::V3 => "version 3 knows intervals up to 40.95 s: give a shorter one".to_owned(),
            },
        );
    }
    if let Preempt::After(delay) = settings.preempt
        && delay > LONGEST_PREEMPT_DELAY
    {
        found.add(
            Part::Preempt,
            format!("a delay of {delay:?} is longer than the longest, {LONGEST_PREEMPT_DELAY:?}"),
        );
    }
    addresses(settings, &mut found);
    if let Delivery::Unicast(peers) = &settings.delivery {
        unicast(settings.family, peers, &mut found);
    }
    authentication(settings, &mut found);
    announcing(&settings.announcing, &mut found);
    found.0
}

struct Findings(Vec<Invalid>);

impl Findings {
    fn add(&mut self, part: Part, what: String) {
        self.0.push(Invalid { part, what });
    }
}

fn addresses(settings: &Settings, found: &mut Findings) {
    let (most, longest) = match settings.family {
        Family::V4 => (MOST_ADDRESSES_V4, 32),
        Family::V6 => (MOST_ADDRESSES_V6, 128),
    };
    let addresses = &settings.addresses;
    if addresses.is_empty() {
        found.add(Part::Addresses, "a virtual router needs at least one address".to_owned());
    }
    if addresses.len() > most {
        found.add(
            Part::Addresses,
            format!(
                "{} addresses are more than one advertisement carries, {most}: use a second router",
                addresses.len()
            ),
        );
    }
    let mut seen = BTreeSet::new();
    for address in addresses {
        let ip = address.ip;
        if Family::of(ip) != settings.family {
            found.add(
                Part::Addresses,
                format!("{ip} is of the other family: use one virtual router for IPv4 and one for IPv6"),
            );
        } else if address.prefix > longest {
            found.add(
                Part::Addresses,
                format!("{ip}/{}: the prefix is longer than {longest}", address.prefix),
            );
        }
        if ip.is_unspecified() || ip.is_multicast() || ip.is_loopback() {
            found.add(
                Part::Addresses,
                format!("{ip} cannot be held by one host: give an address of the link"),
            );
        }
        if !seen.insert(ip) {
            found.add(Part::Addresses, format!("{ip} is there twice: leave one out"));
        }
    }
    if let Some(IpAddr::V6(first)) = addresses.first().map(|address| address.ip)
        && !first.is_unicast_link_local()
    {
        found.add(
            Part::Addresses,
            format!("{first} is first: the first address of an IPv6 router must be link-local (fe80::…), the same on both nodes"),
        );
    }
}

fn unicast(family: Family, peers: &[Peer], found: &mut Findings) {
    if peers.is_empty() {
        found.add(
            Part::Delivery,
            "unicast without a peer reaches nobody: name a peer, or use multicast".to_owned(),
        );
    }
    if peers.len() > MOST_PEERS {
        found.add(Part::Delivery, format!("{} peers are more than {MOST_PEERS}: use multicast", peers.len()));
    }
    let mut seen = BTreeSet::new();
    for Peer { address, .. } in peers {
        if Family::of(*address) != family {
            found.add(
                Part::Delivery,
                format!("peer {address} is of the other family than the router's addresses"),
            );
        }
        if address.is_multicast() || address.is_unspecified() {
            found.add(Part::Delivery, format!("peer {address} is not the address of one host"));
        }
        if !seen.insert(address) {
            found.add(Part::Delivery, format!("peer {address} is there twice: leave one out"));
        }
    }
}

fn authentication(settings: &Settings, found: &mut Findings) {
    match &settings.authentication {
        Authentication::None => {}
        Authentication::Pass(_) if settings.version == Version::V2 => {}
        Authentication::Pass(_) => found.add(
            Part::Authentication,
            "version 3 has no password: leave it out, or use version 2".to_owned(),
        ),
        Authentication::Hmac(_) if settings.delivery == Delivery::Multicast => {
            found.add(Part::Authentication, "HMAC needs peers: name them, or leave it out".to_owned());
        }
        Authentication::Hmac(hmac) => keys(hmac, found),
    }
}

fn keys(hmac: &Hmac, found: &mut Findings) {
    let mut add = |what: String| found.add(Part::Authentication, what);
    if hmac.keys.len() > MOST_KEYS {
        add(format!("{} keys are more than {MOST_KEYS}: leave old ones out", hmac.keys.len()));
    }
    let mut seen = BTreeSet::new();
    for key in &hmac.keys {
        if key.id == 0 {
            add("a key has the id 0: give it one from 1 to 255".to_owned());
        }
        if !seen.insert(key.id) {
            add(format!("two keys have the id {}: give each its own", key.id));
        }
        if !SECRET_BYTES.contains(&key.secret.len()) {
            add(format!("key {} has {} bytes: give it 32 to 64", key.id, key.secret.len()));
        }
    }
    if !seen.contains(&hmac.active_key) {
        add(format!("the active key {} is not among the keys: name one of them", hmac.active_key));
    }
    if let Some(window) = hmac.window
        && !(Duration::from_secs(1)..=LONGEST_WINDOW).contains(&window)
    {
        add(format!("a window of {window:?} is not within 1 s and 1 h"));
    }
}

fn announcing(announcing: &Announcing, found: &mut Findings) {
    let mut add = |what: String| found.add(Part::Announcing, what);
    if !(1..=MOST_ANNOUNCEMENTS).contains(&announcing.count) {
        add(format!("{} announcements in a row: give 1 to {MOST_ANNOUNCEMENTS}", announcing.count));
    }
    if announcing.again_after > LONGEST_ANNOUNCE_PAUSE {
        add(format!("{:?} until the second round is more than a day", announcing.again_after));
    }
    if let Some(refresh) = announcing.refresh
        && !(SHORTEST_REFRESH..=LONGEST_ANNOUNCE_PAUSE).contains(&refresh)
    {
        add(format!("announcing every {refresh:?} is not within 1 s and one day"));
    }
}

#[cfg(test)]
mod tests;
