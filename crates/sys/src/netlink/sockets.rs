//! Lists TCP connections by their local address and ends them (sock_diag(7)).
//!
//! Invariant: what is ended is the socket that was listed and no other. The kernel is told its cookie: without one it would
//! take the listening socket of the same address for a connection that has just gone.

use std::io;
use std::net::{IpAddr, SocketAddr};

use super::Netlink;
use super::diagnosis::BY_FAMILY;
use super::message::{FLAG_ACK, FLAG_DUMP, INET, INET6, Request, bytes_at, family, octets};

/// `SOCK_DESTROY`.
const DESTROY: u16 = 21;
const TCP: u8 = 6;
/// Every state from 1 (`TCP_ESTABLISHED`) to 11 (`TCP_CLOSING`) but `TCP_TIME_WAIT` (6), `TCP_CLOSE` (7) and `TCP_LISTEN` (10).
/// `TCP_SYN_RECV` (3) stands for handshakes that have no socket yet as well.
const CONNECTED: u32 = 0b1111_1111_1110 & !(1 << 6) & !(1 << 7) & !(1 << 10);
/// `INET_DIAG_REQ_BYTECODE`.
const PROGRAM: u16 = 1;
/// `INET_DIAG_BC_JMP`, `INET_DIAG_BC_S_COND`.
const JUMP: u8 = 1;
const LOCAL_IS: u8 = 7;
/// Bytes of `struct inet_diag_bc_op`, and of `struct inet_diag_hostcond` without the address.
const STEP: usize = 4;
const CONDITION: usize = 8;
/// With more addresses the kernel lists everything and what is not wanted is passed over here.
const MOST_CONDITIONS: usize = 1024;
/// Where a `struct inet_diag_msg` has its `struct inet_diag_sockid`, and bytes of that.
const ID: usize = 4;
const ID_BYTES: usize = 48;
/// `TCP_FIN_WAIT2`: the other end has everything and was told that it is all.
const ALL_TAKEN: u8 = 5;
/// Where a `struct inet_diag_msg` has the state and the inode of the socket; 0: no process has it any more.
const STATE: usize = 1;
const INODE: usize = 68;

/// A TCP connection of this machine, or one that is about to be or to end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Connection {
    /// This machine's end. An IPv4 address that a socket for IPv6 serves is named as IPv4.
    pub local: SocketAddr,
    /// The other end.
    pub remote: SocketAddr,
    id: [u8; ID_BYTES],
}

/// A socket for such questions.
#[derive(Debug)]
pub struct Sockets(Netlink);

impl Sockets {
    /// Opens it.
    ///
    /// # Errors
    /// When the process or the system has no file descriptor left, or the kernel cannot list sockets.
    pub fn open() -> io::Result<Self> {
        Ok(Self(Netlink::open_for(Some(rustix::net::netlink::SOCK_DIAG))?))
    }

    /// The connections whose local address is one of these, handshakes among them. One that this machine has closed and whose other
    /// end has taken everything is none, though that end may be slow to close: nothing follows that anybody waits for.
    ///
    /// # Errors
    /// When the kernel refuses to tell.
    pub fn connections(&mut self, local: &[IpAddr]) -> io::Result<Vec<Connection>> {
        let mut found = self.0.list(&|| list(INET, local), BY_FAMILY, decode_v4)?;
        // Those of IPv4 addresses that sockets for IPv6 serve are among these. A machine without IPv6 has none.
        match self.0.list(&|| list(INET6, local), BY_FAMILY, decode_v6) {
            Ok(more) => found.extend(more),
            Err(error) if error.raw_os_error() == Some(rustix::io::Errno::NOENT.raw_os_error()) => {}
            Err(error) => return Err(error),
        }
        found.retain(|connection| local.contains(&connection.local.ip()));
        Ok(found)
    }

    /// Ends a connection: the other end gets a reset. One that is gone is as good.
    ///
    /// # Errors
    /// `PermissionDenied` without CAP_NET_ADMIN, `Unsupported` when the kernel cannot (`CONFIG_INET_DIAG_DESTROY`).
    pub fn end(&mut self, connection: &Connection) -> io::Result<()> {
        let mut fixed = head(family(connection.local.ip()));
        fixed.extend_from_slice(&connection.id);
        let gone = [rustix::io::Errno::NOENT, rustix::io::Errno::STALE].map(rustix::io::Errno::raw_os_error);
        match self.0.order(Request::new(DESTROY, FLAG_ACK, &fixed)) {
            Err(error) if error.raw_os_error().is_some_and(|number| gone.contains(&number)) => Ok(()),
            result => result,
        }
    }
}

/// `struct inet_diag_req_v2` without its last member.
fn head(family: u8) -> Vec<u8> {
    let mut fixed = vec![family, TCP, 0, 0];
    fixed.extend_from_slice(&CONNECTED.to_ne_bytes());
    fixed
}

fn list(family: u8, local: &[IpAddr]) -> Request {
    let mut fixed = head(family);
    fixed.extend_from_slice(&[0; ID_BYTES]);
    let mut request = Request::new(BY_FAMILY, FLAG_DUMP, &fixed);
    if !local.is_empty() && local.len() <= MOST_CONDITIONS {
        request.attribute(PROGRAM, &program(local));
    }
    request
}

