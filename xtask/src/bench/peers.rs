//! The programs that are compared, configured alike, and the servers behind them.

use std::fmt::Write as _;
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use evenkeel_testkit::Authority;

use super::process::{Running, has_argument};
use super::{LOAD_CORE, PROXY_CORE};

/// How long a program may take to accept connections.
const LONGEST_START: Duration = Duration::from_secs(20);

/// The files of the proxies' certificate.
const CERTIFICATE: &str = "bench.pem";
const KEY: &str = "bench.key";
const BOTH: &str = "bench-both.pem";

/// One of the proxies.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Peer {
    HaProxy,
    /// Another version of it, if one is given.
    OtherHaProxy,
    Nginx,
    Evenkeel,
}

impl Peer {
    pub(super) const ALL: [Self; 4] = [Self::HaProxy, Self::OtherHaProxy, Self::Nginx, Self::Evenkeel];

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::HaProxy => "HAProxy",
            Self::OtherHaProxy => "other HAProxy",
            Self::Nginx => "nginx",
            Self::Evenkeel => "Evenkeel",
        }
    }
}

/// What a port of a proxy is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Place {
    Http,
    /// HTTP with an access log.
    Logged,
    Tcp,
    /// The same, for HAProxy with `option splice-auto`, which is not its default.
    Spliced,
    /// HTTP over TLS: HTTP/1.1 and HTTP/2, as the client likes.
    Tls,
}

impl Place {
    const ALL: [Self; 5] = [Self::Http, Self::Logged, Self::Tcp, Self::Spliced, Self::Tls];
}

/// A port for each [`Place`], in their order.
type Ports = [u16; Place::ALL.len()];

/// A proxy and its ports.
#[derive(Debug)]
pub(super) struct Proxy {
    pub(super) running: Running,
    ports: Ports,
}

impl Proxy {
    pub(super) fn port(&self, place: Place) -> u16 {
        self.ports[place as usize]
    }
}

/// Servers, proxies and where their files lie.
#[derive(Debug)]
pub(super) struct Site {
    directory: PathBuf,
    program: PathBuf,
    other_haproxy: Option<PathBuf>,
    backends: [u16; 2],
    nginx_has_stream: bool,
    authority: Authority,
    proxies: Vec<(Peer, Proxy)>,
    _backend: Running,
}

impl Site {
    /// Starts everything: Evenkeel from `program`, another HAProxy if its program is given, the rest from `PATH`.
    pub(super) fn start(program: &Path, other_haproxy: Option<&Path>) -> Result<Self, String> {
        for (name, argument) in [
            ("haproxy", "-v"),
            ("nginx", "-v"),
            ("wrk", "-v"),
            ("h2load", "--version"),
            ("taskset", "-V"),
            ("openssl", "version"),
        ] {
            version(name, argument).ok_or_else(|| format!("the bench needs {name}: install its package"))?;
        }
        let directory = std::env::temp_dir().join(format!("evenkeel-bench-{}", std::process::id()));
        std::fs::create_dir_all(directory.join("files")).map_err(|error| error.to_string())?;
        for (name, size) in [("10k", 10 * 1024), ("100k", 100 * 1024), ("1m", 1024 * 1024)] {
            write(&directory.join("files").join(name), &"x".repeat(size))?;
        }
        let authority = Authority::new();
        let issued = authority.issue("bench", &["localhost"]);
        let read = |path: &Path| std::fs::read_to_string(path).map_err(|error| error.to_string());
        // HAProxy reads both from one file.
        write(&directory.join(BOTH), &(read(&issued.certificate)? + &read(&issued.key)?))?;
        write(&directory.join(CERTIFICATE), &read(&issued.certificate)?)?;
        write(&directory.join(KEY), &read(&issued.key)?)?;
        restrict(&directory.join(KEY))?;
        let backends = [free_port()?, free_port()?];
        write(&directory.join("backend.conf"), &backend(&directory, backends))?;
        let config = directory.join("backend.conf");
        let backend = Running::start(
            LOAD_CORE,
            Path::new("nginx"),
            &["-c", &config.display().to_string(), "-e", "stderr"],
            &directory,
            "backend",
        )?;
        backends.iter().try_for_each(|&port| wait_for(port))?;
        let mut site = Self {
            authority,
            nginx_has_stream: Path::new("/usr/lib/nginx/modules/ngx_stream_module.so").exists(),
            directory,
            program: program.to_owned(),
            other_haproxy: other_haproxy.map(Path::to_owned),
            backends,
            proxies: Vec::new(),
            _backend: backend,
        };
        for peer in Peer::ALL {
            if !site.has(peer) {
                continue;
            }
            let proxy = site.start_proxy(peer, 1, "bench")?;
            site.proxies.push((peer, proxy));
        }
        Ok(site)
    }

