//! A program that makes the addresses of a virtual router reach this node: a task that calls it until it confirms.

use std::sync::{Arc, LazyLock, Mutex};
use std::time::Instant;

use evenkeel_config::plan;
use evenkeel_ha::desire::{Desire, Provider, Reconciler};
use evenkeel_ha::message::ProviderSnapshot;
use tokio::sync::{Notify as Bell, Semaphore, mpsc};

use super::notice::{About, node, prefix};
use super::{News, Trouble, locked, report};
use crate::supervisor::programs::{self, Call};

/// Providers that are called at once; further ones wait.
const MOST_AT_ONCE: usize = 16;
/// Failures in a row after which a provider whose virtual router is gone is called no more.
const MOST_LAST_CALLS: u32 = 5;

static PERMITS: LazyLock<Arc<Semaphore>> = LazyLock::new(|| Arc::new(Semaphore::new(MOST_AT_ONCE)));

/// A program of the operator as a provider.
#[derive(Debug)]
struct Exec {
    plan: plan::Provider,
    about: About,
    /// Whom roles run as.
    user: Option<String>,
}

impl Provider for Exec {
    async fn provide(&self, desire: &Desire) -> Result<(), String> {
        let addresses: Vec<String> = desire.addresses.iter().map(prefix).collect();
        let About { router, interface, vrid, .. } = &self.about;
        let (word, node) = (desire.word(), node());
        let json = serde_json::json!({
            "want": word, "node": node, "router": router, "interface": interface, "vrid": vrid, "addresses": addresses,
        });
        let variables = [
            ("EVENKEEL_WANT", word.to_owned()),
            ("EVENKEEL_NODE", node),
            ("EVENKEEL_ROUTER", router.clone()),
            ("EVENKEEL_INTERFACE", interface.clone()),
            ("EVENKEEL_VRID", vrid.to_string()),
            ("EVENKEEL_ADDRESSES", addresses.join(" ")),
        ];
        let more: Vec<String> = std::iter::once(word.to_owned()).chain(addresses).collect();
        let plan::Provider { command, user, timeout, .. } = &self.plan;
        let user = user.as_deref().or(self.user.as_deref());
        let call = Call { command, more: &more, user, timeout: *timeout };
        programs::run(call, &variables, Some(format!("{json}\n").as_bytes()), &PERMITS).await
    }
}

/// See the module. Dropping it lets the provider go: it is called for what is wanted last, so many times at most.
#[derive(Debug)]
pub(super) struct Provided {
    /// Interface and number of the virtual router.
    place: (String, u8),
    plan: plan::Provider,
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    router: String,
    program: String,
    state: Mutex<State>,
    bell: Bell,
}

#[derive(Debug)]
struct State {
    reconciler: Reconciler,
    trouble: Trouble,
    is_let_go: bool,
    last_calls: u32,
    /// The file names another one, or none: this one must not undo what that one does.
    is_replaced: bool,
}

enum Next {
    Call(Desire),
    Wait(Option<Instant>),
    End,
}

impl Drop for Provided {
    fn drop(&mut self) {
        locked(&self.shared.state).is_let_go = true;
        self.shared.bell.notify_one();
    }
}

impl Provided {
    pub(super) fn start(
        about: &About,
        plan: plan::Provider,
        user: Option<&str>,
        news: &mpsc::Sender<News>,
    ) -> Self {
        let shared = Arc::new(Shared {
            router: about.router.clone(),
            program: plan.command.join(" "),
            state: Mutex::new(State {
                reconciler: Reconciler::new(plan.verify),
                trouble: Trouble::default(),
                is_let_go: false,
                last_calls: 0,
                is_replaced: false,
            }),
            bell: Bell::new(),
        });
        let exec = Exec { plan: plan.clone(), about: about.clone(), user: user.map(str::to_owned) };
        tokio::spawn(work(exec, Arc::clone(&shared), news.clone()));
        Self { place: place(about), plan, shared }
    }

