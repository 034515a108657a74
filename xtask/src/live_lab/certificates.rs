//! A certificate that is replaced again and again under load, and a file that cannot be used.

use std::net::SocketAddr;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use evenkeel_testkit::{Authority, BOUND, Issued, Nginx, free_address, free_port, needs};
use serde_json::Value;

use super::load::Loads;
use super::page::Part;
use super::site::Site;

const SWAPS: usize = 20;
/// What is promised: so long after its files are in place a certificate is served.
const SERVED_WITHIN: Duration = Duration::from_secs(2);
const NAME: &str = "www.example.com";
/// How long a load may take to get going.
const BEGIN: Duration = Duration::from_secs(20);

pub(super) fn run(program: &Path) -> Result<Part, String> {
    for tool in ["openssl", "h2load"] {
        if !needs(tool) {
            return Err(format!("this part needs `{tool}`: apt-get install openssl nghttp2-client"));
        }
    }
    let mut part = Part::new(
        "Certificates replaced under load",
        format!(
            "{SWAPS} times another certificate and its key are put in place of the one that is served, while wrk asks over TLS, over kept \
             connections and over a new one for each request, and h2load over HTTP/2. Nothing is told to the program. Then the file is \
             spoilt, and mended."
        ),
    );
    let authority = Authority::new();
    let issued = ["one", "other"].map(|file| authority.issue(file, &[NAME]));
    let (server, bind) = (Nginx::start("webserver01", free_port()), free_address());
    let files = Files::new(&authority);
    files.put(&issued[0])?;
    let site = Site::start(program, &text(bind, server.address(), &files));
    let loads = Loads::start_at(&format!("https://{bind}/"));
    let streams = Streams::start(bind);
    site.wait_until(BEGIN, |status| requests(status) > 1000)?;
    let mut times = Vec::new();
    for turn in 1..=SWAPS {
        let next = &issued[turn % 2];
        files.put(next)?;
        let began = Instant::now();
        let wanted = first_line(next)?;
        while !served(bind)?.contains(&wanted) {
            if began.elapsed() > BOUND {
                return Err(format!("the certificate of turn {turn} was never served: {}", site.status()?));
            }
        }
        times.push(began.elapsed());
    }
    let longest = times.iter().max().copied().unwrap_or_default();
    part.judge("the new one was served", format!("after {longest:.1?} at most"), longest <= SERVED_WITHIN);
    spoil(&site, bind, &files, &issued[SWAPS % 2], &mut part)?;
    loads.stop(&mut part);
    streams.stop(&mut part);
    site.stop()?;
    Ok(part)
}

/// A file that cannot be used leaves the certificate in force, and is told.
fn spoil(
    site: &Site,
    bind: SocketAddr,
    files: &Files,
    in_force: &Issued,
    part: &mut Part,
) -> Result<(), String> {
    std::fs::write(&files.issued.certificate, "nonsense").map_err(|error| error.to_string())?;
    let status = site.wait_until(BOUND, |status| problem(status).is_some())?;
    let why = problem(&status).unwrap_or_default();
    let directory = files.issued.certificate.parent().unwrap_or(Path::new("/")).display().to_string();
    let shown = format!("“{}”", why.replace(&directory, "…"));
    part.judge("a spoilt file, in `status`", shown, why.contains("stays in force"));
    let metrics = site.metrics()?;
    let told = metrics
        .lines()
        .any(|line| line.starts_with("evenkeel_certificate_problem{") && line.trim_end().ends_with(" 1"));
    part.judge("and in the metric", if told { "1" } else { "not told" }, told);
    let kept = served(bind)?.contains(&first_line(in_force)?);
    part.judge("served meanwhile", if kept { "the last good one" } else { "another" }, kept);
    files.put(in_force)?;
    site.wait_until(BOUND, |status| problem(status).is_none())?;
    Ok(())
}

fn text(bind: SocketAddr, server: SocketAddr, files: &Files) -> String {
    let Issued { certificate, key } = &files.issued;
    format!(
        "[listener.website]\nbind = \"{bind}\"\npool = \"website\"\n\
         tls = {{ certificates = [{{ certificate = {certificate:?}, key = {key:?} }}] }}\n\
         [pool.website.servers]\nwebserver01 = \"{server}\"\n"
    )
}

/// The files that the program reads.
struct Files {
    issued: Issued,
}

impl Files {
    fn new(authority: &Authority) -> Self {
        let path = |name: &str| authority.directory().join(name);
        Self { issued: Issued { certificate: path("served.pem"), key: path("served.key") } }
    }

    /// Puts another certificate in their place, as tools that renew do: key first, each file whole or not at all.
    fn put(&self, issued: &Issued) -> Result<(), String> {
        let place = |from: &Path, to: &Path| {
            let part = to.with_extension("part");
            std::fs::copy(from, &part).and_then(|_| std::fs::rename(&part, to))
        };
        place(&issued.key, &self.issued.key)
            .and_then(|()| place(&issued.certificate, &self.issued.certificate))
            .map_err(|error| format!("the certificate cannot be put in place: {error}"))
    }
}

/// The first line of what is in a certificate's file: no two have the same first two.
fn first_line(issued: &Issued) -> Result<String, String> {
    let text = std::fs::read_to_string(&issued.certificate).map_err(|error| error.to_string())?;
    let lines: Vec<&str> = text.lines().skip(1).take(2).collect();
    Ok(lines.join("\n"))
}

/// What `openssl s_client` says of a handshake, with the certificate.
fn served(bind: SocketAddr) -> Result<String, String> {
    let output = Command::new("openssl")
        .args(["s_client", "-servername", NAME, "-connect", &bind.to_string()])
        .stdin(Stdio::null())
        .output()
        .map_err(|error| format!("openssl cannot be started: {error}"))?;
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

fn problem(status: &Value) -> Option<&str> {
    status["certificates"][0]["problem"].as_str()
}

/// Requests that servers have had.
fn requests(status: &Value) -> u64 {
    super::site::found(status, "webserver01").and_then(|server| server["total"].as_u64()).unwrap_or(0)
}

/// h2load, a second at a time, until told to stop: it reports nothing when it is ended before.
struct Streams {
    stop: Arc<AtomicBool>,
    thread: JoinHandle<Result<(u64, String), String>>,
}

impl Streams {
    fn start(bind: SocketAddr) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = stop.clone();
        let url = format!("https://{bind}/");
        let thread = std::thread::spawn(move || {
            let (mut succeeded, mut failures) = (0, String::new());
            while !stopped.load(Ordering::Relaxed) {
                let output = Command::new("h2load")
                    .args(["-t1", "-c4", "-m8", "-D1", &url])
                    .output()
                    .map_err(|error| format!("h2load cannot be started: {error}"))?;
                let text = String::from_utf8_lossy(&output.stdout);
                let (requests, failed) = crate::bench::told_by_h2load(&text)
                    .ok_or_else(|| format!("h2load reports nothing: {text}"))?;
                succeeded += requests;
                failures.push_str(&failed);
            }
            Ok((succeeded, failures))
        });
        Self { stop, thread }
    }

    fn stop(self, part: &mut Part) {
        self.stop.store(true, Ordering::Relaxed);
        match self.thread.join().unwrap_or_else(|_| Err("the thread of h2load panicked".into())) {
            Ok((requests, failures)) => {
                let seen = if failures.is_empty() { "0 failed" } else { failures.as_str() };
                part.judge(
                    "HTTP/2",
                    format!("{requests} requests: {seen}"),
                    failures.is_empty() && requests > 0,
                );
            }
            Err(why) => part.judge("HTTP/2", why, false),
        }
    }
}
