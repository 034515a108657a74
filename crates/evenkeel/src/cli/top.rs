//! `evenkeel top`: the running program as a live picture in a terminal, and a few keys to steer it.
//!
//! Three threads ask (status, events, what keys want) and one draws, so that a slow answer never freezes the picture.
//! What is shown and what a key means is decided in [`model`], without a terminal; [`draw`] only paints.

mod draw;
mod meter;
mod model;
mod tables;

use std::collections::VecDeque;
use std::io::IsTerminal;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, TryRecvError, sync_channel};
use std::thread;
use std::time::{Duration, Instant};

use clap::Args;
use evenkeel_admin::message::{Edited, Event, FailedOver, Status};
use hyper::Method;
use ratatui::crossterm::event::{self, Event as Input, KeyEventKind};
use serde_json::json;

use super::client::{Failure, Target, Wish};
use crate::exit::Exit;
use model::{Model, Pressed, Wanted};

/// How often the keyboard and what was asked are looked at.
const TURN: Duration = Duration::from_millis(50);
/// News that may wait to be drawn; threads that ask wait beyond.
const MOST_NEWS: usize = 64;
/// Wishes that may wait for the one before; further ones are dropped, and the operator is told.
const MOST_WISHES: usize = 4;
/// Pause before a stream of events that ended is opened again.
const PAUSE: Duration = Duration::from_secs(1);
/// The shortest interval: a status costs the running program a look at everything.
const SHORTEST: f64 = 0.2;
/// The longest.
const LONGEST: f64 = 3600.0;

#[derive(Debug, Args)]
pub(super) struct Top {
    #[command(flatten)]
    target: Target,
    /// Seconds from one look to the next
    #[arg(short, long, value_name = "SECONDS", default_value = "1", value_parser = seconds)]
    interval: Duration,
}

fn seconds(text: &str) -> Result<Duration, String> {
    let seconds: f64 = text.parse().map_err(|_| "write a number of seconds: `0.5`".to_owned())?;
    if (SHORTEST..=LONGEST).contains(&seconds) {
        Ok(Duration::from_secs_f64(seconds))
    } else {
        Err(format!("it must lie between {SHORTEST} and {LONGEST} seconds"))
    }
}

/// What the threads that ask have to say.
enum News {
    Status(Box<Status>, Instant),
    Silent(String),
    Happened(Event),
    Done(String),
}

impl Top {
    pub(super) fn perform(self) -> Exit {
        if !(std::io::stdin().is_terminal() && std::io::stdout().is_terminal()) {
            return super::usage("`evenkeel top` needs a terminal: `evenkeel status` prints the same once");
        }
        // Before the screen is taken: what is wrong now is said in plain text.
        let first: Status = match self.target.ask(Method::GET, "/v1/status") {
            Ok(status) => status,
            Err(failure) => return failure.report(false),
        };
        let target = Arc::new(self.target);
        let (news, heard) = sync_channel(MOST_NEWS);
        let (wishes, wished) = sync_channel(MOST_WISHES);
        {
            let (target, news, interval) = (target.clone(), news.clone(), self.interval);
            thread::spawn(move || watch(&target, interval, &news));
        }
        {
            let (target, news) = (target.clone(), news.clone());
            thread::spawn(move || listen(&target, &news));
        }
        thread::spawn(move || obey(&target, &wished, &news));
        let mut model = Model::new(first, Instant::now());
        let mut terminal = match ratatui::try_init() {
            Ok(terminal) => terminal,
            Err(error) => return super::usage(&format!("this terminal cannot be drawn on: {error}")),
        };
        let ended = live(&mut terminal, &mut model, &heard, &wishes);
        ratatui::restore();
        match ended {
            Ok(()) => Exit::Well,
            Err(error) => {
                eprintln!("the terminal is gone: {error}");
                Exit::Refused
            }
        }
    }
}

fn live(
    terminal: &mut ratatui::DefaultTerminal,
    model: &mut Model,
    heard: &Receiver<News>,
    wishes: &SyncSender<Wanted>,
) -> std::io::Result<()> {
    let mut changed = true;
    loop {
        loop {
            match heard.try_recv() {
                Ok(News::Status(status, at)) => model.look(*status, at),
                Ok(News::Silent(why)) => model.silent(why),
                Ok(News::Happened(event)) => model.happened(event),
                Ok(News::Done(what)) => model.say(what),
                Err(TryRecvError::Empty | TryRecvError::Disconnected) => break,
            }
            changed = true;
        }
        if std::mem::take(&mut changed) {
            terminal.draw(|frame| draw::draw(frame, model))?;
        }
        if !event::poll(TURN)? {
            continue;
        }
        changed = true;
        let Input::Key(key) = event::read()? else { continue };
        if key.kind == KeyEventKind::Release {
            continue;
        }
        match model.press(key) {
            Pressed::Nothing => {}
            Pressed::Quit => return Ok(()),
            Pressed::Wants(wanted) => {
                if wishes.try_send(wanted).is_err() {
                    model.say("not done: what was asked before has not ended yet".into());
                }
            }
        }
    }
}

fn watch(target: &Target, interval: Duration, news: &SyncSender<News>) {
    loop {
        thread::sleep(interval);
        let said = match target.ask::<Status>(Method::GET, "/v1/status") {
            Ok(status) => News::Status(Box::new(status), Instant::now()),
            Err(failure) => News::Silent(failure.text),
        };
        if news.send(said).is_err() {
            return;
        }
    }
}

fn listen(target: &Target, news: &SyncSender<News>) {
    let mut seen: Option<u64> = None;
    loop {
        let after = seen.map(|id| id.to_string());
        let headers: Vec<(&'static str, &str)> =
            after.iter().map(|id| ("last-event-id", id.as_str())).collect();
        let wish = Wish { method: Method::GET, path: "/v1/events", headers: &headers, body: None };
        let mut wanted = true;
        // Whether the program answers at all is said by the other thread.
        let _ended = target.lines(&wish, |line| {
            let data = line.strip_prefix("data: ");
            if let Some(event) = data.and_then(|data| serde_json::from_str::<Event>(data).ok()) {
                seen = Some(event.id);
                wanted = news.send(News::Happened(event)).is_ok();
            }
            wanted
        });
        if !wanted {
            return;
        }
        thread::sleep(PAUSE);
    }
}

fn obey(target: &Target, wished: &Receiver<Wanted>, news: &SyncSender<News>) {
    for wanted in wished {
        let said = match carry_out(target, &wanted) {
            Ok(what) => what,
            Err(failure) => failure.text.lines().last().unwrap_or_default().to_owned(),
        };
        if news.send(News::Done(said)).is_err() {
            return;
        }
    }
}

fn carry_out(target: &Target, wanted: &Wanted) -> Result<String, Failure> {
    match wanted {
        Wanted::Duty { pool, server, duty } => {
            let path = format!("/v1/pools/{pool}/servers/{server}");
            let body = Some(json!({ "state": duty }));
            let _edited: Edited =
                target.send(&Wish { method: Method::PATCH, path: &path, headers: &[], body })?;
            Ok(format!("{pool}/{server}: {duty}"))
        }
        Wanted::Failover { router } => {
            let path = format!("/v1/virtual-routers/{router}/failover");
            let done: FailedOver = target.ask(Method::POST, &path)?;
            Ok(format!("{router}: {} is active now", done.active))
        }
    }
}

/// The latest events, the latest first.
type Events = VecDeque<Event>;
