//! Discovery: one thread with a runtime of its own looks up names, reads files and asks for documents that list servers,
//! and tells the supervisor what it found.
//!
//! It changes nothing: the supervisor decides what is believed and sends a plan. Invariants: one look at a source at a time,
//! at most [`MOST_LOOKS`] of all; each look has a deadline and a bound on what it reads; a source that a new plan leaves as
//! it was is followed undisturbed; nothing that a source does can hold up traffic or checks.

mod file;
mod http;
mod names;

use std::collections::BTreeMap;
use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use evenkeel_config::found::List;
use evenkeel_config::plan::{From, Plan, Resolver, Source};
use evenkeel_sys::changes::{Bell, Changes};
use evenkeel_traffic::name::Name;
use tokio::sync::{Semaphore, mpsc};
use tokio::task::AbortHandle;
use tokio::time::Instant;

use crate::message::{Event, News};
use crate::tls::connector::{Connector, Connectors};
use names::Names;

/// Looks under way at once; further ones wait for one of them to end. The supervisor keeps files free for them.
const MOST_LOOKS: usize = 16;
/// The longest that a look may take, whatever it waits for.
const LONGEST_LOOK: Duration = Duration::from_secs(60);
/// The shortest time from one look at a file to the next.
const SHORTEST_PAUSE: Duration = Duration::from_millis(100);
/// The pause after a look that failed; it doubles with each further one.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
/// The longest pause after a look that failed.
const LONGEST_PAUSE: Duration = Duration::from_secs(30);
/// How often a source says that nothing is new, so that its counts are fresh.
const SIGN_OF_LIFE: Duration = Duration::from_secs(5);
/// Events that may wait for the supervisor; a source with one more waits.
pub(crate) const MOST_EVENTS: usize = 64;

/// The running discovery thread.
#[derive(Debug)]
pub(crate) struct Handle {
    plans: mpsc::UnboundedSender<(Arc<Plan>, Connectors)>,
    thread: JoinHandle<()>,
}

impl Handle {
    pub(crate) fn start(events: mpsc::Sender<Event>) -> std::io::Result<Self> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_io()
            .enable_time()
            .max_blocking_threads(file::MOST_READERS)
            .build()?;
        let (plans, receiver) = mpsc::unbounded_channel();
        let thread = std::thread::Builder::new().name("discovery".into()).spawn(move || {
            runtime.block_on(follow(receiver, events));
            // A file system that hangs must not hold up the end.
            runtime.shutdown_background();
        })?;
        Ok(Self { plans, thread })
    }

    /// From now on the sources of this plan are followed, documents over TLS with these connectors.
    pub(crate) fn watch(&self, plan: &Arc<Plan>, documents: &Connectors) {
        // A thread that has panicked hears nothing; what it found stays.
        let _ended = self.plans.send((plan.clone(), documents.clone()));
    }

    /// Ends all looks.
    pub(crate) fn stop(self) {
        drop(self.plans);
        if self.thread.join().is_err() {
            tracing::error!("the discovery thread has panicked");
        }
    }
}

/// A source that is followed.
struct Watched {
    source: Source,
    connector: Option<Arc<Connector>>,
    task: AbortHandle,
}

