//! Two linked balancers with everything that clients hold on to: pages and files, WebSockets, streams of HTTP/2; each
//! balancer has its servers on its own loopback.

use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use evenkeel_testkit::http2::{Frame, Http2Server, flag, kind};
use evenkeel_testkit::lab::{Host, Lab, Switch};
use evenkeel_testkit::{Authority, Nginx, ToyServer, websocket_echo};
use serde_json::Value;

use super::clients::{BALANCERS, FIRST, OTHERS, come_before};
use crate::failover_lab::Node;

/// The virtual addresses.
pub(super) const ADDRESSES: [IpAddr; 2] = [
    IpAddr::V4(std::net::Ipv4Addr::new(10, 99, 0, 50)),
    IpAddr::V6(std::net::Ipv6Addr::new(0xfd99, 0, 0, 0, 0, 0, 0, 0x50)),
];
pub(super) const PLAIN: u16 = 80;
pub(super) const SECURE: u16 = 443;
/// The name in the certificate.
pub(super) const NAME: &str = "test.example";
/// What each download is, in bytes.
pub(super) const FILE: u64 = 50 * 1024 * 1024;
/// How long a node may take for something that it was asked.
const BOUND: Duration = Duration::from_secs(30);
const PRIORITIES: [u8; 2] = [150, 100];

/// See the module.
pub(super) struct Site {
    pub(super) nodes: [Node; 2],
    pub(super) hosts: [Host; 2],
    pub(super) client: Host,
    pub(super) authority: Authority,
    configurations: [String; 2],
    program: PathBuf,
    _servers: [Servers; 2],
    _switch: Switch,
    _lab: Lab,
}

struct Servers {
    web: Nginx,
    websocket: ToyServer,
    streams: SocketAddr,
}

impl Servers {
    fn start(host: &Host) -> Self {
        host.inside(|| {
            let directives = "keepalive_timeout 60s; keepalive_requests 1000000;";
            let web = Nginx::start_with("web", 8081, directives);
            web.file("big", FILE);
            come_before(FIRST);
            let servers = Self { web, websocket: websocket_echo(), streams: stream_echo() };
            come_before(OTHERS);
            servers
        })
    }
}

/// A server of HTTP/2 that says every message of every stream back, as a gRPC service may; it lives as long as the lab.
fn stream_echo() -> SocketAddr {
    let server = Http2Server::new();
    let address = server.address();
    std::thread::spawn(move || {
        loop {
            // Nobody calls for a while: that is an error of the socket, and no reason to end.
            let Ok(mut peer) = server.accept() else { continue };
            std::thread::spawn(move || {
                let greeted = peer.greet(&[(3, 1000)]);
                while let (Ok(_), Ok(Some(frame))) = (&greeted, peer.next_frame()) {
                    let said = match frame.kind {
                        kind::HEADERS => peer.head(
                            frame.stream,
                            &[(":status", "200"), ("content-type", "application/grpc")],
                            false,
                        ),
                        kind::DATA if !frame.payload.is_empty() => {
                            let by = u32::try_from(frame.payload.len()).unwrap_or(0);
                            let opened = [peer.open(0, by), peer.open(frame.stream, by)];
                            opened.into_iter().find(Result::is_err).unwrap_or_else(|| {
                                peer.frames(&[Frame::new(kind::DATA, 0, frame.stream, frame.payload)])
                            })
                        }
                        kind::DATA if frame.has(flag::END_STREAM) => {
                            peer.head(frame.stream, &[("grpc-status", "0")], true)
                        }
                        _ => Ok(()),
                    };
                    if said.is_err() {
                        return;
                    }
                }
            });
        }
    });
    address
}

impl Site {
    /// Builds everything; returns when the first node is active and the two are linked.
    pub(super) fn start(program: &Path) -> Result<Self, String> {
        let lab = Lab::start().ok_or("a lab needs root, `ip` and `nft`")?;
        let switch = lab.switch("lan");
        let [first, second, client] = ["balancer01", "balancer02", "client"].map(|name| lab.host(name));
        for (host, number) in [(&first, 1), (&second, 2), (&client, 9)] {
            lab.plug(host, "eth0", &switch);
            host.add_address("eth0", &format!("10.99.0.{number}/24"));
            host.add_address("eth0", &format!("fd99::{number}/64"));
            // Whatever this machine has otherwise: a client that reads evenly and slowly makes BBR believe that the network is slow.
            host.set("ipv4/tcp_congestion_control", "reno");
        }
        let authority = Authority::new();
        let _files = authority.issue("site", &[NAME]);
        let key = authority.directory().join("pair.key");
        std::fs::write(&key, "thirty-two bytes or more, which both nodes know\n").map_err(text)?;
        let private = std::os::unix::fs::PermissionsExt::from_mode(0o600);
        std::fs::set_permissions(&key, private).map_err(text)?;
        let hosts = [first, second];
        let servers = [0, 1].map(|at| Servers::start(&hosts[at]));
        let configurations =
            [0, 1].map(|at| configuration(PRIORITIES[at], 2 - at, &servers[at], &authority, &key));
        let watch = hosts[0].watch_addresses();
        come_before(BALANCERS);
        let a = Node::start(&hosts[0], program, &configurations[0]);
        for address in ADDRESSES {
            watch.wait_until(address, true);
        }
        let b = Node::start(&hosts[1], program, &configurations[1]);
        come_before(OTHERS);
        let site = Self {
            nodes: [a, b],
            hosts,
            client,
            authority,
            configurations,
            program: program.to_owned(),
            _servers: servers,
            _switch: switch,
            _lab: lab,
        };
        site.settle()?;
        Ok(site)
    }

