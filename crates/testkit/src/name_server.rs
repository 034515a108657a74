//! A little authoritative DNS server that says what a test wants: A, AAAA, SRV, aliases, errors, silence, truncation.

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::str::FromStr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use hickory_proto::op::{Message, MessageType, OpCode, ResponseCode};
use hickory_proto::rr::rdata::{A, AAAA, CNAME, SRV};
use hickory_proto::rr::{Name, RData, Record, RecordType};

use crate::BOUND;

/// Aliases that are followed for one answer.
const MOST_ALIASES: usize = 8;

/// A name server on a free port of 127.0.0.1, over UDP and TCP; it ends when it is dropped.
pub struct NameServer {
    address: SocketAddr,
    shared: Arc<Shared>,
}

/// What is answered for a name.
#[derive(Clone, Debug)]
pub enum Saying {
    /// Addresses with their time to live in seconds. Asked for another type, it has no record.
    Addresses(Vec<IpAddr>, u32),
    /// Another name, with the time to live of the alias; the other name's records come in the same answer.
    Alias(String, u32),
    /// Targets of a service, with their time to live: priority, weight, port, target.
    Services(Vec<(u16, u16, u16, String)>, u32),
    /// SERVFAIL for this type of record, and `Addresses` for others.
    FailsFor(RecordType, Vec<IpAddr>, u32),
    /// SERVFAIL.
    Failure,
    /// No answer at all.
    Silence,
}

#[derive(Default)]
struct Shared {
    ending: AtomicBool,
    truncates: AtomicBool,
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    names: BTreeMap<String, Saying>,
    asked: Vec<(String, RecordType, Over)>,
}

/// How a question came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Over {
    /// In a datagram.
    Udp,
    /// Over a connection.
    Tcp,
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl NameServer {
    /// Starts a server that knows no name: it says that none exists (NXDOMAIN).
    #[must_use]
    pub fn start() -> Self {
        // The same port for both.
        let (listener, socket) = (0..100)
            .find_map(|_| {
                let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).ok()?;
                let socket = UdpSocket::bind(listener.local_addr().ok()?).ok()?;
                Some((listener, socket))
            })
            .expect("a port for UDP and TCP");
        let address = listener.local_addr().expect("the address of a socket");
        let shared = Arc::new(Shared::default());
        let (udp, tcp) = (Arc::clone(&shared), Arc::clone(&shared));
        std::thread::spawn(move || datagrams(&socket, &udp));
        std::thread::spawn(move || connections(&listener, &tcp));
        Self { address, shared }
    }

    /// Where it answers.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// From now on it says this of a name.
    pub fn says(&self, name: &str, saying: Saying) {
        self.shared.state().names.insert(name.to_owned(), saying);
    }

    /// Short for [`Saying::Addresses`] with a time to live of so many seconds.
    pub fn points(&self, name: &str, addresses: &[&str], ttl: u32) {
        let addresses = addresses.iter().map(|text| text.parse().expect("an IP address")).collect();
        self.says(name, Saying::Addresses(addresses, ttl));
    }

    /// From now on the name does not exist.
    pub fn forgets(&self, name: &str) {
        self.shared.state().names.remove(name);
    }

    /// From now on answers over UDP are empty and say that there is more.
    pub fn truncates(&self) {
        self.shared.truncates.store(true, Ordering::SeqCst);
    }

    /// What was asked so far.
    #[must_use]
    pub fn asked(&self) -> Vec<(String, RecordType, Over)> {
        self.shared.state().asked.clone()
    }

    /// Waits until `holds` is true of what was asked; looks again with each question.
    ///
    /// Panics after a while.
    pub fn wait_until(&self, holds: impl Fn(&[(String, RecordType, Over)]) -> bool) {
        let (state, timeout) = self
            .shared
            .changed
            .wait_timeout_while(self.shared.state(), BOUND, |state| !holds(&state.asked))
            .unwrap_or_else(PoisonError::into_inner);
        assert!(!timeout.timed_out(), "the name server was only asked {:?}", state.asked);
    }
}

impl Drop for NameServer {
    fn drop(&mut self) {
        self.shared.ending.store(true, Ordering::SeqCst);
        // Both threads wait for something: here it is.
        let _wakes = TcpStream::connect(self.address);
        if let Ok(socket) = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)) {
            let _wakes = socket.send_to(&[], self.address);
        }
    }
}

