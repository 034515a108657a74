//! Long bodies pass byte by byte as they were sent, in both modes and directions, and cost no memory.
//!
//! `EVENKEEL_BIG_BODY` says how long they are, in bytes; `cargo xtask big-body` runs them with 1 GiB.

use std::io::{BufReader, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::time::{Duration, Instant};

use evenkeel_testkit::{BOUND, free_address};

use crate::body::{Content, read_head};
use crate::memory::Memory;
use crate::site::Site;

/// The variable that says how long bodies are, in bytes.
const LENGTH: &str = "EVENKEEL_BIG_BODY";
const USUAL_LENGTH: u64 = 64 * 1024 * 1024;

fn length() -> u64 {
    std::env::var(LENGTH).map_or(USUAL_LENGTH, |text| text.parse().expect("a number of bytes"))
}

/// A site with one server, which the test is.
fn site(mode: &str) -> (Site, TcpListener, SocketAddr) {
    let server = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = free_address();
    let text = format!(
        "[global]\ncontrol-socket = \"${{CONTROL}}\"\n\
         [listener.files]\nbind = \"{address}\"\nmode = \"{mode}\"\npool = \"files\"\n\
         [pool.files.servers]\nfiles = \"{}\"\n",
        server.local_addr().unwrap()
    );
    (Site::of(&text, &[]), server, address)
}

fn bounded(stream: TcpStream) -> TcpStream {
    stream.set_read_timeout(Some(BOUND)).unwrap();
    stream.set_write_timeout(Some(BOUND)).unwrap();
    stream
}

/// Lets client and server talk over one connection through the site, and watches the memory of the proxy role.
fn exchange(
    what: &str,
    mode: &str,
    client: impl FnOnce(TcpStream) + Send,
    server: impl FnOnce(TcpStream) + Send,
) {
    let (site, listener, address) = site(mode);
    let memory = Memory::watch(site.role("proxy"));
    let begun = Instant::now();
    std::thread::scope(|scope| {
        scope.spawn(|| server(bounded(listener.accept().unwrap().0)));
        client(bounded(TcpStream::connect_timeout(&address, BOUND).unwrap()));
    });
    print_rate(what, begun.elapsed());
    memory.has_not_grown(what);
}

fn print_rate(what: &str, took: Duration) {
    println!("{what}: {} MiB in {took:.2?}", length() / 1024 / 1024);
}

#[derive(Clone, Copy)]
enum Coding {
    Length,
    Chunked,
}

impl Coding {
    fn field(self) -> String {
        match self {
            Self::Length => format!("Content-Length: {}", length()),
            Self::Chunked => "Transfer-Encoding: chunked".to_owned(),
        }
    }

    fn write(self, content: &Content, to: &mut impl Write) {
        match self {
            Self::Length => content.write(to, 0, length()).unwrap(),
            Self::Chunked => content.write_chunked(to, length()).unwrap(),
        }
    }

    fn check(self, content: &Content, from: &mut BufReader<TcpStream>) {
        match self {
            Self::Length => content.check(from, 0, length()).unwrap(),
            Self::Chunked => assert_eq!(content.check_chunked(from).unwrap(), length()),
        }
    }
}

fn download(what: &str, coding: Coding) {
    let content = Content::new();
    exchange(
        what,
        "http",
        |mut stream| {
            stream.write_all(b"GET /file HTTP/1.1\r\nHost: test.example\r\n\r\n").unwrap();
            let mut reader = BufReader::new(stream);
            let head = read_head(&mut reader).unwrap();
            assert!(head.starts_with("HTTP/1.1 200 OK\r\n") && head.contains(&coding.field()), "{head}");
            coding.check(&content, &mut reader);
        },
        |mut stream| {
            read_head(&mut BufReader::new(&stream)).unwrap();
            write!(stream, "HTTP/1.1 200 OK\r\n{}\r\n\r\n", coding.field()).unwrap();
            coding.write(&content, &mut stream);
        },
    );
}

fn upload(what: &str, coding: Coding) {
    let content = Content::new();
    exchange(
        what,
        "http",
        |mut stream| {
            write!(stream, "POST /file HTTP/1.1\r\nHost: test.example\r\n{}\r\n\r\n", coding.field())
                .unwrap();
            coding.write(&content, &mut stream);
            let head = read_head(&mut BufReader::new(stream)).unwrap();
            assert!(head.starts_with("HTTP/1.1 204 "), "{head}");
        },
        |stream| {
            let mut reader = BufReader::new(stream);
            let head = read_head(&mut reader).unwrap();
            assert!(head.contains(&coding.field()), "{head}");
            coding.check(&content, &mut reader);
            reader.get_mut().write_all(b"HTTP/1.1 204 No Content\r\n\r\n").unwrap();
        },
    );
}

#[test]
fn a_long_response_of_known_length_passes() {
    download("download with Content-Length", Coding::Length);
}

#[test]
fn a_long_chunked_response_passes() {
    download("chunked download", Coding::Chunked);
}

#[test]
fn a_long_request_of_known_length_passes() {
    upload("upload with Content-Length", Coding::Length);
}

#[test]
fn a_long_chunked_request_passes() {
    upload("chunked upload", Coding::Chunked);
}

#[test]
fn long_streams_pass_both_ways_at_once_in_tcp_mode() {
    let content = Content::new();
    let both = |stream: TcpStream| {
        let mut reader = stream.try_clone().unwrap();
        std::thread::scope(|scope| {
            scope.spawn(|| {
                content.check(&mut reader, 0, length()).unwrap();
                assert_eq!(reader.read(&mut [0]).unwrap(), 0, "nothing follows");
            });
            content.write(&mut &stream, 0, length()).unwrap();
            stream.shutdown(Shutdown::Write).unwrap();
        });
    };
    exchange("TCP both ways", "tcp", both, both);
}