    /// Whether the file still names this one, for a virtual router that is where it was.
    pub(super) fn serves(&self, plan: &plan::Provider, about: &About) -> bool {
        self.plan == *plan && self.place == place(about)
    }

    /// It is not called any more, whatever it has not confirmed; a call under way ends by itself.
    pub(super) fn dismiss(self) {
        locked(&self.shared.state).is_replaced = true;
    }

    pub(super) fn want(&self, desire: Desire) {
        locked(&self.shared.state).reconciler.want(desire, Instant::now());
        self.shared.bell.notify_one();
    }

    pub(super) fn doubt(&self) {
        locked(&self.shared.state).reconciler.doubt(Instant::now());
        self.shared.bell.notify_one();
    }

    pub(super) fn is_idle(&self) -> bool {
        let state = locked(&self.shared.state);
        state.reconciler.wanted().is_none() || state.reconciler.is_confirmed()
    }

    pub(super) fn show(&self) -> ProviderSnapshot {
        let state = locked(&self.shared.state);
        let (wanted, counts) = (state.reconciler.wanted().map(Desire::word), state.reconciler.counts());
        ProviderSnapshot {
            program: self.shared.program.clone(),
            wanted: wanted.map(str::to_owned),
            confirmed: wanted.filter(|_| state.reconciler.is_confirmed()).map(str::to_owned),
            confirmed_total: counts.confirmed,
            failed_total: counts.failed,
            failure: state.trouble.why.clone(),
            failing_since: state.trouble.since,
        }
    }
}

/// What a program is told beside the addresses, which may change while it serves.
fn place(about: &About) -> (String, u8) {
    (about.interface.clone(), about.vrid)
}

impl Shared {
    fn next(&self) -> Next {
        let mut state = locked(&self.state);
        if state.is_replaced {
            return Next::End;
        }
        if state.is_let_go && (state.reconciler.is_confirmed() || state.last_calls >= MOST_LAST_CALLS) {
            return Next::End;
        }
        match state.reconciler.begin(Instant::now()) {
            Some(desire) => Next::Call(desire),
            None if state.is_let_go && state.reconciler.wanted().is_none() => Next::End,
            None => Next::Wait(state.reconciler.deadline()),
        }
    }

    fn ended(&self, desire: &Desire, result: Result<(), String>, news: &mpsc::Sender<News>) {
        let mut state = locked(&self.state);
        let was_confirmed = state.reconciler.is_confirmed();
        state.reconciler.ended(result.is_ok(), Instant::now());
        state.last_calls += u32::from(state.is_let_go);
        let is_new = !was_confirmed && state.reconciler.is_confirmed();
        let is_first = state.trouble.after(&result);
        drop(state);
        let (router, program, word) = (&self.router, &self.program, desire.word());
        match result {
            Ok(()) if is_new => {
                tracing::info!("virtual router {router}: its provider {program} has confirmed `{word}`");
            }
            Ok(()) => {}
            Err(why) if is_first => {
                let what = format!(
                    "its provider {program} was called with `{word}` and failed: {why}; it is called again"
                );
                report(news, News::Alarm { router: router.clone(), what });
            }
            Err(why) => tracing::debug!("virtual router {router}: its provider {program} has failed: {why}"),
        }
        report(news, News::Progress);
    }
}

/// Calls a provider until it is let go.
async fn work(provider: impl Provider, shared: Arc<Shared>, news: mpsc::Sender<News>) {
    loop {
        match shared.next() {
            Next::Call(desire) => {
                let result = provider.provide(&desire).await;
                shared.ended(&desire, result, &news);
            }
            Next::Wait(None) => shared.bell.notified().await,
            Next::Wait(Some(until)) => {
                tokio::select! {
                    () = tokio::time::sleep_until(until.into()) => {}
                    () = shared.bell.notified() => {}
                }
            }
            Next::End => return,
        }
    }
}
