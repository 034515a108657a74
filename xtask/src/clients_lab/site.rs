//! The servers, which are spoken to in different ways, and Evenkeel before them.

use std::fmt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use evenkeel_testkit::{Authority, Issued, Program, free_port, temp_dir};
use tempfile::TempDir;

/// How long a program may take to be ready, and a server to be up.
const LONGEST_START: Duration = Duration::from_secs(30);

/// The file with the message of a call.
const MESSAGE: &str = "message.bin";

/// A page that says how it was asked for, and lets a browser say how it has asked.
const PAGE: &str = "<p>the server was spoken to in $server_protocol</p><p id=own></p><script>\
                    document.getElementById(\"own\").textContent = \"the browser spoke \" + \
                    performance.getEntriesByType(\"navigation\")[0].nextHopProtocol</script>\n";

/// What is behind the balancer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Server {
    Nginx,
    /// Serves gRPC, and the page too.
    Tonic,
    /// Echoes WebSocket.
    Tungstenite,
}

impl Server {
    pub(super) const ALL: [Self; 3] = [Self::Nginx, Self::Tonic, Self::Tungstenite];

    /// The ways in which it can be spoken to.
    pub(super) fn ways(self) -> &'static [Towards] {
        match self {
            Self::Nginx | Self::Tungstenite => &[Towards::Http1, Towards::Http2, Towards::Http2Secure],
            // gRPC needs HTTP/2.
            Self::Tonic => &[Towards::Http2, Towards::Http2Secure],
        }
    }

    /// The name of the pool that leads there.
    fn pool(self, towards: Towards) -> String {
        let towards = match towards {
            Towards::Http1 => "h1",
            Towards::Http2 => "h2",
            Towards::Http2Secure => "h2-tls",
        };
        format!("{self}-{towards}")
    }
}

impl fmt::Display for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Nginx => "nginx",
            Self::Tonic => "tonic",
            Self::Tungstenite => "tokio-tungstenite",
        })
    }
}

/// How the servers of a pool are spoken to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Towards {
    Http1,
    /// HTTP/2 without TLS, by prior knowledge.
    Http2,
    /// HTTP/2 over TLS.
    Http2Secure,
}

impl Towards {
    /// What the page says of the version.
    pub(super) fn spoken(self) -> &'static str {
        match self {
            Self::Http1 => "HTTP/1.1",
            Self::Http2 | Self::Http2Secure => "HTTP/2.0",
        }
    }
}

impl fmt::Display for Towards {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Http1 => "HTTP/1.1",
            Self::Http2 => "HTTP/2",
            Self::Http2Secure => "HTTP/2 over TLS",
        })
    }
}

/// Everything that runs.
pub(super) struct Site {
    authority: Authority,
    program: PathBuf,
    ports: Ports,
    directory: TempDir,
    _running: Vec<Program>,
}

/// Where everybody listens on 127.0.0.1.
struct Ports {
    plain: u16,
    secure: u16,
    /// For each way to tonic's server: a listener without TLS, and one with. A call has no path to find its pool by.
    calls: [(u16, u16); 2],
    /// As in [`Server::ways`].
    nginx: [u16; 3],
    tonic: [u16; 2],
    tungstenite: [u16; 3],
}

impl Ports {
    fn free() -> Self {
        let port = |_| free_port();
        Self {
            plain: free_port(),
            secure: free_port(),
            calls: [(); 2].map(|()| (free_port(), free_port())),
            nginx: [(); 3].map(port),
            tonic: [(); 2].map(port),
            tungstenite: [(); 3].map(port),
        }
    }

    fn of(&self, server: Server) -> &[u16] {
        match server {
            Server::Nginx => &self.nginx,
            Server::Tonic => &self.tonic,
            Server::Tungstenite => &self.tungstenite,
        }
    }
}

impl Site {
    /// Starts `program` as the balancer, and `lab` for the servers that are Rust.
    pub(super) fn start(program: &Path, lab: &Path) -> Result<Self, String> {
        let directory = temp_dir();
        let place = directory.path();
        let authority = Authority::new();
        let issued = authority.issue("site", &["localhost"]);
        let ports = Ports::free();
        let [nginx, evenkeel, page] =
            ["nginx.conf", "evenkeel.toml", "page.html"].map(|file| place.join(file));
        let write = |path: &Path, text: String| std::fs::write(path, text).map_err(|error| error.to_string());
        write(&nginx, nginx_servers(place, &ports.nginx, &issued))?;
        write(&evenkeel, balancer(place, &ports, &issued, &authority.ca()))?;
        write(&page, PAGE.to_owned())?;
        std::fs::write(place.join(MESSAGE), super::call::MESSAGE).map_err(|error| error.to_string())?;
        let path = std::env::var("PATH").unwrap_or_default() + ":/usr/sbin";
        let nginx = Program::start(
            Command::new("nginx").arg("-c").arg(&nginx).args(["-e", "stderr"]).env("PATH", path),
        );
        let of_rust = Program::start(
            Command::new(lab)
                .arg("serve")
                .args([&page, &issued.certificate, &issued.key])
                .args(ports.tonic.iter().chain(&ports.tungstenite).map(u16::to_string)),
        );
        of_rust.wait_for_line(|line| line == "ready", LONGEST_START);
        let balancer = Program::start(Command::new(program).args(["run", "-c"]).arg(&evenkeel));
        balancer.wait_for_line(|line| line.contains("ready: "), LONGEST_START);
        for &towards in Server::Tonic.ways() {
            let up = format!("pool {}: server web is up", Server::Tonic.pool(towards));
            balancer.wait_for_line(|line| line.contains(&up), LONGEST_START);
        }
        let running = vec![balancer, of_rust, nginx];
        Ok(Self { authority, program: program.to_owned(), ports, directory, _running: running })
    }