    /// Waits until both nodes are linked, know each other, and no connection is left from an earlier move.
    pub(super) fn settle(&self) -> Result<(), String> {
        for at in [0, 1] {
            self.wait(at, "both nodes are linked and know each other", |status| {
                let routers = status["virtual_routers"]["state"]["routers"].as_array();
                status["pair"]["state"]["up"] == true
                    && routers.is_some_and(|all| all.iter().all(|router| !router["owner"].is_null()))
            })?;
        }
        Ok(())
    }

    /// Waits until nothing is left of earlier moves.
    pub(super) fn drained(&self) -> Result<(), String> {
        for at in [0, 1] {
            self.wait(at, "nothing is left of earlier moves", |status| {
                let routers = status["virtual_routers"]["state"]["routers"].as_array();
                routers.is_some_and(|all| {
                    all.iter().all(|router| {
                        router["handover"]["giving"].is_null() && router["handover"]["passing"].is_null()
                    })
                })
            })?;
        }
        Ok(())
    }

    /// Waits until the status of a node is so.
    pub(super) fn wait(&self, at: usize, what: &str, fits: impl Fn(&Value) -> bool) -> Result<Value, String> {
        let begun = Instant::now();
        loop {
            let status = self.nodes[at].status()?;
            if fits(&status) {
                return Ok(status);
            }
            if begun.elapsed() > BOUND {
                return Err(format!("not within {BOUND:?}: {what}\n{}", self.logs()));
            }
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// Has a node give its addresses away; what it says of the connections.
    pub(super) fn fail_over(&self, from: usize) -> Result<String, String> {
        let said = self.nodes[from].command(&["router", "failover", "public"])?;
        Ok(said.lines().next().unwrap_or_default().to_owned())
    }

    /// Starts a node again that was killed.
    pub(super) fn restart(&mut self, at: usize) {
        self.nodes[at] = Node::start(&self.hosts[at], &self.program, &self.configurations[at]);
    }

    /// What clients trust.
    pub(super) fn trust(&self) -> Arc<rustls::ClientConfig> {
        evenkeel_testkit::http2::trusting(&self.authority.ca())
    }

    /// What both have logged, for whoever looks for a cause.
    pub(super) fn logs(&self) -> String {
        let lines = |at: usize| {
            let name = ["first", "second"][at];
            self.nodes[at].lines().into_iter().map(move |line| format!("  {name}: {line}\n"))
        };
        lines(0).chain(lines(1)).collect()
    }
}

#[expect(clippy::needless_pass_by_value, reason = "it is what `map_err` gives")]
fn text(error: std::io::Error) -> String {
    error.to_string()
}

fn configuration(priority: u8, peer: usize, servers: &Servers, authority: &Authority, key: &Path) -> String {
    let directory = authority.directory().display();
    let (web, websocket, streams) = (servers.web.address(), servers.websocket.address(), servers.streams);
    let routes = |listener: &str| {
        format!(
            "[[listener.{listener}.route]]\npath = \"/socket\"\npool = \"websocket\"\n\
             [[listener.{listener}.route]]\npath-prefix = \"/lab.Calls/\"\npool = \"streams\"\n"
        )
    };
    let (plain, secure) = (routes("plain"), routes("secure"));
    format!(
        "[listener.plain]\nbind = [\"0.0.0.0:{PLAIN}\", \"[::]:{PLAIN}\"]\npool = \"web\"\n{plain}\
         [listener.secure]\nbind = [\"0.0.0.0:{SECURE}\", \"[::]:{SECURE}\"]\npool = \"web\"\n\
         tls.certificates = [{{ certificate = \"{directory}/site.pem\", key = \"{directory}/site.key\" }}]\n{secure}\
         [pool.web]\nservers = {{ web = \"{web}\" }}\n\
         [pool.websocket]\nservers = {{ echo = \"{websocket}\" }}\n\
         [pool.streams]\nprotocol = \"h2\"\nservers = {{ echo = \"{streams}\" }}\n\
         [virtual-router.public]\ninterface = \"eth0\"\nvrid = 51\npriority = {priority}\nsync-group = \"site\"\n\
         addresses = [\"10.99.0.50/24\"]\nadvertisement-interval = \"100ms\"\n\
         [virtual-router.public6]\ninterface = \"eth0\"\nvrid = 52\npriority = {priority}\nsync-group = \"site\"\n\
         addresses = [\"fe80::50/64\", \"fd99::50/64\"]\nadvertisement-interval = \"100ms\"\n\
         [pair]\npeer = \"10.99.0.{peer}:7411\"\nkey-file = {key:?}\n"
    )
}
