//! A toy web server for the demo: says its name, the request, and how often it was asked.
//!
//! It is no example of a web server: it reads heads, ignores bodies and closes after them.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use evenkeel_http::body::Framing;
use evenkeel_http::head::{HeadScan, RequestHead, parse_request};
use evenkeel_http::limits::Limits;

use crate::exit::Exit;

/// How long a connection may be silent.
const PATIENCE: Duration = Duration::from_secs(60);
/// Connections at once; more are closed.
const MOST_CONNECTIONS: usize = 512;

/// Serves until standard input ends.
pub(crate) fn serve(name: &str, address: SocketAddr) -> Exit {
    let listener = match TcpListener::bind(address) {
        Ok(listener) => listener,
        Err(error) => {
            eprintln!("error: toy server {name} cannot listen on {address}: {error}");
            return Exit::CannotStart;
        }
    };
    let requests = Arc::new(AtomicU64::new(0));
    let name: Arc<str> = name.into();
    std::thread::spawn(move || {
        let running = Arc::new(());
        for stream in listener.incoming().map_while(Result::ok) {
            if Arc::strong_count(&running) > MOST_CONNECTIONS {
                continue;
            }
            let (name, requests, running) = (name.clone(), requests.clone(), running.clone());
            std::thread::spawn(move || {
                let _counted = running;
                // A client that breaks off is nobody's failure.
                let _broken = answer(&name, stream, &requests);
            });
        }
    });
    let _ended = io::copy(&mut io::stdin(), &mut io::sink());
    Exit::Well
}

fn answer(name: &str, mut stream: TcpStream, requests: &AtomicU64) -> io::Result<()> {
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_nodelay(true)?;
    let limits = Limits::default();
    let (mut bytes, mut scan, mut head) = (Vec::new(), HeadScan::default(), RequestHead::default());
    loop {
        match parse_request(&bytes, &mut scan, &limits, &mut head) {
            Ok(None) => {
                let mut piece = [0; 4096];
                let count = stream.read(&mut piece)?;
                if count == 0 {
                    return Ok(());
                }
                bytes.extend_from_slice(&piece[..count]);
            }
            Ok(Some(length)) => {
                bytes.drain(..length);
                scan = HeadScan::default();
                let close = !head.persistent || head.framing != Framing::None;
                stream.write_all(&response(name, &head, requests, close))?;
                if close {
                    return Ok(());
                }
            }
            Err(_) => return Ok(()),
        }
    }
}

fn response(name: &str, head: &RequestHead, requests: &AtomicU64, close: bool) -> Vec<u8> {
    let method = String::from_utf8_lossy(head.method_text()).into_owned();
    let path = String::from_utf8_lossy(head.path()).into_owned();
    let count = requests.fetch_add(1, Ordering::Relaxed) + 1;
    let _closed = writeln!(io::stdout(), "{name} answered {method} {path}");
    let body = format!("{name} answers {method} {path} (its request {count})\n");
    let connection = if close { "Connection: close\r\n" } else { "" };
    let shown = if method == "HEAD" { "" } else { &body };
    format!(
        "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: {}\r\nX-Server: {name}\r\n{connection}\r\n{shown}",
        body.len()
    )
    .into_bytes()
}
