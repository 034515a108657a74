//! Questions and orders to the kernel, one after the other.

use std::io;
use std::net::IpAddr;
use std::os::fd::OwnedFd;

use rustix::net::netlink::SocketAddrNetlink;
use rustix::net::{AddressFamily, Protocol, RecvFlags, SendFlags, SocketFlags, SocketType};

use super::message::{DONE, ERROR, FLAG_DUMP_INTERRUPTED, INET, INET6, Message, Request, messages, u32_at};
use super::{Held, LARGEST_DATAGRAM, Link, Route, Rule, address, diagnosis, link, route, rule};

/// How often a list is asked for again because it changed while it was made.
const MOST_TRIES: usize = 4;
/// How long an answer may take that is not there when the request has been sent.
const PATIENCE: std::time::Duration = std::time::Duration::from_secs(2);

const SOL_NETLINK: i32 = 270;
const NETLINK_GET_STRICT_CHK: i32 = 12;

/// A socket for requests. Each call waits for the kernel's answer, which comes at once unless another process holds
/// the lock of the network configuration.
#[derive(Debug)]
pub struct Netlink {
    socket: OwnedFd,
    sequence: u32,
    buffer: Vec<u8>,
}

impl Netlink {
    /// Opens the socket.
    ///
    /// # Errors
    /// When the process or the system has no file descriptor left.
    pub fn open() -> io::Result<Self> {
        Self::open_for(None)
    }

    pub(super) fn open_for(protocol: Option<Protocol>) -> io::Result<Self> {
        let (family, kind) = (AddressFamily::NETLINK, SocketType::RAW);
        let socket = rustix::net::socket_with(family, kind, SocketFlags::CLOEXEC, protocol)?;
        rustix::net::bind(&socket, &SocketAddrNetlink::new(0, 0))?;
        rustix::net::sockopt::set_socket_timeout(
            &socket,
            rustix::net::sockopt::Timeout::Recv,
            Some(PATIENCE),
        )?;
        // Since 4.20 the kernel filters lists as asked, which matters on a router with a million routes; before, the
        // filters of `decode` do it alone.
        let _ = crate::calls::set_option(&socket, SOL_NETLINK, NETLINK_GET_STRICT_CHK, 1);
        Ok(Self { socket, sequence: 0, buffer: vec![0; LARGEST_DATAGRAM] })
    }

    /// The interface of this name; `None` when there is none.
    ///
    /// # Errors
    /// When the kernel refuses to tell.
    pub fn link(&mut self, name: &str) -> io::Result<Option<Link>> {
        let mut found = None;
        let result = self.ask(link::ask(name), Until::FirstMessage, |message| {
            if message.kind == link::NEW {
                found = link::decode(message.body);
            }
        });
        match result {
            Err(error) if is_errno(&error, rustix::io::Errno::NODEV) => Ok(None),
            // A name that no interface can have.
            Err(error) if is_errno(&error, rustix::io::Errno::RANGE) => Ok(None),
            result => result.map(|()| found),
        }
    }

    /// The addresses of one family on one interface, in the kernel's order.
    ///
    /// # Errors
    /// When the kernel refuses to tell.
    pub fn addresses(&mut self, is_v6: bool, index: u32) -> io::Result<Vec<Held>> {
        let family = if is_v6 { INET6 } else { INET };
        match self.list(&|| address::list(family, index), address::NEW, address::decode) {
            // The interface is gone.
            Err(error) if is_errno(&error, rustix::io::Errno::NODEV) => Ok(Vec::new()),
            // A kernel that does not filter has listed all.
            result => Ok(result?.into_iter().filter(|held| held.index == index).collect()),
        }
    }

    /// All addresses of both families.
    ///
    /// # Errors
    /// When the kernel refuses to tell.
    pub fn all_addresses(&mut self) -> io::Result<Vec<Held>> {
        let mut all = self.list(&|| address::list(INET, 0), address::NEW, address::decode)?;
        all.extend(self.list(&|| address::list(INET6, 0), address::NEW, address::decode)?);
        Ok(all)
    }

