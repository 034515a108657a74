//! The way from a command to the running program: HTTP over its control socket.

use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::Args;
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::{Bytes, Incoming};
use hyper::client::conn::http1;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use serde::de::DeserializeOwned;
use serde_json::Value;
use tokio::net::UnixStream;

use crate::exit::Exit;
use crate::files::{DEFAULT_CONFIG, Machine, plain};

/// Where the running program listens when no file says otherwise.
const DEFAULT_SOCKET: &str = "/run/evenkeel/control.sock";
/// How long a command waits for its answer, which the admin role bounds more tightly.
const LONGEST_ANSWER: Duration = Duration::from_secs(60);
/// The largest answer that is read: the status of the largest plan stays below.
const LARGEST_ANSWER: usize = 64 * 1024 * 1024;

/// Which running program.
#[derive(Debug, Args)]
pub(super) struct Target {
    /// The configuration file whose `global.control-socket` is used
    #[arg(short, long, value_name = "FILE")]
    pub(super) config: Option<PathBuf>,
    /// The control socket
    #[arg(long, value_name = "PATH", conflicts_with = "config")]
    socket: Option<PathBuf>,
}

/// Why a command came to nothing.
#[derive(Debug)]
pub(super) struct Failure {
    /// What to tell the operator.
    pub(super) text: String,
    /// What to tell a program (`--json`), when the running program said it.
    pub(super) problem: Option<Value>,
    /// What to tell the shell.
    pub(super) exit: Exit,
}

impl Failure {
    /// The running program does not know of it (404).
    pub(super) fn is_missing(&self) -> bool {
        self.problem.as_ref().and_then(|problem| problem.get("status")).and_then(Value::as_u64) == Some(404)
    }

    fn unreachable(text: String) -> Self {
        Self { text, problem: None, exit: Exit::Unreachable }
    }

    /// Prints it and gives the exit code.
    pub(super) fn report(self, json: bool) -> Exit {
        match self.problem {
            Some(problem) if json => super::print_json(&problem),
            _ => eprintln!("{}", self.text),
        }
        self.exit
    }
}

impl Target {
    /// Where the running program listens.
    fn control_socket(&self) -> Result<PathBuf, Failure> {
        if let Some(socket) = &self.socket {
            return Ok(socket.clone());
        }
        let file = self.config.as_deref().unwrap_or(Path::new(DEFAULT_CONFIG));
        if self.config.is_none() && !file.exists() {
            return Ok(DEFAULT_SOCKET.into());
        }
        match evenkeel_config::load(file, &Machine) {
            Ok(loaded) => Ok(loaded.plan.global.control_socket),
            // The running program may well be healthy while its file is being edited.
            Err(_) if self.config.is_none() => Ok(DEFAULT_SOCKET.into()),
            Err(report) => Err(Failure {
                text: format!(
                    "{}{} has errors, so its control socket is not known: correct it, or name the socket with --socket",
                    report.render(crate::log::colors(&std::io::stderr())),
                    file.display()
                ),
                problem: None,
                exit: Exit::Configuration,
            }),
        }
    }

    /// Sends one request and reads its answer.
    pub(super) fn ask<T: DeserializeOwned>(&self, method: Method, path: &str) -> Result<T, Failure> {
        self.send(&Wish { method, path, headers: &[], body: None })
    }

    /// Sends one request with all that belongs to it and reads its answer.
    pub(super) fn send<T: DeserializeOwned>(&self, wish: &Wish<'_>) -> Result<T, Failure> {
        let socket = self.control_socket()?;
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(|error| Failure::unreachable(format!("cannot begin: {error}")))?;
        let (status, body) = runtime.block_on(async {
            tokio::time::timeout(LONGEST_ANSWER, exchange(&socket, wish)).await.unwrap_or_else(|_| {
                Err(Failure::unreachable(format!(
                    "the Evenkeel on {} gave no answer within {} s: see its log",
                    socket.display(),
                    LONGEST_ANSWER.as_secs()
                )))
            })
        })?;
        if status.is_success() {
            return serde_json::from_slice(&body).map_err(|error| {
                Failure::unreachable(format!(
                    "the answer on {} cannot be understood ({error}): is the running Evenkeel of another version than this command?",
                    socket.display()
                ))
            });
        }
        Err(refused(status, &body))
    }
}

