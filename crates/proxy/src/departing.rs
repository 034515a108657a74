//! Client connections by the address that they have come to, and addresses that another machine has now.
//!
//! After a planned failover the connections to a virtual address go on here while the other node passes their packets on. They are
//! to end when they next can, and `status` shows what is left. Nothing is counted until the supervisor has said that this
//! machine is one of a pair: then it costs a call of the kernel (getsockname(2)) for each accepted connection, and a relaxed load
//! for each response.
//!
//! Invariant: what was counted is uncounted as the kind that it was counted as last.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock, RwLock};

use crate::message::DepartingSnapshot;

/// Addresses of a machine that are told apart. Connections to further ones are not counted and go on as ever.
const MOST_ADDRESSES: usize = 4096;

/// What a connection is at the moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Http1,
    Http2,
    Tcp,
    /// What was HTTP/1 and is a tunnel now, such as a WebSocket.
    Tunnel,
}

const KINDS: [Kind; 4] = [Kind::Http1, Kind::Http2, Kind::Tcp, Kind::Tunnel];

/// All addresses that clients have come to.
#[derive(Debug, Default)]
pub(crate) struct Departing {
    /// Set once this machine is one of a pair.
    places: OnceLock<RwLock<Places>>,
}

#[derive(Debug, Default)]
struct Places {
    by_address: BTreeMap<IpAddr, Arc<Place>>,
    departing: Vec<IpAddr>,
}

/// One address.
#[derive(Debug, Default)]
struct Place {
    departs: AtomicBool,
    left: [AtomicU64; KINDS.len()],
}

impl Departing {
    /// From now on these addresses are another machine's, and no others.
    pub(crate) fn follow(&self, mut addresses: Vec<IpAddr>) {
        addresses.truncate(MOST_ADDRESSES);
        let places = self.places.get_or_init(Default::default);
        let Ok(mut places) = places.write() else { return };
        for (address, place) in &places.by_address {
            place.departs.store(addresses.contains(address), Ordering::Relaxed);
        }
        places.departing = addresses;
    }

    /// Counts a connection to what `address` says, when connections are counted at all.
    pub(crate) fn enter(&self, kind: Kind, address: impl FnOnce() -> Option<IpAddr>) -> Option<Guest> {
        let places = self.places.get()?;
        let address = address()?;
        let known = places.read().ok()?.by_address.get(&address).cloned();
        let place = match known {
            Some(place) => place,
            None => places.write().ok()?.add(address)?,
        };
        let guest = Guest { place, kind: AtomicU8::new(kind as u8) };
        guest.counter().fetch_add(1, Ordering::Relaxed);
        Some(guest)
    }

    /// What is left to addresses that are another machine's.
    pub(crate) fn snapshot(&self) -> DepartingSnapshot {
        let mut sum = DepartingSnapshot::default();
        let Some(places) = self.places.get().and_then(|places| places.read().ok()) else { return sum };
        for place in places.by_address.values().filter(|place| place.departs.load(Ordering::Relaxed)) {
            let left = |kind: Kind| place.left[kind as usize].load(Ordering::Relaxed);
            sum.http1 += left(Kind::Http1);
            sum.http2 += left(Kind::Http2);
            sum.tcp += left(Kind::Tcp);
            sum.tunnel += left(Kind::Tunnel);
        }
        sum.addresses.clone_from(&places.departing);
        sum
    }
}

impl Places {
    fn add(&mut self, address: IpAddr) -> Option<Arc<Place>> {
        if self.by_address.len() >= MOST_ADDRESSES && !self.by_address.contains_key(&address) {
            return None;
        }
        let departs = self.departing.contains(&address);
        let place = self.by_address.entry(address).or_default();
        place.departs.store(departs, Ordering::Relaxed);
        Some(place.clone())
    }
}

/// A connection while it is counted.
#[derive(Debug)]
pub(crate) struct Guest {
    place: Arc<Place>,
    kind: AtomicU8,
}

impl Guest {
    /// Whether the address is another machine's now.
    pub(crate) fn departs(&self) -> bool {
        self.place.departs.load(Ordering::Relaxed)
    }

    /// The connection is of this kind from now on.
    pub(crate) fn becomes(&self, kind: Kind) {
        self.counter().fetch_sub(1, Ordering::Relaxed);
        self.kind.store(kind as u8, Ordering::Relaxed);
        self.counter().fetch_add(1, Ordering::Relaxed);
    }

    /// What was HTTP/1 is a tunnel from now on. Of HTTP/2 only a stream is.
    pub(crate) fn becomes_tunnel(&self) {
        if self.kind.load(Ordering::Relaxed) == Kind::Http1 as u8 {
            self.becomes(Kind::Tunnel);
        }
    }

    fn counter(&self) -> &AtomicU64 {
        let kind = usize::from(self.kind.load(Ordering::Relaxed)) % KINDS.len();
        &self.place.left[kind]
    }
}

impl Drop for Guest {
    fn drop(&mut self) {
        self.counter().fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ip(last: u8) -> IpAddr {
        [192, 0, 2, last].into()
    }

    #[test]
    fn connections_are_counted_by_kind_while_their_address_is_another_machines() {
        let departing = Departing::default();
        assert!(departing.enter(Kind::Tcp, || panic!("nobody is to be asked")).is_none());
        departing.follow(Vec::new());
        let one = departing.enter(Kind::Http1, || Some(ip(1))).unwrap();
        let two = departing.enter(Kind::Http2, || Some(ip(1))).unwrap();
        let other = departing.enter(Kind::Tcp, || Some(ip(2))).unwrap();
        assert_eq!(departing.snapshot(), DepartingSnapshot::default());

        departing.follow(vec![ip(1)]);
        assert!(one.departs() && two.departs() && !other.departs());
        let late = departing.enter(Kind::Tcp, || Some(ip(1))).unwrap();
        one.becomes(Kind::Tunnel);
        let expected = DepartingSnapshot { addresses: vec![ip(1)], http1: 0, http2: 1, tcp: 1, tunnel: 1 };
        assert_eq!(departing.snapshot(), expected);
        drop((one, late));
        assert_eq!(departing.snapshot(), DepartingSnapshot { tcp: 0, tunnel: 0, ..expected });

        departing.follow(vec![ip(2), ip(3)]);
        assert!(!two.departs() && other.departs());
        assert!(departing.enter(Kind::Tcp, || Some(ip(3))).unwrap().departs());
    }

    #[test]
    fn addresses_beyond_the_bound_are_not_counted() {
        let departing = Departing::default();
        departing.follow(Vec::new());
        let address = |number: usize| IpAddr::from(u32::try_from(number).unwrap().to_be_bytes());
        let guests: Vec<_> =
            (0..MOST_ADDRESSES).map(|number| departing.enter(Kind::Tcp, || Some(address(number)))).collect();
        assert!(guests.iter().all(Option::is_some));
        assert!(departing.enter(Kind::Tcp, || Some(address(MOST_ADDRESSES))).is_none());
        assert!(departing.enter(Kind::Tcp, || Some(address(7))).is_some());
    }
}
