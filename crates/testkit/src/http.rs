//! A tiny blocking HTTP/1.1 client that sends exactly the bytes it is told, so that tests can be wrong on purpose.
//!
//! It shares no code with the program under test: a mistake made twice would hide itself.

use std::io::{self, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};

use crate::BOUND;

/// One connection to a server.
pub struct HttpClient {
    stream: TcpStream,
    /// What was read beyond the last response.
    ahead: Vec<u8>,
}

/// One response.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Response {
    /// `200` and the like.
    pub status: u16,
    /// The first line, without its line end.
    pub status_line: String,
    /// Names as they were sent, and values without surrounding blanks, in order.
    pub headers: Vec<(String, String)>,
    /// The content, with a chunked coding taken away.
    pub body: Vec<u8>,
    /// Fields after a chunked body.
    pub trailers: Vec<(String, String)>,
    /// The body ended with the connection.
    pub until_close: bool,
}

impl Response {
    /// The value of the first field of this name, in any case.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        let mut all = self.headers.iter();
        all.find(|(other, _)| other.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
    }

    /// The body as text, with invalid UTF-8 replaced.
    #[must_use]
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }
}

/// Connects. Every read and write fails after [`BOUND`] without progress, and nothing waits to be sent.
pub(crate) fn connect(address: SocketAddr) -> io::Result<TcpStream> {
    let stream = TcpStream::connect_timeout(&address, BOUND)?;
    bounded(&stream)?;
    Ok(stream)
}

/// The same for a connection that is open.
pub(crate) fn bounded(stream: &TcpStream) -> io::Result<()> {
    stream.set_read_timeout(Some(BOUND))?;
    stream.set_write_timeout(Some(BOUND))?;
    stream.set_nodelay(true)
}

impl HttpClient {
    /// Opens a connection. Every read and write fails after [`BOUND`] without progress.
    pub fn connect(address: SocketAddr) -> io::Result<Self> {
        Ok(Self { stream: connect(address)?, ahead: Vec::new() })
    }

    /// The connection itself; what the client has read ahead is not seen there.
    #[must_use]
    pub fn stream(&self) -> &TcpStream {
        &self.stream
    }

    /// Sends these bytes and nothing else.
    pub fn send(&mut self, bytes: impl AsRef<[u8]>) -> io::Result<()> {
        self.stream.write_all(bytes.as_ref())
    }

    /// Says that nothing more will be sent; responses can still be read.
    pub fn finish(&mut self) -> io::Result<()> {
        self.stream.shutdown(Shutdown::Write)
    }

    /// Reads the final response to a request that was sent; interim ones (1xx, except 101) are passed over.
    pub fn response(&mut self) -> io::Result<Response> {
        self.next_final(false)
    }

    /// As [`Self::response`], to a HEAD request: there is no body, whatever the head says.
    pub fn response_to_head(&mut self) -> io::Result<Response> {
        self.next_final(true)
    }

    /// Reads the next response even if it is an interim one.
    pub fn any_response(&mut self) -> io::Result<Response> {
        self.read_response(false)
    }

    /// Sends `GET path` with a host, and reads the response.
    pub fn get(&mut self, path: &str) -> io::Result<Response> {
        self.send(format!("GET {path} HTTP/1.1\r\nHost: test.example\r\n\r\n"))?;
        self.response()
    }

    /// Reads exactly so many raw bytes.
    pub fn read_raw(&mut self, length: usize) -> io::Result<Vec<u8>> {
        while self.ahead.len() < length {
            if self.fill()? == 0 {
                return Err(ended("the bytes asked for"));
            }
        }
        Ok(self.ahead.drain(..length).collect())
    }

    /// Reads everything until the other side closes.
    pub fn read_until_close(&mut self) -> io::Result<Vec<u8>> {
        while self.fill()? > 0 {}
        Ok(std::mem::take(&mut self.ahead))
    }

    /// Waits for the other side to close, cleanly or by reset, and says whether nothing more was sent before.
    pub fn closed_silently(&mut self) -> bool {
        self.ahead.is_empty()
            && match self.fill() {
                Ok(length) => length == 0,
                Err(error) => error.kind() == io::ErrorKind::ConnectionReset,
            }
    }

    fn next_final(&mut self, to_head: bool) -> io::Result<Response> {
        loop {
            let response = self.read_response(to_head)?;
            if response.status >= 200 || response.status == 101 {
                return Ok(response);
            }
        }
    }

    fn read_response(&mut self, to_head: bool) -> io::Result<Response> {
        let status_line = self.line()?;
        let status = status_line
            .strip_prefix("HTTP/1.")
            .and_then(|rest| rest.get(2..5)?.parse().ok())
            .ok_or_else(|| invalid(format!("no status line: {status_line:?}")))?;
        let headers = self.fields()?;
        let mut response = Response {
            status,
            status_line,
            headers,
            body: Vec::new(),
            trailers: Vec::new(),
            until_close: false,
        };
        if to_head || status < 200 || status == 204 || status == 304 {
            return Ok(response);
        }
        if response.header("transfer-encoding").is_some_and(|coding| coding.eq_ignore_ascii_case("chunked")) {
            response.body = self.chunks()?;
            response.trailers = self.fields()?;
        } else if let Some(length) = response.header("content-length") {
            let length = length.parse().map_err(|_| invalid(format!("no content length: {length:?}")))?;
            response.body = self.read_raw(length)?;
        } else {
            response.body = self.read_until_close()?;
            response.until_close = true;
        }
        Ok(response)
    }

