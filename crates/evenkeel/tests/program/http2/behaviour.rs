//! What clients of HTTP/2 get from servers of HTTP/1.1, in good times and in bad ones.

use std::fs;
use std::process::Command;
use std::sync::mpsc;
use std::time::Instant;

use evenkeel_testkit::http2::{
    Answer, End, Http2, PREFACE, fields, flag, get, kind, post, read_fields, settings_payload,
};
use evenkeel_testkit::{
    BOUND, Connection, Signal, ToyServer, free_address, needs, raw, temp_dir, websocket_echo,
};

use super::origin::pattern;
use super::{House, INTERNAL_ERROR, NAME};
use crate::site::{Site, text};
use crate::tls::curl;

/// Sends content as the windows allow, and the end of the stream with it.
struct Upload {
    connection: i64,
    stream: i64,
}

impl Upload {
    /// The windows that the greeting gave.
    fn after(theirs: &evenkeel_testkit::http2::Frame) -> Self {
        let window = theirs.payload.chunks(6).find(|setting| setting[..2] == [0, 4]);
        let stream = window.map_or(65_535, |setting| {
            u32::from_be_bytes([setting[2], setting[3], setting[4], setting[5]]).into()
        });
        Self { connection: 65_535, stream }
    }

    fn send(&mut self, client: &mut Http2, stream: u32, mut content: &[u8]) {
        while !content.is_empty() {
            while self.connection.min(self.stream) == 0 {
                let frame = client.wait_for(kind::WINDOW_UPDATE).unwrap().expect("a window");
                let window = if frame.stream == 0 { &mut self.connection } else { &mut self.stream };
                *window += i64::from(frame.number(0));
            }
            let room = usize::try_from(self.connection.min(self.stream)).unwrap();
            let count = content.len().min(room).min(16_384);
            let (now, rest) = content.split_at(count);
            client
                .frame(kind::DATA, if rest.is_empty() { flag::END_STREAM } else { 0 }, stream, now)
                .unwrap();
            self.connection -= i64::try_from(count).unwrap();
            self.stream -= i64::try_from(count).unwrap();
            content = rest;
        }
    }
}

fn clean(answer: &Answer) -> (u16, String) {
    assert_eq!(answer.end, End::Clean, "{answer:?}");
    (answer.status, answer.text())
}

#[test]
fn every_kind_of_response_arrives() {
    let Some(house) = House::new() else { return };
    let mut client = house.client();
    let hints = client.get(1, "/hints").unwrap();
    assert_eq!((clean(&hints), hints.interim), ((200, "ok".to_owned()), vec![103]));
    for (stream, status) in [(3, 204), (5, 304)] {
        let answer = client.get(stream, &format!("/status/{status}")).unwrap();
        assert_eq!(clean(&answer), (status, String::new()));
        assert_eq!((answer.header("etag"), answer.header("content-length")), (Some("\"a\""), None));
    }
    let mut fields = get("/bytes/10");
    fields[0].1 = "HEAD";
    client.head(7, &fields, true).unwrap();
    let head = client.answer(7).unwrap();
    assert_eq!((clean(&head), head.header("content-length")), ((200, String::new()), Some("10")));

    client.head(9, &[&post("/echo")[..], &[("expect", "100-continue")]].concat(), false).unwrap();
    let interim = client.wait_for(kind::HEADERS).unwrap().unwrap();
    assert_eq!(read_fields(&interim.payload).unwrap(), [(":status".to_owned(), "100".to_owned())]);
    client.frame(kind::DATA, flag::END_STREAM, 9, b"abc".as_slice()).unwrap();
    assert_eq!(clean(&client.answer(9).unwrap()), (200, "abc".to_owned()));
}

#[test]
fn an_answer_before_the_content_is_whole_and_stops_the_upload() {
    let Some(house) = House::new() else { return };
    let mut client = house.client();
    client.head(1, &post("/early"), false).unwrap();
    client.frame(kind::DATA, 0, 1, b"some".as_slice()).unwrap();
    assert_eq!(clean(&client.answer(1).unwrap()), (200, "early".to_owned()));
    let reset = client.wait_for(kind::RST_STREAM).unwrap().unwrap();
    assert_eq!((reset.stream, reset.number(0)), (1, 0), "RFC 9113 §8.1");
    assert_eq!(client.get(3, "/").unwrap().text(), "hello");
}

