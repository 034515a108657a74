//! A proxy role within the test's process, told what to do as the supervisor would tell it.

#![allow(dead_code, reason = "each test binary uses its own part")]
#![expect(clippy::unwrap_used, clippy::panic, reason = "a test that cannot go on has failed")]

pub(crate) mod h2_server;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::num::NonZeroU32;
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use evenkeel_config::plan::Plan;
use evenkeel_proxy::message::{Change, Event, Keys, ServerSnapshot, Snapshot};
use evenkeel_sys::channel::{self, Channel, Receiver, Sender};
use evenkeel_testkit::{BOUND, HttpClient, ToyServer, free_address};
use evenkeel_traffic::address::Address;
use evenkeel_traffic::sticky::Key;

/// Text of a configuration, with the variables that tests fill in.
struct Text<'a> {
    text: &'a str,
    variables: BTreeMap<&'a str, String>,
}

impl evenkeel_config::Source for Text<'_> {
    fn read(&self, _: &Path) -> Result<String, String> {
        Ok(self.text.to_owned())
    }

    fn glob(&self, _: &str, _: &Path) -> Result<Vec<PathBuf>, String> {
        Ok(Vec::new())
    }

    fn variable(&self, name: &str) -> Option<String> {
        self.variables.get(name).cloned()
    }
}

/// A running proxy role.
pub(crate) struct Balancer {
    address: SocketAddr,
    servers: Vec<SocketAddr>,
    runtime: tokio::runtime::Runtime,
    link: Option<(Sender, Receiver)>,
    role: Option<JoinHandle<std::io::Result<()>>>,
    workers: usize,
    revision: u64,
    bound: Vec<Address>,
    keys: Keys,
}

impl Balancer {
    /// Starts a role with this configuration, in which `${BIND}` is a free address and `${S0}`, `${S1}` … are
    /// `servers`.
    pub(crate) fn start(config: &str, servers: &[SocketAddr]) -> Self {
        Self::start_with_workers(config, servers, 2, 1000)
    }

    pub(crate) fn start_with_workers(
        config: &str,
        servers: &[SocketAddr],
        workers: u16,
        max_connections: u32,
    ) -> Self {
        let mut balancer = Self::silent(servers, workers, max_connections);
        balancer.apply(config);
        balancer
    }

    /// Starts a role that is given these files for access logs.
    pub(crate) fn start_with_files(
        config: &str,
        servers: &[SocketAddr],
        files: Vec<(&Path, OwnedFd)>,
    ) -> Self {
        let mut balancer = Self::silent(servers, 2, 1000);
        for (path, file) in files {
            balancer.give_file(path, file);
        }
        balancer.apply(config);
        balancer
    }

    /// Gives a file for access logs, new or in place of another.
    pub(crate) fn give_file(&mut self, path: &Path, file: OwnedFd) {
        self.send(&Change::LogFile { path: path.into() }, &[file]);
    }

    /// From the next configuration on, this signs the cookies of pools without a key file.
    pub(crate) fn sign_with(&mut self, key: Key) {
        self.keys.random = key;
    }

    /// A role without a plan.
    fn silent(servers: &[SocketAddr], workers: u16, max_connections: u32) -> Self {
        let (ours, theirs) = channel::pair().unwrap();
        let role = std::thread::spawn(move || evenkeel_proxy::run::run(Channel::from_fd(theirs)?));
        let runtime =
            tokio::runtime::Builder::new_current_thread().enable_io().enable_time().build().unwrap();
        let link = Channel::from_fd(ours).unwrap().split();
        let mut balancer = Self {
            address: free_address(),
            servers: servers.to_vec(),
            runtime,
            link: Some(link),
            role: Some(role),
            workers: workers.into(),
            revision: 0,
            bound: Vec::new(),
            keys: Keys { random: Key::from_random([7; 32]), by_file: BTreeMap::new() },
        };
        let max_connections = NonZeroU32::new(max_connections).unwrap();
        balancer.send(&Change::Start { workers, max_connections }, &[]);
        balancer
    }

    /// Puts another configuration in force, opening sockets for new binds.
    pub(crate) fn apply(&mut self, config: &str) {
        let plan = self.plan(config);
        for listener in &plan.listeners {
            for bind in &listener.binds {
                if !self.bound.contains(bind) {
                    let sockets = match bind {
                        Address::Tcp(address) => {
                            evenkeel_sys::socket::listen_tcp(*address, self.workers, &[]).unwrap()
                        }
                        Address::Unix(path) => {
                            let listener = std::os::unix::net::UnixListener::bind(path).unwrap();
                            listener.set_nonblocking(true).unwrap();
                            vec![listener.into()]
                        }
                    };
                    self.bound.push(bind.clone());
                    self.send(&Change::Sockets { bind: bind.clone() }, &sockets);
                }
            }
        }
        self.bound.retain(|bind| plan.listeners.iter().any(|listener| listener.binds.contains(bind)));
        self.revision += 1;
        self.send(&Change::Keys { keys: self.keys.clone() }, &[]);
        self.send(&Change::Apply { revision: self.revision, plan: Arc::new(plan) }, &[]);
        match self.receive() {
            Event::Applied { revision } => assert_eq!(revision, self.revision),
            other => panic!("not applied: {other:?}"),
        }
    }

