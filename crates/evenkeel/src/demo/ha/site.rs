//! The reference scenario: two balancers, two web servers and a client at one switch.

use std::io;
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::time::{Duration, Instant};

use super::LOOK;
use super::actor::{Line, Running};
use super::client::Client;
use super::network::{INTERFACE, Machine, PREFIX, Switch};

/// Log lines that wait to be shown; more are not.
const MOST_LINES: usize = 256;
/// How long the balancers may take to hand over and to drain.
const LAST_MOMENTS: Duration = Duration::from_secs(4);

pub(super) const WEBSITE: Ipv4Addr = Ipv4Addr::new(192, 168, 1, 100);
const CLIENT: Ipv4Addr = Ipv4Addr::new(192, 168, 1, 50);
/// Priorities in this order.
pub(super) const BALANCERS: [(&str, Ipv4Addr, u8); 2] = [
    ("balancer01", Ipv4Addr::new(192, 168, 1, 11), 150),
    ("balancer02", Ipv4Addr::new(192, 168, 1, 12), 100),
];
pub(super) const WEB_SERVERS: [(&str, Ipv4Addr); 2] =
    [("webserver01", Ipv4Addr::new(192, 168, 1, 2)), ("webserver02", Ipv4Addr::new(192, 168, 1, 3))];

/// A machine, and what runs on it.
pub(super) struct Node {
    pub(super) machine: Machine,
    pub(super) program: Option<Running>,
    pub(super) plugged: bool,
}

/// Everything.
pub(super) struct Site {
    directory: PathBuf,
    log_level: String,
    boots: u32,
    switch: Switch,
    /// `None` while it has no power.
    pub(super) balancers: [Option<Node>; 2],
    pub(super) web_servers: [Node; 2],
    pub(super) client: Client,
    lines: SyncSender<Line>,
    /// What the balancers log.
    pub(super) log: Receiver<Line>,
    _desk: Machine,
}

impl Site {
    /// Builds it and starts everything.
    pub(super) fn build(directory: &Path, log_level: &str) -> io::Result<Self> {
        let mut switch = Switch::make()?;
        let [one, two] = WEB_SERVERS.map(|(name, address)| -> io::Result<Node> {
            let machine = switch.machine(address)?;
            let program = Running::web_server(&machine.namespace, name, (address, 80).into())?;
            Ok(Node { machine, program: Some(program), plugged: true })
        });
        let desk = switch.machine(CLIENT)?;
        let client = Client::start(&desk.namespace, WEBSITE)?;
        let (lines, log) = sync_channel(MOST_LINES);
        let mut site = Self {
            directory: directory.to_owned(),
            log_level: log_level.to_owned(),
            boots: 0,
            switch,
            balancers: [None, None],
            web_servers: [one?, two?],
            client,
            lines,
            log,
            _desk: desk,
        };
        for place in 0..BALANCERS.len() {
            site.power_on(place)?;
        }
        Ok(site)
    }

    /// A balancer starts, on a machine that remembers nothing.
    pub(super) fn power_on(&mut self, place: usize) -> io::Result<()> {
        let (name, address, priority) = BALANCERS[place];
        self.boots += 1;
        let directory = self.directory.join(format!("{name}.{}", self.boots));
        std::fs::create_dir(&directory)?;
        let config = directory.join("evenkeel.toml");
        std::fs::write(&config, configuration(&directory, priority))?;
        let machine = self.switch.machine(address)?;
        let program =
            Running::balancer(name, &machine.namespace, &config, &self.log_level, self.lines.clone())?;
        self.balancers[place] = Some(Node { machine, program: Some(program), plugged: true });
        Ok(())
    }

    /// A balancer falls silent in the middle of what it does: first nobody hears it any more, then nothing of it is left.
    pub(super) fn power_off(&mut self, place: usize) -> io::Result<()> {
        if let Some(node) = self.balancers[place].take() {
            self.switch.unplug(&node.machine)?;
        }
        Ok(())
    }

    /// Ends everything in good order.
    pub(super) fn close(&mut self) {
        let nodes = self.balancers.iter_mut().flatten();
        let mut programs: Vec<&mut Running> = nodes.filter_map(|node| node.program.as_mut()).collect();
        programs.iter_mut().for_each(|program| program.stop());
        let until = Instant::now() + LAST_MOMENTS;
        while programs.iter_mut().any(|program| !program.has_ended()) && Instant::now() < until {
            std::thread::sleep(LOOK);
        }
    }

    pub(super) fn cut(&mut self, place: usize, whole: bool) -> io::Result<()> {
        let Some(node) = &mut self.balancers[place] else { return Ok(()) };
        node.plugged = whole;
        if whole { self.switch.heal(&node.machine) } else { self.switch.cut(&node.machine) }
    }

    pub(super) fn kill_web_server(&mut self, place: usize) {
        // Dropping ends it.
        self.web_servers[place].program = None;
    }

    pub(super) fn start_web_server(&mut self, place: usize) -> io::Result<()> {
        let (name, address) = WEB_SERVERS[place];
        let node = &mut self.web_servers[place];
        node.program = Some(Running::web_server(&node.machine.namespace, name, (address, 80).into())?);
        Ok(())
    }

    /// Which balancer has the address and can be reached.
    pub(super) fn holder(&mut self) -> Option<usize> {
        self.balancers
            .iter_mut()
            .position(|node| node.as_mut().is_some_and(|node| node.plugged && node.machine.holds(WEBSITE)))
    }

    /// Something that should run does not.
    pub(super) fn broken(&mut self) -> Option<&'static str> {
        let names = BALANCERS.iter().map(|(name, ..)| *name);
        let mut balancers = self.balancers.iter_mut().zip(names);
        balancers.find_map(|(node, name)| {
            let program = node.as_mut()?.program.as_mut()?;
            program.has_ended().then_some(name)
        })
    }
}

fn configuration(directory: &Path, priority: u8) -> String {
    let servers: String =
        WEB_SERVERS.iter().map(|(name, address)| format!("{name} = \"{address}:80\"\n")).collect();
    let directory = directory.display();
    format!(
        "[global]\ncontrol-socket = \"{directory}/control.sock\"\nstate-dir = \"{directory}/state\"\nthreads = 1\n\
         graceful-timeout = \"1s\"\n\n\
         [listener.website]\nbind = \"0.0.0.0:80\"\npool = \"website\"\n\n\
         [pool.website]\nconnect-timeout = \"250ms\"\nhealth = {{ http = \"/\", interval = \"200ms\", timeout = \"200ms\", rise = 2, fall = 2 }}\n\n\
         [pool.website.servers]\n{servers}\n\
         [virtual-router.public]\ninterface = \"{INTERFACE}\"\nvrid = 51\npriority = {priority}\n\
         addresses = [\"{WEBSITE}/{PREFIX}\"]\nadvertisement-interval = \"100ms\"\n\
         track = [{{ listener = \"website\" }}]\n"
    )
}
