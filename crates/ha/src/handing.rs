//! Moves that keep connections, as the loop of elections sees them: a thread that may take its time, and words to and from it.
//!
//! Listing connections and naming them to the kernel takes longer than an advertisement may be late when there are many, so a
//! thread of its own drives the machines of [`evenkeel_failover::handover`] (`worker`, `party`) and does what they want
//! (`host`). The loop waits for it in one place: before addresses come or go, at most [`PATIENCE`].
//!
//! Invariant: an election never depends on the thread. One that is slow, or has ended, costs connections and nothing else.

mod host;
mod party;
mod worker;

pub(crate) use host::LOOPBACK;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::io;
use std::net::IpAddr;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{self, Receiver, Sender, SyncSender};
use std::time::Duration;

use evenkeel_failover::handover::action::Outcome;
use evenkeel_failover::handover::wire::Key;
use rustix::event::{EventfdFlags, eventfd};

use crate::message::{HandoverSnapshot, Level};

/// How long addresses wait for what goes before they come or go.
const PATIENCE: Duration = Duration::from_millis(20);
/// Pieces of the other node that may wait for the thread, and pieces for it that may wait for the channel: ten times the largest
/// message. Beyond that the session is of no use any more, and moves go on without it as without a link.
const MOST_PIECES: usize = 2048;
/// How long the end of everything may take.
const FAREWELL: Duration = Duration::from_millis(500);

/// Addresses that move together, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Part {
    /// What the two nodes call it by.
    pub(crate) key: Key,
    /// The virtual routers whose addresses these are.
    pub(crate) routers: Vec<String>,
    /// They are here.
    pub(crate) owns: bool,
    pub(crate) legs: Vec<Leg>,
}

/// The part of one virtual router.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Leg {
    pub(crate) interface: String,
    pub(crate) index: u32,
    /// To which packets for the addresses come.
    pub(crate) hardware: Vec<[u8; 6]>,
    pub(crate) addresses: BTreeSet<IpAddr>,
    /// The other node on the link; `None` while it is not known, or not on a network of the interface.
    pub(crate) neighbour: Option<IpAddr>,
}

/// To the thread.
#[derive(Debug)]
enum Order {
    Parts(Vec<Part>),
    Link { session: Option<u64>, timeout: Duration },
    Heard { session: u64, piece: String, _place: Place },
    Ask { key: Key },
    Own { key: Key, owns: bool, done: SyncSender<()> },
    Held { key: Key },
    Stop { done: SyncSender<()> },
}

/// One of the [`MOST_PIECES`] that may wait, as long as it lives.
#[derive(Debug)]
struct Place(Arc<AtomicUsize>);

