//! The thread that drives the moves: waits for orders and for time.

use std::collections::{BTreeMap, BTreeSet};
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender};
use std::time::{Duration, Instant};

use base64::Engine;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use evenkeel_config::plan::MOST_VIRTUAL_ROUTERS;
use evenkeel_failover::handover::message::{Message, Why};
use evenkeel_failover::handover::wire::{Flaw, Key, Reassembly, pieces};

use super::host::{Host, REFRESH};
use super::party::Party;
use super::{Order, Part, Word};
use crate::message::Level;

/// With nothing to do it looks this often whether it is still wanted.
const IDLE: Duration = Duration::from_secs(60);

/// Where words for the loop go.
pub(super) struct Mouth {
    pub(super) said: Sender<Word>,
    pub(super) bell: Arc<OwnedFd>,
}

impl Mouth {
    pub(super) fn say(&self, word: Word) {
        let _ = self.said.send(word);
        let _ = rustix::io::write(&*self.bell, &1_u64.to_ne_bytes());
    }
}

struct Worker<'a> {
    mouth: &'a Mouth,
    host: Host,
    parties: Vec<Party>,
    session: Option<u64>,
    timeout: Duration,
    reassembly: Reassembly,
    /// The last greeting about each set of addresses: of some this node may not know yet.
    greetings: BTreeMap<Key, Message>,
    /// What came in this session cannot be read.
    is_spoilt: bool,
    silent: BTreeSet<std::net::IpAddr>,
}

/// Lives until it is told to stop or nobody is there to tell it.
pub(super) fn run(orders: &Receiver<Order>, mouth: &Mouth) {
    let mut worker = Worker {
        mouth,
        host: Host::default(),
        parties: Vec::new(),
        session: None,
        timeout: Duration::from_secs(600),
        reassembly: Reassembly::default(),
        greetings: BTreeMap::new(),
        is_spoilt: false,
        silent: BTreeSet::new(),
    };
    loop {
        let now = Instant::now();
        let deadlines = worker.parties.iter().filter_map(Party::deadline).chain(worker.host.refresh_at());
        let wait = deadlines.min().map_or(IDLE, |at| at.saturating_duration_since(now));
        match orders.recv_timeout(wait) {
            Ok(Order::Stop { done }) => {
                worker.end();
                let _ = done.send(());
                return;
            }
            Ok(order) => worker.obey(order),
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => return worker.end(),
        }
        worker.tick();
    }
}

