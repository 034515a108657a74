//! A TCP server whose behaviour is a closure, for servers that behave well and for those that do not.

use std::io::{self, Write};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use crate::BOUND;

/// The longest head [`Connection::read_head`] reads.
const LONGEST_HEAD: usize = 1024 * 1024;

/// A server on a free port of 127.0.0.1; it ends, with its connections, when it is dropped.
pub struct ToyServer {
    address: SocketAddr,
    shared: Arc<Shared>,
    accepting: Option<JoinHandle<()>>,
}

#[derive(Default)]
struct Shared {
    ending: AtomicBool,
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    /// What each connection has sent so far, in the order of accept.
    received: Vec<Vec<u8>>,
    open: Vec<TcpStream>,
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl ToyServer {
    /// Starts a server that calls `serve` for each connection, each in a thread of its own. The connection is closed
    /// when `serve` returns; a panic in it closes the connection too.
    pub fn start(serve: impl Fn(Connection) + Send + Sync + 'static) -> Self {
        Self::start_on((Ipv4Addr::LOCALHOST, 0).into(), serve)
    }

    /// As [`Self::start`], on an address of the caller's choice.
    pub fn start_on(address: SocketAddr, serve: impl Fn(Connection) + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind(address).expect("a socket to listen on");
        let address = listener.local_addr().expect("the address of a socket");
        let shared = Arc::new(Shared::default());
        let mut server = Self { address, shared: Arc::clone(&shared), accepting: None };
        let serve = Arc::new(serve);
        let accepting = std::thread::spawn(move || {
            for stream in listener.incoming() {
                if shared.ending.load(Ordering::SeqCst) {
                    return;
                }
                let Ok(stream) = stream else { continue };
                let Ok(connection) = Connection::new(stream, Arc::clone(&shared)) else { continue };
                let serve = Arc::clone(&serve);
                std::thread::spawn(move || serve(connection));
            }
        });
        server.accepting = Some(accepting);
        server
    }

    /// A server that answers every request (without body) on a connection with its name and keeps the connection.
    #[must_use]
    pub fn named(name: &str) -> Self {
        let response = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{name}", name.len());
        Self::start(move |mut connection| {
            while connection.read_head().is_ok() {
                if connection.write(&response).is_err() {
                    return;
                }
            }
        })
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// What each connection has sent so far, as far as its closure has read it, in the order of accept.
    #[must_use]
    pub fn received(&self) -> Vec<Vec<u8>> {
        self.shared.state().received.clone()
    }

    /// How many connections were accepted.
    #[must_use]
    pub fn connections(&self) -> usize {
        self.shared.state().received.len()
    }

    /// Waits until `holds` is true of what was received; looks again whenever something arrives.
    ///
    /// Panics after `bound`.
    pub fn wait_until(&self, holds: impl Fn(&[Vec<u8>]) -> bool, bound: Duration) {
        let (state, timeout) = self
            .shared
            .changed
            .wait_timeout_while(self.shared.state(), bound, |state| !holds(&state.received))
            .unwrap_or_else(PoisonError::into_inner);
        assert!(!timeout.timed_out(), "the server received only {:?}", as_text(&state.received));
    }
}

impl Drop for ToyServer {
    fn drop(&mut self) {
        self.shared.ending.store(true, Ordering::SeqCst);
        // Wakes the accepting thread, which sees that it is over.
        let woken = TcpStream::connect_timeout(&self.address, BOUND);
        // Until then its socket lets clients in.
        if let (Ok(_), Some(accepting)) = (woken, self.accepting.take()) {
            let _ = accepting.join();
        }
        for stream in self.shared.state().open.drain(..) {
            let _ = stream.shutdown(Shutdown::Both);
        }
    }
}

fn as_text(received: &[Vec<u8>]) -> Vec<String> {
    received.iter().map(|bytes| String::from_utf8_lossy(bytes).into_owned()).collect()
}

/// One connection of a [`ToyServer`], from the server's side. What is read is recorded.
pub struct Connection {
    stream: TcpStream,
    /// Counts from 0 in the order of accept.
    pub index: usize,
    shared: Arc<Shared>,
    ahead: Vec<u8>,
}

impl Connection {
    fn new(stream: TcpStream, shared: Arc<Shared>) -> io::Result<Self> {
        stream.set_nodelay(true)?;
        let index = {
            let mut state = shared.state();
            state.open.push(stream.try_clone()?);
            state.received.push(Vec::new());
            state.received.len() - 1
        };
        shared.changed.notify_all();
        Ok(Self { stream, index, shared, ahead: Vec::new() })
    }

    /// The socket itself; what is read from it directly is not recorded.
    #[must_use]
    pub fn stream(&self) -> &TcpStream {
        &self.stream
    }

    /// Reads up to and including the first empty line. An end before it is an error.
    pub fn read_head(&mut self) -> io::Result<String> {
        loop {
            if let Some(end) = self.ahead.windows(4).position(|four| four == b"\r\n\r\n") {
                let head: Vec<u8> = self.ahead.drain(..end + 4).collect();
                return Ok(String::from_utf8_lossy(&head).into_owned());
            }
            if self.ahead.len() > LONGEST_HEAD {
                return Err(io::ErrorKind::InvalidData.into());
            }
            if self.fill()? == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
        }
    }

    /// Reads exactly so many bytes.
    pub fn read_exact(&mut self, length: usize) -> io::Result<Vec<u8>> {
        while self.ahead.len() < length {
            if self.fill()? == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
        }
        Ok(self.ahead.drain(..length).collect())
    }

    /// Reads what is there, at least one byte; empty at the end of the stream.
    pub fn read_some(&mut self) -> io::Result<Vec<u8>> {
        if self.ahead.is_empty() {
            self.fill()?;
        }
        Ok(std::mem::take(&mut self.ahead))
    }

    /// Reads until the client has finished sending.
    pub fn read_to_end(&mut self) -> io::Result<Vec<u8>> {
        while self.fill()? > 0 {}
        Ok(std::mem::take(&mut self.ahead))
    }

    /// Sends all of these bytes.
    pub fn write(&mut self, bytes: impl AsRef<[u8]>) -> io::Result<()> {
        self.stream.write_all(bytes.as_ref())
    }

    /// Says that nothing more will be sent.
    pub fn finish(&mut self) -> io::Result<()> {
        self.stream.shutdown(Shutdown::Write)
    }

    /// Ends the connection with a reset (RST) rather than an orderly end.
    pub fn reset(self) {
        rustix::net::sockopt::set_socket_linger(&self.stream, Some(Duration::ZERO)).expect("SO_LINGER");
    }

    fn fill(&mut self) -> io::Result<usize> {
        let mut buffer = [0; 64 * 1024];
        let length = crate::http::read(&mut self.stream, &mut buffer)?;
        self.ahead.extend_from_slice(&buffer[..length]);
        let mut state = self.shared.state();
        state.received[self.index].extend_from_slice(&buffer[..length]);
        drop(state);
        self.shared.changed.notify_all();
        Ok(length)
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        // The server's own handle would keep the connection open.
        let local = self.stream.peer_addr().ok();
        self.shared.state().open.retain(|other| other.peer_addr().ok() != local);
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use super::*;

    #[test]
    fn what_was_received_is_recorded_for_each_connection() {
        let server = ToyServer::start(|mut connection| {
            let _ = connection.read_to_end();
        });
        let mut first = TcpStream::connect(server.address()).unwrap();
        first.write_all(b"one").unwrap();
        server.wait_until(|received| received == [b"one"], BOUND);
        let mut second = TcpStream::connect(server.address()).unwrap();
        second.write_all(b"two").unwrap();
        server.wait_until(|received| received == [b"one", b"two"], BOUND);
        assert_eq!(server.connections(), 2);
    }

    #[test]
    fn returning_closes_and_reset_resets() {
        let polite = ToyServer::start(drop);
        let mut client = TcpStream::connect(polite.address()).unwrap();
        assert_eq!(client.read(&mut [0]).unwrap(), 0);

        let rude = ToyServer::start(Connection::reset);
        let mut client = TcpStream::connect(rude.address()).unwrap();
        assert_eq!(client.read(&mut [0]).unwrap_err().kind(), io::ErrorKind::ConnectionReset);
    }

    #[test]
    fn dropping_frees_the_port_and_ends_connections() {
        let server = ToyServer::named("a");
        let address = server.address();
        let mut client = crate::HttpClient::connect(address).unwrap();
        assert_eq!(client.get("/").unwrap().text(), "a");
        assert_eq!(client.get("/").unwrap().text(), "a");
        drop(server);
        assert!(client.closed_silently());
    }
}