    /// The address of the page behind a listener, or of the echo.
    pub(super) fn address(&self, secure: bool, server: Server, towards: Towards) -> String {
        let scheme = match (server, secure) {
            (Server::Tungstenite, false) => "ws",
            (Server::Tungstenite, true) => "wss",
            (_, false) => "http",
            (_, true) => "https",
        };
        let port = if secure { self.ports.secure } else { self.ports.plain };
        format!("{scheme}://localhost:{port}/{}", server.pool(towards))
    }

    /// Where calls arrive.
    pub(super) fn calls(&self, secure: bool, towards: Towards) -> String {
        let way = usize::from(towards == Towards::Http2Secure);
        let (plain, with_tls) = self.ports.calls[way];
        let (scheme, port) = if secure { ("https", with_tls) } else { ("http", plain) };
        format!("{scheme}://localhost:{port}")
    }

    /// tonic's server itself, without TLS.
    pub(super) fn calls_direct(&self) -> String {
        format!("http://127.0.0.1:{}", self.ports.tonic[0])
    }

    /// The file with the authority that clients are to trust.
    pub(super) fn authority(&self) -> PathBuf {
        self.authority.ca()
    }

    /// The file with the message of a call, as gRPC frames it.
    pub(super) fn message(&self) -> PathBuf {
        self.directory.path().join(MESSAGE)
    }

    /// Which programs met.
    pub(super) fn versions(&self, python: &Path) -> Vec<String> {
        let evenkeel = super::client::first_line(Command::new(&self.program).arg("--version"));
        let nginx = super::client::first_line(Command::new("/usr/sbin/nginx").arg("-v"));
        let clients = super::client::Client::all(python)
            .into_iter()
            .filter_map(|client| Some(format!("{} ({})", client.name, client.version()?)));
        evenkeel.into_iter().chain(nginx).chain(clients).collect()
    }
}

/// Servers that read a request before they answer it: httpx takes an answer in the middle of its upload (RFC 9113 §8.1) for
/// an error, from nginx itself as well. So what answers is another server, behind them.
fn nginx_servers(place: &Path, ports: &[u16; 3], issued: &Issued) -> String {
    let user = if rustix::process::geteuid().is_root() { "user root;" } else { "" };
    let place = place.display();
    let behind = format!("unix:{place}/behind.sock");
    let page = PAGE.replace("$server_protocol", "$http_spoken");
    let server = |port: u16, how: &str| {
        format!(
            "server {{ listen 127.0.0.1:{port} {how}; location / {{\n\
             proxy_pass http://{behind}; proxy_set_header Spoken $server_protocol; }} }}\n"
        )
    };
    format!(
        "{user} daemon off; worker_processes 1; pid {place}/nginx.pid; error_log stderr error;\n\
         events {{ worker_connections 1024; }}\nhttp {{ access_log off; default_type text/html;\n\
         client_body_temp_path {place}/body; proxy_temp_path {place}/proxy; fastcgi_temp_path {place}/fastcgi;\n\
         uwsgi_temp_path {place}/uwsgi; scgi_temp_path {place}/scgi;\n\
         ssl_certificate {}; ssl_certificate_key {};\n{}{}{}\
         server {{ listen {behind}; location / {{ return 200 '{page}'; }} }}\n}}\n",
        issued.certificate.display(),
        issued.key.display(),
        server(ports[0], ""),
        server(ports[1], "http2"),
        server(ports[2], "ssl http2"),
    )
}

fn balancer(place: &Path, ports: &Ports, issued: &Issued, authority: &Path) -> String {
    let tls = format!(
        "tls = {{ certificates = [{{ certificate = {:?}, key = {:?} }}] }}\n",
        issued.certificate, issued.key
    );
    let mut text = format!("[global]\ncontrol-socket = {:?}\n", place.join("control.sock"));
    let listener = |name: &str, port: u16, pool: &str, more: &str| {
        format!("[listener.{name}]\nbind = \"127.0.0.1:{port}\"\npool = \"{pool}\"\n{more}")
    };
    for (name, port, more) in [("plain", ports.plain, ""), ("secure", ports.secure, &tls)] {
        text += &listener(name, port, &Server::Nginx.pool(Towards::Http1), more);
        for server in Server::ALL {
            for pool in server.ways().iter().map(|&towards| server.pool(towards)) {
                text += &format!("[[listener.{name}.route]]\npath-prefix = \"/{pool}\"\npool = \"{pool}\"\n");
            }
        }
    }
    for (&towards, (plain, secure)) in Server::Tonic.ways().iter().zip(ports.calls) {
        let pool = Server::Tonic.pool(towards);
        text += &listener(&format!("calls-{pool}"), plain, &pool, "");
        text += &listener(&format!("calls-{pool}-secure"), secure, &pool, &tls);
    }
    for server in Server::ALL {
        for (&towards, port) in server.ways().iter().zip(ports.of(server)) {
            let pool = server.pool(towards);
            text += &format!("[pool.{pool}]\n");
            if towards != Towards::Http1 {
                text += "protocol = \"h2\"\n";
            }
            if towards == Towards::Http2Secure {
                text += &format!("tls = {{ ca = {authority:?}, sni = \"localhost\" }}\n");
            }
            if server == Server::Tonic {
                // Down until the check has found it well, so that whatever comes through proves the check too.
                text += "health = { grpc = \"lab.Calls\", interval = \"200ms\", rise = 1, fall = 1, \
                         initial-state = \"down\" }\n";
            }
            text += &format!("[pool.{pool}.servers]\nweb = \"127.0.0.1:{port}\"\n");
        }
    }
    text
}
