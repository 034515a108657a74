//! `evenkeel server`: add, remove, drain and weight servers while the program runs.

use std::time::{Duration, Instant};

use clap::{Args, Subcommand, ValueEnum};
use evenkeel_admin::message::{Edited, ServerSettings};
use evenkeel_traffic::name::Name;
use hyper::Method;
use serde_json::{Value, json};

use super::client::{Failure, Target, Wish};
use crate::exit::Exit;

/// Time from one look at a server that leaves to the next.
const PAUSE: Duration = Duration::from_millis(200);
/// How much longer than its `--drain-timeout` a removal may take.
const MARGIN: Duration = Duration::from_secs(20);

#[derive(Debug, Args)]
pub(super) struct Server {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Add a server; it gets traffic once its check has passed
    Add(Add),
    /// Drain a server, then remove it
    Remove(Remove),
    /// Give a server nothing new but the requests of clients that are bound to it; what it has goes on
    Drain(Plain),
    /// Give a server nothing at all and do not check it
    Maintenance(Plain),
    /// Give a server its share again; undoes `drain`, `maintenance` and a `remove` that still drains
    Ready(Plain),
    /// Change the share of a server
    Weight(Weight),
    /// Make a server what the file says, whatever was changed at run time
    Reset(Plain),
    /// Show how a server is set
    Show(Plain),
}

/// A server of a pool, as `POOL/SERVER`.
#[derive(Clone, Debug)]
struct Place {
    pool: Name,
    server: Name,
}

impl std::str::FromStr for Place {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (pool, server) =
            text.split_once('/').ok_or("write the pool and the server: `website/webserver01`")?;
        let name = |text: &str| text.parse::<Name>().map_err(|why| format!("`{text}`: {why}"));
        Ok(Self { pool: name(pool)?, server: name(server)? })
    }
}

impl std::fmt::Display for Place {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}/{}", self.pool, self.server)
    }
}

#[derive(Debug, Args)]
struct Common {
    #[command(flatten)]
    target: Target,
    /// Only if the server still has this tag (from `show`), so that nobody else's change is undone
    #[arg(long, value_name = "TAG")]
    if_match: Option<String>,
    /// Print the result as JSON
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Args)]
struct Plain {
    /// Which server
    #[arg(value_name = "POOL/SERVER")]
    place: Place,
    #[command(flatten)]
    common: Common,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum State {
    Ready,
    Drain,
    Maintenance,
}

impl State {
    fn word(self) -> &'static str {
        match self {
            Self::Ready => "ready",
            Self::Drain => "drain",
            Self::Maintenance => "maintenance",
        }
    }
}

#[derive(Debug, Args)]
struct Add {
    /// Which pool, and the name of the new server
    #[arg(value_name = "POOL/SERVER")]
    place: Place,
    /// Where it answers: `192.0.2.1:80`, `[2001:db8::1]:80` or `unix:/run/app.sock`
    address: String,
    /// Where checks ask instead
    #[arg(long, value_name = "ADDRESS")]
    check_address: Option<String>,
    /// Its share, 0 to 256 [default: 1]
    #[arg(long)]
    weight: Option<u16>,
    /// Its rank, 0 to 255 [default: 100]
    #[arg(long, conflicts_with = "backup")]
    priority: Option<u8>,
    /// It takes traffic only when no other can: short for `--priority 0`
    #[arg(long)]
    backup: bool,
    /// Requests or connections running on it at once
    #[arg(long, value_name = "COUNT")]
    max_connections: Option<u32>,
    /// What is wanted of it from the start
    #[arg(long)]
    state: Option<State>,
    /// Put it in the place of a server of this name
    #[arg(long)]
    replace: bool,
    #[command(flatten)]
    common: Common,
}

#[derive(Debug, Args)]
struct Remove {
    /// Which server
    #[arg(value_name = "POOL/SERVER")]
    place: Place,
    /// How long it may drain; what still runs on it then goes on until it ends
    #[arg(long, value_name = "DURATION", default_value = "60s")]
    drain_timeout: String,
    /// Remove it at once. Clients that are bound to it lose their session, and nobody waits for what still runs
    #[arg(long)]
    force: bool,
    /// Do not wait until it is gone
    #[arg(long)]
    no_wait: bool,
    #[command(flatten)]
    common: Common,
}

#[derive(Debug, Args)]
struct Weight {
    /// Which server
    #[arg(value_name = "POOL/SERVER")]
    place: Place,
    /// Its share, 0 to 256; 0 gives it nothing but the clients that are bound to it
    weight: u16,
    #[command(flatten)]
    common: Common,
}

impl Server {
    pub(super) fn perform(self) -> Exit {
        match self.command {
            Command::Add(add) => add.perform(),
            Command::Remove(remove) => remove.perform(),
            Command::Drain(plain) => plain.set(State::Drain),
            Command::Maintenance(plain) => plain.set(State::Maintenance),
            Command::Ready(plain) => plain.set(State::Ready),
            Command::Weight(Weight { place, weight, common }) => {
                common.change(Method::PATCH, &place, "", Some(json!({ "weight": weight })), &[])
            }
            Command::Reset(Plain { place, common }) => {
                common.change(Method::POST, &place, "/reset", None, &[])
            }
            Command::Show(plain) => plain.show(),
        }
    }
}

