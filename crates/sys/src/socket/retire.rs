//! Takes a listening socket out of service without losing a client that the kernel has let in.
//!
//! Closing a listening socket resets what waits in its queue, and between the last accept and the close somebody may
//! arrive. A retired socket is found by no new client any more: on TCP it is bound to an interface that does not exist, on
//! a unix socket its reading side is shut down. New clients are refused at once, as if it were closed; those that have been
//! let in wait in its queue, and handshakes that have begun end there. Whoever then accepts until nothing waits and
//! no handshake is left ([`handshakes`]) closes an empty socket.
//!
//! It is for good: no process without rights can bring the socket back.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::os::fd::BorrowedFd;

use rustix::net::{AddressFamily, Shutdown};

use crate::netlink::handshakes_on;

/// `SO_BINDTOIFINDEX` (socket(7)), since Linux 5.1, without a right since 5.7.
const BIND_TO_INDEX: i32 = 62;
/// No interface has this number: the kernel counts up from one.
const NOWHERE: i32 = i32::MAX;

/// Lets no new client reach this listening socket. All its copies in all processes are retired with it.
///
/// Sockets that share an address are to be retired all before anybody relies on it: while one of them is found, the
/// kernel may choose another.
///
/// # Errors
/// `PermissionDenied` on a kernel before 5.7.
pub fn retire(socket: BorrowedFd<'_>) -> io::Result<()> {
    if is_unix(socket)? {
        return Ok(rustix::net::shutdown(socket, Shutdown::Read)?);
    }
    if is_retired(socket) {
        return Ok(());
    }
    crate::calls::set_option(&socket, libc::SOL_SOCKET, BIND_TO_INDEX, NOWHERE)
}

/// Says whether this TCP socket is retired. Of a unix socket nobody can say so, and nobody needs to: it has no handshakes.
#[must_use]
pub fn is_retired(socket: BorrowedFd<'_>) -> bool {
    crate::calls::option(&socket, libc::SOL_SOCKET, BIND_TO_INDEX).is_ok_and(|index| index == NOWHERE)
}

/// Says whether a client has a handshake under way with a socket at this address: it may believe that it is connected
/// already. Handshakes that the kernel keeps in cookies only, as it does in a flood, are not seen.
///
/// # Errors
/// When the kernel does not tell.
pub fn handshakes(address: SocketAddr) -> io::Result<bool> {
    let is_at = |ip: IpAddr| address.ip().is_unspecified() || address.ip() == ip;
    Ok(handshakes_on(address.is_ipv6(), address.port())?.into_iter().any(is_at))
}

fn is_unix(socket: BorrowedFd<'_>) -> io::Result<bool> {
    Ok(rustix::net::sockopt::socket_domain(socket)? == AddressFamily::UNIX)
}

#[cfg(test)]
mod tests {
    use std::io::ErrorKind;
    use std::net::{TcpListener, TcpStream};
    use std::os::fd::AsFd;
    use std::os::unix::net::{UnixListener, UnixStream};

    use super::*;
    use crate::socket::{listen_tcp, listen_unix};

    #[test]
    fn who_was_let_in_is_accepted_and_new_clients_are_refused_at_once() {
        for ip in ["127.0.0.1", "[::1]"] {
            let address = TcpListener::bind(format!("{ip}:0")).unwrap().local_addr().unwrap();
            let listener = TcpListener::from(listen_tcp(address, 1, &[]).unwrap().remove(0));
            let early = TcpStream::connect(address).unwrap();
            assert!(!is_retired(listener.as_fd()));
            retire(listener.as_fd()).unwrap();
            retire(listener.as_fd()).unwrap();
            assert!(is_retired(listener.as_fd()));
            assert_eq!(TcpStream::connect(address).unwrap_err().kind(), ErrorKind::ConnectionRefused);
            assert_eq!(listener.accept().unwrap().1, early.local_addr().unwrap());
            assert_eq!(listener.accept().unwrap_err().kind(), ErrorKind::WouldBlock);
            // Another socket of ours can take its place while it is still there.
            listen_tcp(address, 1, &[address]).unwrap();
        }
    }

    #[test]
    fn a_wildcard_takes_over_from_a_retired_address() {
        let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let retired = TcpListener::from(listen_tcp(address, 1, &[]).unwrap().remove(0));
        let wildcard: SocketAddr = format!("0.0.0.0:{}", address.port()).parse().unwrap();
        let wildcard = TcpListener::from(listen_tcp(wildcard, 1, &[address]).unwrap().remove(0));
        retire(retired.as_fd()).unwrap();
        let client = TcpStream::connect(address).unwrap();
        wildcard.set_nonblocking(false).unwrap();
        assert_eq!(wildcard.accept().unwrap().1, client.local_addr().unwrap());
    }

    #[test]
    fn a_unix_socket_keeps_its_queue_and_lets_nobody_in() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("socket");
        let (socket, _name) = listen_unix(&path, 0o600).unwrap();
        let _early = UnixStream::connect(&path).unwrap();
        retire(socket.as_fd()).unwrap();
        assert_eq!(UnixStream::connect(&path).unwrap_err().kind(), ErrorKind::ConnectionRefused);
        let listener = UnixListener::from(socket);
        listener.accept().unwrap();
        assert_eq!(listener.accept().unwrap_err().kind(), ErrorKind::WouldBlock);
    }

    #[test]
    fn a_handshake_that_nobody_finishes_is_seen() {
        let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let listener = TcpListener::from(listen_tcp(address, 1, &[]).unwrap().remove(0));
        assert!(!handshakes(address).unwrap());
        // The handshake ends with the first byte of the client (TCP_DEFER_ACCEPT, tcp(7)).
        crate::calls::set_option(&listener, libc::IPPROTO_TCP, libc::TCP_DEFER_ACCEPT, 5).unwrap();
        let client = TcpStream::connect(address).unwrap();
        assert!(handshakes(address).unwrap());
        let wildcard: SocketAddr = format!("0.0.0.0:{}", address.port()).parse().unwrap();
        assert!(handshakes(wildcard).unwrap());
        let other: SocketAddr = format!("127.0.0.2:{}", address.port()).parse().unwrap();
        assert!(!handshakes(other).unwrap());
        drop(client);
    }
}