    /// Adds an address with our mark; one that is there gets the mark.
    ///
    /// # Errors
    /// When the kernel refuses: `PermissionDenied` without CAP_NET_ADMIN.
    pub fn add_address(&mut self, index: u32, ip: IpAddr, prefix: u8) -> io::Result<()> {
        self.order(address::add(index, ip, prefix))?;
        self.answer_at_once(index, ip);
        Ok(())
    }

    /// It only makes the address answer earlier, and is of no use where the kernel has been quicker.
    fn answer_at_once(&mut self, index: u32, ip: IpAddr) {
        if let IpAddr::V6(ip) = ip {
            let _ = self.order(route::local(index, ip));
        }
    }

    /// Adds an address with our mark that goes by itself after `lasting` (at least a second), or lets one that is there last so
    /// long.
    ///
    /// # Errors
    /// When the kernel refuses.
    pub fn lend_address(
        &mut self,
        index: u32,
        ip: IpAddr,
        prefix: u8,
        lasting: std::time::Duration,
    ) -> io::Result<()> {
        self.order(address::lend(index, ip, prefix, lasting))?;
        self.answer_at_once(index, ip);
        Ok(())
    }

    /// Removes an address; one that is not there is as good.
    ///
    /// # Errors
    /// When the kernel refuses.
    pub fn remove_address(&mut self, index: u32, ip: IpAddr, prefix: u8) -> io::Result<()> {
        if let IpAddr::V6(ip) = ip {
            // Mostly it has gone by itself.
            let _ = self.order(route::no_local(index, ip));
        }
        match self.order(address::delete(index, ip, prefix)) {
            Err(error)
                if is_errno(&error, rustix::io::Errno::ADDRNOTAVAIL)
                    || is_errno(&error, rustix::io::Errno::NODEV) =>
            {
                Ok(())
            }
            result => result,
        }
    }

    /// The routes with our mark, of both families.
    ///
    /// # Errors
    /// When the kernel refuses to tell.
    pub fn own_routes(&mut self) -> io::Result<Vec<Route>> {
        let mut all = self.list(&|| route::list(INET), route::NEW, route::decode)?;
        all.extend(self.list(&|| route::list(INET6), route::NEW, route::decode)?);
        Ok(all)
    }

    /// Adds a route with our mark, in place of one that is there.
    ///
    /// # Errors
    /// When the kernel refuses, as it does while its gateway cannot be reached.
    pub fn add_route(&mut self, route: &Route) -> io::Result<()> {
        self.order(route.add())
    }

    /// Removes a route; one that is not there is as good.
    ///
    /// # Errors
    /// When the kernel refuses.
    pub fn remove_route(&mut self, route: &Route) -> io::Result<()> {
        gone_is_good(self.order(route.delete()))
    }

    /// The rules with our mark, of both families.
    ///
    /// # Errors
    /// When the kernel refuses to tell.
    pub fn own_rules(&mut self) -> io::Result<Vec<Rule>> {
        let mut all = self.list(&|| rule::list(INET), rule::NEW, rule::decode)?;
        // A machine without IPv6 has no rules for it.
        all.extend(self.list(&|| rule::list(INET6), rule::NEW, rule::decode).unwrap_or_default());
        Ok(all)
    }