/// One request.
pub(super) struct Wish<'a> {
    pub(super) method: Method,
    pub(super) path: &'a str,
    pub(super) headers: &'a [(&'static str, &'a str)],
    /// A JSON document.
    pub(super) body: Option<Value>,
}

async fn exchange(socket: &Path, wish: &Wish<'_>) -> Result<(StatusCode, Bytes), Failure> {
    let response = begin(socket, wish).await?;
    let status = response.status();
    let body = Limited::new(response.into_body(), LARGEST_ANSWER)
        .collect()
        .await
        .map_err(|error| broken(socket, error.as_ref()))?;
    Ok((status, body.to_bytes()))
}

fn broken(socket: &Path, error: &dyn std::fmt::Display) -> Failure {
    Failure::unreachable(format!(
        "the Evenkeel on {} broke the connection off ({error}): see its log, or try again",
        socket.display()
    ))
}

/// Sends a request and waits for the head of its answer.
async fn begin(socket: &Path, wish: &Wish<'_>) -> Result<Response<Incoming>, Failure> {
    let broken = |error: &dyn std::fmt::Display| broken(socket, error);
    let stream = UnixStream::connect(socket).await.map_err(|error| unreachable(socket, &error))?;
    let (mut requests, connection) =
        http1::handshake(TokioIo::new(stream)).await.map_err(|error| broken(&error))?;
    tokio::spawn(connection);
    let mut request = Request::builder().method(&wish.method).uri(wish.path).header("host", "localhost");
    for (name, value) in wish.headers {
        request = request.header(*name, *value);
    }
    let body = wish.body.as_ref().map(ToString::to_string).unwrap_or_default();
    if wish.body.is_some() {
        request = request.header("content-type", "application/json");
    }
    let request = request.body(Full::new(Bytes::from(body))).map_err(|error| broken(&error))?;
    requests.send_request(request).await.map_err(|error| broken(&error))
}

fn unreachable(socket: &Path, error: &std::io::Error) -> Failure {
    let socket = socket.display();
    Failure::unreachable(match error.kind() {
        std::io::ErrorKind::PermissionDenied => format!(
            "the Evenkeel on {socket} may be used by its owner and group only: use `sudo`, or the user that started it"
        ),
        std::io::ErrorKind::NotFound | std::io::ErrorKind::ConnectionRefused => format!(
            "no Evenkeel answers on {socket}: start it with `evenkeel run`, or name its socket with --socket"
        ),
        _ => format!("no Evenkeel can be reached on {socket}: {}", plain(error)),
    })
}

impl Target {
    /// Reads a stream of lines until it ends, or `each` has seen enough and says so with `false`.
    pub(super) fn lines(&self, wish: &Wish<'_>, mut each: impl FnMut(&str) -> bool) -> Result<(), Failure> {
        let socket = self.control_socket()?;
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(|error| Failure::unreachable(format!("cannot begin: {error}")))?;
        runtime.block_on(async {
            let response = begin(&socket, wish).await?;
            let status = response.status();
            let mut body = response.into_body();
            if !status.is_success() {
                let body = Limited::new(body, LARGEST_ANSWER).collect().await;
                return Err(refused(status, &body.map(|body| body.to_bytes()).unwrap_or_default()));
            }
            let mut line = Vec::new();
            while let Some(frame) = body.frame().await {
                let frame = frame.map_err(|error| broken(&socket, &error))?;
                for &byte in frame.data_ref().into_iter().flatten() {
                    if byte != b'\n' {
                        line.push(byte);
                        continue;
                    }
                    if !each(&String::from_utf8_lossy(&line)) {
                        return Ok(());
                    }
                    line.clear();
                }
                if line.len() > LARGEST_ANSWER {
                    return Err(broken(&socket, &"a line is too long"));
                }
            }
            Ok(())
        })
    }
}

/// Makes a problem document (RFC 9457) readable.
fn refused(status: StatusCode, body: &[u8]) -> Failure {
    let problem: Value = serde_json::from_slice(body).unwrap_or_default();
    let text = |key: &str| problem.get(key).and_then(Value::as_str);
    let detail = text("detail").unwrap_or("it did not say why");
    let exit = if status == StatusCode::UNPROCESSABLE_ENTITY { Exit::Configuration } else { Exit::Refused };
    let text = match text("text") {
        Some(text) => format!("{}\n{detail}", text.trim_end()),
        None => format!("the running Evenkeel refused: {detail}"),
    };
    Failure { text, problem: (!problem.is_null()).then_some(problem), exit }
}
