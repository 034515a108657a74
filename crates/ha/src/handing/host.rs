//! What a move takes of the kernel: lists of connections, tables for passing, addresses in silence.
//!
//! Invariant: what is here ends by itself when the process dies. Tables for passing go with their socket; addresses on loopback
//! and the silence about them run out after [`LENT`] and [`SILENCE`], unless refreshed, the addresses first.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use evenkeel_failover::handover::action::Pass;
use evenkeel_failover::handover::{Flow, Flows, wire};
use evenkeel_sys::netlink::{List, MOST_ELEMENTS, Netlink, Pair, Passage, Sockets, Tables};

use super::Leg;

/// How long an address stays on loopback without a sign of life of this process.
const LENT: Duration = Duration::from_secs(20);
/// How long it is not answered for.
const SILENCE: Duration = Duration::from_secs(40);
/// How often both are renewed.
pub(super) const REFRESH: Duration = Duration::from_secs(5);
/// The loopback interface has this number in every namespace.
pub(crate) const LOOPBACK: u32 = 1;

/// Passing that is arranged.
pub(super) struct Passing {
    table: String,
    passages: Vec<Passage>,
    passed: Flows,
    known: Flows,
    rest: bool,
}

/// Sockets are opened with the first need.
#[derive(Default)]
pub(super) struct Host {
    netlink: Option<Netlink>,
    sockets: Option<Sockets>,
    tables: Option<Tables>,
    /// Kept in silence.
    silent: BTreeSet<IpAddr>,
    /// On loopback: those, and what is about to be served again.
    lent: BTreeSet<IpAddr>,
    refresh_at: Option<Instant>,
    is_probed: bool,
}

fn opened<T>(slot: &mut Option<T>, open: impl FnOnce() -> io::Result<T>) -> io::Result<&mut T> {
    if slot.is_none() {
        *slot = Some(open()?);
    }
    slot.as_mut().ok_or_else(|| io::Error::other("it was not opened"))
}

fn bits(ip: IpAddr) -> u8 {
    if ip.is_ipv4() { 32 } else { 128 }
}

impl Host {
    pub(super) fn silent(&self) -> &BTreeSet<IpAddr> {
        &self.silent
    }

    pub(super) fn refresh_at(&self) -> Option<Instant> {
        self.refresh_at
    }

    /// Whether this kernel can keep addresses in silence, and end what an earlier process has left of that.
    pub(super) fn probe(&mut self) -> io::Result<()> {
        if !self.is_probed {
            let tables = opened(&mut self.tables, Tables::open)?;
            if self.silent.is_empty() {
                tables.silence(&[], &[], SILENCE)?;
                tables.end_silence()?;
            }
            opened(&mut self.sockets, Sockets::open)?;
            self.is_probed = true;
        }
        Ok(())
    }

    pub(super) fn list(&mut self, addresses: &[IpAddr]) -> io::Result<Flows> {
        if addresses.is_empty() {
            return Ok(Flows::new());
        }
        let found = opened(&mut self.sockets, Sockets::open)?.connections(addresses)?;
        Ok(found.iter().map(|found| wire::flow(found.remote, found.local)).collect())
    }

    pub(super) fn cut(&mut self, addresses: &[IpAddr], flows: &Flows) -> io::Result<()> {
        if flows.is_empty() {
            return Ok(());
        }
        let sockets = opened(&mut self.sockets, Sockets::open)?;
        let mut result = Ok(());
        for found in sockets.connections(addresses)? {
            if flows.contains(&wire::flow(found.remote, found.local)) {
                result = result.and(sockets.end(&found));
            }
        }
        result
    }

    /// The addresses are on loopback, and nobody is told.
    pub(super) fn keep_silent(&mut self, addresses: &BTreeSet<IpAddr>, now: Instant) -> io::Result<()> {
        if addresses.is_subset(&self.silent) {
            return Ok(());
        }
        self.silent.extend(addresses);
        self.refresh(now + REFRESH)
    }

    /// They are answered for again, and stay on loopback until [`Self::serve`].
    pub(super) fn break_silence(&mut self, addresses: &BTreeSet<IpAddr>) -> io::Result<()> {
        let before = self.silent.len();
        self.silent.retain(|ip| !addresses.contains(ip));
        if self.silent.len() == before { Ok(()) } else { self.say_silence() }
    }

    /// They are not on loopback any more.
    pub(super) fn serve(&mut self, addresses: &BTreeSet<IpAddr>, is_silent: bool) -> io::Result<()> {
        let mut result = Ok(());
        if !is_silent {
            for ip in addresses {
                if self.lent.remove(ip) {
                    let netlink = opened(&mut self.netlink, Netlink::open)?;
                    result = result.and(netlink.remove_address(LOOPBACK, *ip, bits(*ip)));
                }
            }
        }
        // After the addresses: between the two they would be answered for.
        result = result.and(self.break_silence(addresses));
        if self.silent.is_empty() {
            self.refresh_at = None;
        }
        result
    }

