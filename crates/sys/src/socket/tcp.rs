//! Listening TCP sockets, one a worker.

use std::io;
use std::net::SocketAddr;
use std::os::fd::OwnedFd;

use socket2::{Domain, Protocol, Socket, Type};

use super::{BACKLOG, BindError, owner};

/// Bytes that may wait in the kernel for a client to take them, beside those that are on their way to it. Without a bound the
/// kernel keeps up to `net.ipv4.tcp_wmem` (megabytes) for each, and a few hundred that take nothing use up the memory that it has
/// for TCP (`net.ipv4.tcp_mem`): then every connection of the machine is slow. What does not fit stays with the server.
const MOST_UNSENT: i32 = 256 * 1024;
/// The same for one that has shown that it takes much: with less, a fast client is waited for more often than it is served.
pub(super) const MOST_UNSENT_OF_FAST: i32 = 1024 * 1024;

/// Opens `count` sockets that share `address` (SO_REUSEPORT): the kernel spreads connections over them.
///
/// The address need not exist on this machine yet (IP_FREEBIND), and an IPv6 wildcard takes no IPv4 connections.
///
/// `ours` are the addresses that the caller holds already. SO_REUSEPORT would silently share the address with another
/// program of the same user, half of the connections each, so unless an address of `ours` overlaps this one it is
/// first tried alone. Two programs that start in the same instant can still pass each other here.
///
/// # Errors
/// When the address is taken, not allowed or not usable; nothing stays open then.
pub fn listen_tcp(address: SocketAddr, count: usize, ours: &[SocketAddr]) -> Result<Vec<OwnedFd>, BindError> {
    if !ours.iter().any(|held| overlap(*held, address)) {
        try_alone(address)?;
    }
    (0..count).map(|_| listen(address)).collect()
}

/// Whether a socket on `one` may be in the way of a socket on `other`.
fn overlap(one: SocketAddr, other: SocketAddr) -> bool {
    one.port() == other.port()
        && one.is_ipv4() == other.is_ipv4()
        && (one.ip() == other.ip() || one.ip().is_unspecified() || other.ip().is_unspecified())
}

/// Without SO_REUSEPORT the kernel refuses an address on which anybody listens; SO_REUSEADDR keeps the remains of
/// closed connections out of it.
fn try_alone(address: SocketAddr) -> Result<(), BindError> {
    let socket = prepare(address).map_err(|error| fail(address, "socket", &error))?;
    socket.bind(&address.into()).map_err(|error| fail(address, "bind", &error))
}

fn listen(address: SocketAddr) -> Result<OwnedFd, BindError> {
    let socket = prepare(address).map_err(|error| fail(address, "socket", &error))?;
    socket.set_reuse_port(true).map_err(|error| fail(address, "SO_REUSEPORT", &error))?;
    socket.bind(&address.into()).map_err(|error| fail(address, "bind", &error))?;
    // What is accepted inherits it.
    crate::calls::set_option(&socket, libc::IPPROTO_TCP, libc::TCP_NOTSENT_LOWAT, MOST_UNSENT)
        .map_err(|error| fail(address, "TCP_NOTSENT_LOWAT", &error))?;
    socket.listen(BACKLOG).map_err(|error| fail(address, "listen", &error))?;
    Ok(socket.into())
}

fn prepare(address: SocketAddr) -> io::Result<Socket> {
    // Closed on exec by socket2.
    let socket = Socket::new(Domain::for_address(address), Type::STREAM.nonblocking(), Some(Protocol::TCP))?;
    socket.set_reuse_address(true)?;
    if address.is_ipv6() {
        socket.set_only_v6(true)?;
        socket.set_freebind_v6(true)?;
    } else {
        socket.set_freebind_v4(true)?;
    }
    Ok(socket)
}

