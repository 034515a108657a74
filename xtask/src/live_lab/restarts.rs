//! What outlives the program: runtime changes, comments of the file, and either the old or the new state when it is
//! killed while it writes.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use evenkeel_testkit::{ToyServer, free_address};
use serde_json::{Value, json};

use super::page::Part;
use super::site::{Api, Site, found, server};

const ROUNDS: u32 = 50;
/// The program is killed at most so long after the first change of a round was answered.
const LONGEST: Duration = Duration::from_millis(80);
/// Servers that are changed at run time meanwhile, so that there is something to write.
const OTHERS: usize = 200;
/// What a bound may be set to; beyond it numbers begin again.
const NUMBERS: u64 = 4_000_000_000;

pub(super) fn run(program: &Path) -> Result<Part, String> {
    let mut part = Part::new(
        "Restarts and sudden ends",
        format!(
            "Servers are added, removed and changed; the program is stopped and started; `evenkeel config save` writes the \
             changes into the file. Then, {ROUNDS} times, every process is killed (SIGKILL) at a random moment while a client \
             changes a server again and again, in every second round with `config save` in between. After the next start \
             the last change that was answered must be there, or the one that was under way."
        ),
    );
    let servers = ["s0", "s1", "s2"].map(ToyServer::named);
    let [first, second, third] = servers.each_ref().map(ToyServer::address);
    let text = format!(
        "# A site of ours.\n[listener.website]\nbind = \"{}\"\npool = \"website\"\n\n# Ask Ann before you change them.\n\
         [pool.website.servers]\ns0 = \"{first}\" # old\ns1 = \"{second}\" # new\n# The end.\n",
        free_address()
    );
    let mut site = Site::start(program, &text);
    outlive_a_restart(&mut part, &mut site, third)?;
    sudden_ends(&mut part, &mut site)?;
    site.stop()?;
    Ok(part)
}

fn outlive_a_restart(part: &mut Part, site: &mut Site, third: std::net::SocketAddr) -> Result<(), String> {
    site.command(&["server", "add", "website/s2", &third.to_string(), "--weight", "2"])?;
    site.command(&["server", "remove", "website/s0", "--force"])?;
    site.command(&["server", "weight", "website/s1", "3"])?;
    let seen = |status: &Value| {
        found(status, "s0").is_none()
            && found(status, "s1").is_some_and(|server| server["weight"] == 3)
            && found(status, "s2").is_some_and(|server| server["weight"] == 2)
    };
    site.stop()?;
    site.start_again();
    let status = site.status()?;
    let changes = status["runtime_changes"].as_array().map_or(0, Vec::len);
    part.judge("runtime changes after a restart", format!("{changes} of 3"), seen(&status) && changes == 3);
    let before = std::fs::read_to_string(site.config()).map_err(|error| error.to_string())?;
    site.command(&["config", "save"])?;
    let after = std::fs::read_to_string(site.config()).map_err(|error| error.to_string())?;
    let comments = |text: &str| -> Vec<String> {
        text.lines().filter_map(|line| Some(line.split_once('#')?.1.trim().to_owned())).collect()
    };
    // The comment on the line of the server that was removed goes with it.
    let wanted: Vec<String> = comments(&before).into_iter().filter(|comment| comment != "old").collect();
    let (found, all) = (comments(&after), comments(&before).len());
    let kept = format!("{} of {all}; one was that of the server that is gone", found.len());
    part.judge("comments after `config save`", kept, found == wanted);
    site.stop()?;
    site.start_again();
    let status = site.status()?;
    let none = status["runtime_changes"].as_array().is_some_and(Vec::is_empty);
    part.judge(
        "the saved file",
        if seen(&status) { "means what was in force" } else { "differs" },
        none && seen(&status),
    );
    Ok(())
}

fn sudden_ends(part: &mut Part, site: &mut Site) -> Result<(), String> {
    let mut api = site.api().map_err(|error| error.to_string())?;
    for number in 0..OTHERS {
        let address = format!("192.0.2.{}:{}", 1 + number % 200, 8000 + number / 200);
        let body = json!({ "address": address, "state": "maintenance" });
        api.must("PUT", &server(&format!("other{number}")), &body, 201)?;
    }
    let (mut number, mut answered, mut saved, mut under_way, mut lost) = (0, 0, 0, 0, Vec::new());
    let mut chance = Chance::new();
    for round in 0..ROUNDS {
        let moment = chance.below(LONGEST);
        let last = Arc::new(AtomicU64::new(number));
        let mut api = site.api().map_err(|error| error.to_string())?;
        let noted = last.clone();
        let saves = round % 2 == 1;
        let (begun, begin) = std::sync::mpsc::channel();
        let changing = std::thread::spawn(move || change(&mut api, &noted, saves, &begun));
        begin.recv().map_err(|_| "the client that changes servers has ended before its time")?;
        std::thread::sleep(moment);
        site.kill();
        saved += changing.join().map_err(|_| "the client that changes servers panicked")?;
        let told = last.load(Ordering::SeqCst);
        answered += told - number;
        site.start_again();
        let status = site.status()?;
        let is = state(site)?;
        let alarms = status["alarms"].as_array().is_some_and(|alarms| !alarms.is_empty());
        let others = (0..OTHERS).filter(|number| found(&status, &format!("other{number}")).is_some()).count();
        if !(is == told || is == told + 1) || alarms || others != OTHERS {
            lost.push(format!(
                "round {round}: {told} was answered, {is} is there, {others} others, alarms {}",
                status["alarms"]
            ));
        }
        under_way += is.saturating_sub(told);
        number = is;
    }
    let seen = format!("{answered} changes answered, {saved} saves, {} lost", lost.len());
    part.judge(&format!("{ROUNDS} sudden ends"), seen, lost.is_empty() && answered > 0 && saved > 0);
    part.see("changes that were kept before their answer", under_way.to_string());
    for why in lost {
        part.judge("lost", why, false);
    }
    Ok(())
}

/// Changes a server until the program is gone; says how often that was saved into the file.
fn change(api: &mut Api, last: &AtomicU64, saves: bool, begun: &std::sync::mpsc::Sender<()>) -> u64 {
    let mut saved = 0;
    loop {
        let next = last.load(Ordering::SeqCst) % NUMBERS + 1;
        match api.ask("PATCH", &server("s1"), &json!({ "max_connections": next })) {
            Ok((200, _)) => last.store(next, Ordering::SeqCst),
            Ok(_) | Err(_) => return saved,
        }
        // Nobody waits for the second.
        let _first = begun.send(());
        if saves {
            match api.ask("POST", "/v1/config/save", &Value::Null) {
                Ok((200, _)) => saved += 1,
                Ok(_) | Err(_) => return saved,
            }
        }
    }
}

/// The number that the server was given last.
fn state(site: &Site) -> Result<u64, String> {
    let mut api = site.api().map_err(|error| error.to_string())?;
    let settings = api.must("GET", &server("s1"), &Value::Null, 200)?;
    Ok(settings["max_connections"].as_u64().unwrap_or(0))
}

/// Moments that nobody has planned.
struct Chance(std::hash::RandomState, u64);

impl Chance {
    fn new() -> Self {
        Self(std::hash::RandomState::new(), 0)
    }

    fn below(&mut self, most: Duration) -> Duration {
        self.1 += 1;
        let part = std::hash::BuildHasher::hash_one(&self.0, self.1) % 10_000;
        most.mul_f64(part as f64 / 10_000.0)
    }
}
