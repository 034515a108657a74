//! What checks and live traffic say of the servers of a pool, and the line that is logged when it changes a verdict.

use std::sync::Arc;
use std::time::{Duration, Instant};

use evenkeel_traffic::agent::Answer;
use evenkeel_traffic::health::Verdict;
use evenkeel_traffic::outlier::Event;

use crate::gate;
use crate::table::{Pool, Server};

impl Pool {
    /// The active checks of all servers fail.
    pub(crate) fn all_down(&self) -> bool {
        gate::all_down(&self.servers)
    }

    /// Something sent to `server` has failed, or could not be sent.
    pub(crate) fn failed(&self, server: &Server, why: String) {
        if let Some(settings) = &self.plan.passive {
            let gate = &server.state.gate;
            // Two servers that fail at one moment must not both be the last that may be ejected.
            let mut deciding = None;
            let may_eject = || {
                deciding = Some(self.state.one_ejection());
                let ejected = self.servers.iter().filter(|server| server.state.gate.is_ejected()).count();
                let out = |server: &&Arc<Server>| server.state.gate.is_down() || server.state.gate.is_away();
                let down = self.servers.iter().filter(out).count();
                let idle = |server: &&Arc<Server>| server.plan.weight.value() == 0 && !out(server);
                let idle = self.servers.iter().filter(idle).count();
                let usable = self.servers.len().saturating_sub(ejected + down + idle);
                settings.may_eject(self.servers.len(), ejected, usable)
            };
            let event = gate.failed(&why, settings, may_eject, self.plan.slow_start, Instant::now());
            drop(deciding);
            self.tell(server, event);
        }
        server.state.failed(why);
    }

    /// `server` took a connection (TCP) or answered with this status (HTTP).
    pub(crate) fn succeeded(&self, server: &Server, status: Option<u16>) {
        if let (Some(settings), Some(status)) = (&self.plan.passive, status)
            && settings.is_failure(status)
        {
            self.failed(server, format!("it answered {status}"));
        } else if server.state.gate.is_doubted() {
            self.tell(server, server.state.gate.succeeded(self.plan.slow_start, Instant::now()));
        }
    }

    /// A check of `server` that began at `started` has ended.
    pub(crate) fn probed(&self, server: &Server, result: Result<(), String>, started: Instant) {
        let transition = server.state.gate.probed(result, started, self.plan.slow_start, Instant::now());
        let Some(transition) = transition else { return };
        self.changed();
        let (pool, name, why) = (&self.plan.name, &server.plan.name, &transition.why);
        match transition.to {
            Verdict::Up => tracing::info!("pool {pool}: server {name} is up: {why}"),
            Verdict::Down | Verdict::Checking => tracing::warn!("pool {pool}: server {name} is down: {why}"),
        }
    }

    /// The agent of `server`, asked at `started`, has answered or not.
    pub(crate) fn agent_answered(&self, server: &Server, answer: Result<Answer, String>, started: Instant) {
        let gate = &server.state.gate;
        if let Some(sentence) = gate.agent_answered(answer, started, self.plan.slow_start, Instant::now()) {
            self.changed();
            tracing::info!("pool {}: server {}: {sentence}", self.plan.name, server.plan.name);
        }
    }

    /// Does what is due; says when something will be due again.
    pub(crate) fn tick(&self, now: Instant) -> Option<Instant> {
        let mut next = None;
        for server in &self.servers {
            let (event, deadline) = server.state.gate.tick(self.plan.slow_start, now);
            self.tell(server, event);
            next = next.into_iter().chain(deadline).min();
        }
        next
    }

    /// Other servers may take traffic than before.
    fn changed(&self) {
        self.forget();
        self.state.line.changed(&self.load);
    }

    fn tell(&self, server: &Server, event: Option<Event>) {
        if event.is_some() {
            self.changed();
        }
        let (pool, name) = (&self.plan.name, &server.plan.name);
        match event {
            None => {}
            Some(Event::Ejected { lasts, times, why }) => {
                let lasts = Duration::from_millis(u64::try_from(lasts.as_millis()).unwrap_or(u64::MAX));
                tracing::warn!("pool {pool}: server {name} is ejected for {lasts:?} (time {times}): {why}");
            }
            Some(Event::Probation) => {
                tracing::info!("pool {pool}: server {name} is on probation: the next request decides");
            }
            Some(Event::Returned) => {
                tracing::info!("pool {pool}: server {name} is up: the trial request succeeded");
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::path::{Path, PathBuf};
    use std::sync::Barrier;

    use tokio::sync::Notify;

    use super::*;
    use crate::apply::next_table;

    struct Text(String);

    impl evenkeel_config::Source for Text {
        fn read(&self, _: &Path) -> Result<String, String> {
            Ok(self.0.clone())
        }

        fn glob(&self, _: &str, _: &Path) -> Result<Vec<PathBuf>, String> {
            Ok(Vec::new())
        }

        fn variable(&self, _: &str) -> Option<String> {
            None
        }
    }

    /// A pool of four, of which one failure ejects, and at most half at once.
    fn pool() -> Arc<Pool> {
        let servers: String = (1..=4).map(|n| format!("s{n} = \"192.0.2.{n}:80\"\n")).collect();
        let text = format!(
            "[listener.a]\nbind = \"127.0.0.1:1\"\npool = \"a\"\n[pool.a]\n\
             passive = {{ failures = 1, eject = \"1h\", max-eject = \"1h\", max-share = 50 }}\n[pool.a.servers]\n{servers}"
        );
        let plan = evenkeel_config::load(Path::new("a.toml"), &Text(text)).unwrap().plan;
        next_table(
            None,
            1,
            &plan,
            None,
            (&Default::default(), &Default::default()),
            1,
            &Arc::new(Notify::new()),
        )
        .pools[0]
            .clone()
    }

    #[test]
    fn servers_that_fail_at_one_moment_are_not_ejected_beyond_the_share() {
        for _ in 0..100 {
            let (pool, barrier) = (pool(), Barrier::new(4));
            std::thread::scope(|scope| {
                for server in &pool.servers {
                    scope.spawn(|| {
                        barrier.wait();
                        pool.failed(server, "it broke".into());
                    });
                }
            });
            let ejected = pool.servers.iter().filter(|server| server.state.gate.is_ejected()).count();
            assert_eq!(ejected, 2);
        }
    }
}
