//! The last events as the supervisor told them, for streams that begin late or again.
//!
//! Invariants: a stream sees each event once and in order; what it can no longer get it is told about; a slow reader
//! costs one place in the history, not a queue.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::sync::watch;

use crate::message::Event;

/// Events that are kept; the supervisor keeps as many.
const MOST_EVENTS: usize = 1000;

/// See the module.
#[derive(Debug)]
pub(crate) struct Events {
    kept: Mutex<VecDeque<Event>>,
    /// The id of the last one; closed when no more will come.
    last: watch::Sender<u64>,
    ended: watch::Sender<bool>,
}

/// What a stream gets next.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Next {
    /// There were others in between that are not kept any more.
    pub(crate) gap: bool,
    pub(crate) events: Vec<Event>,
}

impl Default for Events {
    fn default() -> Self {
        let (last, ended) = (watch::Sender::new(0), watch::Sender::new(false));
        Self { kept: Mutex::default(), last, ended }
    }
}

impl Events {
    fn kept(&self) -> MutexGuard<'_, VecDeque<Event>> {
        // Nothing in here can be left half done.
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn add(&self, event: Event) {
        let id = event.id;
        let mut kept = self.kept();
        if kept.len() >= MOST_EVENTS {
            kept.pop_front();
        }
        kept.push_back(event);
        drop(kept);
        self.last.send_replace(id);
    }

    /// What came after the event `seen`, or everything.
    pub(crate) fn after(&self, seen: Option<u64>) -> Next {
        let kept = self.kept();
        let first = kept.front().map(|event| event.id);
        let gap = seen.zip(first).is_some_and(|(seen, first)| first > seen.saturating_add(1));
        let new = |event: &&Event| seen.is_none_or(|seen| event.id > seen);
        Next { gap, events: kept.iter().filter(new).cloned().collect() }
    }

    /// Tells when there is another event than `seen`; `false` when none will come any more.
    pub(crate) async fn wait(&self, seen: Option<u64>) -> bool {
        let (mut last, mut ended) = (self.last.subscribe(), self.ended.subscribe());
        tokio::select! {
            changed = last.wait_for(|last| *last > seen.unwrap_or(0)) => changed.is_ok(),
            _ = ended.wait_for(|ended| *ended) => false,
        }
    }

    /// No more will come.
    pub(crate) fn end(&self) {
        self.ended.send_replace(true);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::EventKind;

    fn event(id: u64) -> Event {
        let (subject, what) = (String::new(), "x".into());
        Event { id, at: 0, kind: EventKind::Reload, subject, what, by: None, before: None, after: None }
    }

    fn ids(next: &Next) -> Vec<u64> {
        next.events.iter().map(|event| event.id).collect()
    }

    #[test]
    fn a_stream_that_comes_back_gets_what_it_missed_and_is_told_what_is_lost() {
        let events = Events::default();
        (11..=13).for_each(|id| events.add(event(id)));
        assert_eq!(ids(&events.after(None)), [11, 12, 13]);
        assert_eq!((ids(&events.after(Some(12))), events.after(Some(12)).gap), (vec![13], false));
        assert_eq!((ids(&events.after(Some(10))).len(), events.after(Some(10)).gap), (3, false));
        assert!(events.after(Some(9)).gap);
        assert_eq!(events.after(Some(13)), Next { gap: false, events: Vec::new() });
        (14..=2000).for_each(|id| events.add(event(id)));
        let late = events.after(Some(13));
        assert_eq!((late.gap, late.events.len(), late.events[0].id), (true, MOST_EVENTS, 1001));
    }

    #[tokio::test]
    async fn whoever_waits_hears_of_the_next_event_and_of_the_end() {
        let events = Events::default();
        events.add(event(5));
        assert!(events.wait(None).await && events.wait(Some(4)).await);
        let (heard, ()) = tokio::join!(events.wait(Some(5)), async { events.add(event(6)) });
        assert!(heard);
        let (heard, ()) = tokio::join!(events.wait(Some(6)), async { events.end() });
        assert!(!heard);
    }
}
