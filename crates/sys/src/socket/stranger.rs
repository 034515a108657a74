//! Keeps everybody but one machine from a listening socket.

use std::io;
use std::net::IpAddr;
use std::os::fd::BorrowedFd;

use socket2::{SockFilter, SockRef};

// The filter is a program for the kernel (bpf(4)): load, compare, return how many bytes to keep.
const LOAD_WORD: u16 = 0x20;
const JUMP_IF_EQUAL: u16 = 0x15;
const RETURN: u16 = 0x06;
const KEEP: SockFilter = SockFilter::new(RETURN, 0, 0, u32::MAX);
const DROP: SockFilter = SockFilter::new(RETURN, 0, 0, 0);
/// Places from here on count from the start of the IP header (SKF_NET_OFF).
const NETWORK: u32 = 0xfff0_0000;
/// Where the source stands in the header (RFC 791 §3.1, RFC 8200 §3).
const SOURCE_V4: u32 = 12;
const SOURCE_V6: u32 = 8;

/// From now on only packets from this address reach the socket, and what it accepts: the kernel drops all others without an
/// answer, as a firewall would.
///
/// # Errors
/// When the kernel does not take the filter.
pub fn only_from(socket: BorrowedFd<'_>, peer: IpAddr) -> io::Result<()> {
    SockRef::from(&socket).attach_filter(&filter(peer))
}

/// Compares the source word by word; any difference leads to the end.
fn filter(peer: IpAddr) -> Vec<SockFilter> {
    let (start, words): (u32, Vec<u32>) = match peer {
        IpAddr::V4(ip) => (SOURCE_V4, vec![ip.to_bits()]),
        IpAddr::V6(ip) => {
            let bits = ip.to_bits();
            let word = |shift: u32| u32::try_from((bits >> shift) & 0xffff_ffff).unwrap_or_default();
            (SOURCE_V6, vec![word(96), word(64), word(32), word(0)])
        }
    };
    let mut program = Vec::new();
    for (place, word) in (0_u8..).zip(&words) {
        // Over the comparisons that follow, two instructions each, and what keeps.
        let left = u8::try_from(words.len()).unwrap_or_default() - place - 1;
        program.push(SockFilter::new(LOAD_WORD, 0, 0, NETWORK + start + 4 * u32::from(place)));
        program.push(SockFilter::new(JUMP_IF_EQUAL, 0, 2 * left + 1, *word));
    }
    program.extend([KEEP, DROP]);
    program
}

#[cfg(test)]
mod tests {
    use std::net::{SocketAddr, TcpListener, TcpStream};
    use std::os::fd::AsFd;
    use std::time::Duration;

    use super::*;
    use crate::socket::listen_tcp;

    fn from(source: &str, to: SocketAddr) -> io::Result<TcpStream> {
        let domain = socket2::Domain::for_address(to);
        let socket = socket2::Socket::new(domain, socket2::Type::STREAM, None)?;
        socket.bind(&SocketAddr::new(source.parse().unwrap(), 0).into())?;
        socket.connect_timeout(&to.into(), Duration::from_millis(300))?;
        Ok(socket.into())
    }

    #[test]
    fn a_stranger_does_not_even_connect() {
        let any = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let socket = listen_tcp(any, 1, &[]).unwrap().remove(0);
        only_from(socket.as_fd(), "127.0.0.9".parse().unwrap()).unwrap();
        let listener = TcpListener::from(socket);
        assert_eq!(from("127.0.0.8", any).unwrap_err().kind(), io::ErrorKind::TimedOut);
        let _peer = from("127.0.0.9", any).unwrap();
        listener.set_nonblocking(false).unwrap();
        assert_eq!(listener.accept().unwrap().1.ip().to_string(), "127.0.0.9");
    }

    #[test]
    fn an_ipv6_source_is_compared_whole() {
        let any = TcpListener::bind("[::1]:0").unwrap().local_addr().unwrap();
        let socket = listen_tcp(any, 1, &[]).unwrap().remove(0);
        for (peer, reached) in [("::1", true), ("::2", false), ("1::1", false), ("::1:0:1", false)] {
            only_from(socket.as_fd(), peer.parse().unwrap()).unwrap();
            assert_eq!(from("::1", any).is_ok(), reached, "{peer}");
        }
    }
}
