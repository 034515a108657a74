//! What a reload does to open connections, with the numbers that the proxy role knows.
//!
//! Invariant: nobody waits longer than [`LONGEST_COUNT`] for numbers; without them the rest is told.

use std::time::Duration;

use evenkeel_admin::message::{Answer, Consequence, Fate, Preview};
use evenkeel_config::diff;
use evenkeel_config::plan::Plan;
use evenkeel_proxy::message::{Change, Snapshot};
use tokio::time::Instant;

use super::{Asker, Supervisor};

/// How long the proxy role may take to count.
const LONGEST_COUNT: Duration = Duration::from_secs(2);
/// Previews that may wait for numbers; further ones come without.
const MOST_WAITING: usize = 16;

/// Previews that wait for numbers, in the order of their deadlines.
#[derive(Debug, Default)]
pub(super) struct Counting {
    waiting: Vec<Waiting>,
}

#[derive(Debug)]
struct Waiting {
    id: u64,
    asker: Asker,
    deadline: Instant,
    preview: Preview,
}

impl Counting {
    pub(super) fn deadline(&self) -> Option<Instant> {
        self.waiting.first().map(|waiting| waiting.deadline)
    }
}

/// What `new` in place of `old` does to open connections. Nothing is counted yet.
pub(super) fn of(old: &Plan, new: &Plan) -> Vec<Consequence> {
    let told = |effect: diff::Effect| Consequence {
        subject: match effect.of {
            diff::Of::Listener(name) => format!("listener {name}"),
            diff::Of::Server(pool, server) => format!("server {pool}/{server}"),
        },
        why: effect.why,
        fate: match effect.fate {
            diff::Fate::CloseAfterResponse => Fate::CloseAfterResponse,
            diff::Fate::Finish => Fate::Finish,
            diff::Fate::FinishAndCloseIdle => Fate::FinishAndCloseIdle,
        },
        connections: None,
        idle: None,
    };
    diff::effects(old, new).into_iter().map(told).collect()
}

/// Fills in how many connections there are.
pub(super) fn count(consequences: &mut [Consequence], snapshot: &Snapshot) {
    let listeners = snapshot
        .listeners
        .iter()
        .map(|listener| (format!("listener {}", listener.name), (listener.connections, None)));
    let servers = snapshot.pools.iter().flat_map(|pool| {
        pool.servers.iter().map(|server| {
            (format!("server {}/{}", pool.name, server.name), (server.running, Some(server.idle)))
        })
    });
    let numbers: std::collections::HashMap<String, (u64, Option<u64>)> = listeners.chain(servers).collect();
    for consequence in consequences {
        if let Some((connections, idle)) = numbers.get(&consequence.subject) {
            (consequence.connections, consequence.idle) = (Some(*connections), *idle);
        }
    }
}

impl Supervisor {
    /// Says what a reload would change, once the connections it would end are counted.
    pub(super) fn diff_on_command(&mut self, asker: Asker, now: Instant) {
        match self.preview() {
            Answer::Preview(preview)
                if !preview.consequences.is_empty()
                    && self.proxy.is_ready()
                    && self.counting.waiting.len() < MOST_WAITING =>
            {
                let id = self.queries.next_id();
                self.proxy.tell(Change::Snapshot { id }, Vec::new());
                self.counting.waiting.push(Waiting { id, asker, deadline: now + LONGEST_COUNT, preview });
            }
            answer => self.answer(asker, answer),
        }
    }

    /// A snapshot that a preview may have waited for.
    pub(super) fn counted(&mut self, id: u64, snapshot: &Snapshot) {
        if let Some(place) = self.counting.waiting.iter().position(|waiting| waiting.id == id) {
            let Waiting { asker, mut preview, .. } = self.counting.waiting.remove(place);
            count(&mut preview.consequences, snapshot);
            self.answer(asker, Answer::Preview(preview));
        }
        self.reloads.counted(id, snapshot);
    }

    /// Answers those who have waited long enough; all of them when the proxy role has ended.
    pub(super) fn tick_counting(&mut self, now: Instant, proxy_has_ended: bool) {
        let late = |waiting: &mut Waiting| proxy_has_ended || waiting.deadline <= now;
        let done: Vec<Waiting> = self.counting.waiting.extract_if(.., late).collect();
        for Waiting { asker, preview, .. } in done {
            self.answer(asker, Answer::Preview(preview));
        }
    }
}
