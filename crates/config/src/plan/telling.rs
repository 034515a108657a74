//! Who is told about a virtual router, and who else moves its addresses.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Serialize};

/// Somebody who is told of each change of state.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Notify {
    /// Who.
    pub target: Target,
    /// How long one attempt may take.
    pub timeout: Duration,
}

/// How somebody is told.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Target {
    /// By a program.
    Script {
        /// The program and its arguments.
        command: Vec<String>,
        /// Whom it runs as; `None` is the user of the roles.
        user: Option<String>,
    },
    /// By a POST.
    Webhook {
        /// Where: `http://` or `https://`.
        url: String,
        /// The file of the bearer token.
        token_file: Option<PathBuf>,
    },
}

/// A program that is called with where the addresses shall be, until it confirms.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Provider {
    /// The program and its arguments.
    pub command: Vec<String>,
    /// Whom it runs as; `None` is the user of the roles.
    pub user: Option<String>,
    /// How long one call may take.
    pub timeout: Duration,
    /// How often it is called once more while the addresses are held; `None` is never.
    pub verify: Option<Duration>,
}

/// The name in status, metrics and the log. What follows the host of an address may be a secret and is not shown.
impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Script { command, .. } => write!(f, "script {}", command.join(" ")),
            Self::Webhook { url, .. } => {
                let after = url.find("://").map_or(0, |at| at + 3);
                let end = url.get(after..).and_then(|rest| rest.find(['/', '?', '#']));
                let shown = end.and_then(|end| url.get(..after + end)).unwrap_or(url);
                write!(f, "webhook {shown}")
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_path_of_a_webhook_is_not_shown() {
        let shown = |url: &str| Target::Webhook { url: url.into(), token_file: None }.to_string();
        assert_eq!(shown("https://hooks.example.com/services/secret"), "webhook https://hooks.example.com");
        assert_eq!(shown("http://10.0.0.1:8080?key=secret"), "webhook http://10.0.0.1:8080");
        assert_eq!(shown("http://[::1]:8080"), "webhook http://[::1]:8080");
    }
}
