//! The listening sockets, which live as long as their bind is in the plan: through every end and start of a role.
//!
//! Invariant: a bind whose sockets were given to a role is closed here only after the role was told to do without it,
//! so that no connection is lost in an accept queue that nobody empties.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;
use std::sync::Arc;

use evenkeel_admin::message::Door;
use evenkeel_config::plan::{Admin, Plan};
use evenkeel_sys::socket::{BindError, UnixName, listen_tcp, listen_unix};
use evenkeel_traffic::address::Address;

/// Who may connect to a listener on a unix socket: like a TCP port, everybody who can reach it. The directory it lies
/// in can narrow that down.
const LISTENER_MODE: u32 = 0o666;
/// Who may connect to the control socket: its owner and group. Who can, may stop the program.
const CONTROL_MODE: u32 = 0o660;

/// The sockets of one bind.
#[derive(Debug)]
struct Held {
    sockets: Vec<Arc<OwnedFd>>,
    name: Option<UnixName>,
}

impl Held {
    fn open(bind: &Address, count: usize, mode: u32, ours: &[SocketAddr]) -> Result<Self, BindError> {
        match bind {
            Address::Tcp(address) => {
                let sockets = listen_tcp(*address, count, ours)?;
                Ok(Self { sockets: sockets.into_iter().map(Arc::new).collect(), name: None })
            }
            Address::Unix(path) => {
                let (socket, name) = listen_unix(path, mode)?;
                Ok(Self { sockets: vec![Arc::new(socket)], name: Some(name) })
            }
        }
    }

    fn close(self) {
        if let Some(name) = self.name {
            name.remove();
        }
    }

    fn grip(&self, bind: &Address) -> Grip {
        Grip {
            bind: bind.clone(),
            sockets: self.sockets.clone(),
            name: self.name.as_ref().map(UnixName::identity),
        }
    }

    fn take(Grip { bind, sockets, name }: Grip) -> (Address, Self) {
        let name = match (&bind, name) {
            (Address::Unix(path), Some(identity)) => Some(UnixName::known(path.clone(), identity)),
            _ => None,
        };
        (bind, Self { sockets, name })
    }
}

/// The sockets of one bind on their way to the program that takes over.
#[derive(Clone, Debug)]
pub(super) struct Grip {
    pub(super) bind: Address,
    pub(super) sockets: Vec<Arc<OwnedFd>>,
    /// What tells the name of a unix socket from another of the same name.
    pub(super) name: Option<(u64, u64)>,
}

/// The sockets of all listeners.
#[derive(Debug)]
pub(super) struct Sockets {
    workers: usize,
    held: BTreeMap<Address, Held>,
}

impl Sockets {
    /// None yet; each TCP bind will have one socket for each of `workers`.
    pub(super) fn new(workers: u16) -> Self {
        Self { workers: workers.into(), held: BTreeMap::new() }
    }

    /// Those of the program before.
    pub(super) fn take(workers: u16, grips: Vec<Grip>) -> Self {
        Self { workers: workers.into(), held: grips.into_iter().map(Held::take).collect() }
    }

    /// All of them, for the program that takes over.
    pub(super) fn grips(&self) -> Vec<Grip> {
        self.held.iter().map(|(bind, held)| held.grip(bind)).collect()
    }

    /// Opens the binds of `plan` that are not held yet and names them. When one fails, none of them stays open and every
    /// failure is told.
    pub(super) fn open_missing(&mut self, plan: &Plan) -> Result<Vec<Address>, Vec<BindError>> {
        let mut opened = Vec::new();
        let mut failures = Vec::new();
        for bind in plan.listeners.iter().flat_map(|listener| &listener.binds) {
            if self.held.contains_key(bind) {
                continue;
            }
            match Held::open(bind, self.workers, LISTENER_MODE, &self.tcp_addresses()) {
                Ok(held) => {
                    self.held.insert(bind.clone(), held);
                    opened.push(bind.clone());
                }
                Err(error) => failures.push(error),
            }
        }
        if failures.is_empty() {
            return Ok(opened);
        }
        for bind in opened {
            self.close(&bind);
        }
        Err(failures)
    }

    /// Opens the binds of `plan` that are not held and can be opened: those that are open now, and why others are not.
    pub(super) fn open_possible(&mut self, plan: &Plan) -> (Vec<Address>, Vec<(Address, BindError)>) {
        let (mut opened, mut failed) = (Vec::new(), Vec::new());
        for bind in plan.listeners.iter().flat_map(|listener| &listener.binds) {
            if self.held.contains_key(bind) {
                continue;
            }
            match Held::open(bind, self.workers, LISTENER_MODE, &self.tcp_addresses()) {
                Ok(held) => {
                    self.held.insert(bind.clone(), held);
                    opened.push(bind.clone());
                }
                Err(error) => failed.push((bind.clone(), error)),
            }
        }
        (opened, failed)
    }

    /// Says whether the binds of `plan` could be opened by a program that has inherited those of `held`; opens none for
    /// longer than a moment.
    pub(super) fn try_missing(plan: &Plan, held: &[Address]) -> Vec<String> {
        let ours: Vec<SocketAddr> = held.iter().filter_map(tcp).collect();
        let binds = plan.listeners.iter().flat_map(|listener| &listener.binds);
        let tries = binds.filter(|bind| !held.contains(bind));
        tries
            .filter_map(|bind| match Held::open(bind, 1, LISTENER_MODE, &ours) {
                Ok(held) => {
                    held.close();
                    None
                }
                Err(error) => Some(error.to_string()),
            })
            .collect()
    }

