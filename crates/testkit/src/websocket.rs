//! WebSocket on raw frames (RFC 6455): enough of a client and an echo server to see a tunnel live or die.

use std::io::{self, Read as _, Write as _};
use std::net::SocketAddr;

use base64::Engine as _;
use sha1::{Digest as _, Sha1};

use crate::{Connection, ToyServer};

/// The example key of RFC 6455 §1.3; tests need no secret one.
const KEY: &str = "dGhlIHNhbXBsZSBub25jZQ==";
/// RFC 6455 §1.3.
const GUID: &str = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";
/// A client masks what it sends (§5.3); tests need no unpredictable mask.
const MASK: [u8; 4] = [0x37, 0xfa, 0x21, 0x3d];

/// One whole message or control frame (§5.2).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Frame {
    /// A text message.
    Text(String),
    /// A binary message.
    Binary(Vec<u8>),
    /// A ping.
    Ping(Vec<u8>),
    /// A pong.
    Pong(Vec<u8>),
    /// The end.
    Close(Vec<u8>),
}

/// Whatever bytes go over.
pub trait Bytes: io::Read + io::Write + Send {}

impl<T: io::Read + io::Write + Send> Bytes for T {}

/// A client's connection.
pub struct WebSocket {
    stream: Box<dyn Bytes>,
}

impl WebSocket {
    /// Connects and upgrades; an answer other than a right 101 is an error with its status line. Every read and write fails
    /// after [`crate::BOUND`] without progress.
    pub fn connect(address: SocketAddr, path: &str) -> io::Result<Self> {
        Self::over(crate::http::connect(address)?, path)
    }

    /// The same over a connection that is open, such as one with TLS.
    pub fn over(stream: impl Bytes + 'static, path: &str) -> io::Result<Self> {
        let mut stream = Box::new(stream);
        stream.write_all(
            format!(
                "GET {path} HTTP/1.1\r\nHost: test.example\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
                 Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {KEY}\r\n\r\n"
            )
            .as_bytes(),
        )?;
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            let mut byte = [0];
            stream.read_exact(&mut byte)?;
            head.push(byte[0]);
        }
        let head = String::from_utf8_lossy(&head);
        if !is_right(&head) {
            let status = head.lines().next().unwrap_or_default();
            return Err(io::Error::other(format!("no upgrade: {status}")));
        }
        Ok(Self { stream })
    }

    /// Sends a frame, masked as a client must.
    pub fn send(&mut self, frame: &Frame) -> io::Result<()> {
        self.stream.write_all(&encode(frame, Some(MASK)))?;
        self.stream.flush()
    }

    /// Waits for the next frame.
    pub fn receive(&mut self) -> io::Result<Frame> {
        receive(&mut |length| {
            let mut bytes = vec![0; length];
            self.stream.read_exact(&mut bytes).map(|()| bytes)
        })
    }

    /// Sends a text and returns the text that comes back.
    pub fn echo(&mut self, text: &str) -> io::Result<String> {
        self.send(&Frame::Text(text.to_owned()))?;
        match self.receive()? {
            Frame::Text(text) => Ok(text),
            other => Err(io::Error::other(format!("no text but {other:?}"))),
        }
    }
}

/// The right answer to a `Sec-WebSocket-Key` (§4.2.2).
#[must_use]
pub fn accept_key(key: &str) -> String {
    base64::engine::general_purpose::STANDARD.encode(Sha1::digest(format!("{key}{GUID}")))
}

/// A server that upgrades each connection and sends every message back; a close is answered and ends it.
#[must_use]
pub fn websocket_echo() -> ToyServer {
    ToyServer::start(|mut connection| {
        // The client's end, orderly or not, is the end of the echo.
        let _ = echo_until_close(&mut connection);
    })
}