fn datagrams(socket: &UdpSocket, shared: &Shared) {
    let mut bytes = [0; 4096];
    while let Ok((length, from)) = socket.recv_from(&mut bytes) {
        if shared.ending.load(Ordering::SeqCst) {
            return;
        }
        if let Some(answer) = bytes.get(..length).and_then(|bytes| answer(bytes, shared, Over::Udp)) {
            let _gone = socket.send_to(&answer, from);
        }
    }
}

fn connections(listener: &TcpListener, shared: &Arc<Shared>) {
    for stream in listener.incoming() {
        if shared.ending.load(Ordering::SeqCst) {
            return;
        }
        let (Ok(stream), shared) = (stream, Arc::clone(shared)) else { continue };
        std::thread::spawn(move || connection(stream, &shared));
    }
}

/// Each message comes behind its length (RFC 1035 §4.2.2).
fn connection(mut stream: TcpStream, shared: &Shared) {
    let _kept = stream.set_read_timeout(Some(Duration::from_secs(60)));
    let mut length = [0; 2];
    while stream.read_exact(&mut length).is_ok() {
        let mut question = vec![0; usize::from(u16::from_be_bytes(length))];
        if stream.read_exact(&mut question).is_err() {
            return;
        }
        let Some(answer) = answer(&question, shared, Over::Tcp) else { continue };
        let length = u16::try_from(answer.len()).expect("a message that fits").to_be_bytes();
        if stream.write_all(&[&length[..], &answer].concat()).is_err() {
            return;
        }
    }
}

/// The answer to a question; `None` is silence.
fn answer(bytes: &[u8], shared: &Shared, over: Over) -> Option<Vec<u8>> {
    let question = Message::from_vec(bytes).ok()?;
    let query = question.queries.first()?.clone();
    let asked = query.name().to_ascii().trim_end_matches('.').to_lowercase();
    let kind = query.query_type();
    let names = {
        let mut state = shared.state();
        state.asked.push((asked.clone(), kind, over));
        shared.changed.notify_all();
        state.names.clone()
    };
    let mut message = Message::new(question.metadata.id, MessageType::Response, OpCode::Query);
    message.metadata.recursion_desired = question.metadata.recursion_desired;
    message.metadata.recursion_available = true;
    message.add_query(query);
    if over == Over::Udp && shared.truncates.load(Ordering::SeqCst) {
        message.metadata.truncation = true;
        return message.to_vec().ok();
    }
    let mut name = asked;
    for _ in 0..MOST_ALIASES {
        let owner = Name::from_str(&format!("{name}.")).ok()?;
        let mut add =
            |ttl: u32, data: RData| message.answers.push(Record::from_rdata(owner.clone(), ttl, data));
        match names.get(&name) {
            None => message.metadata.response_code = ResponseCode::NXDomain,
            Some(Saying::Silence) => return None,
            Some(Saying::Failure) => message.metadata.response_code = ResponseCode::ServFail,
            Some(Saying::FailsFor(fails, ..)) if *fails == kind => {
                message.metadata.response_code = ResponseCode::ServFail;
            }
            Some(Saying::Addresses(addresses, ttl) | Saying::FailsFor(_, addresses, ttl)) => {
                for ip in addresses {
                    match (ip, kind) {
                        (IpAddr::V4(ip), RecordType::A) => add(*ttl, RData::A(A(*ip))),
                        (IpAddr::V6(ip), RecordType::AAAA) => add(*ttl, RData::AAAA(AAAA(*ip))),
                        _ => {}
                    }
                }
            }
            Some(Saying::Services(targets, ttl)) => {
                for (priority, weight, port, target) in targets.iter().filter(|_| kind == RecordType::SRV) {
                    let target = Name::from_str(&format!("{target}.")).ok()?;
                    let service = SRV::new(*priority, *weight, *port, target);
                    add(*ttl, RData::SRV(service));
                }
            }
            Some(Saying::Alias(other, ttl)) => {
                add(*ttl, RData::CNAME(CNAME(Name::from_str(&format!("{other}.")).ok()?)));
                name.clone_from(other);
                continue;
            }
        }
        break;
    }
    message.to_vec().ok()
}
