//! What each state has to remember, and nothing more.

use std::net::IpAddr;
use std::time::{Duration, Instant};

use super::super::params::{Announcing, Priority};
use super::super::status::State;
use super::handover::Releasing;
use super::output::Output;
use super::parting::Parting;

/// What a router says on losing: that it was there, and that it has let go.
const LAST_WORDS: u8 = 2;
/// Answers to other active routers that may follow each other at once.
const MOST_ANSWERS: u8 = 8;
/// After that many, one in this time: a stranger must not make us flood the link.
pub(super) const ANSWER_PAUSE: Duration = Duration::from_secs(1);
/// Beside another active router, our own advertisements come with an announcement, not more often than this.
const RIVAL_PAUSE: Duration = Duration::from_millis(100);

/// The state with its deadlines.
#[derive(Clone, Debug)]
pub(super) enum Office {
    Stopped,
    Fault,
    Backup(Backup),
    Listening(Listening),
    Active(Active),
    Releasing(Releasing),
    Parting(Parting),
}

impl Office {
    pub(super) fn state(&self) -> State {
        match self {
            Self::Stopped => State::Stopped,
            Self::Fault => State::Fault,
            Self::Backup(_) => State::Backup,
            Self::Listening(_) => State::Listening,
            Self::Active(_) => State::Active,
            Self::Releasing(_) | Self::Parting(_) => State::Releasing,
        }
    }

    pub(super) fn deadline(&self) -> Option<Instant> {
        match self {
            Self::Stopped | Self::Fault => None,
            Self::Backup(backup) => backup.down_at,
            Self::Listening(listening) => listening.until,
            Self::Active(active) => Some(active.deadline()),
            Self::Releasing(releasing) => Some(releasing.until),
            Self::Parting(parting) => Some(parting.until),
        }
    }
}

#[derive(Clone, Debug)]
pub(super) struct Backup {
    /// Silence until then makes us active. `None`: it has lasted, and the group holds us.
    pub(super) down_at: Option<Instant>,
    /// Until then lower priorities are put up with; set by the first one heard.
    pub(super) preempt_from: Option<Instant>,
    /// The active router of lower priority to which we do not listen.
    pub(super) displaced: Option<(IpAddr, Priority)>,
    /// The active router.
    pub(super) owner: Option<IpAddr>,
    /// It has given up, and may still hold the addresses until it hears from us.
    pub(super) leaving: Option<IpAddr>,
    /// The wait was made longer once, after a stall.
    pub(super) listened: bool,
}

impl Backup {
    pub(super) fn new(down_at: Option<Instant>, owner: Option<IpAddr>) -> Self {
        Self { down_at, preempt_from: None, displaced: None, owner, leaving: None, listened: false }
    }
}

#[derive(Clone, Debug)]
pub(super) struct Listening {
    /// Silence until then makes us active. `None`: it has lasted, and the group holds us.
    pub(super) until: Option<Instant>,
    /// Another router was heard: the neighbours may believe it.
    pub(super) heard: bool,
}

impl Listening {
    pub(super) fn new(until: Instant) -> Self {
        Self { until: Some(until), heard: false }
    }
}

#[derive(Clone, Debug)]
pub(super) struct Active {
    pub(super) advertise_at: Instant,
    pub(super) sent_at: Instant,
    pub(super) announcer: Announcer,
    /// The router that we have displaced, until it has said its last words.
    displaced: Option<Displaced>,
    pub(super) dual: Option<Dual>,
    answers: u8,
    refilled_at: Instant,
}

impl Active {
    pub(super) fn new(
        now: Instant,
        interval: Duration,
        announcer: Announcer,
        displaced: Option<IpAddr>,
    ) -> Self {
        Self {
            advertise_at: now + interval,
            sent_at: now,
            announcer,
            displaced: displaced.map(|source| Displaced { source, words: LAST_WORDS }),
            dual: None,
            answers: MOST_ANSWERS,
            refilled_at: now,
        }
    }

    /// Whether this is one of the last words of whom we have displaced.
    pub(super) fn is_last_word(&mut self, source: IpAddr) -> bool {
        let Some(displaced) = self.displaced.as_mut().filter(|displaced| displaced.source == source) else {
            return false;
        };
        displaced.words -= 1;
        if displaced.words == 0 {
            self.displaced = None;
        }
        true
    }

