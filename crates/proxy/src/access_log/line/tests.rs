//! Lines as they must read, worked out by hand.

use std::time::{Duration, UNIX_EPOCH};

use super::*;

fn stamp() -> Stamp {
    let mut stamp = Stamp::default();
    stamp.set(UNIX_EPOCH + Duration::from_micros(784_111_777_000_042));
    stamp
}

fn asked() -> Asked<'static> {
    Asked {
        method: b"GET",
        target: b"/a?b",
        host: b"example.com",
        version: Version::Http11,
        http2: false,
        referer: None,
        user_agent: Some(b"curl/8"),
    }
}

fn facts(asked: Option<Asked<'_>>) -> Facts<'_> {
    Facts {
        listener: "web",
        client: Some([192, 0, 2, 1].into()),
        peer: None,
        http: Some(Http { asked, status: 200, head_out: 100 }),
        bytes_in: 78,
        bytes_out: 1100,
        pool: Some("website"),
        server: Some("s0"),
        retries: 1,
        queue: Duration::ZERO,
        connect: Duration::from_micros(250),
        first_byte: Some(Duration::from_micros(1_002_003)),
        total: Duration::from_micros(2_000_000),
        reason: None,
        grpc_status: None,
        end: End::Done,
    }
}

fn line(format: LogFormat, facts: &Facts<'_>) -> String {
    let mut out = Vec::new();
    write(format, facts, &stamp(), &mut out);
    assert!(out.len() <= MOST_LINE, "{}", out.len());
    assert_eq!(out.iter().filter(|&&byte| !matches!(byte, b' '..=b'~')).count(), 1);
    assert_eq!(out.pop(), Some(b'\n'));
    String::from_utf8(out).unwrap()
}

#[test]
fn json_tells_everything() {
    assert_eq!(
        line(LogFormat::Json, &facts(Some(asked()))),
        "{\"time\":\"1994-11-06T08:49:37.000042Z\",\"listener\":\"web\",\"client\":\"192.0.2.1\",\
         \"method\":\"GET\",\"target\":\"/a?b\",\"host\":\"example.com\",\"version\":\"HTTP/1.1\",\"status\":200,\
         \"bytes_in\":78,\"bytes_out\":1100,\"pool\":\"website\",\"server\":\"s0\",\"retries\":1,\
         \"queue_ms\":0.000,\"connect_ms\":0.250,\"first_byte_ms\":1002.003,\"total_ms\":2000.000,\
         \"end\":\"done\",\"user_agent\":\"curl/8\"}"
    );
}

#[test]
fn common_and_combined_are_the_known_formats() {
    let facts = facts(Some(asked()));
    let common = "192.0.2.1 - - [06/Nov/1994:08:49:37 +0000] \"GET /a?b HTTP/1.1\" 200 1000";
    assert_eq!(line(LogFormat::Common, &facts), common);
    assert_eq!(line(LogFormat::Combined, &facts), format!("{common} \"-\" \"curl/8\""));
}

#[test]
fn a_request_that_was_not_understood_has_no_fields_of_its_own() {
    let mut facts = facts(None);
    facts.http = Some(Http { asked: None, status: 400, head_out: 100 });
    (facts.pool, facts.server, facts.first_byte, facts.bytes_out) = (None, None, None, 100);
    (facts.retries, facts.reason) = (0, Some("bad-request"));
    assert_eq!(
        line(LogFormat::Json, &facts),
        "{\"time\":\"1994-11-06T08:49:37.000042Z\",\"listener\":\"web\",\"client\":\"192.0.2.1\",\"status\":400,\
         \"bytes_in\":78,\"bytes_out\":100,\"retries\":0,\"queue_ms\":0.000,\"connect_ms\":0.250,\
         \"total_ms\":2000.000,\"reason\":\"bad-request\",\"end\":\"done\"}"
    );
    assert_eq!(
        line(LogFormat::Combined, &facts),
        "192.0.2.1 - - [06/Nov/1994:08:49:37 +0000] \"-\" 400 - \"-\" \"-\""
    );
}

#[test]
fn a_tcp_connection_has_a_line_too() {
    let mut facts = facts(None);
    (facts.http, facts.client, facts.end) = (None, None, End::Timeout);
    facts.peer = Some([192, 0, 2, 9].into());
    let json = line(LogFormat::Json, &facts);
    assert!(json.contains("\"client\":\"unix\",\"peer\":\"192.0.2.9\",\"bytes_in\":78"), "{json}");
    assert!(json.ends_with("\"end\":\"timeout\"}"), "{json}");
    assert_eq!(line(LogFormat::Common, &facts), "- - - [06/Nov/1994:08:49:37 +0000] \"TCP\" - 1100");
}

#[test]
fn nothing_a_client_sends_leaves_its_field() {
    let mut asked = asked();
    asked.target = b"/\"}\n{\"x\":\"\\\x1b[2J\x7f\xc3\xa9\r";
    asked.user_agent = Some(b"a\" \"b\x00\t");
    let facts = facts(Some(asked));
    let json = line(LogFormat::Json, &facts);
    assert!(
        json.contains(
            "\"target\":\"/\\\"}\\u000a{\\\"x\\\":\\\"\\\\\\u001b[2J\\u007f\\u00c3\\u00a9\\u000d\",\"host\""
        ),
        "{json}"
    );
    assert!(json.ends_with("\"user_agent\":\"a\\\" \\\"b\\u0000\\u0009\"}"), "{json}");
    let combined = line(LogFormat::Combined, &facts);
    assert!(
        combined.contains("\"GET /\\\"}\\x0a{\\\"x\\\":\\\"\\\\\\x1b[2J\\x7f\\xc3\\xa9\\x0d HTTP/1.1\" 200"),
        "{combined}"
    );
    assert!(combined.ends_with("\"-\" \"a\\\" \\\"b\\x00\\x09\""), "{combined}");
}

#[test]
fn the_longest_line_has_room() {
    let (long, name) = (vec![1; 70_000], "n".repeat(64));
    let asked = Asked {
        method: &long,
        target: &long,
        host: &long,
        version: Version::Http10,
        http2: false,
        referer: Some(&long),
        user_agent: Some(&long),
    };
    let mut facts = facts(Some(asked));
    let longest = "ffff:ffff:ffff:ffff:ffff:ffff:ffff:fffe".parse().unwrap();
    (facts.client, facts.peer) = (Some(longest), Some(longest));
    let name = name.as_str();
    (facts.listener, facts.pool, facts.server) = (name, Some(name), Some(name));
    (facts.bytes_in, facts.bytes_out, facts.retries) = (u64::MAX, u64::MAX, u32::MAX);
    (facts.queue, facts.connect, facts.total) = (Duration::MAX, Duration::MAX, Duration::MAX);
    (facts.first_byte, facts.reason) = (Some(Duration::MAX), Some("unknown-transfer-coding"));
    for format in [LogFormat::Json, LogFormat::Common, LogFormat::Combined] {
        assert!(line(format, &facts).contains("\\u0001...") || format != LogFormat::Json);
    }
}

#[test]
fn http2_is_told_as_such() {
    let mut out = Vec::new();
    write(LogFormat::Common, &facts(Some(Asked { http2: true, ..asked() })), &stamp(), &mut out);
    assert!(String::from_utf8(out).unwrap().contains("\"GET /a?b HTTP/2.0\" 200"));
}