    /// Starts a proxy with so many workers. `name` tells it from others of its kind.
    pub(super) fn start_proxy(&self, peer: Peer, workers: usize, name: &str) -> Result<Proxy, String> {
        let mut ports = Ports::default();
        for port in &mut ports {
            *port = free_port()?;
        }
        let name = format!("{}-{name}", peer.name());
        let config = self.directory.join(format!("{name}.conf"));
        let text = match peer {
            Peer::HaProxy | Peer::OtherHaProxy => haproxy(&self.directory, ports, self.backends, workers),
            Peer::Nginx => {
                let stream = self.nginx_has_stream;
                nginx(&self.directory, &name, ports, self.backends, workers, stream)
            }
            Peer::Evenkeel => evenkeel(&self.directory, &name, ports, self.backends, workers),
        };
        write(&config, &text)?;
        let config = config.display().to_string();
        let (program, arguments): (&Path, &[&str]) = match peer {
            Peer::HaProxy => (Path::new("haproxy"), &["-db", "-f", &config]),
            Peer::OtherHaProxy => {
                let program = self.other_haproxy.as_deref().ok_or("no other HAProxy is given")?;
                (program, &["-db", "-f", &config])
            }
            Peer::Nginx => (Path::new("nginx"), &["-c", &config, "-e", "stderr"]),
            Peer::Evenkeel => (&self.program, &["run", "-c", &config]),
        };
        let running = Running::start(PROXY_CORE, program, arguments, &self.directory, &name)?;
        let proxy = Proxy { running, ports };
        for place in Place::ALL {
            if self.serves(peer, place) {
                wait_for(proxy.port(place)).map_err(|why| format!("{}: {why}", peer.name()))?;
            }
        }
        Ok(proxy)
    }

    pub(super) fn has(&self, peer: Peer) -> bool {
        peer != Peer::OtherHaProxy || self.other_haproxy.is_some()
    }

    /// Debian's nginx has TCP mode in a package of its own.
    pub(super) fn serves(&self, peer: Peer, place: Place) -> bool {
        let streams =
            peer != Peer::Nginx || !matches!(place, Place::Tcp | Place::Spliced) || self.nginx_has_stream;
        self.has(peer) && streams
    }

    /// The certificate of the authority that has issued the proxies' one.
    pub(super) fn authority(&self) -> PathBuf {
        self.authority.ca()
    }

    fn proxy(&self, peer: Peer) -> Option<&Proxy> {
        self.proxies.iter().find(|(known, _)| *known == peer).map(|(_, proxy)| proxy)
    }

    pub(super) fn port(&self, peer: Peer, place: Place) -> u16 {
        self.proxy(peer).map_or(0, |proxy| proxy.port(place))
    }

    /// The processes of a proxy that move traffic.
    pub(super) fn workers(&self, peer: Peer) -> Result<Vec<u32>, String> {
        let proxy = self.proxy(peer).ok_or("it does not run")?;
        Ok(movers(peer, &proxy.running))
    }

    /// Which versions are compared.
    pub(super) fn versions(&self) -> Vec<String> {
        let with_tls =
            |program: &str| Some(format!("{}, {}", version(program, "-v")?, tls_library(program)?));
        let other = self.other_haproxy.as_ref().and_then(|program| with_tls(&program.display().to_string()));
        let known = [with_tls("haproxy"), other, version("nginx", "-v"), version("wrk", "-v")];
        let h2load = version("h2load", "--version");
        let ours = Command::new(&self.program).arg("--version").output().ok();
        let ours = ours.map(|output| String::from_utf8_lossy(&output.stdout).trim().to_owned());
        known.into_iter().chain([h2load, ours]).flatten().collect()
    }
}

impl Drop for Site {
    fn drop(&mut self) {
        self.proxies.clear();
        let _ = std::fs::remove_dir_all(&self.directory);
    }
}