    /// Whether an answer may go out now; otherwise when.
    pub(super) fn may_answer(&mut self, now: Instant) -> Result<(), Instant> {
        let passed = now.saturating_duration_since(self.refilled_at).as_secs();
        if passed > 0 {
            self.answers =
                self.answers.saturating_add(u8::try_from(passed).unwrap_or(u8::MAX)).min(MOST_ANSWERS);
            self.refilled_at = now;
        }
        match self.answers.checked_sub(1) {
            Some(left) => {
                self.answers = left;
                Ok(())
            }
            None => Err(self.refilled_at + ANSWER_PAUSE),
        }
    }

    fn deadline(&self) -> Instant {
        let others = [self.announcer.deadline(), self.dual.as_ref().map(|dual| dual.quiet_at)];
        others.into_iter().flatten().fold(self.advertise_at, Instant::min)
    }
}

/// Was active until we came.
#[derive(Clone, Debug)]
struct Displaced {
    source: IpAddr,
    /// How many are expected yet.
    words: u8,
}

/// Another router is active as well.
#[derive(Clone, Debug)]
pub(super) struct Dual {
    pub(super) source: IpAddr,
    pub(super) begun: Instant,
    pub(super) last: Instant,
    /// When it is thought gone.
    pub(super) quiet_at: Instant,
    /// The operator was told.
    pub(super) noted: bool,
}

/// Tells neighbours: a round at once, a round a little later, then one announcement every so often.
#[derive(Clone, Debug)]
pub(super) struct Announcer {
    round_at: Option<Instant>,
    /// Rounds that are to come.
    rounds: u8,
    refresh_at: Option<Instant>,
    last: Option<Instant>,
}

impl Announcer {
    pub(super) fn begin(now: Instant, announcing: &Announcing, output: &mut Output) -> Self {
        let mut announcer = Self { round_at: None, rounds: 0, refresh_at: None, last: None };
        announcer.again(now, announcing, output);
        announcer
    }

    /// The neighbours know already.
    pub(super) fn quiet(now: Instant, announcing: &Announcing) -> Self {
        let refresh_at = announcing.refresh.map(|every| now + every);
        Self { round_at: None, rounds: 0, refresh_at, last: None }
    }

    /// Both rounds, the first not before `at`.
    pub(super) fn later(at: Instant) -> Self {
        Self { round_at: Some(at), rounds: 2, refresh_at: None, last: None }
    }

    /// Both rounds from their beginning.
    pub(super) fn again(&mut self, now: Instant, announcing: &Announcing, output: &mut Output) {
        self.rounds = 2;
        self.round(now, announcing, output);
    }

    /// Both rounds, not before `at`.
    pub(super) fn again_at(&mut self, at: Instant) {
        self.rounds = 2;
        self.round_at = Some(self.round_at.map_or(at, |before| before.min(at)));
    }

    pub(super) fn handle_timeout(&mut self, now: Instant, announcing: &Announcing, output: &mut Output) {
        if self.round_at.is_some_and(|at| at <= now) {
            self.round(now, announcing, output);
        }
        if self.refresh_at.is_some_and(|at| at <= now) {
            self.once(now, announcing, output);
        }
    }

    /// One announcement beside another active router, unless the last one is not long ago.
    pub(super) fn against_rival(&mut self, now: Instant, announcing: &Announcing, output: &mut Output) {
        if self.last.is_none_or(|last| now.saturating_duration_since(last) >= RIVAL_PAUSE) {
            self.once(now, announcing, output);
        }
    }

    pub(super) fn once(&mut self, now: Instant, announcing: &Announcing, output: &mut Output) {
        output.announce(1);
        self.last = Some(now);
        self.refresh_at = announcing.refresh.map(|every| now + every);
    }

    pub(super) fn deadline(&self) -> Option<Instant> {
        self.round_at.into_iter().chain(self.refresh_at).min()
    }

    fn round(&mut self, now: Instant, announcing: &Announcing, output: &mut Output) {
        output.announce(announcing.count);
        self.last = Some(now);
        self.rounds = self.rounds.saturating_sub(1);
        let another = self.rounds > 0 && !announcing.again_after.is_zero();
        self.round_at = another.then(|| now + announcing.again_after);
        self.refresh_at = announcing.refresh.map(|every| now + every);
    }
}