#[test]
fn a_response_that_breaks_is_never_a_whole_one() {
    let Some(house) = House::new() else { return };
    let mut client = house.client();
    for (stream, path) in [(1, "/break"), (3, "/break-chunks")] {
        let answer = client.get(stream, path).unwrap();
        assert_eq!(answer.end, End::Reset(INTERNAL_ERROR), "{path}");
        // What waits to be sent is lost with it.
        assert!("begin".starts_with(&answer.text()));
    }
    assert_eq!(client.get(5, "/").unwrap().text(), "hello");
}

#[test]
fn a_request_that_the_client_resets_is_taken_back_from_the_server() {
    let (ended, ends) = mpsc::channel();
    let origin = ToyServer::start(move |mut connection: Connection| {
        while let Ok(head) = connection.read_head() {
            if head.contains(" /hold ") {
                let _ = connection.read_to_end();
                ended.send(()).unwrap();
                return;
            }
            connection.write("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello").unwrap();
        }
    });
    let Some(house) = House::on(origin, "", "") else { return };
    let mut client = house.client();
    client.head(1, &get("/hold"), true).unwrap();
    house.origin.wait_until(|all| all.iter().any(|seen| seen.ends_with(b"\r\n\r\n")), BOUND);
    client.frame(kind::RST_STREAM, 0, 1, 8u32.to_be_bytes()).unwrap();
    ends.recv_timeout(BOUND).unwrap();
    assert_eq!(client.get(3, "/").unwrap().text(), "hello");
    assert_eq!(house.origin.connections(), 2, "what was cut is not used again");
    // The same where the whole connection goes.
    client.head(5, &get("/hold"), true).unwrap();
    house.origin.wait_until(|all| all.concat().windows(6).filter(|six| six == b" /hold").count() == 2, BOUND);
    client.hang_up();
    ends.recv_timeout(BOUND).unwrap();
}

#[test]
fn ten_mebibytes_go_up_and_down_through_small_windows() {
    let Some(house) = House::new() else { return };
    let all = pattern(10 << 20);
    let mut client = house.silent();
    let theirs = client.greet(&[(4, 20_000)]).unwrap();
    let mut upload = Upload::after(&theirs);
    client.head(1, &post("/echo"), false).unwrap();
    upload.send(&mut client, 1, &all);
    let answer = client.answer(1).unwrap();
    assert_eq!((answer.status, answer.end), (200, End::Clean));
    assert!(answer.body == all, "other bytes came back");
}

#[test]
fn hundreds_of_requests_share_a_connection() {
    let Some(house) = House::new() else { return };
    let mut client = house.client();
    for turn in 0..20 {
        for place in 0..10 {
            client.head(20 * turn + 2 * place + 1, &get("/bytes/1000"), true).unwrap();
        }
        for place in (0..10).rev() {
            let answer = client.answer(20 * turn + 2 * place + 1).unwrap();
            assert_eq!((answer.end, answer.body == pattern(1000)), (End::Clean, true));
        }
    }
    assert!(house.origin.connections() <= 10, "servers' connections are used again");
}

/// A server that answers `/gated` when it is told to.
fn gated() -> (ToyServer, mpsc::Sender<()>) {
    let (open, gate) = mpsc::channel();
    let gate = std::sync::Mutex::new(gate);
    let server = ToyServer::start(move |mut connection: Connection| {
        while connection.read_head().is_ok() {
            let _ = gate.lock().unwrap().recv_timeout(BOUND);
            if connection.write("HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nlast").is_err() {
                return;
            }
        }
    });
    (server, open)
}

#[test]
fn what_is_under_way_ends_well_when_the_program_or_the_listener_ends() {
    for reload in [false, true] {
        let (origin, open) = gated();
        let Some(house) = House::on(origin, "", "") else { return };
        let mut client = house.client();
        client.head(1, &get("/gated"), true).unwrap();
        house.origin.wait_until(|all| all.iter().any(|seen| seen.ends_with(b"\r\n\r\n")), BOUND);
        if reload {
            house.site.write(
                &crate::site::website(free_address(), 1).replace("listener.website", "listener.other"),
            );
            assert!(house.site.command(&["reload"]).status.success());
        } else {
            // A reload before, which changes nothing for it.
            house.site.write(&(house.text.clone() + "[pool.other.servers]\na = \"127.0.0.1:9\"\n"));
            assert!(house.site.command(&["reload"]).status.success());
            house.site.program.signal(Signal::TERM);
        }
        let goaway = client.wait_for(kind::GOAWAY).unwrap().unwrap();
        assert_eq!(goaway.number(4), 0);
        open.send(()).unwrap();
        assert_eq!(clean(&client.answer(1).unwrap()), (200, "last".to_owned()));
        client.closed().unwrap();
        if !reload {
            assert_eq!(house.site.program.wait(BOUND), 0);
        }
    }
}