/// The processes of a tree that move traffic: HAProxy's only one, nginx's workers, Evenkeel's proxy role.
pub(super) fn movers(peer: Peer, running: &Running) -> Vec<u32> {
    let tree = running.tree();
    match peer {
        Peer::HaProxy | Peer::OtherHaProxy => tree,
        Peer::Nginx => tree.into_iter().skip(1).collect(),
        Peer::Evenkeel => {
            tree.into_iter().filter(|&id| has_argument(id, "role") && has_argument(id, "proxy")).collect()
        }
    }
}

/// The first line that a program says of itself.
fn version(name: &str, argument: &str) -> Option<String> {
    let path = std::env::var("PATH").unwrap_or_default() + ":/usr/sbin";
    let output = Command::new(name).arg(argument).env("PATH", path).output().ok()?;
    let text = [output.stdout, output.stderr].concat();
    let text = String::from_utf8_lossy(&text);
    Some(text.lines().next()?.split(" - ").next()?.split(" [").next()?.trim().to_owned())
}

/// Which TLS library a HAProxy runs on.
fn tls_library(name: &str) -> Option<String> {
    let path = std::env::var("PATH").unwrap_or_default() + ":/usr/sbin";
    let output = Command::new(name).arg("-vv").env("PATH", path).output().ok()?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    // Before and since HAProxy 3.
    let words = ["Running on OpenSSL version :", "Running on SSL library version :"];
    let said = |line: &str| words.iter().find_map(|words| Some(line.split_once(words)?.1.trim().to_owned()));
    Some(format!("with {}", text.lines().find_map(said)?))
}

fn write(path: &Path, text: &str) -> Result<(), String> {
    std::fs::write(path, text).map_err(|error| format!("{}: {error}", path.display()))
}

/// Keys that others can read are refused.
fn restrict(path: &Path) -> Result<(), String> {
    use std::os::unix::fs::PermissionsExt;
    let owner = std::fs::Permissions::from_mode(0o600);
    std::fs::set_permissions(path, owner).map_err(|error| error.to_string())
}

fn free_port() -> Result<u16, String> {
    let socket = TcpListener::bind("127.0.0.1:0").and_then(|socket| socket.local_addr());
    socket.map(|address| address.port()).map_err(|error| error.to_string())
}