    /// Renews the silence, and the addresses after it.
    pub(super) fn refresh(&mut self, next: Instant) -> io::Result<()> {
        self.refresh_at = Some(next);
        self.say_silence()?;
        for ip in &self.silent {
            opened(&mut self.netlink, Netlink::open)?.lend_address(LOOPBACK, *ip, bits(*ip), LENT)?;
            self.lent.insert(*ip);
        }
        Ok(())
    }

    fn say_silence(&mut self) -> io::Result<()> {
        let v4 = |ip: &IpAddr| match ip {
            IpAddr::V4(ip) => Some(*ip),
            IpAddr::V6(_) => None,
        };
        let addresses: Vec<Ipv4Addr> = self.silent.iter().filter_map(v4).collect();
        if addresses.is_empty() {
            return match &mut self.tables {
                Some(tables) => tables.end_silence(),
                None => Ok(()),
            };
        }
        let mut own = BTreeMap::new();
        for held in opened(&mut self.netlink, Netlink::open)?.all_addresses()? {
            if let (IpAddr::V4(ip), false, false) = (held.ip, held.is_ours(), held.index == LOOPBACK) {
                own.entry(held.index).or_insert(ip);
            }
        }
        let own: Vec<(u32, Ipv4Addr)> = own.into_iter().collect();
        opened(&mut self.tables, Tables::open)?.silence(&addresses, &own, SILENCE)
    }

    /// Makes the passing of one party what is wanted. With an error nothing is passed any more.
    pub(super) fn pass(
        &mut self,
        passing: &mut Option<Passing>,
        legs: &[Leg],
        wanted: Option<&Pass>,
    ) -> io::Result<()> {
        let Some(wanted) = wanted else {
            return match passing.take() {
                Some(passing) => opened(&mut self.tables, Tables::open)?.remove_passages(&passing.table),
                None => Ok(()),
            };
        };
        let tables = opened(&mut self.tables, Tables::open)?;
        let result = match passing {
            Some(passing) => passing.change(tables, wanted),
            None => Passing::new(tables, legs).and_then(|new| passing.insert(new).change(tables, wanted)),
        };
        if result.is_err()
            && let Some(passing) = passing.take()
        {
            let _ = tables.remove_passages(&passing.table);
        }
        result
    }
}

impl Passing {
    fn new(tables: &mut Tables, legs: &[Leg]) -> io::Result<Self> {
        static NEXT: AtomicU64 = AtomicU64::new(1);
        let mut passages = Vec::new();
        for leg in legs.iter().filter(|leg| !leg.addresses.is_empty()) {
            let neighbour = leg.neighbour.ok_or_else(|| {
                let text = format!("the other node is not known on a network of `{}`", leg.interface);
                io::Error::new(io::ErrorKind::NotFound, text)
            })?;
            passages.push(Passage {
                interface: leg.interface.clone(),
                index: leg.index,
                hardware: leg.hardware.clone(),
                addresses: leg.addresses.clone(),
                neighbour,
            });
        }
        // Two processes may pass at the same time while one follows the other.
        let table = format!("evenkeel-{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
        tables.add_passages(&table, &passages)?;
        Ok(Self { table, passages, passed: Flows::new(), known: Flows::new(), rest: false })
    }

    /// First what is more, then what is less: in between nothing that is wanted is missing.
    fn change(&mut self, tables: &mut Tables, wanted: &Pass) -> io::Result<()> {
        let more: Vec<Flow> = wanted.flows.difference(&self.passed).copied().collect();
        let less: Vec<Flow> = self.passed.difference(&wanted.flows).copied().collect();
        let known: Vec<Flow> = wanted.known.difference(&self.known).copied().collect();
        self.in_batches(&known, |table, place, pairs| tables.list(table, place, List::Known, pairs))?;
        self.known.extend(known);
        self.in_batches(&more, |table, place, pairs| tables.list(table, place, List::Passed, pairs))?;
        if wanted.rest != self.rest {
            tables.pass_the_rest(&self.table, &self.passages, wanted.rest)?;
            self.rest = wanted.rest;
        }
        self.in_batches(&less, |table, place, pairs| tables.unlist(table, place, List::Passed, pairs))?;
        self.passed.clone_from(&wanted.flows);
        Ok(())
    }

    fn in_batches(
        &self,
        flows: &[Flow],
        mut order: impl FnMut(&str, usize, &[Pair]) -> io::Result<()>,
    ) -> io::Result<()> {
        for (place, passage) in self.passages.iter().enumerate() {
            let is_here = |flow: &&Flow| passage.addresses.contains(&flow.local.ip());
            let pairs: Vec<Pair> =
                flows.iter().filter(is_here).map(|flow| (flow.client, flow.local)).collect();
            for batch in pairs.chunks(MOST_ELEMENTS) {
                order(&self.table, place, batch)?;
            }
        }
        Ok(())
    }
}