impl Place {
    fn of(count: &Arc<AtomicUsize>) -> Option<Self> {
        let is_free = count.load(Ordering::Relaxed) < MOST_PIECES;
        is_free.then(|| {
            count.fetch_add(1, Ordering::Relaxed);
            Self(Arc::clone(count))
        })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// From the thread.
#[derive(Debug)]
pub(crate) enum Word {
    /// The election is to give the addresses to the other node; without connections for this reason.
    Yield {
        key: Key,
        why: Option<String>,
    },
    Came {
        key: Key,
        outcome: Outcome,
    },
    Say {
        session: u64,
        piece: String,
    },
    Silent(Vec<IpAddr>),
    State {
        key: Key,
        state: HandoverSnapshot,
    },
    Tell {
        key: Key,
        level: Level,
        text: String,
    },
}

/// See the module.
pub(crate) struct Handing {
    orders: Sender<Order>,
    words: Receiver<Word>,
    bell: Arc<OwnedFd>,
    parts: Vec<Part>,
    states: BTreeMap<Key, HandoverSnapshot>,
    silent: Vec<IpAddr>,
    /// Pieces that wait for the thread.
    heard: Arc<AtomicUsize>,
    /// There was too much of them, or of what is to be said: nothing goes on in this session.
    is_over: bool,
    timeout: Duration,
    /// Pieces that the channel has no room for yet.
    pub(crate) says: VecDeque<(u64, String)>,
}

impl Handing {
    pub(crate) fn start() -> io::Result<Self> {
        let bell = Arc::new(eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?);
        let (orders, ordered) = mpsc::channel();
        let (said, words) = mpsc::channel();
        let rung = Arc::clone(&bell);
        std::thread::Builder::new()
            .name("handing".into())
            .stack_size(512 * 1024)
            .spawn(move || worker::run(&ordered, &worker::Mouth { said, bell: rung }))?;
        Ok(Self {
            orders,
            words,
            bell,
            parts: Vec::new(),
            states: BTreeMap::new(),
            silent: Vec::new(),
            heard: Arc::default(),
            is_over: false,
            timeout: Duration::ZERO,
            says: VecDeque::new(),
        })
    }

    fn order(&self, order: Order) {
        // A thread that has ended does nothing, which is what it says in the state.
        let _ = self.orders.send(order);
    }

    pub(crate) fn link(&mut self, session: Option<u64>, timeout: Duration) {
        (self.is_over, self.timeout) = (false, timeout);
        self.order(Order::Link { session, timeout });
    }

    pub(crate) fn heard(&mut self, session: u64, piece: String) {
        match Place::of(&self.heard).filter(|_| !self.is_over) {
            Some(place) => self.order(Order::Heard { session, piece, _place: place }),
            None => self.end_session(),
        }
    }

    /// There is too much of something.
    fn end_session(&mut self) {
        self.says.clear();
        if !std::mem::replace(&mut self.is_over, true) {
            self.order(Order::Link { session: None, timeout: self.timeout });
        }
    }

    /// From now on these move together.
    pub(crate) fn follow(&mut self, parts: Vec<Part>) {
        if parts != self.parts {
            self.states.retain(|key, _| parts.iter().any(|part| part.key == *key));
            self.parts.clone_from(&parts);
            self.order(Order::Parts(parts));
        }
    }

    fn key_of(&self, router: &str) -> Option<Key> {
        let has = |part: &&Part| part.routers.iter().any(|name| name == router);
        self.parts.iter().find(has).map(|part| part.key.clone())
    }

    pub(crate) fn routers_of(&self, key: &[IpAddr]) -> Vec<String> {
        self.parts.iter().find(|part| part.key == key).map(|part| part.routers.clone()).unwrap_or_default()
    }

    /// An operator wants the addresses of this virtual router to move; `false` when it is not known here.
    pub(crate) fn ask(&self, router: &str) -> bool {
        let key = self.key_of(router);
        if let Some(key) = key.clone() {
            self.order(Order::Ask { key });
        }
        key.is_some()
    }

    /// Its addresses are about to come or to go.
    pub(crate) fn own(&self, router: &str, owns: bool) {
        let Some(key) = self.key_of(router) else { return };
        let (done, is_done) = mpsc::sync_channel(1);
        self.order(Order::Own { key, owns, done });
        let _ = is_done.recv_timeout(PATIENCE);
    }

    /// They have.
    pub(crate) fn held(&self, router: &str) {
        if let Some(key) = self.key_of(router) {
            self.order(Order::Held { key });
        }
    }

    pub(crate) fn bell(&self) -> BorrowedFd<'_> {
        self.bell.as_fd()
    }

    /// What the thread has said.
    pub(crate) fn words(&mut self) -> Vec<Word> {
        let _ = rustix::io::read(&*self.bell, &mut [0; 8]);
        let (mut words, mut overflows) = (Vec::new(), false);
        for word in self.words.try_iter() {
            match word {
                Word::Say { session, piece } if self.says.len() < MOST_PIECES && !self.is_over => {
                    self.says.push_back((session, piece));
                }
                Word::Say { .. } => overflows = true,
                Word::State { key, state } => drop(self.states.insert(key, state)),
                word => {
                    if let Word::Silent(addresses) = &word {
                        self.silent.clone_from(addresses);
                    }
                    words.push(word);
                }
            }
        }
        if overflows {
            self.end_session();
        }
        words
    }

    pub(crate) fn state_of(&self, router: &str) -> Option<HandoverSnapshot> {
        self.states.get(&self.key_of(router)?).cloned()
    }

    /// An address on loopback that is not to be taken for a leftover.
    pub(crate) fn knows(&self, ip: IpAddr) -> bool {
        self.parts.iter().any(|part| part.key.contains(&ip))
    }

    /// Ends everything; the other node is told.
    pub(crate) fn stop(&mut self) -> Vec<Word> {
        let (done, is_done) = mpsc::sync_channel(1);
        self.order(Order::Stop { done });
        let _ = is_done.recv_timeout(FAREWELL);
        self.words()
    }
}
