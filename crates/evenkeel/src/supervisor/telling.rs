//! Tells programs and web addresses what virtual routers do, and has providers move their addresses.
//!
//! Each of them is served by a task of its own, so that nobody waits for another one and the election for none of them.
//! What each is to be told, and when again, is decided by `evenkeel_ha::outbox` and `evenkeel_ha::desire`.

mod notice;
mod provider;
mod target;

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::SystemTime;

use evenkeel_admin::message::EventKind;
use evenkeel_config::plan::VirtualRouter;
use evenkeel_ha::desire::Desire;
use evenkeel_ha::message::{AlarmSnapshot, Snapshot, Transition};
use tokio::sync::mpsc;

use super::Supervisor;
use super::events::Happened;
use notice::About;
pub(super) use notice::Notice;
use provider::Provided;
use target::Teller;

/// News that may wait for the supervisor; what finds no room is said by the log and the status alone.
const MOST_NEWS: usize = 64;

/// What tasks say.
#[derive(Debug)]
pub(super) enum News {
    /// Something has ended: the supervisor may have waited for it.
    Progress,
    /// Somebody cannot be told any more.
    Alarm {
        /// The virtual router.
        router: String,
        /// What is wrong.
        what: String,
    },
}

/// Everybody who is told.
#[derive(Debug)]
pub(super) struct Telling {
    routers: BTreeMap<String, Told>,
    news: mpsc::Sender<News>,
}

/// Those who are told about one virtual router.
#[derive(Debug)]
struct Told {
    about: About,
    tellers: Vec<Teller>,
    provider: Option<Provided>,
    /// As the role said last.
    own: Option<bool>,
    /// The plan has it no more; its last words are still to come.
    leaving: bool,
}

impl Told {
    fn want(&self) {
        if let (Some(provider), Some(own)) = (&self.provider, self.own) {
            provider.want(Desire { own, addresses: self.about.addresses.clone() });
        }
    }
}

impl Telling {
    /// Nobody is told yet; what tasks say comes out of the receiver.
    pub(super) fn new() -> (Self, mpsc::Receiver<News>) {
        let (news, receiver) = mpsc::channel(MOST_NEWS);
        (Self { routers: BTreeMap::new(), news }, receiver)
    }

    /// From now on these are the virtual routers. Who is told already and stays keeps what waits for it.
    fn follow(&mut self, routers: &[VirtualRouter], user: Option<&str>) {
        for (name, told) in &mut self.routers {
            told.leaving = !routers.iter().any(|router| router.name.as_str() == name);
        }
        for router in routers {
            let about = About::of(router);
            let told = self.routers.entry(router.name.to_string()).or_insert_with(|| Told {
                about: about.clone(),
                tellers: Vec::new(),
                provider: None,
                own: None,
                leaving: false,
            });
            told.about = about;
            let mut before: Vec<Teller> = std::mem::take(&mut told.tellers);
            for notify in &router.notify {
                let teller = match before.iter().position(|teller| teller.plan() == notify) {
                    Some(place) => before.swap_remove(place),
                    None => Teller::start(&told.about.router, notify.clone(), user, &self.news),
                };
                told.tellers.push(teller);
            }
            let is_same = match (&told.provider, &router.provider) {
                (Some(provider), Some(plan)) => provider.serves(plan, &told.about),
                (None, None) => true,
                _ => false,
            };
            if !is_same {
                if let Some(before) = told.provider.take() {
                    before.dismiss();
                }
                told.provider =
                    router.provider.clone().map(|plan| Provided::start(&told.about, plan, user, &self.news));
            }
            told.want();
        }
    }

    /// Those whose virtual router is gone are told what waits, and no more.
    pub(super) fn let_go(&mut self) {
        self.routers.retain(|_, told| !told.leaving);
    }

    /// Whether a virtual router holds its addresses.
    pub(super) fn holds(&mut self, router: &str, own: bool) {
        if let Some(told) = self.routers.get_mut(router) {
            told.own = Some(own);
            told.want();
        }
    }

    /// Others may have undone what the provider did.
    pub(super) fn doubt(&self, router: &str) {
        if let Some(provider) = self.routers.get(router).and_then(|told| told.provider.as_ref()) {
            provider.doubt();
        }
    }

    fn tell(&self, kind: EventKind, transition: &Transition, (sequence, at): (u64, u64)) {
        let Some(told) = self.routers.get(&transition.router) else { return };
        for teller in &told.tellers {
            teller.tell(Notice::new(kind, transition, &told.about, sequence, at));
        }
    }

