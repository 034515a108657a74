//! What the operator wants of a server.

use serde::{Deserialize, Serialize};

/// Whether a server is to work. It outweighs what checks, agents and live traffic say.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Duty {
    /// It takes its share.
    #[default]
    Ready,
    /// It takes nothing new but the requests of clients that are bound to it; what it has goes on.
    Drain,
    /// It takes nothing and is not checked.
    Maintenance,
}

impl Duty {
    /// The words, as files and the API write them.
    pub const WORDS: [&'static str; 3] = ["ready", "drain", "maintenance"];

    /// As files and the API write it.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Ready => "ready",
            Self::Drain => "drain",
            Self::Maintenance => "maintenance",
        }
    }

    /// The one of this word.
    #[must_use]
    pub fn of_word(word: &str) -> Option<Self> {
        [Self::Ready, Self::Drain, Self::Maintenance].into_iter().find(|duty| duty.word() == word)
    }
}
