//! A blocking HTTP/2 client.

use std::io;
use std::net::SocketAddr;
use std::ops::{Deref, DerefMut};
use std::path::Path;
use std::sync::Arc;

use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};

use super::wire::Wire;
use super::{End, Frame, PREFACE, flag, kind, settings_payload};
use crate::http::connect;

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

/// One connection.
pub struct Http2 {
    wire: Wire,
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

impl Deref for Http2 {
    type Target = Wire;

    fn deref(&self) -> &Wire {
        &self.wire
    }
}

impl DerefMut for Http2 {
    fn deref_mut(&mut self) -> &mut Wire {
        &mut self.wire
    }
}

impl Http2 {
    /// Connects without TLS and says nothing yet.
    pub fn connect(address: SocketAddr) -> io::Result<Self> {
        Ok(Self::on(Wire::plain(connect(address)?)))
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
        Ok(Self::on(Wire::tls(stream)))
    }

    fn on(wire: Wire) -> Self {
        Self { wire, kept: Vec::new(), opens_windows: true }
    }

    /// Sends the preface with these settings, and without a dynamic table; waits for the other side's settings.
    pub fn greet(&mut self, settings: &[(u16, u32)]) -> io::Result<Frame> {
        let mut bytes = PREFACE.to_vec();
        let all = [&[(1, 0)], settings].concat();
        bytes.extend(Frame::new(kind::SETTINGS, 0, 0, settings_payload(&all)).bytes());
        self.send(&bytes)?;
        let theirs = self.next_frame()?.ok_or_else(|| io::Error::other("closed instead of settings"))?;
        if theirs.kind != kind::SETTINGS || theirs.has(flag::ACK) {
            return Err(io::Error::other(format!("no settings first but {theirs:?}")));
        }
        Ok(theirs)
    }

    /// Sends `GET path` and waits for what comes of it.
    pub fn get(&mut self, stream: u32, path: &str) -> io::Result<Answer> {
        self.head(stream, &get(path), true)?;
        self.answer(stream)
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
            let Some(frame) = self.next_frame()? else { break };
            if !self.belongs(&frame, stream, &mut answer)? && frame.stream != 0 {
                later.push(frame);
            }
        }
        self.kept = later;
        Ok(answer)
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
            kind::HEADERS => match self.wire.fields_of(frame)? {
                Some(fields) => answer.add(fields)?,
                None => return Ok(true),
            },
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