fn fail(address: SocketAddr, call: &str, error: &io::Error) -> BindError {
    if error.kind() == io::ErrorKind::AddrInUse
        && let Some(owner) = owner::of_tcp_listener(address)
    {
        return BindError::taken(address.to_string(), &owner, "address or port");
    }
    BindError::from_call(address.to_string(), call, error)
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::net::{TcpListener, TcpStream};
    use std::os::fd::AsRawFd;

    use super::*;

    #[test]
    fn accepted_connections_inherit_that_they_send_at_once() {
        let listening = listen_tcp(free("127.0.0.1"), 1, &[]).unwrap().remove(0);
        crate::socket::send_at_once(std::os::fd::AsFd::as_fd(&listening)).unwrap();
        let listening = TcpListener::from(listening);
        let _client = TcpStream::connect(listening.local_addr().unwrap()).unwrap();
        listening.set_nonblocking(false).unwrap();
        assert!(listening.accept().unwrap().0.nodelay().unwrap());
    }

    #[test]
    fn a_client_that_takes_nothing_holds_little_in_the_kernel_and_one_that_was_fast_more() {
        let listening = TcpListener::from(listen_tcp(free("127.0.0.1"), 1, &[]).unwrap().remove(0));
        let client = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
        client.set_recv_buffer_size(4096).unwrap();
        client.connect(&listening.local_addr().unwrap().into()).unwrap();
        listening.set_nonblocking(false).unwrap();
        let (mut accepted, _) = listening.accept().unwrap();
        accepted.set_nonblocking(true).unwrap();
        let other = accepted.try_clone().unwrap();
        let mut taken = 0;
        let mut write_all_that_goes = |most: usize| {
            while let Ok(count) = accepted.write(&[0; 64 * 1024]) {
                taken += count;
                assert!(taken < most, "{taken}");
            }
            taken
        };
        assert!(write_all_that_goes(1024 * 1024) >= 256 * 1024);
        crate::socket::let_more_wait(std::os::fd::AsFd::as_fd(&other)).unwrap();
        assert!(write_all_that_goes(2 * 1024 * 1024) >= 1024 * 1024);
    }

    #[test]
    fn room_that_is_held_does_not_grow_however_fast_it_is_read() {
        use std::io::Read;
        let listening = TcpListener::bind("127.0.0.1:0").unwrap();
        let mut client = TcpStream::connect(listening.local_addr().unwrap()).unwrap();
        let (mut server, _) = listening.accept().unwrap();
        let held = socket2::SockRef::from(&client).recv_buffer_size().unwrap();
        crate::socket::hold_receive_buffer(std::os::fd::AsFd::as_fd(&client), true).unwrap();
        let writing =
            std::thread::spawn(move || server.write_all(&vec![0; 16 * 1024 * 1024]).map(|()| server));
        let mut bytes = vec![0; 16 * 1024 * 1024];
        client.read_exact(&mut bytes).unwrap();
        assert_eq!(socket2::SockRef::from(&client).recv_buffer_size().unwrap(), held);
        crate::socket::hold_receive_buffer(std::os::fd::AsFd::as_fd(&client), false).unwrap();
        drop(writing.join().unwrap().unwrap());
    }

    /// An address that is free: port 0 asks the kernel for one.
    fn free(ip: &str) -> SocketAddr {
        TcpListener::bind(format!("{ip}:0")).unwrap().local_addr().unwrap()
    }

    #[test]
    fn every_worker_gets_a_socket_of_its_own_on_the_same_address() {
        let address = free("127.0.0.1");
        let sockets = listen_tcp(address, 3, &[]).unwrap();
        assert_eq!(sockets.len(), 3);
        for socket in sockets {
            let listener = TcpListener::from(socket);
            assert_eq!(listener.local_addr().unwrap(), address);
            // Nonblocking: nobody has connected.
            assert_eq!(listener.accept().unwrap_err().kind(), io::ErrorKind::WouldBlock);
        }
    }

    #[test]
    fn an_address_that_somebody_shares_willingly_is_refused_all_the_same() {
        let address = free("127.0.0.1");
        let first = listen_tcp(address, 2, &[]).unwrap();
        let error = listen_tcp(address, 2, &[]).unwrap_err().to_string();
        assert!(error.starts_with(&format!("cannot listen on {address}: ")), "{error}");
        assert!(error.contains(&format!("(pid {}) listens there already", std::process::id())), "{error}");
        drop(first);
        listen_tcp(address, 2, &[]).unwrap();
    }

    #[test]
    fn a_wildcard_beside_an_address_of_our_own_is_allowed() {
        let address = free("127.0.0.1");
        let _own = listen_tcp(address, 1, &[]).unwrap();
        let wildcard = SocketAddr::new("0.0.0.0".parse().unwrap(), address.port());
        assert!(listen_tcp(wildcard, 1, &[]).is_err());
        listen_tcp(wildcard, 1, &[address]).unwrap();
    }

    #[test]
    fn an_ipv6_wildcard_leaves_ipv4_alone() {
        let address = free("[::]");
        let _six = listen_tcp(address, 1, &[]).unwrap();
        let four = SocketAddr::new("127.0.0.1".parse().unwrap(), address.port());
        assert_eq!(TcpStream::connect(four).unwrap_err().kind(), io::ErrorKind::ConnectionRefused);
    }

    #[test]
    fn an_address_of_another_machine_can_be_listened_on() {
        // TEST-NET-1 (RFC 5737) is on no machine.
        let port = free("127.0.0.1").port();
        listen_tcp(SocketAddr::new("192.0.2.1".parse().unwrap(), port), 1, &[]).unwrap();
    }

    #[test]
    fn the_remains_of_closed_connections_are_not_in_the_way() {
        let address = free("127.0.0.1");
        let listener = TcpListener::from(listen_tcp(address, 1, &[]).unwrap().remove(0));
        listener.set_nonblocking(false).unwrap();
        let client = TcpStream::connect(address).unwrap();
        let (mut server, _) = listener.accept().unwrap();
        server.write_all(b"x").unwrap();
        // The side that closes first keeps the address in TIME_WAIT.
        drop(server);
        drop(client);
        drop(listener);
        listen_tcp(address, 1, &[]).unwrap();
    }

    #[test]
    fn sockets_are_closed_on_exec() {
        let socket = listen_tcp(free("127.0.0.1"), 1, &[]).unwrap().remove(0);
        let flags = rustix::io::fcntl_getfd(&socket).unwrap();
        assert!(flags.contains(rustix::io::FdFlags::CLOEXEC), "descriptor {}", socket.as_raw_fd());
    }
}
