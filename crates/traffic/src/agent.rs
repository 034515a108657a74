//! What a server's agent says of it: how much traffic it wants, and whether it wants any.
//!
//! The text is that of HAProxy's agents (`agent-check` in its configuration manual, 5.2): one line of words between
//! spaces, tabs or commas, in any order and case. Invariants: what an agent does not speak of stays as it was; an
//! agent that says nothing, or nothing that is known, changes nothing; only the agent takes back what it said.

use std::fmt;
use std::time::{Duration, Instant};

use crate::pick::Weight;

/// The longest line that is looked at, in bytes.
pub const LONGEST_LINE: usize = 1024;
/// The largest share of its weight that an agent may ask for, in percent.
pub const MOST_PERCENT: u16 = 1000;
/// What is kept of a reason, in characters.
const LONGEST_REASON: usize = 120;

/// Whether the server wants new traffic at all.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// `ready`: it does.
    Ready,
    /// `drain`: it finishes what it has.
    Drain,
    /// `maint`: it is being worked on.
    Maintenance,
}

/// One answer of an agent; `None` is what it does not speak of.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Answer {
    /// `75%`: of the weight in the file, 0 to [`MOST_PERCENT`].
    pub percent: Option<u16>,
    /// `ready`, `drain`, `maint`.
    pub mode: Option<Mode>,
    /// `up`; `down`, `stopped` and `fail` are not.
    pub up: Option<bool>,
    /// `maxconn:30`: requests or connections at once; 0 takes the bound away.
    pub most: Option<u32>,
    /// What follows `#`.
    pub reason: Option<String>,
}

/// There is no known word in the answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NotUnderstood;

impl fmt::Display for NotUnderstood {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("its agent said nothing that is known")
    }
}

impl std::error::Error for NotUnderstood {}

/// Reads the first line of an answer. Of several words of a kind the last holds; unknown ones are passed over.
///
/// # Errors
/// When it has no known word.
// fuzz: agent
pub fn parse(bytes: &[u8]) -> Result<Answer, NotUnderstood> {
    let bytes = bytes.get(..LONGEST_LINE).unwrap_or(bytes);
    let line = bytes.split(|byte| b"\r\n\0".contains(byte)).next().unwrap_or_default();
    let (words, reason) = match line.iter().position(|&byte| byte == b'#') {
        Some(at) => line.split_at(at),
        None => (line, &[][..]),
    };
    let mut answer = Answer::default();
    let mut known = false;
    for word in words.split(|byte| b" \t,".contains(byte)).filter(|word| !word.is_empty()) {
        known |= answer.take(&word.to_ascii_lowercase());
    }
    if !known {
        return Err(NotUnderstood);
    }
    let text = String::from_utf8_lossy(reason.get(1..).unwrap_or_default());
    let plain: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    let short: String = plain.trim().chars().take(LONGEST_REASON).collect();
    answer.reason = Some(short.trim_end().to_owned()).filter(|reason| !reason.is_empty());
    Ok(answer)
}

impl Answer {
    /// Says whether the word is known.
    fn take(&mut self, word: &[u8]) -> bool {
        match word {
            b"up" => self.up = Some(true),
            b"down" | b"stopped" | b"fail" => self.up = Some(false),
            b"ready" => self.mode = Some(Mode::Ready),
            b"drain" => self.mode = Some(Mode::Drain),
            b"maint" => self.mode = Some(Mode::Maintenance),
            _ => {
                if let Some(digits) = word.strip_suffix(b"%")
                    && let Some(percent) = number(digits).and_then(|number| u16::try_from(number).ok())
                    && percent <= MOST_PERCENT
                {
                    self.percent = Some(percent);
                } else if let Some(most) = word.strip_prefix(b"maxconn:").and_then(number) {
                    self.most = Some(most);
                } else {
                    return false;
                }
            }
        }
        true
    }
}

fn number(digits: &[u8]) -> Option<u32> {
    let plain = !digits.is_empty() && digits.iter().all(u8::is_ascii_digit);
    std::str::from_utf8(digits).ok().filter(|_| plain)?.parse().ok()
}

/// As an agent would write it.
impl fmt::Display for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut words = Vec::new();
        words.extend(self.up.map(|up| if up { "up".to_owned() } else { "down".to_owned() }));
        words.extend(self.mode.map(|mode| mode.word().to_owned()));
        words.extend(self.percent.map(|percent| format!("{percent}%")));
        words.extend(self.most.map(|most| format!("maxconn:{most}")));
        words.extend(self.reason.as_ref().map(|reason| format!("#{reason}")));
        f.write_str(&words.join(" "))
    }
}

impl Mode {
    fn word(self) -> &'static str {
        match self {
            Self::Ready => "ready",
            Self::Drain => "drain",
            Self::Maintenance => "maint",
        }
    }
}

/// What follows from all that an agent has said.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stance {
    /// It takes traffic, if nothing else speaks against it.
    Takes,
    /// It takes nothing new: `drain`, or 0 %.
    Drain,
    /// It takes nothing: `maint`.
    Maintenance,
    /// It says that it does not work.
    Down,
}

/// All that the agent of one server has said, and when to ask it again.
#[derive(Clone, Debug)]
pub struct Agent {
    interval: Duration,
    next: Instant,
    percent: u16,
    mode: Mode,
    up: bool,
    most: Option<u32>,
    /// Its words when it last changed something.
    said: Option<Answer>,
    since: Instant,
    /// Why its last answer was none.
    trouble: Option<String>,
}