    /// What has not been told yet, by target, for the program that takes over.
    pub(super) fn waiting(&self) -> Vec<(String, Vec<Notice>)> {
        let tellers = self.routers.values().flat_map(|told| &told.tellers);
        let waiting = tellers.map(|teller| (teller.plan().target.to_string(), teller.waiting()));
        waiting.filter(|(_, notices)| !notices.is_empty()).collect()
    }

    /// Tells what the program before did not come to.
    pub(super) fn resume(&self, waiting: Vec<(String, Vec<Notice>)>) {
        for (target, notices) in waiting {
            for notice in notices {
                let told = self.routers.get(&notice.router);
                let mut tellers = told.iter().flat_map(|told| &told.tellers);
                if let Some(teller) = tellers.find(|teller| teller.plan().target.to_string() == target) {
                    teller.tell(notice);
                }
            }
        }
    }

    /// Everybody has been told everything.
    pub(super) fn is_idle(&self) -> bool {
        self.routers.values().all(|told| {
            told.tellers.iter().all(Teller::is_idle) && told.provider.as_ref().is_none_or(Provided::is_idle)
        })
    }

    /// Adds what is known here to the state of the role.
    pub(super) fn show(&self, snapshot: &mut Snapshot) {
        for router in &mut snapshot.routers {
            let Some(told) = self.routers.get(&router.name) else { continue };
            router.notify = told.tellers.iter().map(Teller::show).collect();
            router.provider = told.provider.as_ref().map(Provided::show);
            let alarm = |kind: &str, since: Option<u64>, text: String| AlarmSnapshot {
                kind: kind.into(),
                since: since.unwrap_or_default(),
                source: None,
                text,
            };
            let failing = router.notify.iter().filter_map(|target| {
                let text = format!("{} cannot be told: {}", target.target, target.failure.as_ref()?);
                Some(alarm("notify-failed", target.failing_since, text))
            });
            let provider = router.provider.as_ref().and_then(|provider| {
                let text = format!("its provider {} fails: {}", provider.program, provider.failure.as_ref()?);
                Some(alarm("provider-failed", provider.failing_since, text))
            });
            router.alarms.extend(failing.chain(provider));
        }
    }
}

impl Supervisor {
    /// A new plan is in force: whom it names is told, and nobody else.
    pub(super) fn tell_of_the_plan(&mut self) {
        let user = self.proxy.user().map(str::to_owned);
        self.telling.follow(&self.plan.virtual_routers, user.as_deref());
        if !self.ha.keeper.is_alive() {
            self.telling.let_go();
        }
    }

    /// Something has happened to a virtual router.
    pub(super) fn tell_of(&mut self, kind: EventKind, transition: &Transition) {
        let Transition { router, from, to, why, .. } = transition;
        let what = match kind {
            EventKind::Reasserted => format!("is {to} still: {why}"),
            _ => format!("{to} (was {from}): {why}"),
        };
        let (before, after) = (Some(from.clone()), Some(to.clone()));
        let mark = self.happened(Happened { kind, subject: router.clone(), what, by: None, before, after });
        self.telling.tell(kind, transition, mark);
    }

    /// A task has said something.
    pub(super) fn told(&mut self, news: News) {
        match news {
            News::Progress => {}
            News::Alarm { router, what } => {
                tracing::error!("virtual router {router}: {what}");
                self.happened(Happened { subject: router, ..Happened::new(EventKind::Alarm, what) });
            }
        }
    }
}

/// Why attempts fail, and since when.
#[derive(Clone, Debug, Default)]
struct Trouble {
    why: Option<String>,
    since: Option<u64>,
}

impl Trouble {
    /// After an attempt. Whether that is the first failure in a row.
    fn after(&mut self, result: &Result<(), String>) -> bool {
        let is_first = self.why.is_none() && result.is_err();
        if is_first {
            let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
            self.since = Some(now.as_secs());
        }
        self.why = result.as_ref().err().cloned();
        if self.why.is_none() {
            self.since = None;
        }
        is_first
    }
}

/// Nothing in here can be left half done.
fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Says that a task has done something.
fn report(news: &mpsc::Sender<News>, what: News) {
    // Whoever finds no room is seen in the status; progress wakes a supervisor that has other news to read anyway.
    let _ = news.try_send(what);
}
