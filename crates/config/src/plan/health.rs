//! `health`: what a pool asks its servers to find out whether they work.

use std::path::PathBuf;
use std::time::Duration;

use evenkeel_traffic::health::Timing;
use serde::{Deserialize, Serialize};

/// An active check.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Probe {
    /// `interval` and its kin.
    pub timing: Timing,
    /// `port`: where to ask instead of the server's own port.
    pub port: Option<u16>,
    /// After a header of the PROXY protocol, as the traffic of the pool.
    pub announced: bool,
    /// Over TLS, as the traffic of the pool.
    pub tls: bool,
    /// What is asked.
    pub kind: ProbeKind,
}

/// What a check asks.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ProbeKind {
    /// `"tcp"`, `send`, `expect`.
    Tcp(TcpProbe),
    /// `http` and its kin.
    Http(HttpProbe),
    /// `grpc`.
    Grpc(GrpcProbe),
    /// `exec`.
    Exec(ExecProbe),
}

/// A connection can be opened, and possibly a short dialogue held.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct TcpProbe {
    /// `send`: what is said first; empty says nothing.
    pub send: String,
    /// `expect`: what must then be heard; empty asks for nothing.
    pub expect: String,
}

/// A request is answered as expected.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HttpProbe {
    /// `http`: path and query.
    pub target: String,
    /// `method`.
    pub method: String,
    /// `host`: the value of `Host`; `None` is the server's address.
    pub host: Option<String>,
    /// `headers`: further fields, names and values.
    pub headers: Vec<(String, String)>,
    /// `status`: the first and last of each range of codes that are good.
    pub statuses: Vec<(u16, u16)>,
    /// `body`: a text that must be in the answer's body.
    pub body: Option<String>,
}

/// A call of gRPC is answered `SERVING`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct GrpcProbe {
    /// `grpc`: the service that is asked for; empty for the server as a whole.
    pub service: String,
    /// `host`: the value of `:authority`; `None` is the server's address.
    pub host: Option<String>,
}

/// A program ends with exit code 0.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ExecProbe {
    /// Its absolute path.
    pub program: PathBuf,
    /// Its arguments.
    pub arguments: Vec<String>,
}

/// `agent`: a program on each server that says how much traffic the server wants.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Agent {
    /// `port`, on the server's address.
    pub port: u16,
    /// `send`: what is said first; empty says nothing.
    pub send: String,
    /// `interval`: from the start of a question to the start of the next.
    pub interval: Duration,
    /// `timeout`: how long one question may take.
    pub timeout: Duration,
}

/// `when-all-down`: what happens while the active checks of all servers fail.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum WhenAllDown {
    /// `"refuse"`: the client is answered 503, or its connection is closed.
    Refuse,
    /// `"try-all"`: traffic is spread as if all servers were up.
    TryAll,
}
