//! `evenkeel demo --ha`: a whole redundant site in network namespaces, what happens when its parts fail, and what that costs
//! a client.
//!
//! Nothing outlives it: the kernel kills its processes when it ends, however it ends, and removes namespaces that nobody
//! is in. Only a directory of a demo that was killed stays, until the next one.

mod actor;
mod client;
mod network;
mod picture;
mod site;

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use evenkeel_sys::process::rights;

use crate::exit::Exit;
use actor::Line;
use client::{Cost, Seen};
use picture::Screen;
use site::{BALANCERS, Site, WEB_SERVERS, WEBSITE};

pub(crate) use actor::Actor;

/// What directories of these demos begin with; the number of the process follows.
const PREFIX: &str = "evenkeel-demo-ha-";
/// How often the demo looks, and draws.
const LOOK: Duration = Duration::from_millis(50);
/// How long the website may take to answer first, and each event to be over.
const BOUND: Duration = Duration::from_secs(20);
/// How long things are looked at before something happens, and after it has.
const CALM: Duration = Duration::from_secs(2);

/// Plays it through.
pub(crate) fn run(log_level: &str) -> Exit {
    if !rights::is_root() {
        eprintln!(
            "error: `evenkeel demo --ha` builds a network of its own inside this machine, which only root may do: run it \
             with `sudo` (nothing outside of that network is touched); `evenkeel demo` needs no rights"
        );
        return Exit::CannotStart;
    }
    remove_leftovers(&std::env::temp_dir());
    let directory = std::env::temp_dir().join(format!("{PREFIX}{}", std::process::id()));
    let exit = match play(&directory, log_level) {
        Ok(exit) => exit,
        Err(error) => {
            eprintln!(
                "error: the demo cannot go on: {error} (it needs network namespaces, bridges and veth interfaces; a \
                 container needs CAP_SYS_ADMIN and CAP_NET_ADMIN for them)"
            );
            Exit::CannotStart
        }
    };
    if let Err(error) = std::fs::remove_dir_all(&directory)
        && error.kind() != io::ErrorKind::NotFound
    {
        eprintln!("warning: {} cannot be removed: {error}", directory.display());
    }
    exit
}

fn play(directory: &Path, log_level: &str) -> io::Result<Exit> {
    use std::os::unix::fs::PermissionsExt;
    let over = told_to_stop()?;
    std::fs::create_dir(directory)?;
    // The roles of the balancers are nobody.
    std::fs::set_permissions(directory, std::fs::Permissions::from_mode(0o755))?;
    let mut screen = Screen::open();
    screen.say(&format!(
        "A website at {WEBSITE}: two balancers, two web servers and a client at one switch, all inside this machine.\n\
         The client fetches a page every {} ms. VRRP says every 100 ms that the active balancer is alive.\n",
        client::EVERY.as_millis()
    ));
    let site = Site::build(directory, log_level)?;
    let mut show = Show { site, screen, over, costs: Vec::new() };
    let outcome = show.perform();
    let seen = show.site.client.seen();
    show.site.close();
    let exit = match outcome {
        Ok(()) => {
            show.sum_up(&seen);
            Exit::Well
        }
        Err(Halt::Told) => {
            show.screen.say("The demo was ended; nothing is left behind.");
            Exit::Well
        }
        Err(Halt::Failed(text)) => {
            show.screen.say(&format!("error: {text}"));
            Exit::Refused
        }
        Err(Halt::Broken(error)) => return Err(error),
    };
    Ok(exit)
}

/// Why it does not go on.
enum Halt {
    /// Ctrl-C, or SIGTERM.
    Told,
    Failed(String),
    Broken(io::Error),
}

impl From<io::Error> for Halt {
    fn from(error: io::Error) -> Self {
        Self::Broken(error)
    }
}

struct Show {
    site: Site,
    screen: Screen,
    over: Arc<AtomicBool>,
    costs: Vec<(String, Cost)>,
}

impl Show {
    fn perform(&mut self) -> Result<(), Halt> {
        let all =
            |show: &mut Self| WEB_SERVERS.iter().all(|(name, _)| show.site.client.seen().count(name) > 0);
        self.wait("the website answers", |show| all(show) && show.site.holder() == Some(0))?;
        self.say("the website is up: balancer01 has the address, both web servers answer");
        self.rest()?;

        self.happens("balancer01, which has the address, loses its power", |site| site.power_off(0))?;
        self.wait("balancer02 has the address", |show| show.site.holder() == Some(1))?;
        self.settled("balancer01 lost its power")?;
        self.happens("balancer01 starts again, and has the higher priority", |site| site.power_on(0))?;
        self.wait("balancer01 has the address", |show| show.site.holder() == Some(0))?;
        self.settled("balancer01 came back")?;

        self.happens("webserver01 is killed (kill -9)", |site| {
            site.kill_web_server(0);
            Ok(())
        })?;
        self.settled("webserver01 was killed")?;
        let before = self.site.client.seen().count(WEB_SERVERS[0].0);
        self.happens("webserver01 is started again", |site| site.start_web_server(0))?;
        self.wait("webserver01 answers", |show| show.site.client.seen().count(WEB_SERVERS[0].0) > before)?;
        self.settled("webserver01 came back")?;

        self.happens("the cable of balancer01, which has the address, is cut", |site| site.cut(0, false))?;
        self.wait("balancer02 has the address", |show| show.site.holder() == Some(1))?;
        self.settled("the cable of balancer01 was cut")?;
        self.happens("the cable is whole again", |site| site.cut(0, true))?;
        self.wait("balancer01 has the address", |show| show.site.holder() == Some(0))?;
        self.settled("the cable was mended")
    }

