//! Long bodies pass byte by byte as they were sent, in both modes and directions, and cost no memory.
//!
//! `EVENKEEL_BIG_BODY` says how long they are, in bytes; `cargo xtask big-body` runs them with 1 GiB.

use std::fs::Permissions;
use std::io::{BufReader, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::{UnixListener, UnixStream};
use std::time::Instant;

use evenkeel_testkit::{BOUND, free_address, temp_dir};

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
    println!("{what}: {} MiB in {:.2?}", length() / 1024 / 1024, begun.elapsed());
    memory.has_not_grown(what);
}

#[derive(Clone, Copy)]
enum Coding {
    Length,
    Chunked,
    /// The body ends with its connection; of responses only.
    UntilClose,
}

impl Coding {
    fn field(self) -> String {
        match self {
            Self::Length => format!("Content-Length: {}", length()),
            Self::Chunked => "Transfer-Encoding: chunked".to_owned(),
            Self::UntilClose => "Connection: close".to_owned(),
        }
    }

    fn write(self, content: &Content, to: &mut impl Write) {
        match self {
            Self::Length | Self::UntilClose => content.write(to, 0, length()).unwrap(),
            Self::Chunked => content.write_chunked(to, length()).unwrap(),
        }
    }

    fn check(self, content: &Content, from: &mut BufReader<TcpStream>) {
        match self {
            Self::Length => content.check(from, 0, length()).unwrap(),
            Self::Chunked => assert_eq!(content.check_chunked(from).unwrap(), length()),
            Self::UntilClose => {
                content.check(from, 0, length()).unwrap();
                assert_eq!(from.read(&mut [0]).unwrap(), 0, "nothing follows");
            }
        }
    }
}

fn download(what: &str, coding: Coding) {
    let content = Content::new();
    exchange(
        what,
        "http",
        |mut stream| {
            // As HTTP/1.0, the response to which ends as the server's does.
            let version = if matches!(coding, Coding::UntilClose) { "1.0" } else { "1.1" };
            write!(stream, "GET /file HTTP/{version}\r\nHost: test.example\r\n\r\n").unwrap();
            let mut reader = BufReader::new(stream);
            let head = read_head(&mut reader).unwrap();
            assert!(head.starts_with("HTTP/1.1 200 OK\r\n"), "{head}");
            assert!(matches!(coding, Coding::UntilClose) || head.contains(&coding.field()), "{head}");
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
fn a_long_response_that_ends_with_its_connection_passes() {
    download("close-delimited download", Coding::UntilClose);
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
fn a_long_response_passes_from_a_unix_socket_to_a_unix_socket() {
    let directory = temp_dir();
    let [here, there] = ["listener.sock", "server.sock"].map(|name| directory.path().join(name));
    let listener = UnixListener::bind(&there).unwrap();
    // The proxy role may be another user.
    std::fs::set_permissions(&there, Permissions::from_mode(0o666)).unwrap();
    let site = Site::of(
        &format!(
            "[global]\ncontrol-socket = \"${{CONTROL}}\"\n\
             [listener.files]\nbind = \"unix:{}\"\npool = \"files\"\n\
             [pool.files.servers]\nfiles = \"unix:{}\"\n",
            here.display(),
            there.display(),
        ),
        &[],
    );
    let memory = Memory::watch(site.role("proxy"));
    let content = Content::new();
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let (mut stream, _) = listener.accept().unwrap();
            read_head(&mut BufReader::new(&stream)).unwrap();
            write!(stream, "HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", length()).unwrap();
            content.write(&mut stream, 0, length()).unwrap();
        });
        let mut stream = UnixStream::connect(&here).unwrap();
        stream.set_read_timeout(Some(BOUND)).unwrap();
        stream.write_all(b"GET /file HTTP/1.1\r\nHost: test.example\r\n\r\n").unwrap();
        let mut reader = BufReader::new(stream);
        read_head(&mut reader).unwrap();
        content.check(&mut reader, 0, length()).unwrap();
    });
    memory.has_not_grown("download over unix sockets");
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
