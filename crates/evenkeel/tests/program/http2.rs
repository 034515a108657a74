//! HTTP/2 with clients: the program between raw frames and real servers.

mod answers;
mod behaviour;
mod floods;
mod frames;
mod messages;
mod origin;
mod states;

use std::net::SocketAddr;
use std::sync::Arc;

use evenkeel_testkit::http2::{Answer, End, Frame, Http2, flag, kind, trusting};
use evenkeel_testkit::{Authority, ToyServer, free_address, needs};

use crate::site::Site;
use crate::tls::{certificates, secured};

/// The name in the certificate and in requests.
pub(crate) const NAME: &str = "test.example";

/// RFC 9113 §7.
const PROTOCOL_ERROR: u32 = 1;
const INTERNAL_ERROR: u32 = 2;
const FLOW_CONTROL_ERROR: u32 = 3;
const STREAM_CLOSED: u32 = 5;
const FRAME_SIZE_ERROR: u32 = 6;
const REFUSED_STREAM: u32 = 7;
const COMPRESSION_ERROR: u32 = 9;
const ENHANCE_YOUR_CALM: u32 = 11;

/// The program, before a server that does what the path says.
pub(crate) struct House {
    pub(crate) site: Site,
    pub(crate) authority: Authority,
    pub(crate) address: SocketAddr,
    pub(crate) origin: ToyServer,
    trust: Arc<rustls::ClientConfig>,
    /// Its configuration.
    pub(crate) text: String,
}

impl House {
    /// `None` where the machine has no `openssl`.
    pub(crate) fn new() -> Option<Self> {
        Self::with("", "")
    }

    /// With these lines for the listener, and these behind the pool's servers.
    pub(crate) fn with(listener: &str, pool: &str) -> Option<Self> {
        Self::on(origin::start(), listener, pool)
    }

    /// Before another server.
    pub(crate) fn on(origin: ToyServer, listener: &str, pool: &str) -> Option<Self> {
        needs("openssl").then(|| {
            let authority = Authority::new();
            let issued = authority.issue("test", &[NAME]);
            let address = free_address();
            let text = secured(address, origin.address(), listener, &certificates(&[&issued])) + pool;
            let site = Site::start(&text);
            let trust = trusting(&authority.ca());
            Self { site, authority, address, origin, trust, text }
        })
    }

    /// A connection on which nothing was said.
    pub(crate) fn silent(&self) -> Http2 {
        Http2::connect_tls(self.address, NAME, self.trust.clone()).unwrap()
    }

    /// A connection after the greeting.
    pub(crate) fn client(&self) -> Http2 {
        self.client_with(&[])
    }

    /// The same with these settings.
    pub(crate) fn client_with(&self, settings: &[(u16, u32)]) -> Http2 {
        let mut client = self.silent();
        client.greet(settings).unwrap();
        client
    }
}

/// What RFC 9113 wants to come of frames.
#[derive(Clone, Copy, Debug)]
enum Want {
    /// A usual answer with this status.
    Status(u16),
    /// A stream error; §5.4.1 allows to make it one of the connection.
    Stream(u32),
    /// A connection error.
    Connection(u32),
    /// A connection error with this code, for which the library says `PROTOCOL_ERROR`, as §5.4 lets it.
    Ended(u32),
    /// An error where the RFC leaves a choice.
    OneOf(&'static [u32]),
    /// A malformed request (§8.1.1): a stream error, before which a response of the 400s may be sent.
    Malformed,
}

impl Want {
    fn accepts(self, answer: &Answer) -> bool {
        match (self, answer.end) {
            (Self::Status(status), End::Clean) => answer.status == status,
            (Self::Stream(code), End::Reset(found) | End::GoAway(found))
            | (Self::Connection(code), End::GoAway(found)) => code == found,
            (Self::Ended(code), End::GoAway(found)) => found == code || found == PROTOCOL_ERROR,
            (Self::OneOf(codes), End::Reset(found) | End::GoAway(found)) => codes.contains(&found),
            (Self::Malformed, End::Reset(found) | End::GoAway(found)) => found == PROTOCOL_ERROR,
            // The rest of the request is not needed either.
            (Self::Malformed, End::Clean) => (400..500).contains(&answer.status),
            _ => false,
        }
    }
}

/// A rule, what a client sends after the greeting, the stream to look at, and what must come of it. Where nothing is said
/// on a stream (0), a request follows that must have its answer.
type Row<'a> = (&'a str, Vec<Frame>, u32, Want);

/// A stream that no row uses.
const PROBE: u32 = 100_001;

/// Each row on a connection of its own; whatever does not end the connection leaves it fit for more.
fn check(house: &House, rows: impl IntoIterator<Item = Row<'static>>) {
    let mut wrong = Vec::new();
    for (rule, frames, stream, want) in rows {
        let mut client = house.client();
        let bytes: Vec<u8> = frames.iter().flat_map(Frame::bytes).collect();
        client.send(&bytes).unwrap();
        let answer = if stream == 0 { probe(&mut client) } else { client.answer(stream).unwrap() };
        if !want.accepts(&answer) {
            wrong.push(format!("{rule}: wanted {want:?}, got {} {:?}", answer.status, answer.end));
            continue;
        }
        match answer.end {
            End::GoAway(_) => drop(client.closed().unwrap()),
            _ => {
                let after = probe(&mut client);
                if (after.status, after.end) != (200, End::Clean) {
                    wrong.push(format!("{rule}: then {} {:?}", after.status, after.end));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// A usual request; one that cannot be sent any more says so by its answer.
fn probe(client: &mut Http2) -> Answer {
    static NEXT: std::sync::atomic::AtomicU32 = std::sync::atomic::AtomicU32::new(PROBE);
    let stream = NEXT.fetch_add(2, std::sync::atomic::Ordering::Relaxed);
    let _gone = client.head(stream, &evenkeel_testkit::http2::get("/"), true);
    client.answer(stream).unwrap()
}

/// HEADERS with these fields.
fn headers(stream: u32, fields: &[(&str, &str)], ends: bool) -> Frame {
    let flags = flag::END_HEADERS | if ends { flag::END_STREAM } else { 0 };
    block(flags, stream, evenkeel_testkit::http2::fields(fields.iter().copied()))
}

fn block(flags: u8, stream: u32, block: impl Into<Vec<u8>>) -> Frame {
    Frame::new(kind::HEADERS, flags, stream, block)
}

/// DATA.
fn data(stream: u32, content: impl Into<Vec<u8>>, ends: bool) -> Frame {
    Frame::new(kind::DATA, if ends { flag::END_STREAM } else { 0 }, stream, content)
}
