//! What is done to the site, what must follow, and how it is undone.

use std::time::Duration;

use evenkeel_testkit::lab::Silence;
use rustix::process::{Pid, Signal, kill_process};

use super::site::{CHECK_BOUND, INTERVAL, ROUTER, Site, skew};
use super::trial::Measured;

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Case {
    /// The operator makes the other node active.
    Planned,
    /// The active node is stopped in good order.
    Stop,
    /// Its proxy role is killed.
    KillProxy,
    /// The same, and it cannot be started again.
    LoseProxy,
    /// Its proxy role hangs.
    HangProxy,
    /// Its ha role is killed.
    KillHa,
    /// Its supervisor is killed.
    KillMain,
    /// Everything on it is killed and started again at once.
    KillAll,
    /// The same, and started again when the other node is active.
    KillAllLate,
    /// It is stopped and started again.
    Restart,
    /// The same configuration is read again.
    Reload,
    /// It alone loses its way to the web servers.
    Servers,
    /// Both nodes lose their way to the web servers, the active one last.
    BothSick,
    /// The same at one moment.
    BothAtOnce,
}

/// How often the second node may take the address.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Moves {
    Never,
    AtMostOnce,
    /// Within so long.
    Within(Duration),
    Once,
}

/// What must be.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bounds {
    pub(super) ping: Duration,
    pub(super) fetch: Option<Duration>,
    pub(super) moves: Moves,
    /// How long both may hold the address once what was killed is ready again.
    pub(super) both: Option<Duration>,
}

const fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