fn echo_until_close(connection: &mut Connection) -> io::Result<()> {
    let head = connection.read_head()?;
    let key = head
        .lines()
        .filter_map(|line| line.split_once(':'))
        .find(|(name, _)| name.eq_ignore_ascii_case("sec-websocket-key"))
        .map(|(_, value)| value.trim());
    let Some(key) = key else {
        return connection
            .write("HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
    };
    connection.write(format!(
        "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
         Sec-WebSocket-Accept: {}\r\n\r\n",
        accept_key(key)
    ))?;
    loop {
        let frame = receive(&mut |length| connection.read_exact(length))?;
        let answer = if let Frame::Ping(data) = frame { Frame::Pong(data) } else { frame };
        connection.write(encode(&answer, None))?;
        if matches!(answer, Frame::Close(_)) {
            return Ok(());
        }
    }
}

/// Whether a head accepts the upgrade.
fn is_right(head: &str) -> bool {
    let has = |name: &str, wanted: &str| {
        let value = |line: &str| {
            let (field, value) = line.split_once(':')?;
            field
                .eq_ignore_ascii_case(name)
                .then(|| value.trim() == wanted || value.trim().to_lowercase() == wanted)
        };
        head.lines().find_map(value) == Some(true)
    };
    head.starts_with("HTTP/1.1 101 ")
        && has("upgrade", "websocket")
        && has("sec-websocket-accept", &accept_key(KEY))
}

fn encode(frame: &Frame, mask: Option<[u8; 4]>) -> Vec<u8> {
    let (opcode, data): (u8, &[u8]) = match frame {
        Frame::Text(text) => (1, text.as_bytes()),
        Frame::Binary(data) => (2, data),
        Frame::Close(data) => (8, data),
        Frame::Ping(data) => (9, data),
        Frame::Pong(data) => (10, data),
    };
    let masked = if mask.is_some() { 0x80 } else { 0 };
    let mut bytes = vec![0x80 | opcode];
    if let Ok(length @ 0..=125) = u8::try_from(data.len()) {
        bytes.push(masked | length);
    } else if let Ok(length) = u16::try_from(data.len()) {
        bytes.push(masked | 126);
        bytes.extend(length.to_be_bytes());
    } else {
        bytes.push(masked | 127);
        bytes.extend((data.len() as u64).to_be_bytes());
    }
    bytes.extend(mask.into_iter().flatten());
    let mask = mask.unwrap_or_default();
    bytes.extend(data.iter().zip(mask.iter().cycle()).map(|(byte, mask)| byte ^ mask));
    bytes
}

fn receive(read: &mut impl FnMut(usize) -> io::Result<Vec<u8>>) -> io::Result<Frame> {
    let start = read(2)?;
    let length = match start[1] & 0x7f {
        126 => read(2)?.into_iter().fold(0, |sum, byte| sum << 8 | u64::from(byte)),
        127 => read(8)?.into_iter().fold(0, |sum, byte| sum << 8 | u64::from(byte)),
        short => u64::from(short),
    };
    let mask = if start[1] & 0x80 == 0 { vec![0; 4] } else { read(4)? };
    let length = usize::try_from(length).map_err(io::Error::other)?;
    let data: Vec<u8> =
        read(length)?.into_iter().zip(mask.into_iter().cycle()).map(|(byte, mask)| byte ^ mask).collect();
    match start[0] {
        0x81 => String::from_utf8(data).map(Frame::Text).map_err(io::Error::other),
        0x82 => Ok(Frame::Binary(data)),
        0x88 => Ok(Frame::Close(data)),
        0x89 => Ok(Frame::Ping(data)),
        0x8a => Ok(Frame::Pong(data)),
        other => Err(io::Error::other(format!("a frame that starts with {other:#x}"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_accept_key_is_that_of_the_rfc() {
        // RFC 6455 §1.3.
        assert_eq!(accept_key(KEY), "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
    }

    #[test]
    fn frames_are_those_of_the_rfc() {
        // RFC 6455 §5.7: a masked and an unmasked "Hello", and 256 bytes of data.
        let hello = Frame::Text("Hello".to_owned());
        let masked = [0x81, 0x85, 0x37, 0xfa, 0x21, 0x3d, 0x7f, 0x9f, 0x4d, 0x51, 0x58];
        assert_eq!(encode(&hello, Some(MASK)), masked);
        assert_eq!(encode(&hello, None), [0x81, 0x05, 0x48, 0x65, 0x6c, 0x6c, 0x6f]);
        assert_eq!(encode(&Frame::Binary(vec![0; 256]), None)[..4], [0x82, 0x7e, 0x01, 0x00]);
    }

    #[test]
    fn messages_of_every_length_come_back() {
        let server = websocket_echo();
        let mut socket = WebSocket::connect(server.address(), "/chat").unwrap();
        for length in [0, 5, 125, 126, 65_535, 65_536] {
            let text = "x".repeat(length);
            assert_eq!(socket.echo(&text).unwrap(), text);
        }
        socket.send(&Frame::Ping(b"p".to_vec())).unwrap();
        assert_eq!(socket.receive().unwrap(), Frame::Pong(b"p".to_vec()));
        socket.send(&Frame::Close(Vec::new())).unwrap();
        assert_eq!(socket.receive().unwrap(), Frame::Close(Vec::new()));
        assert!(socket.receive().is_err());
    }

    #[test]
    fn an_answer_without_upgrade_is_an_error() {
        let server = ToyServer::named("no websocket");
        let error = WebSocket::connect(server.address(), "/").err().unwrap();
        assert!(error.to_string().contains("200 OK"), "{error}");
    }
}
