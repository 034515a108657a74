//! What happened, for those who look later: a history with a bound, told to the admin role as it grows, and the log.
//!
//! Invariant: ids count up, over restarts too, because they begin with the time of the start.

use std::collections::VecDeque;
use std::time::SystemTime;

use evenkeel_admin::message::{Event, EventKind, Order};

use super::Supervisor;

/// Events that are kept; the oldest go first.
const MOST_EVENTS: usize = 1000;
/// The longest text in an event, in characters.
const LONGEST_TEXT: usize = 1000;

/// The last events.
#[derive(Debug)]
pub(super) struct History {
    last_id: u64,
    events: VecDeque<Event>,
}

impl History {
    pub(super) fn new() -> Self {
        // Below 2^53, so that every JSON reader can count with them.
        Self { last_id: millis() * 1000, events: VecDeque::new() }
    }

    /// What the program before remembered.
    pub(super) fn take(last_id: u64, events: Vec<Event>) -> Self {
        let first = events.len().saturating_sub(MOST_EVENTS);
        Self { last_id: last_id.max(millis() * 1000), events: events.into_iter().skip(first).collect() }
    }

    pub(super) fn last_id(&self) -> u64 {
        self.last_id
    }

    pub(super) fn all(&self) -> Vec<Event> {
        self.events.iter().cloned().collect()
    }

    fn add(&mut self, happened: Happened) -> Event {
        self.last_id += 1;
        let short = |text: String| -> String {
            if text.chars().count() > LONGEST_TEXT {
                text.chars().take(LONGEST_TEXT).chain("…".chars()).collect()
            } else {
                text
            }
        };
        let Happened { kind, subject, what, by, before, after } = happened;
        let event = Event {
            id: self.last_id,
            at: millis(),
            kind,
            subject,
            what: short(what),
            by,
            before: before.map(short),
            after: after.map(short),
        };
        if self.events.len() >= MOST_EVENTS {
            self.events.pop_front();
        }
        self.events.push_back(event.clone());
        event
    }
}

/// An event without its number and time.
pub(super) struct Happened {
    pub(super) kind: EventKind,
    pub(super) subject: String,
    pub(super) what: String,
    pub(super) by: Option<String>,
    pub(super) before: Option<String>,
    pub(super) after: Option<String>,
}

impl Happened {
    /// Something about the program as a whole.
    pub(super) fn new(kind: EventKind, what: impl Into<String>) -> Self {
        Self { kind, subject: String::new(), what: what.into(), by: None, before: None, after: None }
    }

    /// Who did it.
    pub(super) fn by(self, by: &str) -> Self {
        Self { by: Some(by.to_owned()), ..self }
    }
}

impl Supervisor {
    /// Remembers an event and tells the admin role. Its number and its time, in milliseconds since 1970.
    pub(super) fn happened(&mut self, happened: Happened) -> (u64, u64) {
        let event = self.history.add(happened);
        let mark = (event.id, event.at);
        if self.admin.is_alive() {
            self.admin.tell(Order::Event(event), Vec::new());
        }
        mark
    }

    /// Something that an operator should look at.
    pub(super) fn alarm(&mut self, what: String) {
        tracing::error!("{what}");
        self.happened(Happened::new(EventKind::Alarm, what));
    }
}

fn millis() -> u64 {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_history_has_a_bound_and_ids_count_up() {
        let mut history = History::new();
        for n in 0..MOST_EVENTS + 3 {
            history.add(Happened::new(EventKind::Reload, format!("{n}")));
        }
        let all = history.all();
        assert_eq!((all.len(), all[0].what.as_str()), (MOST_EVENTS, "3"));
        assert!(all.windows(2).all(|pair| pair[0].id + 1 == pair[1].id));
        assert!(all[0].id < 1 << 53);
    }

    #[test]
    fn a_text_that_is_too_long_is_cut() {
        let mut history = History::new();
        let event = history.add(Happened::new(EventKind::Alarm, "ä".repeat(2000)));
        assert_eq!(event.what.chars().count(), LONGEST_TEXT + 1);
    }
}