    /// Adds a rule with our mark; one that is there is as good.
    ///
    /// # Errors
    /// When the kernel refuses.
    pub fn add_rule(&mut self, rule: &Rule) -> io::Result<()> {
        match self.order(rule.add()) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
            result => result,
        }
    }

    /// Removes a rule; one that is not there is as good.
    ///
    /// # Errors
    /// When the kernel refuses.
    pub fn remove_rule(&mut self, rule: &Rule) -> io::Result<()> {
        gone_is_good(self.order(rule.delete()))
    }

    /// Makes a macvlan in mode private over `parent`, down.
    ///
    /// # Errors
    /// `AlreadyExists` when there is an interface of that name, `Unsupported` when the kernel has no macvlan.
    pub fn add_macvlan(&mut self, name: &str, parent: u32, hardware: [u8; 6]) -> io::Result<()> {
        self.order(link::add_macvlan(name, parent, hardware))
    }

    /// Sets an interface up.
    ///
    /// # Errors
    /// When the kernel refuses.
    pub fn set_up(&mut self, index: u32) -> io::Result<()> {
        self.order(link::set_up(index))
    }

    /// Removes an interface; one that is not there is as good.
    ///
    /// # Errors
    /// When the kernel refuses, as it does for hardware.
    pub fn remove_link(&mut self, index: u32) -> io::Result<()> {
        match self.order(link::delete(index)) {
            Err(error) if is_errno(&error, rustix::io::Errno::NODEV) => Ok(()),
            result => result,
        }
    }

    pub(super) fn order(&mut self, request: Request) -> io::Result<()> {
        self.ask(request, Until::Acknowledged, |_| {})
    }

    pub(super) fn list<T>(
        &mut self,
        request: &dyn Fn() -> Request,
        wanted: u16,
        decode: fn(&[u8]) -> Option<T>,
    ) -> io::Result<Vec<T>> {
        let mut found = Vec::new();
        for _ in 0..MOST_TRIES {
            found.clear();
            let mut interrupted = false;
            self.ask(request(), Until::Done, |message| {
                interrupted |= message.flags & FLAG_DUMP_INTERRUPTED != 0;
                if message.kind == wanted {
                    found.extend(decode(message.body));
                }
            })?;
            if !interrupted {
                break;
            }
        }
        Ok(found)
    }

    /// Sends a request and gives each message of the answer to `take`.
    fn ask(&mut self, request: Request, until: Until, mut take: impl FnMut(Message<'_>)) -> io::Result<()> {
        self.sequence = self.sequence.wrapping_add(1);
        let (sequence, bytes) = (self.sequence, request.finish(self.sequence));
        rustix::net::send(&self.socket, &bytes, SendFlags::NOSIGNAL)?;
        loop {
            let (_, length) =
                match rustix::net::recv(&self.socket, self.buffer.as_mut_slice(), RecvFlags::TRUNC) {
                    Err(rustix::io::Errno::INTR) => continue,
                    result => result?,
                };
            let Some(datagram) = self.buffer.get(..length) else {
                return Err(io::Error::new(
                    io::ErrorKind::InvalidData,
                    "an answer of the kernel is too long",
                ));
            };
            // An answer to an earlier question, which was given up, is passed over.
            for message in messages(datagram).filter(|message| message.sequence == sequence) {
                match message.kind {
                    ERROR => return outcome(message.body),
                    DONE => return Ok(()),
                    _ => take(message),
                }
                if until == Until::FirstMessage {
                    return Ok(());
                }
            }
        }
    }
}

/// The local addresses of the handshakes with listening sockets at this port.
pub(crate) fn handshakes_on(is_v6: bool, port: u16) -> io::Result<Vec<IpAddr>> {
    let mut kernel = Netlink::open_for(Some(rustix::net::netlink::SOCK_DIAG))?;
    let family = if is_v6 { INET6 } else { INET };
    let request = || diagnosis::list_handshakes(family, port);
    let decode = if is_v6 {
        |body: &[u8]| diagnosis::decode(true, body)
    } else {
        |body: &[u8]| diagnosis::decode(false, body)
    };
    let found = kernel.list(&request, diagnosis::BY_FAMILY, decode)?;
    Ok(found.into_iter().filter(|(_, at)| *at == port).map(|(ip, _)| ip).collect())
}

/// Where an answer ends.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Until {
    /// With its only message.
    FirstMessage,
    /// With the kernel's word that it was done.
    Acknowledged,
    /// With the end of the list.
    Done,
}

/// The error number in an answer; 0 is success.
fn outcome(body: &[u8]) -> io::Result<()> {
    match u32_at(body, 0).map(u32::cast_signed) {
        Some(0) => Ok(()),
        Some(number) => Err(io::Error::from_raw_os_error(number.saturating_neg())),
        None => Err(io::Error::new(io::ErrorKind::InvalidData, "an answer of the kernel cannot be read")),
    }
}

fn is_errno(error: &io::Error, errno: rustix::io::Errno) -> bool {
    error.raw_os_error() == Some(errno.raw_os_error())
}

fn gone_is_good(result: io::Result<()>) -> io::Result<()> {
    match result {
        Err(error)
            if is_errno(&error, rustix::io::Errno::SRCH)
                || is_errno(&error, rustix::io::Errno::NOENT)
                || is_errno(&error, rustix::io::Errno::NODEV) =>
        {
            Ok(())
        }
        result => result,
    }
}
