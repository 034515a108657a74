//! The clients: how each is asked for a page, and how it tells which version it spoke.

use std::fmt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use Version::{Http1, Http2};

use super::site::{Server, Site, Towards};

/// A version of HTTP that a client is asked to speak.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Version {
    Http1,
    Http2,
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Http1 => "HTTP/1.1",
            Self::Http2 => "HTTP/2",
        })
    }
}

/// Plain and over TLS, both versions.
pub(super) const EVERY_WAY: &[(Version, bool)] =
    &[(Http1, false), (Http2, false), (Http1, true), (Http2, true)];

/// A kind of client.
pub(super) struct Client {
    pub(super) name: &'static str,
    program: PathBuf,
    /// Version, and whether over TLS.
    pub(super) ways: &'static [(Version, bool)],
    arguments: fn(&Way<'_>) -> Vec<String>,
    /// What its output must contain besides the page.
    says: fn(Version) -> &'static str,
}

/// One request.
struct Way<'w> {
    address: &'w str,
    version: Version,
    secure: bool,
    authority: &'w Path,
}

impl Client {
    /// All that are known. `python` is one that has httpx.
    pub(super) fn all(python: &Path) -> Vec<Self> {
        let client = |name, program: &Path, ways, arguments, says| {
            let program = program.to_owned();
            Self { name, program, ways, arguments, says }
        };
        vec![
            client("curl", Path::new("curl"), EVERY_WAY, curl, |version| match version {
                Http1 => "spoke 1.1",
                Http2 => "spoke 2",
            }),
            client("nghttp", Path::new("nghttp"), &[(Http2, false), (Http2, true)], nghttp, |_| "HEADERS"),
            client("h2load", Path::new("h2load"), EVERY_WAY, h2load, |_| "100 succeeded, 0 failed"),
            client("httpx", python, EVERY_WAY, httpx, |version| match version {
                Http1 => "spoke HTTP/1.1",
                Http2 => "spoke HTTP/2",
            }),
            client(
                "Chromium",
                Path::new("chromium"),
                &[(Http1, false), (Http2, true)],
                chromium,
                |version| match version {
                    Http1 => "the browser spoke http/1.1",
                    Http2 => "the browser spoke h2",
                },
            ),
        ]
    }

    /// What it says of itself; nothing when it is not installed.
    pub(super) fn version(&self) -> Option<String> {
        let mut command = Command::new(&self.program);
        match self.name {
            "httpx" => command.args(["-c", "import httpx; print(httpx.__version__)"]),
            _ => command.arg("--version"),
        };
        first_line(&mut command)
    }

    /// Has it fetch the page.
    ///
    /// # Errors
    /// What is not as it must be.
    pub(super) fn run(
        &self,
        site: &Site,
        (version, secure): (Version, bool),
        (server, towards): (Server, Towards),
    ) -> Result<(), String> {
        let (address, authority) = (site.address(secure, server, towards), site.authority());
        let way = Way { address: &address, version, secure, authority: &authority };
        let output = Command::new("timeout")
            .arg("60")
            .arg(&self.program)
            .args((self.arguments)(&way))
            .output()
            .map_err(|error| format!("cannot be started: {error}"))?;
        let told = everything(&output);
        let spoken = format!("the server was spoken to in {}", towards.spoken());
        // h2load shows no page; to it, a refusal is a success too.
        let page = told.contains(if self.name == "h2load" { "status codes: 100 2xx" } else { &spoken });
        if output.status.success() && page && told.contains((self.says)(version)) {
            return Ok(());
        }
        Err(format!("{}: {}", output.status, end(&told)))
    }
}

/// How curl is told what to speak.
pub(super) fn version_option(version: Version, secure: bool) -> &'static str {
    match (version, secure) {
        (Http1, _) => "--http1.1",
        (Http2, true) => "--http2",
        (Http2, false) => "--http2-prior-knowledge",
    }
}

fn curl(way: &Way<'_>) -> Vec<String> {
    let version = version_option(way.version, way.secure);
    let fixed = ["-sS", "--max-time", "20", "-w", "spoke %{http_version}", version, "--cacert"];
    fixed.map(str::to_owned).into_iter().chain([shown(way.authority), way.address.to_owned()]).collect()
}

fn nghttp(way: &Way<'_>) -> Vec<String> {
    ["-v", "--timeout=20", way.address].map(str::to_owned).to_vec()
}

fn h2load(way: &Way<'_>) -> Vec<String> {
    let streams = if way.version == Http2 { "-m10" } else { "-m1" };
    let mut arguments = vec!["-n100", "-c4", streams];
    if way.version == Http1 {
        arguments.push("--h1");
    }
    arguments.push(way.address);
    arguments.into_iter().map(str::to_owned).collect()
}

fn httpx(way: &Way<'_>) -> Vec<String> {
    let (one, two) = match way.version {
        Http1 => ("True", "False"),
        // Without TLS it speaks HTTP/2 when it may speak nothing else.
        Http2 => (if way.secure { "True" } else { "False" }, "True"),
    };
    let script = format!(
        "import httpx, ssl\n\
         trusted = ssl.create_default_context(cafile={:?})\n\
         client = httpx.Client(http1={one}, http2={two}, verify=trusted, timeout=20, trust_env=False)\n\
         answer = client.post({address:?}, content=b'x' * 100000)\n\
         answer = client.get({address:?})\n\
         print(answer.text, 'spoke', answer.http_version)\n",
        shown(way.authority),
        address = way.address,
    );
    vec!["-c".to_owned(), script]
}

fn chromium(way: &Way<'_>) -> Vec<String> {
    let fixed = [
        "--headless",
        "--no-sandbox",
        "--disable-gpu",
        "--disable-dev-shm-usage",
        "--ignore-certificate-errors",
        "--no-proxy-server",
        "--virtual-time-budget=5000",
        "--dump-dom",
        way.address,
    ];
    fixed.map(str::to_owned).to_vec()
}

fn shown(path: &Path) -> String {
    path.display().to_string()
}

/// All that a program has written.
pub(super) fn everything(output: &Output) -> String {
    String::from_utf8_lossy(&[&output.stdout[..], &output.stderr[..]].concat()).into_owned()
}

/// The last 600 characters, where programs say what went wrong.
pub(super) fn end(told: &str) -> &str {
    let begin = told.char_indices().rev().nth(599).map_or(0, |(at, _)| at);
    told.get(begin..).unwrap_or(told)
}

/// The first line that a program writes; nothing when it cannot be run.
pub(super) fn first_line(command: &mut Command) -> Option<String> {
    let output = command.output().ok().filter(|output| output.status.success())?;
    Some(everything(&output).lines().next()?.trim().to_owned())
}

/// A Python with httpx, made in the target directory.
pub(super) fn python(root: &Path) -> Result<PathBuf, String> {
    let directory = super::built::target(root).join("clients-lab");
    let python = directory.join("bin/python");
    if first_line(Command::new(&python).args(["-c", "import httpx, h2; print(1)"])).is_some() {
        return Ok(python);
    }
    let done = |command: &mut Command| {
        let output = command.output().map_err(|error| format!("python3 cannot be started: {error}"))?;
        if output.status.success() { Ok(()) } else { Err(everything(&output)) }
    };
    done(Command::new("python3").args(["-m", "venv"]).arg(&directory))?;
    done(Command::new(&python).args(["-m", "pip", "install", "--quiet", "httpx[http2]"]))?;
    Ok(python)
}
