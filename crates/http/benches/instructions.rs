//! What heads cost: to parse them and to write them anew, in instructions.
//!
//! `cargo xtask instructions` runs this under valgrind, which counts what happens within `measured_rounds`; the count is the
//! same whatever else the machine does. By itself it only says which cases there are.

#![expect(clippy::print_stdout, reason = "a report")]
#![allow(clippy::unwrap_used, clippy::panic, reason = "a bench that cannot go on ends")]

use std::hint::black_box;

use evenkeel_http::head::{
    HeadScan, Method, RequestHead, ResponseHead, Version, parse_request, parse_response,
};
use evenkeel_http::limits::Limits;
use evenkeel_http::rewrite::{self, ToClient, ToServer};

/// Rounds that one run counts.
const ROUNDS: u32 = 1000;

/// What a load generator sends.
const SMALL_REQUEST: &[u8] = b"GET /small HTTP/1.1\r\nHost: www.example.com\r\n\r\n";
/// What a browser sends.
const BROWSER_REQUEST: &[u8] = b"GET /articles/2026/11/load-balancing?page=2&sort=date HTTP/1.1\r\n\
    Host: www.example.com\r\nConnection: keep-alive\r\nCache-Control: max-age=0\r\n\
    User-Agent: Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/156.0.0.0 Safari/537.36\r\n\
    Accept: text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,*/*;q=0.8\r\n\
    Sec-Fetch-Site: same-origin\r\nSec-Fetch-Mode: navigate\r\nSec-Fetch-Dest: document\r\n\
    Referer: https://www.example.com/articles\r\nAccept-Encoding: gzip, deflate, br, zstd\r\n\
    Accept-Language: en-GB,en;q=0.9\r\nCookie: session=0123456789abcdef0123456789abcdef; theme=dark\r\n\r\n";
const RESPONSE: &[u8] = b"HTTP/1.1 200 OK\r\nServer: nginx/1.22.1\r\nDate: Sun, 22 Nov 2026 22:00:00 GMT\r\n\
    Content-Type: text/plain\r\nContent-Length: 66\r\nConnection: keep-alive\r\n\r\n";

#[inline(never)]
fn measured_rounds(mut round: impl FnMut()) {
    for _ in 0..ROUNDS {
        round();
    }
}

fn read(bytes: &[u8], head: &mut RequestHead) {
    let mut scan = HeadScan::default();
    parse_request(black_box(bytes), &mut scan, &Limits::default(), head).unwrap().unwrap();
}

fn parse(bytes: &[u8]) {
    let mut head = RequestHead::default();
    read(bytes, &mut head);
    measured_rounds(|| read(bytes, &mut head));
}

fn write(bytes: &[u8]) {
    let mut head = RequestHead::default();
    read(bytes, &mut head);
    let to = ToServer {
        peer: Some([192, 168, 1, 77].into()),
        peer_trusted: false,
        proto: "http",
        x_forwarded: true,
        forwarded: false,
        drop_underscores: true,
        host_if_missing: "192.168.1.2:80",
        te: false,
        close: false,
        own_cookie: None,
        client_certificate: &[],
    };
    let mut out = Vec::with_capacity(4096);
    measured_rounds(|| {
        out.clear();
        rewrite::request(black_box(&head), &to, &mut out);
    });
}

fn response(head: &mut ResponseHead) {
    let mut scan = HeadScan::default();
    parse_response(black_box(RESPONSE), &mut scan, &Limits::default(), Method::Get, head).unwrap().unwrap();
}

fn write_response() {
    let mut head = ResponseHead::default();
    response(&mut head);
    let to = ToClient {
        version: Version::Http11,
        persistent: true,
        unwrap_chunks: false,
        own_cookie: None,
        hsts: None,
    };
    let mut out = Vec::with_capacity(4096);
    measured_rounds(|| {
        out.clear();
        rewrite::response(black_box(&head), to, &mut out);
    });
}

fn main() {
    let cases: [(&str, &dyn Fn()); 6] = [
        ("parse a small request", &|| parse(SMALL_REQUEST)),
        ("parse a browser's request", &|| parse(BROWSER_REQUEST)),
        ("write a small request", &|| write(SMALL_REQUEST)),
        ("write a browser's request", &|| write(BROWSER_REQUEST)),
        ("parse a response", &|| {
            let mut head = ResponseHead::default();
            response(&mut head);
            measured_rounds(|| response(&mut head));
        }),
        ("write a response", &write_response),
    ];
    let wanted = std::env::args().skip(1).find(|argument| !argument.starts_with("--"));
    match wanted {
        Some(wanted) => cases.iter().find(|(name, _)| *name == wanted).unwrap().1(),
        None => cases.iter().for_each(|(name, _)| println!("{name}")),
    }
}
