//! A blocking HTTP/2 client on raw frames (RFC 9113), which sends exactly the frames that it is told, so that tests can be
//! wrong on purpose.
//!
//! It shares no code with the program under test: a mistake made twice would hide itself.

mod hpack;

use std::io::{self, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::path::Path;
use std::sync::Arc;

use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};

use crate::BOUND;
pub use hpack::{fields, read as read_fields};

/// What a client says first (§3.4).
pub const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// The kinds of frames (§6) by number.
pub mod kind {
    #![expect(missing_docs, reason = "the names are those of RFC 9113 §6")]
    pub const DATA: u8 = 0;
    pub const HEADERS: u8 = 1;
    pub const PRIORITY: u8 = 2;
    pub const RST_STREAM: u8 = 3;
    pub const SETTINGS: u8 = 4;
    pub const PUSH_PROMISE: u8 = 5;
    pub const PING: u8 = 6;
    pub const GOAWAY: u8 = 7;
    pub const WINDOW_UPDATE: u8 = 8;
    pub const CONTINUATION: u8 = 9;
}

/// Flags of frames.
pub mod flag {
    #![expect(missing_docs, reason = "the names are those of RFC 9113 §6")]
    pub const ACK: u8 = 1;
    pub const END_STREAM: u8 = 1;
    pub const END_HEADERS: u8 = 4;
    pub const PADDED: u8 = 8;
    pub const PRIORITY: u8 = 32;
}

/// One frame.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Frame {
    /// One of [`kind`], or any other.
    pub kind: u8,
    /// [`flag`]s.
    pub flags: u8,
    /// The stream, or 0.
    pub stream: u32,
    /// What follows the header.
    pub payload: Vec<u8>,
}

impl Frame {
    /// A frame of any kind.
    pub fn new(kind: u8, flags: u8, stream: u32, payload: impl Into<Vec<u8>>) -> Self {
        Self { kind, flags, stream, payload: payload.into() }
    }

    /// As it is sent.
    #[must_use]
    pub fn bytes(&self) -> Vec<u8> {
        let length = u32::try_from(self.payload.len()).expect("a short frame").to_be_bytes();
        let mut bytes = vec![length[1], length[2], length[3], self.kind, self.flags];
        bytes.extend(self.stream.to_be_bytes());
        bytes.extend_from_slice(&self.payload);
        bytes
    }

    /// The four bytes at `place` of the payload: an error code, an identifier, an increment.
    #[must_use]
    pub fn number(&self, place: usize) -> u32 {
        let bytes = self.payload.get(place..place + 4).and_then(|bytes| bytes.try_into().ok());
        bytes.map_or(u32::MAX, u32::from_be_bytes)
    }

    fn has(&self, flag: u8) -> bool {
        self.flags & flag != 0
    }
}

/// What came of a request.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Answer {
    /// Statuses of interim responses.
    pub interim: Vec<u16>,
    /// 0 without a head.
    pub status: u16,
    /// Fields of the head, without `:status`.
    pub headers: Vec<(String, String)>,
    /// The content.
    pub body: Vec<u8>,
    /// The fields after it.
    pub trailers: Vec<(String, String)>,
    /// How it ended.
    pub end: End,
}

/// How a response ended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum End {
    /// With END_STREAM.
    Clean,
    /// With RST_STREAM and this code.
    Reset(u32),
    /// With a GOAWAY of an error that counts for the whole connection.
    GoAway(u32),
    /// With the connection, without a word.
    #[default]
    Closed,
}

impl Answer {
    /// The value of the first field of this name.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(other, _)| other == name).map(|(_, value)| value.as_str())
    }

    /// The body as text.
    #[must_use]
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }
}

enum Wire {
    Plain(TcpStream),
    Tls(Box<StreamOwned<ClientConnection, TcpStream>>),
}

impl Wire {
    fn socket(&self) -> &TcpStream {
        match self {
            Self::Plain(stream) => stream,
            Self::Tls(stream) => &stream.sock,
        }
    }
}

/// One connection.
pub struct Http2 {
    wire: Wire,
    ahead: Vec<u8>,
    /// Read, but not of the stream that was asked about.
    kept: Vec<Frame>,
    /// Whether content that was read may be sent again.
    pub opens_windows: bool,
}

/// What a client needs to trust the authority of a test.
#[must_use]
pub fn trusting(ca: &Path) -> Arc<ClientConfig> {
    let mut roots = RootCertStore::empty();
    let certificate = CertificateDer::from_pem_file(ca).expect("a certificate");
    roots.add(certificate).expect("a certificate of an authority");
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let mut config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("usual versions")
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = vec![b"h2".to_vec()];
    Arc::new(config)
}

fn connect(address: SocketAddr) -> io::Result<TcpStream> {
    let stream = TcpStream::connect_timeout(&address, BOUND)?;
    stream.set_read_timeout(Some(BOUND))?;
    stream.set_write_timeout(Some(BOUND))?;
    stream.set_nodelay(true)?;
    Ok(stream)
}

