//! An HTTP/2 server with prior knowledge that a test drives frame by frame, on the test's own thread.

use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::ops::{Deref, DerefMut};

use rustix::net::sockopt::{Timeout, set_socket_timeout};

use super::wire::Wire;
use super::{End, Fields, Frame, PREFACE, flag, kind, settings_payload};
use crate::BOUND;
use crate::http::bounded;

/// A socket on a free port of 127.0.0.1.
pub struct Http2Server {
    listener: TcpListener,
    address: SocketAddr,
}

impl Http2Server {
    /// Listens. Nobody is answered but by what the test does with [`Self::accept`].
    #[must_use]
    #[expect(clippy::new_without_default, reason = "it opens a socket")]
    pub fn new() -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a socket to listen on");
        set_socket_timeout(&listener, Timeout::Recv, Some(BOUND)).expect("SO_RCVTIMEO");
        let address = listener.local_addr().expect("the address of a socket");
        Self { listener, address }
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Waits for the next connection, on which nothing was said yet.
    pub fn accept(&self) -> io::Result<Http2Peer> {
        let (stream, _) = self.listener.accept()?;
        bounded(&stream)?;
        Ok(Http2Peer { wire: Wire::plain(stream) })
    }
}

/// A client's connection, from the server's side.
pub struct Http2Peer {
    wire: Wire,
}

/// The head of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    /// Its stream.
    pub stream: u32,
    /// All fields in the order in which they came.
    pub fields: Fields,
    /// No content follows.
    pub ends: bool,
}

impl Request {
    /// The value of the first field of this name.
    #[must_use]
    pub fn field(&self, name: &str) -> Option<&str> {
        self.fields.iter().find(|(other, _)| other == name).map(|(_, value)| value.as_str())
    }
}

impl Deref for Http2Peer {
    type Target = Wire;

    fn deref(&self) -> &Wire {
        &self.wire
    }
}

impl DerefMut for Http2Peer {
    fn deref_mut(&mut self) -> &mut Wire {
        &mut self.wire
    }
}

impl Http2Peer {
    /// Reads what a client begins with (§3.4) and gives its SETTINGS; says nothing.
    pub fn preface(&mut self) -> io::Result<Frame> {
        let preface = self.wire.take(PREFACE.len())?.ok_or_else(|| closed("the preface"))?;
        if preface != PREFACE {
            return Err(io::Error::other(format!("no preface: {:?}", String::from_utf8_lossy(&preface))));
        }
        let settings = self.read_frame()?.ok_or_else(|| closed("SETTINGS"))?;
        if settings.kind != kind::SETTINGS || settings.has(flag::ACK) {
            return Err(io::Error::other(format!("no SETTINGS first but {settings:?}")));
        }
        Ok(settings)
    }

    /// Reads the client's preface and sends that of a server with these settings, without a dynamic table, and an
    /// acknowledgement.
    pub fn greet(&mut self, settings: &[(u16, u32)]) -> io::Result<Frame> {
        let theirs = self.preface()?;
        let all = [&[(1, 0)], settings].concat();
        self.frame(kind::SETTINGS, 0, 0, settings_payload(&all))?;
        self.frame(kind::SETTINGS, flag::ACK, 0, [])?;
        Ok(theirs)
    }

    /// Waits for the head of the next request and forgets other frames; `None` when the client has closed.
    pub fn request(&mut self) -> io::Result<Option<Request>> {
        let Some(headers) = self.wait_for(kind::HEADERS)? else { return Ok(None) };
        let fields = self.wire.fields_of(&headers)?;
        let (stream, ends) = (headers.stream, headers.has(flag::END_STREAM));
        Ok(fields.map(|fields| Request { stream, fields, ends }))
    }

    /// Reads the content of a request until its end, opening its windows; its trailers come with it.
    pub fn content(&mut self, stream: u32) -> io::Result<(Vec<u8>, Fields)> {
        let (mut content, mut trailers) = (Vec::new(), Vec::new());
        loop {
            let frame = self.next_frame()?.ok_or_else(|| closed("the end of a request"))?;
            match frame.kind {
                kind::DATA if frame.stream == stream => {
                    content.extend_from_slice(&frame.payload);
                    if !frame.payload.is_empty() && !frame.has(flag::END_STREAM) {
                        let by = u32::try_from(frame.payload.len()).map_err(io::Error::other)?;
                        self.open(0, by)?;
                        self.open(stream, by)?;
                    }
                }
                kind::HEADERS if frame.stream == stream => {
                    trailers = self.wire.fields_of(&frame)?.ok_or_else(|| closed("the end of a head"))?;
                }
                kind::RST_STREAM if frame.stream == stream => return Err(closed("the end of a request")),
                _ => continue,
            }
            if frame.has(flag::END_STREAM) {
                return Ok((content, trailers));
            }
        }
    }

    /// Sends a whole response: this status, and this text unless it is empty.
    pub fn answer(&mut self, stream: u32, status: &str, text: &str) -> io::Result<()> {
        self.head(stream, &[(":status", status)], text.is_empty())?;
        if text.is_empty() {
            return Ok(());
        }
        self.frame(kind::DATA, flag::END_STREAM, stream, text)
    }

    /// Waits until the client gives a stream up, or the whole connection.
    pub fn end_of(&mut self, stream: u32) -> io::Result<End> {
        while let Some(frame) = self.next_frame()? {
            match frame.kind {
                kind::RST_STREAM if frame.stream == stream => return Ok(End::Reset(frame.number(0))),
                kind::GOAWAY => return Ok(End::GoAway(frame.number(4))),
                _ => {}
            }
        }
        Ok(End::Closed)
    }

    /// Ends the connection in order and waits until the client has left it.
    pub fn leave(&mut self) -> io::Result<End> {
        self.frame(kind::GOAWAY, 0, 0, [[0x7f, 0xff, 0xff, 0xff], [0; 4]].concat())?;
        self.closed()
    }
}

fn closed(before: &str) -> io::Error {
    io::Error::new(io::ErrorKind::UnexpectedEof, format!("the connection ended before {before}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http2::{Http2, post};

    #[test]
    fn client_and_server_of_raw_frames_understand_each_other() {
        let server = Http2Server::new();
        let mut client = Http2::connect(server.address()).unwrap();
        let thread = std::thread::spawn(move || {
            let mut peer = server.accept().unwrap();
            peer.greet(&[(4, 100)]).unwrap();
            let request = peer.request().unwrap().unwrap();
            assert_eq!((request.stream, request.field(":path"), request.ends), (1, Some("/a"), false));
            let sum = ("x-sum".to_owned(), "1".to_owned());
            assert_eq!(peer.content(1).unwrap(), (b"hello".to_vec(), vec![sum]));
            peer.answer(1, "200", "world").unwrap();
            assert_eq!(peer.end_of(3).unwrap(), End::Reset(8));
            assert_eq!(peer.leave().unwrap(), End::Closed);
        });
        let theirs = client.greet(&[]).unwrap();
        assert_eq!(crate::http2::setting(&theirs.payload, 4), Some(100));
        client.head(1, &post("/a"), false).unwrap();
        client.frame(kind::DATA, 0, 1, *b"hello").unwrap();
        client.head(1, &[("x-sum", "1")], true).unwrap();
        assert_eq!(client.answer(1).unwrap().text(), "world");
        client.head(3, &post("/b"), true).unwrap();
        client.frame(kind::RST_STREAM, 0, 3, [0, 0, 0, 8]).unwrap();
        client.wait_for(kind::GOAWAY).unwrap().unwrap();
        client.hang_up();
        thread.join().unwrap();
    }
}
