//! A connection that carries frames, for either side of it.

use std::io::{self, Read, Write};
use std::net::{Shutdown, TcpStream};

use rustls::{ClientConnection, StreamOwned};

use super::{End, Fields, Frame, flag, hpack, kind};

enum Socket {
    Plain(TcpStream),
    Tls(Box<StreamOwned<ClientConnection, TcpStream>>),
}

/// One connection: writes what it is told, and reads frame by frame.
pub struct Wire {
    socket: Socket,
    ahead: Vec<u8>,
}

impl Wire {
    pub(super) fn plain(stream: TcpStream) -> Self {
        Self { socket: Socket::Plain(stream), ahead: Vec::new() }
    }

    pub(super) fn tls(stream: StreamOwned<ClientConnection, TcpStream>) -> Self {
        Self { socket: Socket::Tls(Box::new(stream)), ahead: Vec::new() }
    }

    fn stream(&self) -> &TcpStream {
        match &self.socket {
            Socket::Plain(stream) => stream,
            Socket::Tls(stream) => &stream.sock,
        }
    }

    /// Sends these bytes.
    pub fn send(&mut self, bytes: impl AsRef<[u8]>) -> io::Result<()> {
        match &mut self.socket {
            Socket::Plain(stream) => stream.write_all(bytes.as_ref()),
            Socket::Tls(stream) => {
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

    /// Sends these frames at once.
    pub fn frames(&mut self, frames: &[Frame]) -> io::Result<()> {
        self.send(frames.iter().flat_map(Frame::bytes).collect::<Vec<_>>())
    }

    /// The next frame; `None` when the other side has closed the connection, in whichever way. A PING and SETTINGS are
    /// answered.
    pub fn next_frame(&mut self) -> io::Result<Option<Frame>> {
        let frame = self.read_frame()?;
        if let Some(frame) = &frame
            && (frame.kind == kind::PING || frame.kind == kind::SETTINGS)
            && !frame.has(flag::ACK)
        {
            let answer = if frame.kind == kind::PING { frame.payload.clone() } else { Vec::new() };
            // Whether it is still there is seen by reading.
            let _gone = self.frame(frame.kind, flag::ACK, 0, answer);
        }
        Ok(frame)
    }

    /// As [`Self::next_frame`], but nothing is answered.
    pub fn read_frame(&mut self) -> io::Result<Option<Frame>> {
        let Some(header) = self.take(9)? else { return Ok(None) };
        let length = u32::from_be_bytes([0, header[0], header[1], header[2]]);
        let length = usize::try_from(length).map_err(io::Error::other)?;
        let stream = u32::from_be_bytes([header[5], header[6], header[7], header[8]]);
        let Some(payload) = self.take(length)? else { return Ok(None) };
        Ok(Some(Frame { kind: header[3], flags: header[4], stream, payload }))
    }

    /// Waits for the next frame of this kind, and forgets the others.
    pub fn wait_for(&mut self, kind: u8) -> io::Result<Option<Frame>> {
        loop {
            match self.next_frame()? {
                Some(frame) if frame.kind != kind => {}
                found => return Ok(found),
            }
        }
    }

    /// Reads until the other side closes; what it said of the whole connection last.
    pub fn closed(&mut self) -> io::Result<End> {
        let mut end = End::Closed;
        while let Some(frame) = self.next_frame()? {
            if frame.kind == kind::GOAWAY {
                end = End::GoAway(frame.number(4));
            }
        }
        Ok(end)
    }

    /// Ends the connection from this side without a word.
    pub fn hang_up(&mut self) {
        let _gone = self.stream().shutdown(Shutdown::Both);
    }

    /// The fields of a head whose HEADERS were read, with those of the CONTINUATION frames that follow; `None` when the
    /// other side closes meanwhile.
    pub(super) fn fields_of(&mut self, headers: &Frame) -> io::Result<Option<Fields>> {
        let mut block = headers.payload.clone();
        let mut whole = headers.has(flag::END_HEADERS);
        while !whole {
            let Some(more) = self.next_frame()? else { return Ok(None) };
            if more.kind != kind::CONTINUATION || more.stream != headers.stream {
                return Err(io::Error::other(format!("a head is interrupted by {more:?}")));
            }
            block.extend_from_slice(&more.payload);
            whole = more.has(flag::END_HEADERS);
        }
        hpack::read(&block).map(Some)
    }

    /// The next so many bytes; `None` when the other side has closed the connection before.
    pub(super) fn take(&mut self, length: usize) -> io::Result<Option<Vec<u8>>> {
        while self.ahead.len() < length {
            let mut buffer = [0; 32 * 1024];
            let read = match &mut self.socket {
                Socket::Plain(stream) => stream.read(&mut buffer),
                Socket::Tls(stream) => stream.read(&mut buffer),
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
