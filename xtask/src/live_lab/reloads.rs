//! A hundred reloads, or ten upgrades, under load of every kind.

use std::fmt::Write as _;
use std::net::SocketAddr;
use std::path::Path;
use std::time::{Duration, Instant};

use evenkeel_testkit::{HttpClient, Nginx, ToyServer, free_address, free_port, websocket_echo};

use super::load::{Chat, Download, Loads};
use super::page::Part;
use super::site::{Site, found};

const RELOADS: u32 = 100;
const UPGRADES: u32 = 10;
/// What the slow download fetches.
const BIG: u64 = 1 << 30;
/// How long a load may take to get going.
const BEGIN: Duration = Duration::from_secs(20);

/// What stands behind the listeners.
struct Servers {
    website: [Nginx; 3],
    chat: ToyServer,
    bind: SocketAddr,
    /// Where the listener that comes and goes is found.
    extra: [SocketAddr; 2],
}

impl Servers {
    fn start() -> Self {
        let website =
            ["webserver01", "webserver02", "webserver03"].map(|name| Nginx::start(name, free_port()));
        website[0].file("big", BIG);
        let extra = [free_address(), free_address()];
        Self { website, chat: websocket_echo(), bind: free_address(), extra }
    }

    /// The configuration of one turn: weights, servers, routes and listeners differ from that of the turn before.
    fn text(&self, turn: u32) -> String {
        let [first, second, third] = self.website.each_ref().map(Nginx::address);
        let mut text = format!(
            "[listener.website]\nbind = \"{}\"\npool = \"website\"\n\
             [[listener.website.route]]\npath = \"/chat\"\npool = \"chat\"\n\
             [[listener.website.route]]\npath-prefix = \"/files/\"\npool = \"files\"\n",
            self.bind
        );
        if turn % 3 == 1 {
            text.push_str("[[listener.website.route]]\nhost = \"files.example\"\npool = \"files\"\n");
        }
        if let Some(bind) = self.extra(turn) {
            let _ = write!(text, "[listener.extra]\nbind = \"{bind}\"\npool = \"website\"\n");
        }
        let _ = write!(
            text,
            "[pool.chat.servers]\nchat = \"{}\"\n[pool.files.servers]\nwebserver01 = \"{first}\"\n\
             [pool.website.servers]\nwebserver01 = {{ address = \"{first}\", weight = {} }}\n\
             webserver02 = \"{second}\"\n",
            self.chat.address(),
            1 + turn % 5
        );
        if turn % 2 == 1 {
            let _ = writeln!(text, "webserver03 = \"{third}\"");
        }
        text
    }

    /// The extra listener is added, moved and removed, turn by turn.
    fn extra(&self, turn: u32) -> Option<SocketAddr> {
        match turn % 3 {
            1 => Some(self.extra[0]),
            2 => Some(self.extra[1]),
            _ => None,
        }
    }

    /// Whether the listeners are those of this turn.
    fn look(&self, turn: u32) -> Result<(), String> {
        for bind in self.extra {
            let asked = HttpClient::connect(bind).and_then(|mut client| client.get("/"));
            match (self.extra(turn) == Some(bind), asked) {
                (true, Ok(response)) if response.status == 200 => {}
                (false, Err(_)) => {}
                (true, asked) => return Err(format!("turn {turn}: {bind} was added: {asked:?}")),
                (false, Ok(_)) => return Err(format!("turn {turn}: {bind} was removed and answers")),
            }
        }
        Ok(())
    }
}

pub(super) fn of_reloads(program: &Path) -> Result<Part, String> {
    let part = Part::new(
        "Reloads under load",
        format!(
            "{RELOADS} times `evenkeel reload`, each with other weights, servers, routes and listeners (one is added, moved \
             and removed again), while wrk asks over kept connections and over a new one for each request, a WebSocket \
             says something after each reload, and a download of 1 GiB is read a share at a time from the first reload \
             to the last."
        ),
    );
    under_load(program, part, RELOADS, |site, servers, turn| {
        let took = site.reload(&servers.text(turn))?;
        servers.look(turn)?;
        Ok(took)
    })
}

pub(super) fn of_upgrades(program: &Path) -> Result<Part, String> {
    let part = Part::new(
        "Upgrades under load",
        format!("{UPGRADES} times `evenkeel upgrade` to the same program, under the load of the reloads."),
    );
    under_load(program, part, UPGRADES, |site, _, _| {
        let began = Instant::now();
        site.command(&["upgrade"])?;
        Ok(began.elapsed())
    })
}

fn under_load(
    program: &Path,
    mut part: Part,
    turns: u32,
    change: impl Fn(&Site, &Servers, u32) -> Result<Duration, String>,
) -> Result<Part, String> {
    let servers = Servers::start();
    let site = Site::start(program, &servers.text(0));
    let mut chat = Chat::open(servers.bind)?;
    let mut download = Download::start(servers.bind, "/files/big", BIG, turns.into());
    let loads = Loads::start(servers.bind);
    site.wait_until(BEGIN, |status| {
        found(status, "webserver02").is_some_and(|server| server["total"].as_u64() > Some(1000))
    })?;
    let mut times = Vec::new();
    for turn in 1..=turns {
        times.push(change(&site, &servers, turn)?);
        chat.say()?;
        download.step();
    }
    loads.stop(&mut part);
    chat.finish(&mut part)?;
    download.finish(&mut part);
    times.sort_unstable();
    if let (Some(middle), Some(longest)) = (times.get(times.len() / 2), times.last()) {
        part.see("each took", format!("{middle:.0?} (median), at most {longest:.0?}"));
    }
    let roles = site.status()?["roles"].clone();
    let restarts =
        roles.as_array().into_iter().flatten().filter_map(|role| role["restarts"].as_u64()).sum::<u64>();
    part.judge("roles that had to be started again", restarts.to_string(), restarts == 0);
    site.stop()?;
    Ok(part)
}