impl Http2 {
    /// Connects without TLS and says nothing yet.
    pub fn connect(address: SocketAddr) -> io::Result<Self> {
        Ok(Self::on(Wire::Plain(connect(address)?)))
    }

    /// Connects with TLS to `name`, where the other side must choose `h2`, and says nothing yet.
    pub fn connect_tls(address: SocketAddr, name: &str, config: Arc<ClientConfig>) -> io::Result<Self> {
        let name = ServerName::try_from(name.to_owned()).map_err(io::Error::other)?;
        let connection = ClientConnection::new(config, name).map_err(io::Error::other)?;
        let mut stream = StreamOwned::new(connection, connect(address)?);
        while stream.conn.is_handshaking() {
            stream.conn.complete_io(&mut stream.sock)?;
        }
        if stream.conn.alpn_protocol() != Some(b"h2") {
            return Err(io::Error::other("h2 was not chosen"));
        }
        Ok(Self::on(Wire::Tls(Box::new(stream))))
    }

    fn on(wire: Wire) -> Self {
        Self { wire, ahead: Vec::new(), kept: Vec::new(), opens_windows: true }
    }

    /// Sends the preface with these settings, and without a dynamic table; waits for the other side's settings.
    pub fn greet(&mut self, settings: &[(u16, u32)]) -> io::Result<Frame> {
        let mut bytes = PREFACE.to_vec();
        let all = [&[(1, 0)], settings].concat();
        bytes.extend(Frame::new(kind::SETTINGS, 0, 0, settings_payload(&all)).bytes());
        self.send(&bytes)?;
        let theirs = self.next()?.ok_or_else(|| io::Error::other("closed instead of settings"))?;
        if theirs.kind != kind::SETTINGS || theirs.has(flag::ACK) {
            return Err(io::Error::other(format!("no settings first but {theirs:?}")));
        }
        Ok(theirs)
    }

    /// Sends these bytes.
    pub fn send(&mut self, bytes: impl AsRef<[u8]>) -> io::Result<()> {
        match &mut self.wire {
            Wire::Plain(stream) => stream.write_all(bytes.as_ref()),
            Wire::Tls(stream) => {
                stream.write_all(bytes.as_ref())?;
                stream.flush()
            }
        }
    }

    /// Sends a frame.
    pub fn frame(&mut self, kind: u8, flags: u8, stream: u32, payload: impl Into<Vec<u8>>) -> io::Result<()> {
        self.send(Frame::new(kind, flags, stream, payload).bytes())
    }

    /// Sends a whole head.
    pub fn head(&mut self, stream: u32, fields: &[(&str, &str)], ends: bool) -> io::Result<()> {
        let flags = flag::END_HEADERS | if ends { flag::END_STREAM } else { 0 };
        self.frame(kind::HEADERS, flags, stream, hpack::fields(fields.iter().copied()))
    }

    /// Opens a window: of a stream, or of the connection where it is 0.
    pub fn open(&mut self, stream: u32, by: u32) -> io::Result<()> {
        self.frame(kind::WINDOW_UPDATE, 0, stream, by.to_be_bytes())
    }

    /// Sends `GET path` and waits for what comes of it.
    pub fn get(&mut self, stream: u32, path: &str) -> io::Result<Answer> {
        self.head(stream, &get(path), true)?;
        self.answer(stream)
    }

