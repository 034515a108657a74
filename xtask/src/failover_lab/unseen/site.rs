//! A whole site: two balancers with a virtual address, two web servers behind them on a network of their own, a client.

use std::fmt::Write as _;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use evenkeel_testkit::lab::{AddressWatch, Cable, Host, Lab, Probe, Probing, Switch};
use evenkeel_testkit::{BOUND, Program, Signal, TempDir, temp_dir};

use crate::failover_lab::node::Node;
use crate::failover_lab::pair::{FIRST_PRIORITY, SECOND_PRIORITY};

pub(super) const INTERVAL: Duration = Duration::from_millis(100);
/// The name of the virtual router.
pub(super) const ROUTER: &str = "public";
const PORT: u16 = 80;
/// Between two echoes, and between two requests.
const STEPS: (Duration, Duration) = (Duration::from_millis(2), Duration::from_millis(5));

/// The check of the web servers: [`CHECK_BOUND`] follows from it.
const CHECK: &str =
    r#"{ http = "/", interval = "100ms", fast-interval = "50ms", timeout = "100ms", rise = 2, fall = 2 }"#;
/// A server that stops answering is left out after `interval` + `fall` × max(`timeout`, `fast-interval`).
pub(super) const CHECK_BOUND: Duration = Duration::from_millis(300);

/// The virtual address.
pub(super) fn target() -> IpAddr {
    IpAddr::from([10, 99, 0, 50])
}

/// The skew of the second node, RFC 9568 §6.1.
pub(super) fn skew() -> Duration {
    INTERVAL * (256 - u32::from(SECOND_PRIORITY)) / 256
}

/// See the module.
pub(super) struct Site {
    pub(super) a: Option<Node>,
    pub(super) b: Option<Node>,
    pub(super) on_first: AddressWatch,
    pub(super) on_second: AddressWatch,
    pub(super) client: Host,
    pub(super) first: Host,
    pub(super) second: Host,
    /// From each balancer to the web servers.
    pub(super) first_back: Cable,
    pub(super) second_back: Cable,
    /// The program of the first node: a copy, so that it can be made unusable.
    pub(super) binary: PathBuf,
    servers: Vec<Server>,
    _directory: TempDir,
    _switches: [Switch; 2],
    _lab: Lab,
}

/// An nginx in a host of its own.
struct Server {
    program: Program,
    /// The network goes with its last value.
    _host: Host,
    _directory: TempDir,
}

/// What the client asks for all the time.
pub(super) struct Probes {
    pub(super) echo: Probe,
    pub(super) fetch: Probe,
}

impl Site {
    /// Builds everything and waits until the first node serves.
    pub(super) fn start(program: &Path) -> Self {
        let lab = Lab::start().expect("a lab: this is root, with ip and nft");
        let (lan, back) = (lab.switch("lan"), lab.switch("back"));
        let (first, second, client) = (lab.host("balancer01"), lab.host("balancer02"), lab.host("client"));
        for (host, number) in [(&first, 1), (&second, 2), (&client, 9)] {
            lab.plug(host, "eth0", &lan);
            host.add_address("eth0", &format!("10.99.0.{number}/24"));
        }
        let behind = |host: &Host, interface: &str, number: u8| {
            let cable = lab.plug(host, interface, &back);
            host.add_address(interface, &format!("10.88.0.{number}/24"));
            cable
        };
        let (first_back, second_back) = (behind(&first, "eth1", 1), behind(&second, "eth1", 2));
        let servers = [("webserver01", 11), ("webserver02", 12)].map(|(name, number)| {
            let host = lab.host(name);
            behind(&host, "eth0", number);
            Server::start(name, &host)
        });
        let directory = temp_dir();
        let binary = directory.path().join("evenkeel");
        std::fs::copy(program, &binary).expect("a copy of the program");
        let mut site = Self {
            a: None,
            b: None,
            on_first: first.watch_addresses(),
            on_second: second.watch_addresses(),
            client,
            first,
            second,
            first_back,
            second_back,
            binary,
            servers: servers.into(),
            _directory: directory,
            _switches: [lan, back],
            _lab: lab,
        };
        site.start_first();
        site.b = Some(Node::start(&site.second, program, &configuration(SECOND_PRIORITY)));
        site.settle();
        site
    }