#[test]
fn a_connection_without_requests_is_ended_with_a_word() {
    let Some(house) = House::with("idle-timeout = \"300ms\"", "") else { return };
    let mut client = house.client();
    assert_eq!(client.get(1, "/").unwrap().text(), "hello");
    assert_eq!(client.closed().unwrap(), End::GoAway(0));
    // One that says nothing at all does not stay either.
    assert_eq!(house.client().closed().unwrap(), End::GoAway(0));
}

#[test]
fn a_head_that_is_too_large_costs_its_request_only() {
    let Some(house) = House::new() else { return };
    let mut client = house.client();
    let block = fields(get("/").into_iter().chain([("x-long", "x".repeat(20_000).as_str())]));
    send_block(&mut client, 1, &block);
    let answer = client.answer(1).unwrap();
    assert!(answer.status == 431 || matches!(answer.end, End::Reset(_)), "{answer:?}");
    assert_eq!(client.get(3, "/").unwrap().text(), "hello");
    // Many small ones as well.
    let crumbs: Vec<(&str, &str)> = get("/").into_iter().chain([("cookie", "a=b"); 1000]).collect();
    send_block(&mut client, 5, &fields(crumbs));
    let answer = client.answer(5).unwrap();
    assert!(answer.status == 431 || matches!(answer.end, End::Reset(_)), "{answer:?}");
    assert_eq!(client.get(7, "/").unwrap().text(), "hello");
    assert_eq!(house.origin.connections(), 1);
}

/// A head in as many frames as it needs.
fn send_block(client: &mut Http2, stream: u32, block: &[u8]) {
    let parts: Vec<&[u8]> = block.chunks(16_384).collect();
    for (place, part) in parts.iter().enumerate() {
        let last = if place + 1 == parts.len() { flag::END_HEADERS } else { 0 };
        let (kind, flags) =
            if place == 0 { (kind::HEADERS, flag::END_STREAM | last) } else { (kind::CONTINUATION, last) };
        client.frame(kind, flags, stream, *part).unwrap();
    }
}

#[test]
fn websocket_goes_through_to_a_server_of_http1() {
    let Some(house) = House::on(websocket_echo(), "", "") else { return };
    let mut client = house.client();
    let mut fields = get("/chat").to_vec();
    fields[0].1 = "CONNECT";
    fields.extend([
        (":protocol", "websocket"),
        ("sec-websocket-version", "13"),
        ("origin", "https://test.example"),
    ]);
    client.head(1, &fields, false).unwrap();
    let head = client.wait_for(kind::HEADERS).unwrap().unwrap();
    let head = read_fields(&head.payload).unwrap();
    assert_eq!(head[0], (":status".to_owned(), "200".to_owned()));
    assert!(
        !head
            .iter()
            .any(|(name, _)| ["sec-websocket-accept", "upgrade", "connection"].contains(&name.as_str()))
    );
    // RFC 6455 §5.2: masked with zeros.
    for (sent, echoed) in
        [(&b"\x81\x82\0\0\0\0hi"[..], &b"\x81\x02hi"[..]), (b"\x88\x80\0\0\0\0", b"\x88\x00")]
    {
        client.frame(kind::DATA, 0, 1, sent).unwrap();
        let mut came = Vec::new();
        while came.len() < echoed.len() {
            came.extend(client.wait_for(kind::DATA).unwrap().expect("an echo").payload);
        }
        assert_eq!(came, echoed);
    }
    // The server has closed: so does the stream, and only it.
    let answer = client.answer(1).unwrap();
    assert!(matches!(answer.end, End::Clean | End::Reset(0)), "{answer:?}");
    // A server that will not, and answers as if it would: its page must not be taken for an agreement (RFC 8441 §4).
    let plain = House::new().unwrap();
    let mut client = plain.client();
    client.head(1, &fields, false).unwrap();
    let refused = client.answer(1).unwrap();
    assert_eq!(clean(&refused).0, 502);
}

