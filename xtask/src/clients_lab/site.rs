//! Three nginx servers that are spoken to in different ways, and Evenkeel before them.

use std::fmt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use evenkeel_testkit::{Authority, Program, free_port, temp_dir};
use tempfile::TempDir;

/// How long a program may take to be ready.
const LONGEST_START: Duration = Duration::from_secs(30);

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
    pub(super) const ALL: [Self; 3] = [Self::Http1, Self::Http2, Self::Http2Secure];

    /// The path that leads there.
    pub(super) fn path(self) -> &'static str {
        match self {
            Self::Http1 => "/h1",
            Self::Http2 => "/h2",
            Self::Http2Secure => "/h2-tls",
        }
    }

    /// What nginx says of the version.
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
    plain: u16,
    secure: u16,
    _directory: TempDir,
    _running: Vec<Program>,
}

impl Site {
    pub(super) fn start(program: &Path) -> Result<Self, String> {
        let directory = temp_dir();
        let place = directory.path();
        let authority = Authority::new();
        let issued = authority.issue("site", &["localhost"]);
        let ports: Vec<u16> = (0..5).map(|_| free_port()).collect();
        let (nginx, evenkeel) = (place.join("nginx.conf"), place.join("evenkeel.toml"));
        let write = |path: &Path, text: String| std::fs::write(path, text).map_err(|error| error.to_string());
        write(&nginx, servers(place, &ports, &issued))?;
        write(&evenkeel, balancer(place, &ports, &issued, &authority.ca()))?;
        let path = std::env::var("PATH").unwrap_or_default() + ":/usr/sbin";
        let servers = Program::start(
            Command::new("nginx").arg("-c").arg(&nginx).args(["-e", "stderr"]).env("PATH", path),
        );
        let balancer = Program::start(Command::new(program).args(["run", "-c"]).arg(&evenkeel));
        balancer.wait_for_line(|line| line.contains("ready: "), LONGEST_START);
        Ok(Self {
            authority,
            program: program.to_owned(),
            plain: ports[3],
            secure: ports[4],
            _directory: directory,
            _running: vec![balancer, servers],
        })
    }

    /// The address of the page behind a listener.
    pub(super) fn address(&self, secure: bool, towards: Towards) -> String {
        let (scheme, port) = if secure { ("https", self.secure) } else { ("http", self.plain) };
        format!("{scheme}://localhost:{port}{}", towards.path())
    }

    /// The file with the authority that clients are to trust.
    pub(super) fn authority(&self) -> PathBuf {
        self.authority.ca()
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

/// A page that says how it was asked for, and lets a browser say how it has asked.
fn servers(place: &Path, ports: &[u16], issued: &evenkeel_testkit::Issued) -> String {
    let page = "<p>the server was spoken to in $server_protocol</p><p id=own></p><script>\
                document.getElementById(\"own\").textContent = \"the browser spoke \" + \
                performance.getEntriesByType(\"navigation\")[0].nextHopProtocol</script>\n";
    let user = if rustix::process::geteuid().is_root() { "user root;" } else { "" };
    let place = place.display();
    let server = |port: u16, how: &str| {
        format!("server {{ listen 127.0.0.1:{port} {how}; location / {{ return 200 '{page}'; }} }}\n")
    };
    format!(
        "{user} daemon off; worker_processes 1; pid {place}/nginx.pid; error_log stderr error;\n\
         events {{ worker_connections 1024; }}\nhttp {{ access_log off; default_type text/html;\n\
         client_body_temp_path {place}/body; proxy_temp_path {place}/proxy; fastcgi_temp_path {place}/fastcgi;\n\
         uwsgi_temp_path {place}/uwsgi; scgi_temp_path {place}/scgi;\n\
         ssl_certificate {}; ssl_certificate_key {};\n{}{}{}}}\n",
        issued.certificate.display(),
        issued.key.display(),
        server(ports[0], ""),
        server(ports[1], "http2"),
        server(ports[2], "ssl http2"),
    )
}

fn balancer(place: &Path, ports: &[u16], issued: &evenkeel_testkit::Issued, authority: &Path) -> String {
    let place = place.display();
    let listener = |name: &str, port: u16, more: &str| {
        let route = |path: &str, pool: &str| {
            format!("[[listener.{name}.route]]\npath-prefix = \"{path}\"\npool = \"{pool}\"\n")
        };
        format!(
            "[listener.{name}]\nbind = \"127.0.0.1:{port}\"\npool = \"h1\"\n{more}{}{}",
            route("/h2-tls", "h2-tls"),
            route("/h2", "h2")
        )
    };
    let tls = format!(
        "tls = {{ certificates = [{{ certificate = {:?}, key = {:?} }}] }}\n",
        issued.certificate, issued.key
    );
    format!(
        "[global]\ncontrol-socket = \"{place}/control.sock\"\n\
         {}{}\
         [pool.h1.servers]\nweb = \"127.0.0.1:{}\"\n\
         [pool.h2]\nprotocol = \"h2\"\n[pool.h2.servers]\nweb = \"127.0.0.1:{}\"\n\
         [pool.h2-tls]\nprotocol = \"h2\"\ntls = {{ ca = {authority:?}, sni = \"localhost\" }}\n\
         [pool.h2-tls.servers]\nweb = \"127.0.0.1:{}\"\n",
        listener("plain", ports[3], ""),
        listener("secure", ports[4], &tls),
        ports[0],
        ports[1],
        ports[2]
    )
}