fn wait_for(port: u16) -> Result<(), String> {
    let end = Instant::now() + LONGEST_START;
    while TcpStream::connect(("127.0.0.1", port)).is_err() {
        if Instant::now() > end {
            return Err(format!("nothing listens on port {port}"));
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    Ok(())
}

/// A configuration of nginx that writes only into `directory`; `outside` stands beside the `http` block.
fn nginx_config(directory: &Path, name: &str, workers: usize, http: &str, outside: &str) -> String {
    let place = format!("{}/{name}", directory.display());
    // As root, workers would become a user who may not write there.
    let user = if is_root() { "user root;" } else { "" };
    format!(
        "{user}\ndaemon off;\nworker_processes {workers};\nworker_rlimit_nofile 16384;\npid {place}.pid;\n\
         error_log stderr error;\nevents {{ worker_connections 8192; }}\n{outside}\nhttp {{\n\
         client_body_temp_path {place}-body;\nproxy_temp_path {place}-proxy;\nfastcgi_temp_path {place}-fastcgi;\n\
         uwsgi_temp_path {place}-uwsgi;\nscgi_temp_path {place}-scgi;\n{http}\n}}\n"
    )
}

fn is_root() -> bool {
    use std::os::unix::fs::MetadataExt;
    std::fs::metadata("/proc/self").is_ok_and(|own| own.uid() == 0)
}

fn backend(directory: &Path, ports: [u16; 2]) -> String {
    let body = "hello world ".repeat(5) + "12345\n";
    let http = format!(
        "access_log off; keepalive_requests 100000000; keepalive_timeout 65s; default_type text/plain;\n\
         server {{\n listen 127.0.0.1:{} backlog=4096;\n listen 127.0.0.1:{} backlog=4096;\n\
         location = /small {{ return 200 \"{body}\"; }}\n location /files/ {{ alias {}/files/; }}\n}}",
        ports[0],
        ports[1],
        directory.display()
    );
    nginx_config(directory, "backend", 1, &http, "")
}

fn haproxy(directory: &Path, ports: Ports, backends: [u16; 2], workers: usize) -> String {
    let mut text = format!(
        "global\n nbthread {workers}\n maxconn 6000\ndefaults\n mode http\n timeout client 60s\n timeout server 60s\n \
         timeout connect 3s\n"
    );
    let server = |text: &mut String| {
        for (number, port) in backends.iter().enumerate() {
            let _ = writeln!(text, " server s{number} 127.0.0.1:{port}");
        }
    };
    let _ = writeln!(
        text,
        "frontend plain\n bind 127.0.0.1:{}\n option forwardfor\n default_backend web",
        ports[0]
    );
    let _ = writeln!(
        text,
        "frontend logged\n bind 127.0.0.1:{}\n option forwardfor\n option httplog\n log stdout format raw local0\n \
         default_backend web",
        ports[1]
    );
    let _ = writeln!(
        text,
        "frontend encrypted\n bind 127.0.0.1:{} ssl crt {}/{BOTH} alpn h2,http/1.1\n option forwardfor\n \
         default_backend web",
        ports[4],
        directory.display()
    );
    text.push_str("backend web\n balance roundrobin\n http-reuse always\n");
    server(&mut text);
    for (name, port, option) in [("bytes", ports[2], ""), ("spliced", ports[3], "\n option splice-auto")] {
        let _ =
            writeln!(text, "listen {name}\n mode tcp\n bind 127.0.0.1:{port}{option}\n balance roundrobin");
        server(&mut text);
    }
    text
}

fn nginx(
    directory: &Path,
    name: &str,
    ports: Ports,
    backends: [u16; 2],
    workers: usize,
    has_stream: bool,
) -> String {
    let servers: String = backends.iter().map(|port| format!(" server 127.0.0.1:{port};\n")).collect();
    let location = "location / { proxy_pass http://web; proxy_http_version 1.1; proxy_set_header Connection \"\"; \
                    proxy_set_header Host $host; proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for; }";
    let http = format!(
        "keepalive_requests 100000000; keepalive_timeout 60s; proxy_buffering on;\n\
         upstream web {{\n{servers} keepalive 1024; keepalive_requests 100000000;\n}}\n\
         server {{ listen 127.0.0.1:{} backlog=4096; access_log off; {location} }}\n\
         server {{ listen 127.0.0.1:{} backlog=4096; access_log {directory}/{name}.log combined; {location} }}\n\
         server {{ listen 127.0.0.1:{} ssl http2 backlog=4096; access_log off; ssl_protocols TLSv1.2 TLSv1.3;\n\
         ssl_certificate {directory}/{CERTIFICATE}; ssl_certificate_key {directory}/{KEY}; {location} }}",
        ports[0],
        ports[1],
        ports[4],
        directory = directory.display()
    );
    let outside = if has_stream {
        format!(
            "stream {{ upstream bytes {{ {servers} }} server {{ listen 127.0.0.1:{} backlog=4096; \
             listen 127.0.0.1:{} backlog=4096; proxy_pass bytes; }} }}",
            ports[2], ports[3]
        )
    } else {
        String::new()
    };
    let text = nginx_config(directory, name, workers, &http, &outside);
    if has_stream {
        format!("load_module /usr/lib/nginx/modules/ngx_stream_module.so;\n{text}")
    } else {
        text
    }
}

fn evenkeel(directory: &Path, name: &str, ports: Ports, backends: [u16; 2], workers: usize) -> String {
    let directory = directory.display();
    let servers: String = backends
        .iter()
        .enumerate()
        .map(|(number, port)| format!("s{number} = \"127.0.0.1:{port}\"\n"))
        .collect();
    format!(
        "[global]\nthreads = {workers}\nmax-connections = 6000\ncontrol-socket = \"{directory}/{name}.sock\"\n\
         [listener.plain]\nbind = \"127.0.0.1:{}\"\npool = \"web\"\n\
         [listener.logged]\nbind = \"127.0.0.1:{}\"\npool = \"web\"\n\
         access-log = {{ to = \"{directory}/{name}.log\" }}\n\
         [listener.encrypted]\nbind = \"127.0.0.1:{}\"\npool = \"web\"\n\
         tls = {{ certificates = [{{ certificate = \"{directory}/{CERTIFICATE}\", key = \"{directory}/{KEY}\" }}] }}\n\
         [listener.bytes]\nbind = [\"127.0.0.1:{}\", \"127.0.0.1:{}\"]\nmode = \"tcp\"\npool = \"web\"\n[pool.web.servers]\n{servers}",
        ports[0], ports[1], ports[4], ports[2], ports[3]
    )
}