impl Place {
    fn path(&self, rest: &str) -> String {
        format!("/v1/pools/{}/servers/{}{rest}", self.pool, self.server)
    }
}

impl Common {
    fn edit(
        &self,
        method: Method,
        place: &Place,
        rest: &str,
        body: Option<Value>,
        more: &[(&'static str, &str)],
    ) -> Result<Edited, Failure> {
        let quoted = self.if_match.as_ref().map(|tag| format!("\"{}\"", tag.trim_matches('"')));
        let condition = quoted.iter().map(|tag| ("if-match", tag.as_str()));
        let headers: Vec<(&'static str, &str)> = more.iter().copied().chain(condition).collect();
        self.target.send(&Wish { method, path: &place.path(rest), headers: &headers, body })
    }

    fn change(
        &self,
        method: Method,
        place: &Place,
        rest: &str,
        body: Option<Value>,
        more: &[(&'static str, &str)],
    ) -> Exit {
        match self.edit(method, place, rest, body, more) {
            Ok(edited) => self.tell(place, &edited),
            Err(failure) => failure.report(self.json),
        }
    }

    fn tell(&self, place: &Place, edited: &Edited) -> Exit {
        if self.json {
            super::print_json(edited);
            return Exit::Well;
        }
        match &edited.server {
            None => super::print(&format!("{place}: removed\n")),
            Some(settings) => {
                let what = if edited.created { "added" } else { "done" };
                super::print(&format!("{place}: {what}: {}\n", line(settings)));
            }
        }
        for note in &edited.notes {
            eprintln!("note: {note}");
        }
        Exit::Well
    }
}

impl Plain {
    fn set(self, state: State) -> Exit {
        let body = json!({ "state": state.word() });
        self.common.change(Method::PATCH, &self.place, "", Some(body), &[])
    }

    fn show(self) -> Exit {
        let Self { place, common } = self;
        match common.target.ask::<ServerSettings>(Method::GET, &place.path("")) {
            Ok(settings) if common.json => super::print_json(&settings),
            Ok(settings) => {
                let change = settings.runtime_change.as_ref();
                let change = change.map(|what| format!("runtime change: {what}\n")).unwrap_or_default();
                let tag = settings.tag.trim_matches('"');
                super::print(&format!("{place}: {}\n{change}tag: {tag}\n", line(&settings)));
            }
            Err(failure) => return failure.report(common.json),
        }
        Exit::Well
    }
}

impl Add {
    fn perform(self) -> Exit {
        let priority = if self.backup { Some(0) } else { self.priority };
        let fields = [
            ("address", Some(json!(self.address))),
            ("check_address", self.check_address.map(|address| json!(address))),
            ("weight", self.weight.map(|weight| json!(weight))),
            ("priority", priority.map(|priority| json!(priority))),
            ("max_connections", self.max_connections.map(|most| json!(most))),
            ("state", self.state.map(|state| json!(state.word()))),
        ];
        let body: serde_json::Map<String, Value> =
            fields.into_iter().filter_map(|(key, value)| Some((key.to_owned(), value?))).collect();
        let only_new: &[_] = if self.replace { &[] } else { &[("if-none-match", "*")] };
        self.common.change(Method::PUT, &self.place, "", Some(Value::Object(body)), only_new)
    }
}

impl Remove {
    fn perform(self) -> Exit {
        let Self { place, drain_timeout, force, no_wait, common } = self;
        let Some(within) = evenkeel_config::duration(&drain_timeout) else {
            return super::usage(&format!("`{drain_timeout}` is no duration such as `30s` or `5m`"));
        };
        let query = if force { "?force=true".to_owned() } else { format!("?drain-timeout={drain_timeout}") };
        let edited = match common.edit(Method::DELETE, &place, &query, None, &[]) {
            Ok(edited) => edited,
            Err(failure) => return failure.report(common.json),
        };
        if edited.server.is_none() || no_wait {
            return common.tell(&place, &edited);
        }
        if !common.json {
            eprintln!("{place} drains, and is removed within {drain_timeout} at the latest …");
        }
        let until = Instant::now() + within + MARGIN;
        while Instant::now() < until {
            std::thread::sleep(PAUSE);
            match common.target.ask::<ServerSettings>(Method::GET, &place.path("")) {
                Ok(settings) if settings.leaving => {}
                Ok(settings) => {
                    eprintln!("{place} was called back: {}", line(&settings));
                    return Exit::Refused;
                }
                Err(failure) if failure.is_missing() => {
                    return common.tell(&place, &Edited { server: None, leaves_within: None, ..edited });
                }
                Err(failure) => return failure.report(common.json),
            }
        }
        eprintln!("{place} is not gone after {drain_timeout}: `evenkeel status` says how it is");
        Exit::Refused
    }
}

/// One server in one line.
fn line(settings: &ServerSettings) -> String {
    let ServerSettings { address, weight, priority, max_connections, state, leaving, .. } = settings;
    let mut words = vec![address.to_string(), format!("weight {weight}")];
    if *priority != 100 {
        words.push(format!("priority {priority}"));
    }
    words.extend(max_connections.map(|most| format!("max-connections {most}")));
    words.push(if *leaving { "leaving".to_owned() } else { state.word().to_owned() });
    words.join(", ")
}