#[test]
fn prior_knowledge_is_enough_without_tls_unless_it_is_switched_off() {
    let (origin, address) = (super::origin::start(), free_address());
    let config = |more: &str| {
        format!(
            "[listener.website]\nbind = \"{address}\"\npool = \"website\"\n{more}\n\
             [pool.website.servers]\nweb = \"{}\"\n",
            origin.address()
        )
    };
    let site = Site::start(&config(""));
    let mut client = Http2::connect(address).unwrap();
    client.greet(&[]).unwrap();
    assert_eq!(clean(&client.get(1, "/").unwrap()), (200, "hello".to_owned()));
    // In pieces, as a network may cut it.
    let mut client = Http2::connect(address).unwrap();
    for byte in PREFACE {
        client.send([*byte]).unwrap();
    }
    client.frame(kind::SETTINGS, 0, 0, settings_payload(&[(1, 0)])).unwrap();
    assert_eq!(clean(&client.get(1, "/").unwrap()), (200, "hello".to_owned()));

    site.write(&config("http2 = false"));
    assert!(site.command(&["reload"]).status.success());
    let refused = raw(address, PREFACE).unwrap();
    assert!(refused.starts_with(b"HTTP/1.1 "), "{:?}", String::from_utf8_lossy(&refused));
}

#[test]
fn retries_sticky_cookies_and_logs_know_no_difference() {
    let (dead, directory) = (free_address(), temp_dir());
    let log = directory.path().join("access.log");
    let listener = format!("access-log = {{ to = \"{}\" }}", log.display());
    let pool = format!("dead = \"{dead}\"\n[pool.website]\nsticky = {{ cookie = \"LB\" }}\n");
    let Some(house) = House::with(&listener, &pool) else { return };
    let mut client = house.client();
    let mut cookie = String::new();
    for stream in [1, 3, 5, 7] {
        let answer = client.get(stream, "/logged").unwrap();
        assert_eq!(clean(&answer), (200, "hello".to_owned()), "a server that refuses is passed over");
        let set = answer.header("set-cookie").unwrap();
        cookie = set.split(';').next().unwrap().to_owned();
    }
    client
        .head(9, &[&get("/cookies")[..], &[("cookie", "a=1"), ("cookie", &cookie)]].concat(), true)
        .unwrap();
    let answer = client.answer(9).unwrap();
    assert_eq!((answer.text().to_lowercase().as_str(), answer.header("set-cookie")), ("cookie: a=1", None));
    let end = Instant::now() + BOUND;
    let lines = loop {
        let lines = fs::read_to_string(&log).unwrap_or_default();
        if lines.lines().count() >= 5 {
            break lines;
        }
        assert!(Instant::now() < end, "{lines}");
        std::thread::yield_now();
    };
    let line: serde_json::Value = serde_json::from_str(lines.lines().next().unwrap()).unwrap();
    assert_eq!((&line["status"], &line["host"]), (&200.into(), &NAME.into()), "{line}");
}

#[test]
fn curl_and_nghttp_get_and_send_megabytes() {
    let Some(house) = House::new() else { return };
    if !needs("curl") {
        return;
    }
    let url = format!("https://{NAME}/bytes/10485760");
    let file = house.site.path("content");
    let written =
        ["--http2", "-w", "%{http_version} %{http_code} %{size_download}", "-o", file.to_str().unwrap()];
    let said = text(&curl(&house.authority, NAME, house.address, &[&written[..], &[&url]].concat()));
    assert_eq!(said, "2 200 10485760");
    assert!(fs::read(&file).unwrap() == pattern(10 << 20), "other bytes");
    let (upload, back) = (format!("@{}", file.display()), house.site.path("back"));
    let more =
        ["--http2", "--data-binary", &upload, "-o", back.to_str().unwrap(), &format!("https://{NAME}/echo")];
    assert!(curl(&house.authority, NAME, house.address, &more).status.success());
    assert!(fs::read(&back).unwrap() == pattern(10 << 20), "other bytes");
    if !needs("nghttp") || !needs("h2load") {
        return;
    }
    let url = |path: &str| format!("https://{}{path}", house.address);
    let output = Command::new("nghttp")
        .args(["-nv", "--no-verify-peer", "-H", "trailer: x"])
        .arg(url("/hints"))
        .output()
        .unwrap();
    let said = text(&output);
    assert!(said.contains(":status: 103") && said.contains(":status: 200"), "{said}");
    let output = Command::new("h2load")
        .args(["-n", "2000", "-c", "4", "-m", "50"])
        .arg(url("/bytes/5000"))
        .output()
        .unwrap();
    assert!(text(&output).contains("2000 succeeded, 0 failed, 0 errored"), "{}", text(&output));
}
