//! The link to the other node: there is a role for it while the plan has `[pair]`. What the high availability role says to the
//! other node goes through here, and what that one says.
//!
//! Invariants: the high availability role learns of a session before anything is heard in it; a process of it that was started
//! anew gets a session of its own, since what the one before has said in the old one counts no more.

use std::net::SocketAddr;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;
use std::time::Duration;

use evenkeel_admin::message::{Difference, EventKind, PairStatus};
use evenkeel_config::plan::{self, Plan};
use evenkeel_ha::message as ha;
use evenkeel_pair::message::{Order, Settings, State, Word};
use evenkeel_pair::{Key, SHORTEST_SECRET, TooShort};
use evenkeel_sys::secret;
use evenkeel_sys::socket::{listen_tcp, only_from};
use tokio::time::Instant;

use super::Supervisor;
use super::events::Happened;
use super::keeper::Keeper;
use super::process::{News, Report};

/// Each process of the role numbers its sessions in so many bits; the ones above count the processes.
const SESSION_BITS: u32 = 32;

/// With whom, and what that takes.
#[derive(Clone, Debug)]
pub(super) struct Terms {
    plan: plan::Pair,
    key: Key,
    socket: Arc<OwnedFd>,
}

impl Terms {
    /// What the plan wants; `None`: no link. `ours` are the addresses on which this program listens already.
    pub(super) fn read(
        plan: &Plan,
        ours: &[SocketAddr],
        held: Option<&Self>,
    ) -> Result<Option<Self>, String> {
        let Some(pair) = &plan.pair else { return Ok(None) };
        let key = read_key(pair)?;
        let held = held.filter(|held| held.plan.bind == pair.bind && held.plan.peer == pair.peer);
        let socket = match held {
            Some(held) => Arc::clone(&held.socket),
            None => Arc::new(listen(pair, ours)?),
        };
        Ok(Some(Self { plan: pair.clone(), key, socket }))
    }

    fn is_same(&self, other: &Self) -> bool {
        self.plan == other.plan && self.key == other.key && Arc::ptr_eq(&self.socket, &other.socket)
    }
}

fn read_key(pair: &plan::Pair) -> Result<Key, String> {
    let path = &pair.key_file;
    Key::from_secret(&secret::read(path)?).map_err(|TooShort { bytes }| {
        format!(
            "the key {} has {bytes} bytes and must have {SHORTEST_SECRET} at least: write it with `openssl rand -base64 32`",
            path.display()
        )
    })
}

fn listen(pair: &plan::Pair, ours: &[SocketAddr]) -> Result<OwnedFd, String> {
    let sockets = listen_tcp(pair.bind, 1, ours).map_err(|error| error.to_string())?;
    let socket = sockets.into_iter().next().ok_or("the kernel gave no socket for [pair]")?;
    only_from(socket.as_fd(), pair.peer.ip()).map_err(|error| {
        format!("cannot keep strangers from {}: the kernel takes no filter: {error}", pair.bind)
    })?;
    Ok(socket)
}

/// What a reload says when the key file has another key.
pub(super) fn key_changed() -> Difference {
    Difference {
        what: "pair: the key in key-file changed; the link begins anew".into(),
        needs_restart: false,
    }
}

/// The role and what it has said.
pub(super) struct Link {
    pub(super) keeper: Keeper<Order, Word>,
    /// What it was told, or is told once it is started.
    terms: Option<Terms>,
    /// What a plan on its way would have it told.
    next: Option<Terms>,
    session: Option<u64>,
    state: State,
}

impl Link {
    pub(super) fn new(keeper: Keeper<Order, Word>, terms: Option<Terms>) -> Self {
        Self { keeper, terms, next: None, session: None, state: State::default() }
    }

    /// Whether what is wanted differs from what is in force; kept until the plan that it belongs to is.
    pub(super) fn expect(&mut self, next: Option<Terms>) -> bool {
        let differs = match (&self.terms, &next) {
            (Some(terms), Some(next)) => !terms.is_same(next),
            (None, None) => false,
            _ => true,
        };
        self.next = next;
        differs
    }

    pub(super) fn terms(&self) -> Option<&Terms> {
        self.terms.as_ref()
    }

    /// The key is another although the plan names the same file.
    pub(super) fn has_new_key(&self, next: Option<&Terms>) -> bool {
        self.terms
            .as_ref()
            .zip(next)
            .is_some_and(|(terms, next)| terms.plan.key_file == next.plan.key_file && terms.key != next.key)
    }

    fn order(&self) -> Option<Order> {
        let Terms { plan, key, .. } = self.terms.as_ref()?;
        let source = (!plan.bind.ip().is_unspecified()).then(|| plan.bind.ip());
        let first_session = self.keeper.generation() << SESSION_BITS | 1;
        Some(Order::Link(Settings { peer: plan.peer, source, key: key.clone(), first_session }))
    }

    /// Tells the role, if there is one, all it needs.
    fn tell(&self) {
        if let (Some(order), Some(terms)) = (self.order(), &self.terms) {
            self.keeper.tell(order, vec![Arc::clone(&terms.socket)]);
        }
    }
}

impl Supervisor {
    /// Starts the role when there is something for it to do.
    pub(super) fn start_pair(&mut self, now: Instant) {
        if self.pair.terms.is_none() {
            self.pair.keeper.retire();
        } else if self.pair.keeper.start(now) {
            self.pair.tell();
        }
    }

