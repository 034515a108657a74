//! What a reload does to open connections, and reloads on trial.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// What a reload does, or would do, to connections that are open now. What is not named keeps its connections.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Consequence {
    /// Whose connections: `listener website`, those of its clients; `server website/webserver01`, those with it.
    pub subject: String,
    /// What becomes of it, such as `removed`.
    pub why: String,
    /// What becomes of its connections.
    pub fate: Fate,
    /// Connections of clients (listener), requests or connections under way (server); `null` when the proxy role could not
    /// be asked.
    pub connections: Option<u64>,
    /// Unused connections to the server; `null` for listeners, and when the proxy role could not be asked.
    pub idle: Option<u64>,
}

/// What becomes of connections.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Fate {
    /// They are closed after the response under way; idle ones within a second.
    CloseAfterResponse,
    /// They go on until client or server ends them.
    Finish,
    /// What is under way goes on until it ends; unused ones are closed.
    FinishAndCloseIdle,
}

impl Consequence {
    /// In words.
    #[must_use]
    pub fn sentence(&self) -> String {
        let count =
            |count: u64, one: &str, many: &str| format!("{count} {}", if count == 1 { one } else { many });
        let connections = match self.connections {
            Some(number) => count(number, "connection", "connections"),
            None => "its connections".to_owned(),
        };
        let one = self.connections == Some(1);
        let verb = |of_one: &'static str, of_many: &'static str| if one { of_one } else { of_many };
        let fate = match self.fate {
            Fate::CloseAfterResponse => format!(
                "{connections} {} after the response under way, idle ones within a second",
                verb("closes", "close")
            ),
            Fate::Finish => format!("{connections} {} on until the end", verb("goes", "go")),
            Fate::FinishAndCloseIdle => match (self.connections, self.idle) {
                (Some(running), Some(idle)) => {
                    let running = count(running, "request or connection goes", "requests or connections go");
                    let idle = count(idle, "idle one is closed", "idle ones are closed");
                    format!("{running} on until the end, {idle}")
                }
                _ => "what is under way goes on until the end, idle connections are closed".to_owned(),
            },
        };
        format!("{} ({}): {fate}", self.subject, self.why)
    }
}

/// A configuration that is in force on trial: it is rolled back unless somebody confirms it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Trial {
    /// The revision that is on trial.
    pub revision: u64,
    /// When it is rolled back, in seconds since 1970-01-01T00:00:00Z.
    pub until: u64,
    /// Seconds until then.
    pub left: u64,
    /// Who wanted it.
    pub by: String,
}

/// A configuration that was on trial and stays in force.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Confirmed {
    /// The revision in force.
    pub revision: u64,
}

/// The configuration before the trial is in force again.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct RolledBack {
    /// The revision in force.
    pub revision: u64,
    /// What could not be brought back; empty when everything is as it was.
    pub missing: Vec<String>,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(fate: Fate, connections: Option<u64>, idle: Option<u64>) -> String {
        let (subject, why) = ("listener shop".into(), "removed".into());
        Consequence { subject, why, fate, connections, idle }.sentence()
    }

    #[test]
    fn a_consequence_is_told_with_its_numbers_or_without() {
        assert_eq!(
            told(Fate::CloseAfterResponse, Some(213), None),
            "listener shop (removed): 213 connections close after the response under way, idle ones within a second"
        );
        assert_eq!(
            told(Fate::Finish, Some(1), None),
            "listener shop (removed): 1 connection goes on until the end"
        );
        assert_eq!(
            told(Fate::Finish, None, None),
            "listener shop (removed): its connections go on until the end"
        );
        assert_eq!(
            told(Fate::FinishAndCloseIdle, Some(12), Some(1)),
            "listener shop (removed): 12 requests or connections go on until the end, 1 idle one is closed"
        );
        assert_eq!(
            told(Fate::FinishAndCloseIdle, None, None),
            "listener shop (removed): what is under way goes on until the end, idle connections are closed"
        );
    }
}
