//! What `evenkeel top` shows and what a key does: decisions only, no terminal and no network.
//!
//! Invariants: nothing is asked of the running program before the operator has said yes to it; the selection follows its
//! row when others come and go.

use std::time::{Duration, Instant};

use evenkeel_admin::message::{Event, Status};
use ratatui::crossterm::event::{KeyCode, KeyEvent, KeyModifiers};

use super::Events;
use super::meter::Look;
use super::tables::{self, Column, Row, Subject};

/// Events that are kept.
const MOST_EVENTS: usize = 500;
/// The longest filter.
const LONGEST_FILTER: usize = 64;
/// How long what came of a wish is shown.
const SAID_FOR: Duration = Duration::from_secs(10);

/// One table at a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Tab {
    Listeners,
    Servers,
    Routers,
    Events,
}

impl Tab {
    pub(super) const ALL: [Self; 4] = [Self::Listeners, Self::Servers, Self::Routers, Self::Events];

    pub(super) fn title(self) -> &'static str {
        match self {
            Self::Listeners => "1 listeners",
            Self::Servers => "2 servers",
            Self::Routers => "3 virtual routers",
            Self::Events => "4 events",
        }
    }

    pub(super) fn columns(self) -> &'static [Column] {
        match self {
            Self::Listeners => tables::LISTENERS,
            Self::Servers => tables::SERVERS,
            Self::Routers => tables::ROUTERS,
            Self::Events => tables::EVENTS,
        }
    }
}

/// What the running program is asked to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Wanted {
    /// Give a server more, or less.
    Duty { pool: String, server: String, duty: &'static str },
    /// Make another node hold the addresses.
    Failover { router: String },
}

impl Wanted {
    /// What the operator must say yes to.
    fn question(&self) -> String {
        match self {
            Self::Duty { pool, server, duty: "drain" } => {
                format!("drain {pool}/{server}? It gets nothing new; what it has goes on")
            }
            Self::Duty { pool, server, duty: "maintenance" } => {
                format!("take {pool}/{server} into maintenance? It gets nothing and is not checked")
            }
            Self::Duty { pool, server, duty } => format!("make {pool}/{server} {duty}?"),
            Self::Failover { router } => format!("make another node hold the addresses of {router}?"),
        }
    }
}

/// What comes of a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Pressed {
    Nothing,
    Quit,
    Wants(Wanted),
}

/// What the next key means.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Mode {
    Browse,
    Filter,
    Confirm(Wanted),
    Help,
}

#[derive(Debug)]
pub(super) struct Model {
    look: Look,
    before: Option<Look>,
    /// Why there is no newer look.
    silent: Option<String>,
    events: Events,
    pub(super) tab: Tab,
    mode: Mode,
    pub(super) filter: String,
    /// The column by which each table is sorted; `None`: in the order of the file.
    sorted: [Option<usize>; Tab::ALL.len()],
    reversed: bool,
    selected: Option<Subject>,
    paused: bool,
    said: Option<(String, Instant)>,
}

impl Model {
    pub(super) fn new(status: Status, at: Instant) -> Self {
        let tab = if status.traffic.as_ref().is_some_and(|traffic| !traffic.pools.is_empty()) {
            Tab::Servers
        } else {
            Tab::Routers
        };
        Self {
            look: Look { at, status },
            before: None,
            silent: None,
            events: Events::new(),
            tab,
            mode: Mode::Browse,
            filter: String::new(),
            sorted: [None; Tab::ALL.len()],
            reversed: false,
            selected: None,
            paused: false,
            said: None,
        }
    }

    pub(super) fn look(&mut self, status: Status, at: Instant) {
        if self.said.as_ref().is_some_and(|(_, since)| at.saturating_duration_since(*since) > SAID_FOR) {
            self.said = None;
        }
        if self.paused {
            return;
        }
        self.silent = None;
        self.before = Some(std::mem::replace(&mut self.look, Look { at, status }));
    }

    pub(super) fn silent(&mut self, why: String) {
        self.silent = Some(why);
    }

    pub(super) fn happened(&mut self, event: Event) {
        self.events.push_front(event);
        self.events.truncate(MOST_EVENTS);
    }

    pub(super) fn say(&mut self, what: String) {
        self.said = Some((what, self.look.at));
    }

    pub(super) fn status(&self) -> &Status {
        &self.look.status
    }

    /// Requests and connections in a second, over all listeners.
    pub(super) fn pace(&self) -> Option<f64> {
        let before = self.before.as_ref()?;
        let total = |look: &Look| {
            let listeners = &look.status.traffic.as_ref()?.listeners;
            Some(
                listeners
                    .iter()
                    .map(|l| if l.mode == "http" { l.requests_total } else { l.connections_total })
                    .sum(),
            )
        };
        super::meter::rate(total(before)?, total(&self.look)?, self.look.at - before.at)
    }

    /// What the table shows: filtered and sorted.
    pub(super) fn rows(&self) -> Vec<Row> {
        let mut rows = match self.tab {
            Tab::Listeners => tables::listeners(&self.look, self.before.as_ref()),
            Tab::Servers => tables::servers(&self.look, self.before.as_ref()),
            Tab::Routers => tables::routers(&self.look),
            Tab::Events => {
                let now = (self.look.status.since + self.look.status.uptime) * 1000;
                tables::events(self.events.iter(), now)
            }
        };
        if !self.filter.is_empty() {
            let wanted = self.filter.to_lowercase();
            rows.retain(|row| row.cells.iter().any(|cell| cell.text.to_lowercase().contains(&wanted)));
        }
        if let Some(column) = self.sorted() {
            rows.sort_by(|one, other| one.cells[column].order(&other.cells[column]));
        }
        if self.reversed {
            rows.reverse();
        }
        rows
    }