    /// A new plan is in force.
    pub(super) fn pair_follows(&mut self, now: Instant) {
        let next = self.pair.next.take().filter(|next| Some(&next.plan) == self.plan.pair.as_ref());
        let is_kept = self.pair.terms.as_ref().map(|terms| &terms.plan) == self.plan.pair.as_ref();
        if next.is_none() && is_kept {
            // A change of servers, say: the key is read at a reload only, and need not be there meanwhile.
            return;
        }
        let terms = match (next, &self.plan.pair) {
            (Some(next), _) => Some(next),
            (None, None) => None,
            // A plan of before is in force again, or one that came with a runtime change.
            (None, Some(_)) => match Terms::read(&self.plan, &self.listened(), self.pair.terms.as_ref()) {
                Ok(terms) => terms,
                Err(why) => {
                    let what = format!("there is no link to the other node: {why}");
                    tracing::error!("pair: {what}");
                    self.happened(Happened::new(EventKind::Alarm, what));
                    None
                }
            },
        };
        let is_same = match (&self.pair.terms, &terms) {
            (Some(before), Some(terms)) => before.is_same(terms),
            (None, None) => true,
            _ => false,
        };
        if is_same {
            return;
        }
        self.pair.terms = terms;
        self.pair.session = None;
        self.tell_who_departs();
        self.tell_ha_the_link();
        match (self.pair.terms.is_some(), self.pair.keeper.is_alive()) {
            (true, true) => self.pair.tell(),
            (true, false) if self.pair.keeper.has_ended() => self.start_pair(now),
            // It is started again in a moment, or need not be.
            (true, false) => {}
            (false, _) => self.end_pair(),
        }
    }

    /// The addresses on which this program listens.
    pub(super) fn listened(&self) -> Vec<SocketAddr> {
        self.sockets
            .tcp_addresses()
            .into_iter()
            .chain(self.pair.terms.as_ref().map(|terms| terms.plan.bind))
            .collect()
    }

    /// Lets the role end.
    pub(super) fn end_pair(&mut self) {
        if self.pair.keeper.is_alive() {
            self.pair.keeper.tell(Order::End, Vec::new());
        } else {
            self.pair.keeper.retire();
        }
    }

    pub(super) fn hear_pair(&mut self, report: Report<Word>, now: Instant) {
        if !self.pair.keeper.is_current(report.generation) {
            return;
        }
        match report.news {
            News::Said(Word::Ready) => drop(self.pair.keeper.ready()),
            News::Said(Word::Began { session }) => {
                self.pair.session = Some(session);
                self.tell_ha_the_link();
            }
            News::Said(Word::Ended) => self.lose_the_session(),
            News::Said(Word::Heard { session, piece }) => {
                if self.pair.session == Some(session) {
                    self.ha.keeper.tell(ha::Change::Heard { session, piece }, Vec::new());
                }
            }
            News::Said(Word::Stands(state)) => self.pair_stands(state),
            News::Ended { how } => {
                self.lose_the_session();
                self.pair.state = State { why: Some("its role has ended".into()), ..State::default() };
                if self.ending.is_some() || self.upgrades.is_handing_over() || self.pair.terms.is_none() {
                    tracing::info!("the pair role has ended: {how}");
                    self.pair.keeper.retire();
                } else {
                    self.pair.keeper.ended(how, now);
                }
            }
        }
    }

    fn pair_stands(&mut self, state: State) {
        if state.up != self.pair.state.up || state.alarm != self.pair.state.alarm {
            let what = match (&state.alarm, state.up, &state.why) {
                (Some(alarm), ..) => alarm.clone(),
                (None, true, _) => "the other node is linked".into(),
                (None, false, why) => {
                    format!("the other node is not linked: {}", why.as_deref().unwrap_or("not known why"))
                }
            };
            self.happened(Happened::new(EventKind::PairChanged, what));
        }
        self.pair.state = state;
    }

    fn lose_the_session(&mut self) {
        if self.pair.session.take().is_some() {
            self.tell_ha_the_link();
        }
    }

    /// A process of the high availability role was started.
    pub(super) fn link_the_new_ha(&mut self) {
        if self.pair.session.take().is_some() {
            self.pair.keeper.tell(Order::Renew, Vec::new());
        }
        self.tell_ha_the_link();
    }

    fn tell_ha_the_link(&self) {
        let change = match &self.pair.terms {
            Some(terms) => ha::Change::Link {
                session: self.pair.session,
                timeout: terms.plan.handover_timeout.max(Duration::from_secs(1)),
            },
            None => ha::Change::NoLink,
        };
        self.ha.keeper.tell(change, Vec::new());
    }

    /// The high availability role has something to say to the other node.
    pub(super) fn say_to_the_other(&self, session: u64, piece: String) {
        if self.pair.session == Some(session) {
            self.pair.keeper.tell(Order::Say { session, piece }, Vec::new());
        }
    }

    /// For `status`.
    pub(super) fn pair_status(&self) -> Option<PairStatus> {
        let plan = &self.pair.terms.as_ref()?.plan;
        Some(PairStatus {
            peer: plan.peer.to_string(),
            bind: plan.bind.to_string(),
            handover_timeout: plan.handover_timeout.as_secs(),
            state: self.pair.state.clone(),
        })
    }
}