    /// Tells the role a configuration that it cannot put in force, with these sockets; why it cannot.
    pub(crate) fn apply_refused(&mut self, config: &str, sockets: BTreeMap<Address, Vec<OwnedFd>>) -> String {
        let plan = self.plan(config);
        for (bind, sockets) in sockets {
            self.send(&Change::Sockets { bind }, &sockets);
        }
        self.revision += 1;
        self.send(&Change::Apply { revision: self.revision, plan: Arc::new(plan) }, &[]);
        match self.receive() {
            Event::Refused { revision, why } if revision == self.revision => why,
            other => panic!("not refused: {other:?}"),
        }
    }

    fn plan(&self, config: &str) -> Plan {
        let mut variables = BTreeMap::from([("BIND", self.address.to_string())]);
        for (name, server) in ["S0", "S1", "S2", "S3"].into_iter().zip(&self.servers) {
            variables.insert(name, server.to_string());
        }
        match evenkeel_config::load(Path::new("test.toml"), &Text { text: config, variables }) {
            Ok(loaded) => loaded.plan,
            Err(report) => panic!("{}", report.render(false)),
        }
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    pub(crate) fn client(&self) -> HttpClient {
        HttpClient::connect(self.address).unwrap()
    }

    /// Sends raw bytes on a new connection and reads until it is closed.
    pub(crate) fn raw(&self, bytes: impl AsRef<[u8]>) -> String {
        let mut client = self.client();
        client.send(bytes).unwrap();
        String::from_utf8_lossy(&client.read_until_close().unwrap()).into_owned()
    }

    pub(crate) fn snapshot(&mut self) -> Snapshot {
        self.send(&Change::Snapshot { id: 1 }, &[]);
        match self.receive() {
            Event::Snapshot { snapshot, .. } => snapshot,
            other => panic!("no snapshot: {other:?}"),
        }
    }

    pub(crate) fn server(&mut self, name: &str) -> ServerSnapshot {
        let snapshot = self.snapshot();
        let mut servers = snapshot.pools.into_iter().flat_map(|pool| pool.servers);
        servers.find(|server| server.name.as_str() == name).unwrap()
    }

    /// Waits until the snapshot shows what is wanted.
    pub(crate) fn wait_until(&mut self, holds: impl Fn(&Snapshot) -> bool) {
        let end = std::time::Instant::now() + BOUND;
        while !holds(&self.snapshot()) {
            assert!(std::time::Instant::now() < end, "never seen: {:#?}", self.snapshot());
            std::thread::yield_now();
        }
    }

    /// Tells the role which addresses are another machine's; it knows when this returns.
    pub(crate) fn departing(&mut self, addresses: &[&str]) {
        let addresses = addresses.iter().map(|address| address.parse().unwrap()).collect();
        self.send(&Change::Departing { addresses }, &[]);
        self.snapshot();
    }

    /// Tells the role to drain; [`Balancer::drained`] waits for the end.
    pub(crate) fn drain(&mut self, within: Duration) {
        self.send(&Change::Drain { within }, &[]);
    }

    /// Waits until the role has drained; says how many connections it cut.
    pub(crate) fn drained(&mut self) -> u64 {
        let Event::Drained { cut } = self.receive() else { panic!("not drained") };
        self.role.take().unwrap().join().unwrap().unwrap();
        cut
    }

    fn send(&mut self, change: &Change, descriptors: &[OwnedFd]) {
        let borrowed: Vec<_> = descriptors.iter().map(AsFd::as_fd).collect();
        let (sender, _) = self.link.as_mut().unwrap();
        self.runtime.block_on(sender.send(change, &borrowed)).unwrap();
    }

    /// What the role answers; what it tells unasked is passed over.
    fn receive(&mut self) -> Event {
        let (_, receiver) = self.link.as_mut().unwrap();
        loop {
            let event = async { tokio::time::timeout(BOUND, receiver.receive()).await };
            let event = self.runtime.block_on(event).expect("an event in time").unwrap();
            match event.expect("the role runs").0 {
                Event::Conditions { .. } => {}
                event => return event,
            }
        }
    }
}

impl Drop for Balancer {
    fn drop(&mut self) {
        if self.role.is_some() && !std::thread::panicking() {
            self.drain(Duration::ZERO);
            self.drained();
        }
    }
}

/// One HTTP listener and one pool of all the servers.
pub(crate) fn website(servers: usize, listener: &str, pool: &str) -> String {
    let lines: String = (0..servers).map(|index| format!("s{index} = \"${{S{index}}}\"\n")).collect();
    format!(
        "[listener.web]\nbind = \"${{BIND}}\"\npool = \"web\"\n{listener}\n\
         [pool.web]\n{pool}\n[pool.web.servers]\n{lines}"
    )
}

/// A balancer before one server.
pub(crate) fn before(server: &ToyServer) -> Balancer {
    Balancer::start(&website(1, "", ""), &[server.address()])
}

/// What the server got, once `count` connections have said something that ends with `end`.
pub(crate) fn received(server: &ToyServer, end: &str) -> String {
    server.wait_until(|all| all.iter().any(|bytes| bytes.ends_with(end.as_bytes())), BOUND);
    let all = server.received();
    String::from_utf8_lossy(&all.concat()).into_owned()
}
