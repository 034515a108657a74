//! A server of HTTP/1.1 that does what the path says.

use std::io;

use evenkeel_testkit::{Connection, ToyServer};

/// Starts it.
pub(super) fn start() -> ToyServer {
    ToyServer::start(|mut connection| while let Ok(true) = serve(&mut connection) {})
}

/// `/` `hello` · `/bytes/N` N bytes · `/echo` what came, with its trailers · `/early` an answer before the content is read ·
/// `/break` a response that breaks · `/stuck` nothing · `/status/N` · `/hints` · `/cookies` · `/slow` head, then waits for
/// the end of the connection.
fn serve(connection: &mut Connection) -> io::Result<bool> {
    let head = connection.read_head()?;
    let target = head.split(' ').nth(1).unwrap_or_default().trim_start_matches('/');
    let (what, argument) = target.split_once('/').unwrap_or((target, ""));
    let number = argument.parse().unwrap_or(0usize);
    let method = head.split(' ').next().unwrap_or_default();
    match what {
        "early" => {
            connection.write("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nearly")?;
            connection.read_to_end()?;
            return Ok(false);
        }
        "stuck" => {
            // Dropped with the server.
            std::thread::park();
            return Ok(false);
        }
        "hold" => {
            connection.read_to_end()?;
            return Ok(false);
        }
        _ => {}
    }
    if head.to_ascii_lowercase().contains("\r\nexpect: 100-continue\r\n") {
        connection.write("HTTP/1.1 100 Continue\r\n\r\n")?;
    }
    let (content, trailers) = content(connection, &head)?;
    match what {
        "bytes" => {
            connection.write(format!("HTTP/1.1 200 OK\r\nContent-Length: {number}\r\n\r\n"))?;
            if method != "HEAD" {
                connection.write(pattern(number))?;
            }
        }
        "echo" => {
            connection.write("HTTP/1.1 200 OK\r\nTrailer: x-sum\r\nTransfer-Encoding: chunked\r\n\r\n")?;
            if !content.is_empty() {
                connection.write(format!("{:x}\r\n", content.len()))?;
                connection.write(&content)?;
                connection.write("\r\n")?;
            }
            connection.write(format!("0\r\n{trailers}x-length: {}\r\n\r\n", content.len()))?;
        }
        "break" => {
            connection.write("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nbegin")?;
            return Ok(false);
        }
        "break-chunks" => {
            connection.write("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nbegin\r\n")?;
            return Ok(false);
        }
        "slow" => {
            connection.write("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nbegin")?;
            connection.read_to_end()?;
            return Ok(false);
        }
        "status" => {
            connection.write(format!("HTTP/1.1 {number} Said\r\nETag: \"a\"\r\n{}\r\n", length_of(number)))?;
        }
        "hints" => connection.write(
            "HTTP/1.1 103 Early Hints\r\nLink: </a.css>\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok",
        )?,
        "cookies" => {
            let cookies = head.lines().filter(|line| line.to_ascii_lowercase().starts_with("cookie: "));
            let all: Vec<&str> = cookies.collect();
            let text = all.join("\n");
            connection.write(format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{text}", text.len()))?;
        }
        _ => connection.write("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello")?,
    }
    Ok(true)
}

fn length_of(status: usize) -> &'static str {
    if status == 204 || status == 304 { "" } else { "Content-Length: 0\r\n" }
}

/// Bytes that tell when one is lost or moved.
pub(super) fn pattern(length: usize) -> Vec<u8> {
    (0..length).map(|place| u8::try_from(place * 7 % 251).unwrap()).collect()
}

/// The content of a request and its trailers, as lines.
fn content(connection: &mut Connection, head: &str) -> io::Result<(Vec<u8>, String)> {
    let lower = head.to_ascii_lowercase();
    if let Some(length) = lower.split("\r\ncontent-length: ").nth(1) {
        let length = length.lines().next().unwrap_or_default().parse().map_err(io::Error::other)?;
        return Ok((connection.read_exact(length)?, String::new()));
    }
    let (mut content, mut trailers) = (Vec::new(), String::new());
    if lower.contains("\r\ntransfer-encoding: chunked\r\n") {
        loop {
            let length = usize::from_str_radix(&line(connection)?, 16).map_err(io::Error::other)?;
            if length == 0 {
                break;
            }
            content.extend(connection.read_exact(length)?);
            connection.read_exact(2)?;
        }
        loop {
            let line = line(connection)?;
            if line.is_empty() {
                break;
            }
            trailers += &(line + "\r\n");
        }
    }
    Ok((content, trailers))
}

fn line(connection: &mut Connection) -> io::Result<String> {
    let mut line = Vec::new();
    while !line.ends_with(b"\r\n") {
        line.extend(connection.read_exact(1)?);
    }
    line.truncate(line.len() - 2);
    String::from_utf8(line).map_err(io::Error::other)
}
