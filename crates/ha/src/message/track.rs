//! What the role is told of tracked things, and what it shows of them.

use evenkeel_config::plan::Tracked;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// How a tracked thing is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Finding {
    /// Which.
    pub what: Tracked,
    /// How it is.
    pub verdict: Verdict,
}

/// See [`Finding`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Verdict {
    /// Well or ill.
    pub standing: Standing,
    /// The number in a tracked file; 0 for everything else.
    pub number: i32,
    /// Why it is not well, or not known.
    pub why: Option<String>,
}

/// Well or ill.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Standing {
    /// Nobody knows yet.
    Unknown,
    /// Well.
    Good,
    /// Ill.
    Bad,
}

impl Verdict {
    /// It is well.
    #[must_use]
    pub fn good() -> Self {
        Self { standing: Standing::Good, number: 0, why: None }
    }

    /// It is ill.
    pub fn bad(why: impl Into<String>) -> Self {
        Self { standing: Standing::Bad, number: 0, why: Some(why.into()) }
    }

    /// Nobody knows yet.
    pub fn unknown(why: impl Into<String>) -> Self {
        Self { standing: Standing::Unknown, number: 0, why: Some(why.into()) }
    }
}

/// A tracked thing in a [`RouterSnapshot`](super::RouterSnapshot).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct TrackSnapshot {
    /// Such as `pool website`.
    pub name: String,
    /// `unknown`, `well` or `ill`.
    pub state: String,
    /// Why it is not well.
    pub why: Option<String>,
    /// What it does at the moment: `none`, `priority`, `yield` or `fault`.
    pub effect: String,
    /// What it adds to the priority, when that is its effect.
    pub priority: i16,
}
