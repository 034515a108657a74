//! RFC 9113 towards servers: what the proxy makes of every frame that a server may send, right or wrong, and what it says
//! itself. The table in `docs/guide/http2-conformance.md` says which test shows which demand.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

#[path = "../common/mod.rs"]
mod common;
mod connection;
mod flow;
mod frames;
mod goaway;
mod messages;
mod requests;
mod states;

use std::io;
use std::time::Duration;

use common::{Balancer, website};
use evenkeel_testkit::HttpClient;
use evenkeel_testkit::http2::{End, Frame, Http2Peer, Http2Server, Request, fields, flag, kind};

/// RFC 9113 §7.
const PROTOCOL_ERROR: u32 = 1;
const FLOW_CONTROL_ERROR: u32 = 3;
const STREAM_CLOSED: u32 = 5;
const FRAME_SIZE_ERROR: u32 = 6;
const REFUSED_STREAM: u32 = 7;
const CANCEL: u32 = 8;
const COMPRESSION_ERROR: u32 = 9;

const GET: &str = "GET / HTTP/1.1\r\nHost: test.example\r\n\r\n";
const HEAD: &str = "HEAD / HTTP/1.1\r\nHost: test.example\r\n\r\n";
/// A request that goes on: its client has more to say.
const POST: &str = "POST / HTTP/1.1\r\nHost: test.example\r\nContent-Length: 1000000\r\n\r\nbegin";

/// The proxy, before a server that does what a test says. Nothing is tried twice.
struct House {
    server: Http2Server,
    balancer: Balancer,
}

impl House {
    fn new() -> Self {
        Self::with("retries = 0")
    }

    fn with(pool: &str) -> Self {
        let server = Http2Server::new();
        let pool = format!("protocol = \"h2\"\npassive = \"off\"\n{pool}");
        let balancer = Balancer::start_with_workers(&website(1, "", &pool), &[server.address()], 1, 100);
        Self { server, balancer }
    }

    /// Sends bytes as a new client.
    fn client(&self, request: &str) -> HttpClient {
        let mut client = self.balancer.client();
        client.send(request).unwrap();
        client
    }

    /// A client that asks, and the new connection on which the server is asked, as stream 1.
    fn ask(&self, request: &str) -> (HttpClient, Http2Peer) {
        self.ask_with(request, &[])
    }

    /// The same for a server with these settings.
    fn ask_with(&self, request: &str, settings: &[(u16, u32)]) -> (HttpClient, Http2Peer) {
        let client = self.client(request);
        let mut peer = self.another_with(settings);
        assert_eq!(asked(&mut peer).stream, 1);
        (client, peer)
    }

    /// The next connection, after the greeting.
    fn another(&self) -> Http2Peer {
        self.another_with(&[])
    }

    fn another_with(&self, settings: &[(u16, u32)]) -> Http2Peer {
        let mut peer = self.server.accept().unwrap();
        peer.greet(settings).unwrap();
        peer
    }

    /// The server's connection is as good as ever: another request goes over it and is answered.
    fn goes_on(&self, peer: &mut Http2Peer) -> Result<(), String> {
        let mut client = self.client("GET /again HTTP/1.1\r\nHost: test.example\r\n\r\n");
        let request = loop {
            match peer.request() {
                Ok(Some(request)) if request.field(":path") == Some("/again") => break request,
                Ok(Some(_)) => {}
                other => return Err(format!("then no request but {other:?}")),
            }
        };
        peer.answer(request.stream, "200", "again").map_err(|error| error.to_string())?;
        match client.response() {
            Ok(response) if (response.status, response.text().as_str()) == (200, "again") => Ok(()),
            other => Err(format!("then {other:?}")),
        }
    }
}

/// Lets a client be gone at once, with a reset.
fn cut(client: HttpClient) {
    rustix::net::sockopt::set_socket_linger(client.stream(), Some(Duration::ZERO)).unwrap();
    drop(client);
}

/// Reads up to this text.
fn until(client: &mut HttpClient, text: &str) {
    let mut seen = Vec::new();
    while !seen.ends_with(text.as_bytes()) {
        seen.extend(client.read_raw(1).unwrap());
    }
}

/// No such frame comes, though there was time for it: whole ways there and back.
fn quiet(peer: &mut Http2Peer, unwanted: impl Fn(&Frame) -> bool) {
    for turn in 0..3 {
        peer.frame(kind::PING, 0, 0, [turn; 8]).unwrap();
        loop {
            let frame = peer.next_frame().unwrap().expect("an open connection");
            assert!(!unwanted(&frame), "{frame:?}");
            if frame.kind == kind::PING {
                assert_eq!((frame.flags, frame.payload), (flag::ACK, vec![turn; 8]));
                break;
            }
        }
    }
}

/// The next request on a connection.
fn asked(peer: &mut Http2Peer) -> Request {
    peer.request().unwrap().expect("a request")
}