    pub(super) fn start_first(&mut self) {
        self.a = Some(Node::start(&self.first, &self.binary, &configuration(FIRST_PRIORITY)));
    }

    pub(super) fn first_configuration() -> String {
        configuration(FIRST_PRIORITY)
    }

    pub(super) fn first_node(&self) -> Result<&Node, String> {
        self.a.as_ref().ok_or_else(|| "the first node does not run".into())
    }

    pub(super) fn second_node(&self) -> Result<&Node, String> {
        self.b.as_ref().ok_or_else(|| "the second node does not run".into())
    }

    /// Waits until the first node holds the address alone and both know their servers.
    pub(super) fn settle(&self) {
        self.on_first.wait_until(target(), true);
        self.on_second.wait_until(target(), false);
    }

    pub(super) fn probe(&self) -> Probes {
        let probes = Probes {
            echo: self.client.probe(target(), Probing::Echo, STEPS.0),
            fetch: self.client.probe(target(), Probing::Fetch(PORT), STEPS.1),
        };
        probes.echo.wait_for_answer();
        probes.fetch.wait_for_answer();
        probes
    }

    /// Requests as fast as they are answered, with an ordinary priority, until this is dropped.
    pub(super) fn load(&self, lasts: Duration) -> Program {
        let mut command = self.client.command("chrt");
        let seconds = lasts.as_secs().to_string();
        let url = format!("http://{}:{PORT}/", target());
        Program::start(command.args(["-o", "0", "wrk", "-t1", "-c16", "-d", &seconds, &url]))
    }

    /// How many web servers there are.
    pub(super) fn servers(&self) -> usize {
        self.servers.len()
    }

    /// What both have logged, for whoever looks for a cause.
    pub(super) fn logs(&self) -> String {
        let mut text = String::new();
        for (name, node) in [("first", &self.a), ("second", &self.b)] {
            let lines = node.as_ref().map(Node::lines).unwrap_or_default();
            for line in lines.iter().rev().take(40).rev() {
                let _ = writeln!(text, "  {name}: {line}");
            }
        }
        text
    }
}

impl Server {
    fn start(name: &str, host: &Host) -> Self {
        let directory = temp_dir();
        let place = directory.path().display();
        let text = format!(
            "user root;\ndaemon off;\nworker_processes 1;\nerror_log stderr notice;\npid {place}/nginx.pid;\n\
             events {{ worker_connections 4096; }}\n\
             http {{\n    access_log off;\n    client_body_temp_path {place}/body;\n    proxy_temp_path {place}/proxy;\n    \
             fastcgi_temp_path {place}/fastcgi;\n    uwsgi_temp_path {place}/uwsgi;\n    scgi_temp_path {place}/scgi;\n    \
             keepalive_requests 1000000;\n    \
             server {{ listen {PORT} backlog=4096; location / {{ return 200 \"{name}\"; }} }}\n}}\n"
        );
        std::fs::write(directory.path().join("nginx.conf"), text).expect("a written nginx.conf");
        let mut command = host.command("chrt");
        command.args(["-o", "0", "nginx", "-e", "stderr", "-c", "nginx.conf", "-p"]).arg(directory.path());
        let program = Program::start(&mut command);
        // Written after the sockets are open.
        program.wait_for_line(|line| line.contains("start worker process "), BOUND);
        Self { program, _host: host.clone(), _directory: directory }
    }
}

impl Drop for Site {
    fn drop(&mut self) {
        // The master would leave its worker behind when it is killed.
        for server in &self.servers {
            server.program.signal_group(Signal::KILL);
        }
    }
}

fn configuration(priority: u8) -> String {
    let milliseconds = INTERVAL.as_millis();
    format!(
        "graceful-timeout = \"2s\"\n\
         [listener.website]\nbind = \"{}:{PORT}\"\npool = \"website\"\n\
         [pool.website]\nhealth = {CHECK}\n\
         [pool.website.servers]\nwebserver01 = \"10.88.0.11:80\"\nwebserver02 = \"10.88.0.12:80\"\n\
         [virtual-router.{ROUTER}]\ninterface = \"eth0\"\nvrid = 51\npriority = {priority}\n\
         addresses = [\"{}/24\"]\nadvertisement-interval = \"{milliseconds}ms\"\ntrack = [{{ pool = \"website\" }}]\n",
        target(),
        target()
    )
}