    pub(super) fn tcp_addresses(&self) -> Vec<SocketAddr> {
        self.held.keys().filter_map(tcp).collect()
    }

    /// The sockets of a bind, one for each worker or one for all.
    pub(super) fn of(&self, bind: &Address) -> Vec<Arc<OwnedFd>> {
        self.held.get(bind).map(|held| held.sockets.clone()).unwrap_or_default()
    }

    /// Closes what `plan` does not name.
    pub(super) fn close_others(&mut self, plan: &Plan) {
        let wanted = |bind: &Address| plan.listeners.iter().any(|listener| listener.binds.contains(bind));
        let others: Vec<Address> = self.held.keys().filter(|bind| !wanted(bind)).cloned().collect();
        for bind in others {
            self.close(&bind);
        }
    }

    /// Lets no new client reach the TCP sockets: whoever empties their queues has nobody behind him when he closes them. The
    /// names of unix sockets do the same when they go.
    pub(super) fn retire(&self) {
        let tcp = |(bind, _): &(&Address, &Held)| matches!(bind, Address::Tcp(_));
        for socket in self.held.iter().filter(tcp).flat_map(|(_, held)| &held.sockets) {
            if let Err(error) = evenkeel_sys::socket::retire(socket.as_fd()) {
                tracing::debug!(%error, "a socket cannot be retired: who comes right now is reset");
            }
        }
    }

    /// Opens the binds of `kept` anew that `other` does not name, and says which: the proxy role may have begun with `other`
    /// and retired their sockets, which is for good.
    pub(super) fn renew(&mut self, kept: &Plan, other: &Plan) -> Vec<Address> {
        let names =
            |plan: &Plan, bind: &Address| plan.listeners.iter().any(|listener| listener.binds.contains(bind));
        let gone: Vec<Address> =
            self.held.keys().filter(|bind| names(kept, bind) && !names(other, bind)).cloned().collect();
        let mut renewed = Vec::new();
        for bind in gone {
            let ours = self.tcp_addresses();
            if let (Address::Unix(_), Some(old)) = (&bind, self.held.get_mut(&bind))
                && let Some(name) = old.name.take()
            {
                name.remove();
            }
            match Held::open(&bind, self.workers, LISTENER_MODE, &ours) {
                // The old ones are closed with this.
                Ok(held) => {
                    self.held.insert(bind.clone(), held);
                    renewed.push(bind);
                }
                Err(error) => tracing::error!("{bind} may take no clients until a restart: {error}"),
            }
        }
        renewed
    }

    /// Closes everything.
    pub(super) fn close_all(&mut self) {
        for (_, held) in std::mem::take(&mut self.held) {
            held.close();
        }
    }

    fn close(&mut self, bind: &Address) {
        if let Some(held) = self.held.remove(bind) {
            held.close();
        }
    }
}

fn tcp(bind: &Address) -> Option<SocketAddr> {
    match bind {
        Address::Tcp(address) => Some(*address),
        Address::Unix(_) => None,
    }
}

/// The sockets of the API: the control socket first, then `[admin] bind`.
#[derive(Debug)]
pub(super) struct Doors {
    held: Vec<(Address, Held)>,
}

impl Doors {
    /// Opens both, or tells every failure.
    pub(super) fn open(control_socket: &Path, admin: Option<&Admin>) -> Result<Self, Vec<String>> {
        let mut failures = Vec::new();
        // /run is empty after a boot. Everybody may pass through the directory: the socket itself is guarded.
        if let Some(directory) = control_socket.parent()
            && let Err(error) = std::fs::create_dir_all(directory)
        {
            failures.push(format!(
                "cannot create {} for the control socket: {}; change `global.control-socket`, or start Evenkeel as a user that may",
                directory.display(),
                crate::files::plain(&error),
            ));
            return Err(failures);
        }
        let binds = [Some(Address::Unix(control_socket.into())), admin.map(|admin| admin.bind.clone())];
        let mut held = Vec::new();
        for bind in binds.into_iter().flatten() {
            match Held::open(&bind, 1, CONTROL_MODE, &[]) {
                Ok(opened) => held.push((bind, opened)),
                Err(error) if error.is_taken() && matches!(bind, Address::Unix(_)) => {
                    failures.push(format!("{error}: is Evenkeel running already? `evenkeel status` says so"));
                }
                Err(error) => failures.push(error.to_string()),
            }
        }
        let doors = Self { held };
        if failures.is_empty() {
            return Ok(doors);
        }
        doors.close();
        Err(failures)
    }

    /// Those of the program before.
    pub(super) fn take(grips: Vec<Grip>) -> Self {
        Self { held: grips.into_iter().map(Held::take).collect() }
    }

    /// All of them, for the program that takes over.
    pub(super) fn grips(&self) -> Vec<Grip> {
        self.held.iter().map(|(bind, held)| held.grip(bind)).collect()
    }

    /// Each bind with its socket.
    pub(super) fn iter(&self) -> impl Iterator<Item = (&Address, Arc<OwnedFd>)> {
        self.held
            .iter()
            .flat_map(|(bind, held)| held.sockets.iter().map(move |socket| (bind, Arc::clone(socket))))
    }

    /// Closes everything.
    pub(super) fn close(self) {
        for (_, held) in self.held {
            held.close();
        }
    }
}

/// What may be asked at this bind: where the file system guards a socket, everything.
pub(super) fn door(bind: &Address) -> Door {
    match bind {
        Address::Unix(_) => Door::Control,
        Address::Tcp(address) if address.ip().to_canonical().is_loopback() => Door::Loopback,
        Address::Tcp(_) => Door::Network,
    }
}