/// What must come of what a server sends.
#[derive(Clone, Copy, Debug)]
enum Want {
    /// The client has a whole response with this status and content, and the connection goes on.
    Whole(u16, &'static str),
    /// A stream error with one of these codes, which §5.4.2 allows to make one of the connection.
    Stream(&'static [u32]),
    /// A connection error with one of these codes. Where the library says `PROTOCOL_ERROR` for a code that is more
    /// specific, as §5.4 lets it, both are named.
    Connection(&'static [u32]),
    /// The end of the connection, with or without a word.
    Ended,
    /// The response is malformed (§8.1.1): its client is told so, or had a part of it and is cut.
    Malformed,
}

/// A rule, what a client asks, what the server answers on stream 1, and what must come of it.
type Row<'a> = (&'a str, &'a str, Vec<Frame>, Want);

/// Each row on a connection of its own.
fn check(house: &House, rows: impl IntoIterator<Item = Row<'static>>) {
    let wrong: Vec<String> = rows
        .into_iter()
        .filter_map(|(rule, request, frames, want)| {
            let found = came(house, request, &frames, want);
            found.err().map(|found| format!("{rule}: wanted {want:?}, {found}"))
        })
        .collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

fn came(house: &House, request: &str, frames: &[Frame], want: Want) -> Result<(), String> {
    let (mut client, mut peer) = house.ask(request);
    peer.frames(frames).map_err(|error| error.to_string())?;
    let answer = answer_to(request, &mut client);
    let lives = match want {
        Want::Whole(status, text) => match answer {
            Ok(response) if response.status == status && response.text() == text => true,
            other => return Err(format!("the client has {other:?}")),
        },
        Want::Malformed => {
            let end = said(&mut peer);
            match (&answer, end) {
                (Err(_), _) => {}
                (Ok(response), End::GoAway(_)) if response.status == 502 => {}
                (Ok(response), _)
                    if (response.status, response.header("evenkeel-reason"))
                        == (502, Some("bad-response")) => {}
                _ => return Err(format!("the client has {answer:?}, the server {end:?}")),
            }
            match end {
                // A stream that has ended on both sides cannot be reset; else the code is ours to choose.
                End::Clean | End::Reset(PROTOCOL_ERROR | CANCEL) => true,
                End::GoAway(PROTOCOL_ERROR) => false,
                _ => return Err(format!("the server has {end:?}")),
            }
        }
        Want::Stream(_) | Want::Connection(_) | Want::Ended => {
            // Ours or broken: nothing that the client could take for the server's.
            if let Ok(response) = &answer
                && response.status != 502
            {
                return Err(format!("the client has {response:?}"));
            }
            match (want, peer.end_of(1).map_err(|error| error.to_string())?) {
                (Want::Stream(codes), End::Reset(code)) if codes.contains(&code) => true,
                (Want::Stream(codes) | Want::Connection(codes), End::GoAway(code))
                    if codes.contains(&code) =>
                {
                    false
                }
                (Want::Ended, End::Closed | End::GoAway(PROTOCOL_ERROR)) => false,
                (_, end) => return Err(format!("the server has {end:?}")),
            }
        }
    };
    drop(client);
    if lives {
        house.goes_on(&mut peer)?;
        peer.leave().map_err(|error| error.to_string())?;
    } else {
        // §5.4.1: after the word comes the end.
        peer.closed().map_err(|error| error.to_string())?;
    }
    Ok(())
}

/// What the proxy says of stream 1 or of the connection when there was time for it; nothing is [`End::Clean`].
fn said(peer: &mut Http2Peer) -> End {
    for turn in 0..3 {
        // It may be gone, as reading shows.
        let _gone = peer.frame(kind::PING, 0, 0, [turn; 8]);
        loop {
            match peer.next_frame().unwrap() {
                None => return End::Closed,
                Some(frame) if frame.kind == kind::GOAWAY => return End::GoAway(frame.number(4)),
                Some(frame) if frame.kind == kind::RST_STREAM => return End::Reset(frame.number(0)),
                Some(frame) if frame.kind == kind::PING && frame.payload == [turn; 8] => break,
                Some(_) => {}
            }
        }
    }
    End::Clean
}

fn answer_to(request: &str, client: &mut HttpClient) -> io::Result<evenkeel_testkit::Response> {
    if request.starts_with("HEAD ") { client.response_to_head() } else { client.response() }
}

/// HEADERS with these fields on stream 1.
fn headers(list: &[(&str, &str)], ends: bool) -> Frame {
    block(if ends { 5 } else { 4 }, fields(list.iter().copied()))
}

/// HEADERS with this block on stream 1.
fn block(flags: u8, block: impl Into<Vec<u8>>) -> Frame {
    Frame::new(kind::HEADERS, flags, 1, block)
}

/// DATA on stream 1.
fn data(content: impl Into<Vec<u8>>, ends: bool) -> Frame {
    Frame::new(kind::DATA, if ends { flag::END_STREAM } else { 0 }, 1, content)
}

const STATUS: (&str, &str) = (":status", "200");

/// A whole response.
fn ok() -> Frame {
    headers(&[STATUS], true)
}

/// The head of one, whose content follows.
fn begun() -> Frame {
    headers(&[STATUS], false)
}