    /// The next frame; `None` when the other side has closed the connection, in whichever way. A PING and SETTINGS are
    /// answered.
    #[expect(
        clippy::should_implement_trait,
        reason = "a connection is no list: it can be written to meanwhile"
    )]
    pub fn next(&mut self) -> io::Result<Option<Frame>> {
        let Some(header) = self.take(9)? else { return Ok(None) };
        let length = u32::from_be_bytes([0, header[0], header[1], header[2]]);
        let length = usize::try_from(length).map_err(io::Error::other)?;
        let stream = u32::from_be_bytes([header[5], header[6], header[7], header[8]]);
        let Some(payload) = self.take(length)? else { return Ok(None) };
        let frame = Frame { kind: header[3], flags: header[4], stream, payload };
        if (frame.kind == kind::PING || frame.kind == kind::SETTINGS) && !frame.has(flag::ACK) {
            let answer = if frame.kind == kind::PING { frame.payload.clone() } else { Vec::new() };
            // Whether it is still there is seen by reading.
            let _gone = self.frame(frame.kind, flag::ACK, 0, answer);
        }
        Ok(Some(frame))
    }

    /// Waits for the next frame of this kind, and forgets the others.
    pub fn wait_for(&mut self, kind: u8) -> io::Result<Option<Frame>> {
        loop {
            match self.next()? {
                Some(frame) if frame.kind != kind => {}
                found => return Ok(found),
            }
        }
    }

    /// Waits until the response on this stream has ended. Frames of other streams are kept for their turn.
    pub fn answer(&mut self, stream: u32) -> io::Result<Answer> {
        let mut answer = Answer::default();
        let mut later = Vec::new();
        for frame in std::mem::take(&mut self.kept) {
            if answer.end != End::Closed || !self.belongs(&frame, stream, &mut answer)? {
                later.push(frame);
            }
        }
        while answer.end == End::Closed {
            let Some(frame) = self.next()? else { break };
            if !self.belongs(&frame, stream, &mut answer)? && frame.stream != 0 {
                later.push(frame);
            }
        }
        self.kept = later;
        Ok(answer)
    }

    /// Reads until the other side closes; what it said of the whole connection last.
    pub fn closed(&mut self) -> io::Result<End> {
        let mut end = End::Closed;
        while let Some(frame) = self.next()? {
            if frame.kind == kind::GOAWAY {
                end = End::GoAway(frame.number(4));
            }
        }
        Ok(end)
    }

    /// Ends the connection from this side without a word.
    pub fn hang_up(&mut self) {
        let _gone = self.wire.socket().shutdown(Shutdown::Both);
    }

    fn belongs(&mut self, frame: &Frame, stream: u32, answer: &mut Answer) -> io::Result<bool> {
        if frame.kind == kind::GOAWAY && frame.number(4) != 0 {
            answer.end = End::GoAway(frame.number(4));
            return Ok(true);
        }
        if frame.stream != stream {
            return Ok(false);
        }
        match frame.kind {
            kind::HEADERS if !frame.has(flag::END_HEADERS) => {
                let mut block = frame.payload.clone();
                loop {
                    let Some(more) = self.next()? else { return Ok(true) };
                    block.extend_from_slice(&more.payload);
                    if more.kind != kind::CONTINUATION || more.stream != stream {
                        return Err(io::Error::other(format!("a head is interrupted by {more:?}")));
                    }
                    if more.has(flag::END_HEADERS) {
                        answer.add(hpack::read(&block)?)?;
                        break;
                    }
                }
            }
            kind::HEADERS => answer.add(hpack::read(&frame.payload)?)?,
            kind::DATA => {
                answer.body.extend_from_slice(&frame.payload);
                if self.opens_windows && !frame.payload.is_empty() {
                    let by = u32::try_from(frame.payload.len()).map_err(io::Error::other)?;
                    // Whether it is still there is seen by reading.
                    let _gone = self.open(0, by).and_then(|()| self.open(stream, by));
                }
            }
            kind::RST_STREAM => answer.end = End::Reset(frame.number(0)),
            _ => {}
        }
        if (frame.kind == kind::HEADERS || frame.kind == kind::DATA) && frame.has(flag::END_STREAM) {
            answer.end = End::Clean;
        }
        Ok(true)
    }

    fn take(&mut self, length: usize) -> io::Result<Option<Vec<u8>>> {
        while self.ahead.len() < length {
            let mut buffer = [0; 32 * 1024];
            let read = match &mut self.wire {
                Wire::Plain(stream) => stream.read(&mut buffer),
                Wire::Tls(stream) => stream.read(&mut buffer),
            };
            match read {
                Ok(0) => return Ok(None),
                Ok(count) => self.ahead.extend_from_slice(&buffer[..count]),
                Err(error) => match error.kind() {
                    io::ErrorKind::Interrupted => {}
                    io::ErrorKind::ConnectionReset
                    | io::ErrorKind::BrokenPipe
                    | io::ErrorKind::UnexpectedEof => return Ok(None),
                    _ => return Err(error),
                },
            }
        }
        Ok(Some(self.ahead.drain(..length).collect()))
    }
}

impl Answer {
    fn add(&mut self, fields: Vec<(String, String)>) -> io::Result<()> {
        let status = fields.iter().find(|(name, _)| name == ":status").map(|(_, value)| value.parse());
        match status {
            None => self.trailers = fields,
            Some(Err(_)) => return Err(io::Error::other(format!("no status: {fields:?}"))),
            Some(Ok(status @ 100..=199)) => self.interim.push(status),
            Some(Ok(status)) => {
                self.status = status;
                self.headers = fields.into_iter().filter(|(name, _)| name != ":status").collect();
            }
        }
        Ok(())
    }
}

/// The payload of SETTINGS.
#[must_use]
pub fn settings_payload(settings: &[(u16, u32)]) -> Vec<u8> {
    settings
        .iter()
        .flat_map(|(name, value)| [&name.to_be_bytes()[..], &value.to_be_bytes()].concat())
        .collect()
}

/// The fields of a usual GET.
#[must_use]
pub fn get(path: &str) -> [(&str, &str); 4] {
    [(":method", "GET"), (":scheme", "https"), (":authority", "test.example"), (":path", path)]
}

/// The fields of a usual POST.
#[must_use]
pub fn post(path: &str) -> [(&str, &str); 4] {
    [(":method", "POST"), (":scheme", "https"), (":authority", "test.example"), (":path", path)]
}