impl Drop for Watched {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn follow(mut plans: mpsc::UnboundedReceiver<(Arc<Plan>, Connectors)>, events: mpsc::Sender<Event>) {
    // Without it files are looked at in their interval.
    let changes = Changes::open().ok();
    let _ends_with_this = changes.clone().map(|changes| Ends(tokio::spawn(changes.follow()).abort_handle()));
    let looks = Arc::new(Semaphore::new(MOST_LOOKS));
    let mut watched: BTreeMap<(Name, Name), Watched> = BTreeMap::new();
    let mut names: Option<(Resolver, Arc<Names>)> = None;
    while let Some((plan, documents)) = plans.recv().await {
        let resolver = match names.take().filter(|(settings, _)| *settings == plan.resolver) {
            Some((_, kept)) => kept,
            None => {
                // All of them ask the new one.
                watched.clear();
                Arc::new(Names::new(plan.resolver.clone()))
            }
        };
        names = Some((plan.resolver.clone(), resolver.clone()));
        let mut before = std::mem::take(&mut watched);
        for pool in &plan.pools {
            for source in &pool.sources {
                let key = (pool.name.clone(), source.name.clone());
                let secure = matches!(&source.from, From::Http { trust: Some(_), .. });
                let connector = documents.get(&pool.name).filter(|_| secure);
                let number = |connector: Option<&Arc<Connector>>| connector.map(|connector| connector.number);
                let same = |known: &Watched| {
                    known.source == *source && number(known.connector.as_ref()) == number(connector)
                };
                let kept = before.remove(&key).filter(same);
                let next = kept.unwrap_or_else(|| {
                    let reporter = Reporter::new(pool.name.clone(), source.name.clone(), events.clone());
                    let tools = Tools {
                        names: resolver.clone(),
                        looks: looks.clone(),
                        changes: changes.clone(),
                        connector: connector.cloned(),
                    };
                    let task = tokio::spawn(watch(source.clone(), tools, reporter)).abort_handle();
                    Watched { source: source.clone(), connector: connector.cloned(), task }
                });
                watched.insert(key, next);
            }
        }
    }
}

/// What looks are done with.
struct Tools {
    names: Arc<Names>,
    looks: Arc<Semaphore>,
    changes: Option<Arc<Changes>>,
    connector: Option<Arc<Connector>>,
}

/// Ends a task when it is dropped.
struct Ends(AbortHandle);

impl Drop for Ends {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// What a look found.
struct Look {
    /// The list; `None` when it is the same as before.
    list: Option<List>,
    /// What went wrong with a part of it.
    trouble: Option<String>,
    /// Why there is no server in it, when there is none.
    empty: Option<String>,
    /// When to look again.
    again: Duration,
}

/// Looks at one source until it is told to stop.
async fn watch(source: Source, tools: Tools, mut reporter: Reporter) {
    let Tools { names, looks, changes, connector } = tools;
    let mut file = file::Reader::default();
    let mut document = http::Client::new(connector);
    let bell = Bell::default();
    let mut failures: u32 = 0;
    loop {
        let Ok(permit) = looks.acquire().await else { return };
        let look = async {
            match &source.from {
                From::Names { host, port } => names::hosts(&names, host, *port).await,
                From::Services { name } => names::services(&names, name, &source).await,
                From::File { path, interval } => {
                    // Before the look: what happens after it is not missed.
                    bell.watch(changes.as_ref(), path).await;
                    file.look(path, *interval).await
                }
                From::Http { url, interval, timeout, .. } => {
                    match tokio::time::timeout(*timeout, document.look(url, *interval, &names)).await {
                        Ok(look) => look,
                        Err(_) => Err(format!("no whole answer within {timeout:?}")),
                    }
                }
            }
        };
        let look = tokio::time::timeout(LONGEST_LOOK, look)
            .await
            .unwrap_or_else(|_| Err(format!("no answer within {LONGEST_LOOK:?}")));
        drop(permit);
        let pause = match look {
            Ok(Look { list, trouble, empty, again }) => {
                let trouble = trouble.or(empty.filter(|_| !source.may_be_empty));
                failures = if trouble.is_some() { failures.saturating_add(1) } else { 0 };
                reporter.tell(list, trouble).await;
                if failures > 0 { again.min(backoff(failures)) } else { again }
            }
            Err(why) => {
                failures = failures.saturating_add(1);
                reporter.tell(None, Some(why)).await;
                backoff(failures)
            }
        };
        tokio::select! {
            () = tokio::time::sleep(pause + spread(pause)) => {}
            // Somebody who writes all the time is looked at ten times a second.
            () = bell.rung() => tokio::time::sleep(SHORTEST_PAUSE.min(pause)).await,
        }
    }
}

fn backoff(failures: u32) -> Duration {
    FIRST_PAUSE.saturating_mul(1 << failures.saturating_sub(1).min(5)).min(LONGEST_PAUSE)
}

/// Up to a tenth more, so that many sources and many balancers do not ask in step.
fn spread(pause: Duration) -> Duration {
    let part = u32::try_from(RandomState::new().hash_one(0) % 100).unwrap_or(0);
    pause.saturating_mul(part) / 1000
}

/// Tells the supervisor about one source, and no more than needed.
struct Reporter {
    pool: Name,
    source: Name,
    events: mpsc::Sender<Event>,
    last: Option<List>,
    last_trouble: Option<String>,
    told: Option<Instant>,
    looks: u64,
    failures: u64,
}

impl Reporter {
    fn new(pool: Name, source: Name, events: mpsc::Sender<Event>) -> Self {
        Self { pool, source, events, last: None, last_trouble: None, told: None, looks: 0, failures: 0 }
    }

    async fn tell(&mut self, list: Option<List>, trouble: Option<String>) {
        self.looks += 1;
        self.failures += u64::from(trouble.is_some());
        let list = list.filter(|list| self.last.as_ref() != Some(list));
        let silent = self.told.is_some_and(|told| told.elapsed() < SIGN_OF_LIFE);
        if list.is_none() && trouble == self.last_trouble && silent {
            return;
        }
        if list.is_some() {
            self.last.clone_from(&list);
        }
        self.last_trouble.clone_from(&trouble);
        self.told = Some(Instant::now());
        let news = News { list, trouble, looks_total: self.looks, failures_total: self.failures };
        let (pool, source) = (self.pool.clone(), self.source.clone());
        // The role is about to end when nobody listens.
        let _ended = self.events.send(Event::Found { pool, source, news }).await;
    }
}

#[cfg(test)]
mod tests;