impl Worker<'_> {
    fn obey(&mut self, order: Order) {
        let now = Instant::now();
        match order {
            Order::Parts(parts) => self.follow(parts, now),
            Order::Link { session, timeout } => {
                self.timeout = timeout;
                if session != self.session {
                    self.session = session;
                    self.reassembly = Reassembly::default();
                    self.greetings.clear();
                    self.is_spoilt = false;
                    let mut parties = std::mem::take(&mut self.parties);
                    for party in &mut parties {
                        if session.is_some() {
                            // One session may follow another without a word between them.
                            party.machine.link(now, false);
                            self.drive(party, now);
                        }
                        party.machine.link(now, session.is_some());
                        self.drive(party, now);
                    }
                    self.parties = parties;
                }
            }
            Order::Heard { session, piece, .. } => {
                if Some(session) == self.session && !self.is_spoilt {
                    self.hear(&piece, now);
                }
            }
            Order::Ask { key } => self.with(&key, |worker, party| {
                if let Err(error) = worker.host.probe() {
                    let why = format!("this kernel cannot keep addresses in silence: {error}");
                    let text = format!("connections are not kept: {why}");
                    worker.mouth.say(Word::Tell { key: party.key.clone(), level: Level::Warning, text });
                    worker.mouth.say(Word::Yield { key: party.key.clone(), why: Some(why) });
                    return;
                }
                party.before_input(worker, now);
                party.machine.ask(now, number());
                worker.drive(party, now);
            }),
            Order::Own { key, owns, done } => {
                self.with(&key, |worker, party| {
                    // Members of a group say it one after the other.
                    if std::mem::replace(&mut party.owns, owns) != owns {
                        party.before_input(worker, now);
                        party.begins_to_move(now);
                        party.machine.own(now, owns);
                        worker.drive(party, now);
                    }
                });
                let _ = done.send(());
            }
            Order::Held { key } => self.with(&key, |worker, party| party.held(worker, now)),
            Order::Stop { .. } => {}
        }
    }

    /// Does something with one of the parties.
    fn with(&mut self, key: &[std::net::IpAddr], act: impl FnOnce(&mut Self, &mut Party)) {
        if let Some(place) = self.parties.iter().position(|party| party.key == key) {
            let mut party = self.parties.swap_remove(place);
            act(self, &mut party);
            self.parties.push(party);
        }
    }

    fn follow(&mut self, parts: Vec<Part>, now: Instant) {
        let before = std::mem::take(&mut self.parties);
        let (stay, go): (Vec<Party>, Vec<Party>) =
            before.into_iter().partition(|party| parts.iter().any(|part| part.key == party.key));
        for mut party in go {
            self.dissolve(&mut party);
        }
        self.parties = stay;
        for part in parts {
            if let Some(party) = self.parties.iter_mut().find(|party| party.key == part.key) {
                (party.members, party.legs) = (part.routers.len(), part.legs);
                continue;
            }
            let mut party = Party::new(part, self.timeout, now);
            if self.session.is_some() {
                party.machine.link(now, true);
                self.drive(&mut party, now);
                if let Some(greeting) = self.greetings.get(&party.key).cloned() {
                    party.machine.hear(now, greeting);
                }
            }
            self.drive(&mut party, now);
            self.parties.push(party);
        }
    }

    fn hear(&mut self, piece: &str, now: Instant) {
        let read = STANDARD_NO_PAD
            .decode(piece)
            .map_err(|_| Flaw::Senseless)
            .and_then(|bytes| self.reassembly.take(&bytes));
        let (key, message) = match read {
            Ok(Some(said)) => said,
            Ok(None) => return,
            Err(flaw) => {
                self.is_spoilt = true;
                let text = format!("connections cannot be handed over to the other node: {flaw}");
                self.mouth.say(Word::Tell { key: Vec::new(), level: Level::Warning, text });
                let mut parties = std::mem::take(&mut self.parties);
                for party in &mut parties {
                    party.machine.misunderstand();
                    self.drive(party, now);
                }
                self.parties = parties;
                return;
            }
        };
        if matches!(message, Message::Hello { .. })
            && (self.greetings.len() < MOST_VIRTUAL_ROUTERS || self.greetings.contains_key(&key))
        {
            self.greetings.insert(key.clone(), message.clone());
        }
        if !self.parties.iter().any(|party| party.key == key) {
            if let Message::Offer { number, .. } = message {
                self.send(&key, &Message::Refuse { number, why: Why::Unknown });
            }
            return;
        }
        self.with(&key, |worker, party| {
            party.before_input(worker, now);
            party.machine.hear(now, message);
            worker.drive(party, now);
        });
    }

    pub(super) fn send(&self, key: &[std::net::IpAddr], message: &Message) {
        let Some(session) = self.session else { return };
        for piece in pieces(key, message) {
            self.mouth.say(Word::Say { session, piece: STANDARD_NO_PAD.encode(piece) });
        }
    }

    fn tick(&mut self) {
        let now = Instant::now();
        let mut parties = std::mem::take(&mut self.parties);
        for party in &mut parties {
            party.tick(self, now);
        }
        self.parties = parties;
        if self.host.refresh_at().is_some_and(|at| at <= now)
            && let Err(error) = self.host.refresh(now + REFRESH)
        {
            let text = format!("addresses cannot be kept in silence any longer: {error}");
            self.mouth.say(Word::Tell { key: Vec::new(), level: Level::Error, text });
        }
        if *self.host.silent() != self.silent {
            self.silent.clone_from(self.host.silent());
            self.mouth.say(Word::Silent(self.silent.iter().copied().collect()));
        }
        for party in &mut self.parties {
            if let Some(state) = party.news(now) {
                self.mouth.say(Word::State { key: party.key.clone(), state });
            }
        }
    }

    /// Takes away what was arranged for a party that is no more.
    fn dissolve(&mut self, party: &mut Party) {
        self.send(&party.key, &Message::Hello { giving: None, taking: None });
        let key: BTreeSet<_> = party.key.iter().copied().collect();
        let _ = self.host.serve(&key, false);
        let _ = self.host.pass(&mut party.passing, &[], None);
    }

    fn end(&mut self) {
        for mut party in std::mem::take(&mut self.parties) {
            self.dissolve(&mut party);
        }
        if !self.silent.is_empty() {
            self.mouth.say(Word::Silent(Vec::new()));
        }
    }
}

/// The name of a move: time does not come twice.
fn number() -> u64 {
    u64::try_from(crate::snapshot::since_1970().as_nanos()).unwrap_or(u64::MAX)
}

/// What parties need of the thread.
pub(super) trait Around {
    fn host(&mut self) -> &mut Host;
    fn send(&self, key: &[std::net::IpAddr], message: &Message);
    fn say(&self, word: Word);
    /// Does what the machine of a party wants.
    fn drive(&mut self, party: &mut Party, now: Instant);
}

impl Around for Worker<'_> {
    fn host(&mut self) -> &mut Host {
        &mut self.host
    }

    fn send(&self, key: &[std::net::IpAddr], message: &Message) {
        Worker::send(self, key, message);
    }

    fn say(&self, word: Word) {
        self.mouth.say(word);
    }

    fn drive(&mut self, party: &mut Party, now: Instant) {
        party.act(self, now);
    }
}
