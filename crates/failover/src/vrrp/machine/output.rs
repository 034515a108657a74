//! What comes out of a machine: actions in their order, counters, and notes that do not repeat themselves.

use std::collections::VecDeque;
use std::mem::{Discriminant, discriminant};
use std::net::IpAddr;
use std::time::Instant;

use super::super::action::Action;
use super::super::note::{NOTE_PAUSE, Note};
use super::super::refusal::Refusal;
use super::super::status::Counters;

/// Actions that may wait to be fetched. Beyond, the oldest are lost and counted; which addresses shall be held is never
/// lost.
pub const MOST_ACTIONS: usize = 256;

#[derive(Clone, Debug, Default)]
pub(super) struct Output {
    actions: VecDeque<Action>,
    pub(super) counters: Counters,
    /// Answers to other active routers that went out with an announcement.
    pub(super) answers: u64,
    owned: Option<bool>,
    refusals: [Told; Refusal::ALL.len()],
    /// As many as there are kinds of notes, at most.
    kinds: Vec<(Discriminant<Note>, Instant)>,
}

#[derive(Clone, Copy, Debug, Default)]
struct Told {
    last: Option<Instant>,
    untold: u64,
}

impl Output {
    pub(super) fn next(&mut self) -> Option<Action> {
        self.actions.pop_front()
    }

    pub(super) fn push(&mut self, action: Action) {
        if self.actions.len() >= MOST_ACTIONS {
            self.make_room();
        }
        self.actions.push_back(action);
    }

    fn make_room(&mut self) {
        let state = |action: &Action| matches!(action, Action::Own(_));
        match self.actions.iter().position(|action| !state(action)) {
            Some(at) => {
                self.actions.remove(at);
                self.counters.actions_lost += 1;
            }
            // They alternate: without the oldest two the wanted state is still right.
            None => {
                self.actions.drain(..2);
                self.counters.actions_lost += 2;
            }
        }
    }

    /// Says what shall be held, when that changes.
    pub(super) fn own(&mut self, own: bool) {
        if self.owned.replace(own) != Some(own) {
            self.push(Action::Own(own));
        }
    }

    /// Says it again, because what it means has changed.
    pub(super) fn own_anew(&mut self) {
        if let Some(own) = self.owned {
            self.push(Action::Own(own));
        }
    }

    pub(super) fn owned(&self) -> Option<bool> {
        self.owned
    }

    pub(super) fn sent(&mut self, destination: IpAddr, payload: Vec<u8>, release: bool) {
        self.counters.sent += 1;
        self.counters.released += u64::from(release);
        self.push(Action::Send { destination, payload });
    }

    pub(super) fn announce(&mut self, times: u8) {
        self.counters.announced += 1;
        for _ in 0..times {
            self.push(Action::Announce);
        }
    }

    pub(super) fn refused(&mut self, now: Instant, refusal: Refusal, source: IpAddr) {
        self.counters.refused[refusal.index()] += 1;
        let told = &mut self.refusals[refusal.index()];
        told.untold += 1;
        if refusal.is_noted() && told.last.is_none_or(|last| now >= last + NOTE_PAUSE) {
            let times = std::mem::take(&mut told.untold);
            told.last = Some(now);
            self.push(Action::Note(Note::Refused { refusal, source, times }));
        }
    }

    /// Tells it unless the same kind was told lately; says whether it did.
    pub(super) fn note_seldom(&mut self, now: Instant, note: Note) -> bool {
        let kind = discriminant(&note);
        match self.kinds.iter_mut().find(|(known, _)| *known == kind) {
            Some((_, last)) if now < *last + NOTE_PAUSE => return false,
            Some((_, last)) => *last = now,
            None => self.kinds.push((kind, now)),
        }
        self.push(Action::Note(note));
        true
    }
}