    pub(super) fn sorted(&self) -> Option<usize> {
        self.sorted[self.place()]
    }

    fn place(&self) -> usize {
        Tab::ALL.iter().position(|tab| *tab == self.tab).unwrap_or_default()
    }

    /// Which of these rows is selected: the first until another was, and when that one is gone.
    pub(super) fn selected(&self, rows: &[Row]) -> Option<usize> {
        let place = self.selected.as_ref().and_then(|it| rows.iter().position(|row| row.subject == *it));
        place.or_else(|| (!rows.is_empty()).then_some(0))
    }

    pub(super) fn is_filtering(&self) -> bool {
        self.mode == Mode::Filter
    }

    pub(super) fn helps(&self) -> bool {
        self.mode == Mode::Help
    }

    /// A question that waits for yes or no.
    pub(super) fn question(&self) -> Option<String> {
        match &self.mode {
            Mode::Confirm(wanted) => Some(wanted.question()),
            _ => None,
        }
    }

    /// What the operator should know now, and whether it is bad.
    pub(super) fn notice(&self) -> Option<(&str, bool)> {
        if let Some(why) = &self.silent {
            return Some((why.lines().next().unwrap_or_default(), true));
        }
        if let Some((said, _)) = &self.said {
            return Some((said, false));
        }
        self.paused.then_some(("paused: space goes on", false))
    }

    pub(super) fn press(&mut self, key: KeyEvent) -> Pressed {
        if key.modifiers.contains(KeyModifiers::CONTROL) {
            return if key.code == KeyCode::Char('c') { Pressed::Quit } else { Pressed::Nothing };
        }
        match std::mem::replace(&mut self.mode, Mode::Browse) {
            Mode::Browse => return self.browse(key.code),
            Mode::Help => {}
            Mode::Filter => self.type_filter(key.code),
            Mode::Confirm(wanted) => {
                if matches!(key.code, KeyCode::Char('y' | 'Y')) {
                    return Pressed::Wants(wanted);
                }
                self.say("nothing was changed".into());
            }
        }
        Pressed::Nothing
    }

    fn type_filter(&mut self, key: KeyCode) {
        match key {
            KeyCode::Enter => return,
            KeyCode::Esc => return self.filter.clear(),
            KeyCode::Backspace => drop(self.filter.pop()),
            KeyCode::Char(c) if self.filter.len() < LONGEST_FILTER => self.filter.push(c),
            _ => {}
        }
        self.mode = Mode::Filter;
    }

    fn browse(&mut self, key: KeyCode) -> Pressed {
        match key {
            KeyCode::Char('q') => return Pressed::Quit,
            KeyCode::Esc if !self.filter.is_empty() => self.filter.clear(),
            KeyCode::Char('?' | 'h') => self.mode = Mode::Help,
            KeyCode::Char('/') => self.mode = Mode::Filter,
            KeyCode::Char(' ') => self.paused = !self.paused,
            KeyCode::Char(digit @ '1'..='4') => {
                self.turn_to(usize::try_from(digit.to_digit(10).unwrap_or(1)).unwrap_or(1) - 1);
            }
            KeyCode::Tab | KeyCode::Right => self.turn_to(self.place() + 1),
            KeyCode::BackTab | KeyCode::Left => self.turn_to(self.place() + Tab::ALL.len() - 1),
            KeyCode::Down | KeyCode::Char('j') => self.step(1),
            KeyCode::Up | KeyCode::Char('k') => self.step(-1),
            KeyCode::PageDown => self.step(10),
            KeyCode::PageUp => self.step(-10),
            KeyCode::Home => self.step(isize::MIN / 2),
            KeyCode::End => self.step(isize::MAX / 2),
            KeyCode::Char('s') => self.sort_by_next(),
            KeyCode::Char('S') => self.reversed = !self.reversed,
            KeyCode::Char('d') => self.ask_for_duty("drain"),
            KeyCode::Char('r') => self.ask_for_duty("ready"),
            KeyCode::Char('m') => self.ask_for_duty("maintenance"),
            KeyCode::Char('f') => self.ask_for_failover(),
            _ => {}
        }
        Pressed::Nothing
    }

    fn turn_to(&mut self, place: usize) {
        self.tab = Tab::ALL[place % Tab::ALL.len()];
        self.selected = None;
    }

    fn step(&mut self, by: isize) {
        let rows = self.rows();
        let Some(place) = self.selected(&rows) else { return };
        let place = place.saturating_add_signed(by).min(rows.len() - 1);
        self.selected = Some(rows[place].subject.clone());
    }

    fn sort_by_next(&mut self) {
        let place = self.place();
        self.sorted[place] = match self.sorted[place] {
            None => Some(0),
            Some(column) if column + 1 < self.tab.columns().len() => Some(column + 1),
            Some(_) => None,
        };
    }

    fn subject(&self) -> Option<Subject> {
        let rows = self.rows();
        self.selected(&rows).map(|place| rows[place].subject.clone())
    }

    fn ask_for_duty(&mut self, duty: &'static str) {
        match self.subject() {
            Some(Subject::Server { pool, server }) => {
                self.mode = Mode::Confirm(Wanted::Duty { pool, server, duty });
            }
            _ => self.say("select a server for that: key 2".into()),
        }
    }

    fn ask_for_failover(&mut self) {
        match self.subject() {
            Some(Subject::Router(router)) => self.mode = Mode::Confirm(Wanted::Failover { router }),
            _ => self.say("select a virtual router for that: key 3".into()),
        }
    }
}

#[cfg(test)]
pub(super) mod tests;