    fn chunks(&mut self) -> io::Result<Vec<u8>> {
        let mut body = Vec::new();
        loop {
            let line = self.line()?;
            let digits = line.split(';').next().unwrap_or_default().trim();
            let length =
                usize::from_str_radix(digits, 16).map_err(|_| invalid(format!("no chunk size: {line:?}")))?;
            if length == 0 {
                return Ok(body);
            }
            body.extend(self.read_raw(length)?);
            let end = self.read_raw(2)?;
            if end != b"\r\n" {
                return Err(invalid(format!("a chunk ends with {end:?}")));
            }
        }
    }

    fn fields(&mut self) -> io::Result<Vec<(String, String)>> {
        let mut fields = Vec::new();
        loop {
            let line = self.line()?;
            if line.is_empty() {
                return Ok(fields);
            }
            let (name, value) = line.split_once(':').ok_or_else(|| invalid(format!("no field: {line:?}")))?;
            fields.push((name.to_owned(), value.trim_matches([' ', '\t']).to_owned()));
        }
    }

    fn line(&mut self) -> io::Result<String> {
        let mut looked_at = 0;
        loop {
            if let Some(found) = self.ahead[looked_at..].iter().position(|&byte| byte == b'\n') {
                let mut line: Vec<u8> = self.ahead.drain(..=looked_at + found).collect();
                line.pop();
                if line.pop_if(|byte| *byte == b'\r').is_none() {
                    return Err(invalid(format!("a line without CR: {:?}", String::from_utf8_lossy(&line))));
                }
                return Ok(String::from_utf8_lossy(&line).into_owned());
            }
            looked_at = self.ahead.len();
            if self.fill()? == 0 {
                return Err(ended("the end of a line"));
            }
        }
    }

    fn fill(&mut self) -> io::Result<usize> {
        let mut buffer = [0; 64 * 1024];
        let length = read(&mut self.stream, &mut buffer)?;
        self.ahead.extend_from_slice(&buffer[..length]);
        Ok(length)
    }
}

/// Opens a connection, sends `bytes` and returns all that comes back until the other side closes.
pub fn raw(address: SocketAddr, bytes: impl AsRef<[u8]>) -> io::Result<Vec<u8>> {
    let mut client = HttpClient::connect(address)?;
    client.send(bytes)?;
    client.read_until_close()
}

fn invalid(why: String) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, why)
}

fn ended(before: &str) -> io::Error {
    io::Error::new(io::ErrorKind::UnexpectedEof, format!("the connection ended before {before}"))
}

/// Reads once. The end of a child of this process may interrupt a read that has a timeout: it is begun again.
pub(crate) fn read(stream: &mut TcpStream, buffer: &mut [u8]) -> io::Result<usize> {
    loop {
        match stream.read(buffer) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            read => return read,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ToyServer;

    fn answering(bytes: &'static [u8]) -> ToyServer {
        ToyServer::start(move |mut connection| {
            connection.read_head().unwrap();
            connection.write(bytes).unwrap();
        })
    }

    #[test]
    fn every_way_a_body_can_end_is_read() {
        let sized = answering(b"HTTP/1.1 200 OK\r\nX-A:  b \r\nContent-Length: 2\r\n\r\nhi");
        let response = HttpClient::connect(sized.address()).unwrap().get("/").unwrap();
        assert_eq!((response.status, response.text(), response.header("x-a")), (200, "hi".into(), Some("b")));

        let chunked = answering(
            b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n\
              2\r\nhi\r\nA;x=y\r\n0123456789\r\n0\r\nT: v\r\n\r\n",
        );
        let response = HttpClient::connect(chunked.address()).unwrap().get("/").unwrap();
        assert_eq!(response.text(), "hi0123456789");
        assert_eq!(response.trailers, [("T".to_owned(), "v".to_owned())]);

        let closed = answering(b"HTTP/1.0 404 Not Found\r\n\r\ngone");
        let response = HttpClient::connect(closed.address()).unwrap().get("/").unwrap();
        assert_eq!((response.status, response.until_close, response.text()), (404, true, "gone".into()));
    }

    #[test]
    fn a_body_that_is_cut_is_an_error() {
        let cut = answering(b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nhi");
        let error = HttpClient::connect(cut.address()).unwrap().get("/").unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::UnexpectedEof);
    }

    #[test]
    fn responses_on_one_connection_are_told_apart() {
        let server = answering(
            b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\naHTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nb",
        );
        let mut client = HttpClient::connect(server.address()).unwrap();
        assert_eq!(client.get("/").unwrap().text(), "a");
        assert_eq!(client.response().unwrap().text(), "b");
        assert!(client.closed_silently());
    }

    #[test]
    fn raw_bytes_come_back_as_they_are() {
        let server = answering(b"anything at all");
        assert_eq!(raw(server.address(), "x\r\n\r\n").unwrap(), b"anything at all");
        assert_eq!(server.received(), [b"x\r\n\r\n"]);
    }
}