/// Takes sockets with one of these local addresses: a condition for each, and after all but the last a jump to the end,
/// which means yes. A step beyond the end means no.
fn program(local: &[IpAddr]) -> Vec<u8> {
    let size = |ip: &IpAddr| STEP + CONDITION + octets(*ip).len();
    let mut left: usize = local.iter().map(|ip| size(ip) + STEP).sum::<usize>() - STEP;
    let mut bytes = Vec::with_capacity(left);
    let step = |bytes: &mut Vec<u8>, code: u8, yes: usize, no: usize| {
        bytes.extend_from_slice(&[code, u8::try_from(yes).unwrap_or(u8::MAX)]);
        bytes.extend_from_slice(&u16::try_from(no).unwrap_or(u16::MAX).to_ne_bytes());
    };
    for ip in local {
        let length = size(ip);
        step(&mut bytes, LOCAL_IS, length, length + STEP);
        let bits = if ip.is_ipv4() { 32 } else { 128 };
        bytes.extend_from_slice(&[family(*ip), bits, 0, 0]);
        // Whatever the port.
        bytes.extend_from_slice(&(-1_i32).to_ne_bytes());
        bytes.extend_from_slice(&octets(*ip));
        left -= length;
        if left > 0 {
            step(&mut bytes, JUMP, STEP, left);
            left -= STEP;
        }
    }
    bytes
}

fn decode_v4(body: &[u8]) -> Option<Connection> {
    decode(body, |body, at| Some(IpAddr::from(bytes_at::<4>(body, at)?)))
}

fn decode_v6(body: &[u8]) -> Option<Connection> {
    decode(body, |body, at| Some(IpAddr::from(bytes_at::<16>(body, at)?)))
}

fn decode(body: &[u8], ip: impl Fn(&[u8], usize) -> Option<IpAddr>) -> Option<Connection> {
    if body.get(STATE) == Some(&ALL_TAKEN) && u32::from_ne_bytes(bytes_at(body, INODE)?) == 0 {
        return None;
    }
    let port = |at| Some(u16::from_be_bytes(bytes_at(body, at)?));
    let local = SocketAddr::new(ip(body, ID + 4)?.to_canonical(), port(ID)?);
    let remote = SocketAddr::new(ip(body, ID + 20)?.to_canonical(), port(ID + 2)?);
    let mut id: [u8; ID_BYTES] = bytes_at(body, ID)?;
    if id[4..14] == [0; 10] && id[14..16] == [0xff; 2] && body.first() == Some(&INET6) {
        // It is looked up by what it is on the wire.
        id.copy_within(16..20, 4);
        id.copy_within(32..36, 20);
    }
    Some(Connection { local, remote, id })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn a_connection_that_is_closed_and_taken_is_none_and_one_that_is_half_closed_is() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let mut sockets = Sockets::open().unwrap();
        let mut count = || {
            let all = sockets.connections(&[address.ip()]).unwrap();
            all.iter().filter(|connection| connection.local == address).count()
        };
        let _client = std::net::TcpStream::connect(address).unwrap();
        let (accepted, _) = listener.accept().unwrap();
        assert_eq!(count(), 1);
        accepted.shutdown(std::net::Shutdown::Write).unwrap();
        assert_eq!(count(), 1);
        drop(accepted);
        // As soon as the other end has confirmed.
        while count() > 0 {}
    }

    #[test]
    fn a_program_asks_for_one_address_after_the_other() {
        let bytes = program(&[ip("192.0.2.1"), ip("192.0.2.2")]);
        assert_eq!(bytes.len(), 16 + 4 + 16);
        let number = |at: usize| u16::from_ne_bytes([bytes[at], bytes[at + 1]]);
        // The first: yes leads to the jump, no to the second.
        assert_eq!((bytes[0], bytes[1], number(2)), (LOCAL_IS, 16, 20));
        assert_eq!((bytes[4], bytes[5]), (INET, 32));
        assert_eq!(bytes[12..16], [192, 0, 2, 1]);
        // The jump leads to the end.
        assert_eq!((bytes[16], bytes[17], number(18)), (JUMP, 4, 20));
        // The second: yes is the end, no is beyond it.
        assert_eq!((bytes[20], bytes[21], number(22)), (LOCAL_IS, 16, 20));
    }

    #[test]
    fn an_ipv4_connection_of_a_socket_for_ipv6_is_named_as_ipv4() {
        let mut body = vec![INET6, 1, 0, 0];
        body.extend_from_slice(&443_u16.to_be_bytes());
        body.extend_from_slice(&50_000_u16.to_be_bytes());
        for last in [1, 9] {
            body.extend_from_slice(&[0; 10]);
            body.extend_from_slice(&[0xff, 0xff, 192, 0, 2, last]);
        }
        body.extend_from_slice(&[0, 0, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8]);
        let found = decode_v6(&body).unwrap();
        assert_eq!(found.local, "192.0.2.1:443".parse().unwrap());
        assert_eq!(found.remote, "192.0.2.9:50000".parse().unwrap());
        assert_eq!((&found.id[4..8], &found.id[20..24]), (&[192, 0, 2, 1][..], &[192, 0, 2, 9][..]));
        assert_eq!(found.id[40..], [1, 2, 3, 4, 5, 6, 7, 8]);
        for end in 0..body.len() {
            assert_eq!(decode_v6(&body[..end]), None, "{end}");
        }
    }
}
