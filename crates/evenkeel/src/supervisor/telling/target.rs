//! One program or web address that is told: a task that takes notices from its outbox until it is let go.
//!
//! A webhook is posted by a process of its own, which gives up its rights and speaks to the network; this one reads no
//! byte from there. Its words reach that process on its standard input, so that no token stands in a command line.

use std::sync::{Arc, LazyLock, Mutex};
use std::time::{Duration, Instant};

use evenkeel_config::plan::{Notify, Target};
use evenkeel_ha::message::NotifySnapshot;
use evenkeel_ha::outbox::Outbox;
use evenkeel_sys::process::script;
use evenkeel_sys::secret;
use tokio::sync::{Notify as Bell, Semaphore, mpsc};

use super::notice::Notice;
use super::{News, Trouble, locked, report};
use crate::cli::post::Order;
use crate::supervisor::programs::{self, Call};

/// Programs and posts that run at once; further ones wait.
const MOST_AT_ONCE: usize = 8;
/// How much longer than its own time limit a process that posts may live.
const POST_MARGIN: Duration = Duration::from_secs(1);

static PERMITS: LazyLock<Arc<Semaphore>> = LazyLock::new(|| Arc::new(Semaphore::new(MOST_AT_ONCE)));

/// See the module. Dropping it lets the target go: it is told what waits, as long as it confirms.
#[derive(Debug)]
pub(super) struct Teller {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    router: String,
    plan: Notify,
    /// Whom roles run as.
    user: Option<String>,
    state: Mutex<State>,
    bell: Bell,
}

#[derive(Debug, Default)]
struct State {
    outbox: Outbox<Notice>,
    trouble: Trouble,
    is_let_go: bool,
}

/// What a task does next.
enum Next {
    Attempt(Box<Notice>),
    Wait(Option<Instant>),
    End,
}

impl Drop for Teller {
    fn drop(&mut self) {
        locked(&self.shared.state).is_let_go = true;
        self.shared.bell.notify_one();
    }
}

impl Teller {
    pub(super) fn start(router: &str, plan: Notify, user: Option<&str>, news: &mpsc::Sender<News>) -> Self {
        let shared = Arc::new(Shared {
            router: router.to_owned(),
            plan,
            user: user.map(str::to_owned),
            state: Mutex::default(),
            bell: Bell::new(),
        });
        tokio::spawn(work(Arc::clone(&shared), news.clone()));
        Self { shared }
    }

    pub(super) fn plan(&self) -> &Notify {
        &self.shared.plan
    }

    pub(super) fn tell(&self, notice: Notice) {
        let left_out = locked(&self.shared.state).outbox.put(notice);
        if left_out {
            self.shared.say_left_out();
        }
        self.shared.bell.notify_one();
    }

    pub(super) fn is_idle(&self) -> bool {
        locked(&self.shared.state).outbox.waiting() == 0
    }

    /// What waits, with what is under way.
    pub(super) fn waiting(&self) -> Vec<Notice> {
        locked(&self.shared.state).outbox.items().cloned().collect()
    }

    pub(super) fn show(&self) -> NotifySnapshot {
        let state = locked(&self.shared.state);
        let counts = state.outbox.counts();
        NotifySnapshot {
            target: self.shared.plan.target.to_string(),
            waiting: state.outbox.waiting() as u64,
            delivered_total: counts.delivered,
            failed_total: counts.failed,
            dropped_total: counts.dropped,
            failure: state.trouble.why.clone(),
            failing_since: state.trouble.since,
        }
    }
}

impl Shared {
    fn say_left_out(&self) {
        let (router, target) = (&self.router, &self.plan.target);
        tracing::warn!("virtual router {router}: {target} is not told of an older change of state any more");
    }

    fn next(&self) -> Next {
        let mut state = locked(&self.state);
        let now = Instant::now();
        match state.outbox.begin(now) {
            Some((notice, dropped)) => Next::Attempt(Box::new(Notice { dropped, ..notice })),
            None if state.is_let_go && state.outbox.waiting() == 0 => Next::End,
            None => Next::Wait(state.outbox.deadline(now)),
        }
    }

    /// Whether the task goes on.
    fn ended(&self, result: Result<(), String>, news: &mpsc::Sender<News>) -> bool {
        let mut state = locked(&self.state);
        let gave_up = state.outbox.ended(result.is_ok(), Instant::now());
        let was_failing = state.trouble.why.is_some();
        let is_first = state.trouble.after(&result);
        let goes_on = !(state.is_let_go && result.is_err());
        drop(state);
        let (router, target) = (&self.router, &self.plan.target);
        match result {
            Ok(()) if was_failing => tracing::info!("virtual router {router}: {target} is told again"),
            Ok(()) => {}
            Err(why) if is_first => {
                let what = format!("{target} cannot be told: {why}; it is tried again");
                report(news, News::Alarm { router: router.clone(), what });
            }
            Err(why) => tracing::debug!("virtual router {router}: {target} cannot be told: {why}"),
        }
        if gave_up {
            self.say_left_out();
        }
        report(news, News::Progress);
        goes_on
    }

    async fn attempt(&self, notice: &Notice) -> Result<(), String> {
        let timeout = self.plan.timeout;
        let json = notice.json();
        match &self.plan.target {
            Target::Script { command, user } => {
                let user = user.as_deref().or(self.user.as_deref());
                let call = Call { command, more: &[], user, timeout };
                let input = format!("{json}\n");
                programs::run(call, &notice.variables(), Some(input.as_bytes()), &PERMITS).await
            }
            Target::Webhook { url, token_file } => {
                let token = token_file.as_deref().map(secret::read).transpose()?;
                let token = token.map(|token| {
                    String::from_utf8(token.trim_ascii().to_vec())
                        .map_err(|_| "what is in its `token-file` is no text".to_owned())
                });
                let order = Order { url: url.clone(), token: token.transpose()?, body: json, timeout };
                self.post(&order).await
            }
        }
    }

    async fn post(&self, order: &Order) -> Result<(), String> {
        let input = serde_json::to_vec(order).map_err(|error| error.to_string())?;
        let mut arguments = vec!["post".to_owned()];
        if let Some(user) = &self.user {
            arguments.extend(["--user".to_owned(), user.clone()]);
        }
        // Where the authorities of the system are, when they are not where they usually are.
        let variables: Vec<(&str, String)> = ["SSL_CERT_FILE", "SSL_CERT_DIR"]
            .into_iter()
            .filter_map(|name| Some((name, std::env::var(name).ok()?)))
            .collect();
        let Ok(permit) = Arc::clone(&PERMITS).acquire_owned().await else {
            return Err("nothing is posted any more".into());
        };
        let program = std::path::Path::new("/proc/self/exe");
        let running = script::start_with(None, program, &arguments, &variables, &input, permit)
            .map_err(|error| format!("cannot start a process that posts: {error}"))?;
        let patience = order.timeout + POST_MARGIN;
        match running.end(patience).await {
            Ok(ended) => match (ended.how, ended.last_line) {
                (script::How::Code(0), _) => Ok(()),
                (script::How::Code(_), Some(why)) => Err(why),
                (how, last_line) => programs::judge(&script::Ended { how, last_line }, patience),
            },
            Err(error) => Err(format!("what became of the process that posts is unknown: {error}")),
        }
    }
}

async fn work(shared: Arc<Shared>, news: mpsc::Sender<News>) {
    loop {
        match shared.next() {
            Next::Attempt(notice) => {
                let result = shared.attempt(&notice).await;
                if !shared.ended(result, &news) {
                    return;
                }
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