impl Case {
    pub(super) const ALL: [Self; 14] = [
        Self::Planned,
        Self::Stop,
        Self::KillProxy,
        Self::LoseProxy,
        Self::HangProxy,
        Self::KillHa,
        Self::KillMain,
        Self::KillAll,
        Self::KillAllLate,
        Self::Restart,
        Self::Reload,
        Self::Servers,
        Self::BothSick,
        Self::BothAtOnce,
    ];

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Planned => "planned",
            Self::Stop => "stop",
            Self::KillProxy => "kill9proxy",
            Self::LoseProxy => "loseproxy",
            Self::HangProxy => "hangproxy",
            Self::KillHa => "kill9ha",
            Self::KillMain => "kill9main",
            Self::KillAll => "kill9all",
            Self::KillAllLate => "kill9all-late",
            Self::Restart => "restart",
            Self::Reload => "reload",
            Self::Servers => "servers",
            Self::BothSick => "bothsick",
            Self::BothAtOnce => "bothatonce",
        }
    }

    /// For the page.
    pub(super) fn title(self) -> &'static str {
        match self {
            Self::Planned => "`evenkeel router failover` on the active node",
            Self::Stop => "stop of the active node",
            Self::KillProxy => "kill -9 of the active proxy role",
            Self::LoseProxy => "the same, and it cannot be started again",
            Self::HangProxy => "SIGSTOP of the active proxy role",
            Self::KillHa => "kill -9 of the HA role",
            Self::KillMain => "kill -9 of the supervisor",
            Self::KillAll => "kill -9 of everything, restarted at once",
            Self::KillAllLate => "kill -9 of everything, restarted when the peer is active",
            Self::Restart => "restart (stop, start) of the active node",
            Self::Reload => "reload on the active node",
            Self::Servers => "the active node alone loses all servers of the pool",
            Self::BothSick => "both lose them, the active node last",
            Self::BothAtOnce => "both lose them at one moment",
        }
    }

    pub(super) fn bounds(self) -> Bounds {
        let bounds = |ping, fetch, moves| Bounds { ping, fetch, moves, both: None };
        match self {
            Self::Planned | Self::Stop | Self::KillMain => bounds(ms(20), Some(ms(20)), Moves::Once),
            Self::KillProxy => bounds(ms(20), Some(ms(100)), Moves::AtMostOnce),
            Self::LoseProxy => bounds(ms(20), Some(skew() + ms(20)), Moves::Once),
            Self::HangProxy => bounds(ms(20), Some(ms(500)), Moves::Within(ms(500))),
            Self::KillHa | Self::Reload => bounds(ms(0), Some(ms(0)), Moves::Never),
            Self::KillAll => Bounds { both: Some(INTERVAL), ..bounds(ms(0), None, Moves::AtMostOnce) },
            Self::KillAllLate => Bounds { both: Some(INTERVAL), ..bounds(ms(0), None, Moves::Once) },
            Self::Restart => bounds(ms(0), None, Moves::Once),
            Self::Servers => bounds(ms(20), None, Moves::Within(CHECK_BOUND + ms(100))),
            Self::BothSick => bounds(ms(0), None, Moves::Never),
            Self::BothAtOnce => bounds(ms(20), None, Moves::AtMostOnce),
        }
    }

    /// What was not as it must be, in words.
    pub(super) fn judge(self, measured: &Measured) -> Vec<String> {
        let bounds = self.bounds();
        let mut wrong = Vec::new();
        let mut at_most = |what: &str, found: Duration, most: Duration| {
            if found > most {
                wrong.push(format!("{what} {found:?} instead of {most:?}"));
            }
        };
        at_most("ping", measured.ping, bounds.ping);
        if let Some(most) = bounds.fetch {
            at_most("fetch", measured.fetch, most);
        }
        if let Some(most) = bounds.both {
            at_most("both", measured.both, most);
        }
        at_most("ping afterwards", measured.back_ping, Duration::ZERO);
        if let Moves::Within(most) = bounds.moves {
            at_most("the move", measured.moved.unwrap_or(Duration::MAX), most);
        }
        let (least, most) = match bounds.moves {
            Moves::Never => (0, 0),
            Moves::AtMostOnce => (0, 1),
            Moves::Once | Moves::Within(_) => (1, 1),
        };
        if measured.moves < least || measured.moves > most {
            wrong.push(format!("the peer took the address {} times", measured.moves));
        }
        wrong
    }

    /// The second node must take the address before the case goes on.
    pub(super) fn must_move(self) -> bool {
        matches!(self.bounds().moves, Moves::Once | Moves::Within(_))
    }

    /// What has to be so before.
    pub(super) fn prepare(self, site: &Site) -> Result<(), String> {
        match self {
            Self::LoseProxy => {
                // The process that a role begins as is this file.
                let mode = std::os::unix::fs::PermissionsExt::from_mode(0o600);
                std::fs::set_permissions(&site.binary, mode).map_err(|error| error.to_string())
            }
            Self::BothSick => {
                site.second_back.silence(Silence::Both);
                // Until it knows.
                let node = site.second_node()?;
                wait("the second node to notice its servers", || {
                    Ok(node.routers()?.iter().any(|router| router["yielding"] == true))
                })
            }
            _ => Ok(()),
        }
    }

    /// The process that is to be hit, found before the clock runs.
    pub(super) fn victim(self, site: &Site) -> Result<Option<Pid>, String> {
        let node = site.first_node()?;
        Ok(match self {
            Self::KillProxy | Self::LoseProxy | Self::HangProxy => Some(node.role("proxy")?),
            Self::KillHa => Some(node.role("ha")?),
            _ => None,
        })
    }

    pub(super) fn strike(self, site: &mut Site, victim: Option<Pid>) -> Result<(), String> {
        let signal = |signal| {
            victim.map_or(Ok(()), |victim| kill_process(victim, signal).map_err(|error| error.to_string()))
        };
        match self {
            Self::Planned => drop(site.first_node()?.command(&["router", "failover", ROUTER])?),
            Self::Stop => site.first_node()?.terminate(),
            Self::KillProxy | Self::LoseProxy | Self::KillHa => signal(Signal::KILL)?,
            Self::HangProxy => signal(Signal::STOP)?,
            Self::KillMain => site.first_node()?.kill_main(),
            Self::KillAll => {
                site.first_node()?.kill_all();
                restart(site);
            }
            Self::KillAllLate => {
                site.first_node()?.kill_all();
                site.on_second.wait_until(super::site::target(), true);
                restart(site);
            }
            Self::Restart => {
                site.first_node()?.terminate();
                restart(site);
            }
            Self::Reload => site.first_node()?.reload(&Site::first_configuration())?,
            Self::Servers => site.first_back.silence(Silence::Both),
            Self::BothSick => site.first_back.silence(Silence::Both),
            Self::BothAtOnce => {
                site.first_back.silence(Silence::Both);
                site.second_back.silence(Silence::Both);
            }
        }
        Ok(())
    }

    pub(super) fn undo(self, site: &mut Site, victim: Option<Pid>) -> Result<(), String> {
        match self {
            Self::Planned => drop(site.second_node()?.command(&["router", "failover", ROUTER])?),
            Self::Stop | Self::KillMain => restart(site),
            Self::LoseProxy => {
                let mode = std::os::unix::fs::PermissionsExt::from_mode(0o755);
                std::fs::set_permissions(&site.binary, mode).map_err(|error| error.to_string())?;
            }
            Self::HangProxy => {
                let victim = victim.ok_or("nobody hangs")?;
                kill_process(victim, Signal::CONT).map_err(|error| error.to_string())?;
            }
            Self::Servers => site.first_back.heal(),
            Self::BothSick | Self::BothAtOnce => {
                site.first_back.heal();
                site.second_back.heal();
            }
            Self::KillProxy
            | Self::KillHa
            | Self::KillAll
            | Self::KillAllLate
            | Self::Restart
            | Self::Reload => {}
        }
        Ok(())
    }

    /// Makes the next repetition begin like this one: a role that ended several times in a minute is started later.
    pub(super) fn refresh(self, site: &mut Site) -> Result<(), String> {
        if matches!(self, Self::KillProxy | Self::LoseProxy | Self::KillHa) {
            site.first_node()?.terminate();
            restart(site);
            site.settle();
        }
        Ok(())
    }
}

/// Starts the first node again when its supervisor has ended.
fn restart(site: &mut Site) {
    if let Some(node) = site.a.take() {
        node.wait();
    }
    site.start_first();
}

/// Waits until the processes have ended.
pub(super) fn wait_for_end(processes: &[Pid]) -> Result<(), String> {
    wait("the end of all processes", || Ok(processes.iter().all(|process| has_ended(*process))))
}

/// Also one that nobody has waited for yet.
fn has_ended(process: Pid) -> bool {
    let stat =
        std::fs::read_to_string(format!("/proc/{}/stat", process.as_raw_nonzero())).unwrap_or_default();
    stat.rsplit_once(") ").is_none_or(|(_, rest)| rest.starts_with('Z'))
}

fn wait(what: &str, holds: impl Fn() -> Result<bool, String>) -> Result<(), String> {
    let begun = std::time::Instant::now();
    while !holds()? {
        if begun.elapsed() > evenkeel_testkit::BOUND {
            return Err(format!("waited for {what} in vain"));
        }
        std::thread::sleep(ms(10));
    }
    Ok(())
}