    fn happens(&mut self, what: &str, act: impl FnOnce(&mut Site) -> io::Result<()>) -> Result<(), Halt> {
        self.say(what);
        self.site.client.begin();
        Ok(act(&mut self.site)?)
    }

    /// It is over when the client has had its answers for a while.
    fn settled(&mut self, what: &str) -> Result<(), Halt> {
        self.wait("the client gets answers", |show| {
            show.site.client.seen().last.is_some_and(|last| last.elapsed() < LOOK)
        })?;
        self.rest()?;
        let cost = self.site.client.cost();
        let holder = self.site.holder().map_or("nobody", |place| BALANCERS[place].0);
        self.say(&format!("  {holder} has the address: {}", picture::cost(cost)));
        self.costs.push((what.to_owned(), cost));
        Ok(())
    }

    fn sum_up(&mut self, seen: &Seen) {
        let mut text = String::from("\nWhat it cost the client:\n\n");
        for (what, cost) in &self.costs {
            text.push_str(&format!("  {what:<34}{}\n", picture::cost(*cost)));
        }
        text.push_str(&format!(
            "\n{} requests answered, {} failed. The demo is over; nothing is left behind.",
            seen.all(),
            seen.failed
        ));
        self.screen.say(&text);
    }

    fn say(&mut self, text: &str) {
        self.screen.say(text);
    }

    /// Looks on for a while.
    fn rest(&mut self) -> Result<(), Halt> {
        let until = Instant::now() + CALM;
        while Instant::now() < until {
            self.look()?;
        }
        Ok(())
    }

    fn wait(&mut self, what: &str, holds: impl Fn(&mut Self) -> bool) -> Result<(), Halt> {
        let until = Instant::now() + BOUND;
        while !holds(self) {
            if Instant::now() > until {
                return Err(Halt::Failed(format!(
                    "{what}: this did not happen within {} s",
                    BOUND.as_secs()
                )));
            }
            self.look()?;
        }
        Ok(())
    }

    fn look(&mut self) -> Result<(), Halt> {
        if self.over.load(Ordering::SeqCst) {
            return Err(Halt::Told);
        }
        for Line { name, text } in self.site.log.try_iter() {
            // The time does not matter here.
            let text = text.split_once(' ').map_or(text.as_str(), |(_, rest)| rest).trim_start();
            self.screen.say(&format!("  {name}: {text}"));
        }
        if let Some(name) = self.site.broken() {
            return Err(Halt::Failed(format!("{name} has ended; what it said stands above")));
        }
        self.screen.draw(&mut self.site);
        std::thread::sleep(LOOK);
        Ok(())
    }
}

/// Becomes true with Ctrl-C and SIGTERM.
fn told_to_stop() -> io::Result<Arc<AtomicBool>> {
    use tokio::signal::unix::{SignalKind, signal};
    let over = Arc::new(AtomicBool::new(false));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build()?;
    let (mut interrupt, mut terminate) = {
        let _inside = runtime.enter();
        (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?)
    };
    let told = Arc::clone(&over);
    std::thread::Builder::new().name("signals".into()).spawn(move || {
        runtime.block_on(async {
            tokio::select! {
                _ = interrupt.recv() => {}
                _ = terminate.recv() => {}
            }
        });
        told.store(true, Ordering::SeqCst);
    })?;
    Ok(over)
}

/// Removes directories of demos that were killed.
fn remove_leftovers(place: &Path) {
    let Ok(entries) = std::fs::read_dir(place) else { return };
    let left = |path: &PathBuf| {
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        let id = name.strip_prefix(PREFIX).and_then(|id| id.parse::<u32>().ok());
        // One that has ended and was not waited for has a number still, and no program.
        id.is_some_and(|id| std::fs::read_link(format!("/proc/{id}/exe")).is_err())
    };
    for path in entries.flatten().map(|entry| entry.path()).filter(left) {
        let _gone = std::fs::remove_dir_all(path);
    }
}