impl Agent {
    /// Begins to ask. `phase` spreads the first questions to many agents over one interval: as a fraction of 2^32.
    #[must_use]
    pub fn new(interval: Duration, phase: u32, now: Instant) -> Self {
        let first = interval.mul_f64(f64::from(phase) / (f64::from(u32::MAX) + 1.0));
        Self {
            interval,
            next: now + first,
            percent: 100,
            mode: Mode::Ready,
            up: true,
            most: None,
            said: None,
            since: now,
            trouble: None,
        }
    }

    /// When to ask next.
    #[must_use]
    pub fn next_question(&self) -> Instant {
        self.next
    }

    /// Goes on with another interval; what was said stays.
    pub fn reconfigure(&mut self, interval: Duration, now: Instant) {
        self.interval = interval;
        self.next = self.next.min(now + interval);
    }

    /// A question that was asked at `started` was answered, or not. Returns the sentence for the operator when that
    /// changes something.
    pub fn answered(
        &mut self,
        answer: Result<Answer, String>,
        started: Instant,
        now: Instant,
    ) -> Option<String> {
        self.next = (started + self.interval).max(now);
        let answer = match answer {
            Ok(answer) => answer,
            Err(why) => {
                self.trouble = Some(why);
                return None;
            }
        };
        self.trouble = None;
        let before = (self.percent, self.mode, self.up, self.most);
        self.percent = answer.percent.unwrap_or(self.percent);
        self.mode = answer.mode.unwrap_or(self.mode);
        self.up = answer.up.unwrap_or(self.up);
        self.most = answer.most.or(self.most);
        if before == (self.percent, self.mode, self.up, self.most) {
            return None;
        }
        self.since = now;
        let sentence = format!("its agent says `{answer}`");
        self.said = Some(answer);
        Some(sentence)
    }

    /// What follows.
    #[must_use]
    pub fn stance(&self) -> Stance {
        match (self.mode, self.up) {
            (Mode::Maintenance, _) => Stance::Maintenance,
            (Mode::Drain, _) => Stance::Drain,
            (Mode::Ready, false) => Stance::Down,
            (Mode::Ready, true) if self.percent == 0 => Stance::Drain,
            (Mode::Ready, true) => Stance::Takes,
        }
    }

    /// All that it has said so far, as it would write it; `None` when nothing has changed anything.
    #[must_use]
    pub fn words(&self) -> Option<String> {
        let reason = self.said.as_ref()?.reason.clone();
        let (percent, mode, up) = (Some(self.percent), Some(self.mode), Some(self.up));
        Some(Answer { percent, mode, up, most: self.most, reason }.to_string())
    }

    /// What it has told another process holds here as well, since then.
    pub fn take_up(&mut self, answer: Answer, since: Instant) {
        let next = self.next;
        let _sentence = self.answered(Ok(answer), since, since);
        // It is asked as soon as it would have been.
        self.next = next;
    }

    /// Since when it says what it says.
    #[must_use]
    pub fn since(&self) -> Instant {
        self.since
    }

    /// The part of its weight that it wants.
    #[must_use]
    pub fn percent(&self) -> u16 {
        self.percent
    }

    /// What may run on it at once, when it spoke of that; 0 is no bound.
    #[must_use]
    pub fn most(&self) -> Option<u32> {
        self.most
    }

    /// Why the server is not simply as the file says; `None` when it is.
    #[must_use]
    pub fn why(&self) -> Option<String> {
        let as_the_file_says = self.stance() == Stance::Takes && self.percent == 100 && self.most.is_none();
        let mut why =
            self.said.as_ref().filter(|_| !as_the_file_says).map(|said| format!("its agent said `{said}`"));
        if let Some(trouble) = &self.trouble {
            let trouble = format!("its agent cannot be asked: {trouble}");
            why = Some(why.map_or(trouble.clone(), |why| format!("{why}; now {trouble}")));
        }
        why
    }
}

/// The weights that give each server its weight times what its agent wants of it: as exact as weights up to
/// [`Weight::MOST`] can be, and above 0 whatever is above 0.
#[must_use]
pub fn weights(servers: &[(Weight, u16)]) -> Vec<Weight> {
    let wanted: Vec<u32> =
        servers.iter().map(|&(weight, percent)| u32::from(weight.value()) * u32::from(percent)).collect();
    if servers.iter().all(|&(_, percent)| percent == 100) {
        return servers.iter().map(|&(weight, _)| weight).collect();
    }
    let divisor = wanted.iter().copied().fold(0, common_divisor).max(1);
    let largest = wanted.iter().copied().max().unwrap_or(0) / divisor;
    let most = u32::from(Weight::MOST);
    let scaled = |wanted: u32| match wanted / divisor {
        0 => 0,
        part if largest <= most => part,
        part => ((part * most + largest / 2) / largest).max(1),
    };
    let weight = |wanted| u16::try_from(scaled(wanted)).ok().and_then(|weight| Weight::try_from(weight).ok());
    wanted.into_iter().map(|wanted| weight(wanted).unwrap_or(Weight::ONE)).collect()
}

fn common_divisor(a: u32, b: u32) -> u32 {
    if b == 0 { a } else { common_divisor(b, a % b) }
}

#[cfg(test)]
mod tests;
