//! Who reads slowly is waited for, holds no memory, and keeps nobody else waiting.
//!
//! "Slowly" needs no clock here: the slow side reads a piece only after another client, on the same and only worker,
//! has had its answer.

use std::io::{BufReader, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicU64, Ordering};

use evenkeel_testkit::{BOUND, HttpClient, ToyServer, free_address};
use rustix::net::sockopt::set_socket_recv_buffer_size;

use crate::body::{Content, read_head};
use crate::memory::Memory;
use crate::site::Site;

const LENGTH: u64 = 64 * 1024 * 1024;
/// What the slow side reads at a time.
const PIECE: u64 = 1024 * 1024;
/// Answers that another client gets before the slow side reads at all.
const ANSWERS: usize = 200;

/// A site with one worker, a server that the test is, and a quick one.
struct Stage {
    site: Site,
    slow: TcpListener,
    slow_address: SocketAddr,
    quick: HttpClient,
    memory: Memory,
    _quick_server: ToyServer,
}

impl Stage {
    fn new(mode: &str) -> Self {
        let slow = TcpListener::bind("127.0.0.1:0").unwrap();
        let quick_server = ToyServer::named("quick");
        let (slow_address, quick_address) = (free_address(), free_address());
        let site = Site::of(
            &format!(
                "[global]\ncontrol-socket = \"${{CONTROL}}\"\nthreads = 1\n\
                 [listener.slow]\nbind = \"{slow_address}\"\nmode = \"{mode}\"\npool = \"slow\"\n\
                 [listener.quick]\nbind = \"{quick_address}\"\npool = \"quick\"\n\
                 [pool.slow.servers]\nslow = \"{}\"\n[pool.quick.servers]\nquick = \"{}\"\n",
                slow.local_addr().unwrap(),
                quick_server.address(),
            ),
            &[],
        );
        let memory = Memory::watch(site.role("proxy"));
        let quick = HttpClient::connect(quick_address).unwrap();
        Self { site, slow, slow_address, quick, memory, _quick_server: quick_server }
    }

    fn connect(&self) -> TcpStream {
        bounded(TcpStream::connect_timeout(&self.slow_address, BOUND).unwrap())
    }

    fn accept(&self) -> TcpStream {
        bounded(self.slow.accept().unwrap().0)
    }

    /// The other client gets so many answers.
    fn others_are_served(&mut self, count: usize) {
        for _ in 0..count {
            assert_eq!(self.quick.get("/").unwrap().text(), "quick");
        }
    }

    /// Sends a body from one end while the other reads it slowly.
    fn pass_slowly(mut self, what: &str, mut from: TcpStream, to: &mut BufReader<TcpStream>) {
        // Or the kernel would learn that the reader takes much at once, and hold ever more for it.
        set_socket_recv_buffer_size(to.get_ref(), 256 * 1024).unwrap();
        let content = Content::new();
        let sent = AtomicU64::new(0);
        std::thread::scope(|scope| {
            scope.spawn(|| {
                for at in (0..LENGTH).step_by(64 * 1024) {
                    content.write(&mut from, at, at + 64 * 1024).unwrap();
                    sent.fetch_add(64 * 1024, Ordering::Relaxed);
                }
            });
            self.others_are_served(ANSWERS);
            let mut most_ahead = sent.load(Ordering::Relaxed);
            for at in (0..LENGTH).step_by(usize::try_from(PIECE).unwrap()) {
                content.check(to, at, at + PIECE).unwrap();
                self.others_are_served(1);
                most_ahead = most_ahead.max(sent.load(Ordering::Relaxed).saturating_sub(at + PIECE));
            }
            println!("{what}: the sender was at most {} KiB ahead of the reader", most_ahead / 1024);
            // What is under way lies in the kernel's buffers, whose sizes are bounded (tcp_rmem, tcp_wmem).
            assert!(most_ahead < LENGTH / 4 * 3, "{what}: {most_ahead} bytes ahead");
        });
        self.memory.has_not_grown(what);
        assert_eq!(self.site.status()["roles"][0]["restarts"], 0);
    }
}

/// Waits longer than usual for progress, because the slow side makes none for a while.
fn bounded(stream: TcpStream) -> TcpStream {
    stream.set_read_timeout(Some(BOUND * 2)).unwrap();
    stream.set_write_timeout(Some(BOUND * 2)).unwrap();
    stream
}

#[test]
fn a_client_that_reads_a_response_slowly_holds_its_server_back() {
    let stage = Stage::new("http");
    let mut client = stage.connect();
    client.write_all(b"GET / HTTP/1.1\r\nHost: test.example\r\n\r\n").unwrap();
    let mut server = stage.accept();
    read_head(&mut BufReader::new(&server)).unwrap();
    write!(server, "HTTP/1.1 200 OK\r\nContent-Length: {LENGTH}\r\n\r\n").unwrap();
    let mut client = BufReader::new(client);
    read_head(&mut client).unwrap();
    stage.pass_slowly("a slow client", server, &mut client);
}

#[test]
fn a_server_that_reads_a_request_slowly_holds_its_client_back() {
    let stage = Stage::new("http");
    let mut client = stage.connect();
    write!(client, "POST / HTTP/1.1\r\nHost: test.example\r\nContent-Length: {LENGTH}\r\n\r\n").unwrap();
    let mut server = BufReader::new(stage.accept());
    read_head(&mut server).unwrap();
    stage.pass_slowly("a slow server", client, &mut server);
}

#[test]
fn a_slow_reader_in_tcp_mode_holds_the_sender_back() {
    let stage = Stage::new("tcp");
    let client = stage.connect();
    let server = stage.accept();
    stage.pass_slowly("a slow client of TCP", server, &mut BufReader::new(client));
}
