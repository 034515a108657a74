use super::*;

/// Reads a chunked body, whole and then byte by byte, and returns its content.
fn chunked(input: &str) -> Result<String, Reason> {
    let whole = content(input.as_bytes(), input.len());
    assert_eq!(whole, content(input.as_bytes(), 1), "in one-byte pieces: {input:?}");
    whole
}

fn content(input: &[u8], piece: usize) -> Result<String, Reason> {
    let mut body = Body::new(Framing::Chunked);
    let (mut unread, mut content) = (Vec::new(), Vec::new());
    for piece in input.chunks(piece.max(1)) {
        unread.extend_from_slice(piece);
        loop {
            match body.read(&unread)? {
                Run::Payload(count) => content.extend(unread.drain(..count)),
                Run::Framing(count) => drop(unread.drain(..count)),
                Run::NeedMore => break,
                Run::End => return Ok(String::from_utf8(content).unwrap()),
            }
        }
    }
    Ok(format!("incomplete: {}", String::from_utf8_lossy(&content)))
}

#[test]
fn chunks_of_any_case_with_extensions_and_trailers_are_read() {
    assert_eq!(chunked("5\r\nhello\r\nA\r\n, world!!!\r\n0\r\n\r\n").unwrap(), "hello, world!!!");
    assert_eq!(chunked("a\r\n0123456789\r\n000\r\n\r\n").unwrap(), "0123456789");
    assert_eq!(chunked("1;a=b;c=\"d e\"\r\nx\r\n0;last\r\n\r\n").unwrap(), "x");
    assert_eq!(chunked("1\r\nx\r\n0\r\nX-Sum: 1\r\nServer-Timing: \t ok\r\n\r\n").unwrap(), "x");
}

#[test]
fn an_incomplete_body_has_no_end() {
    for part in ["", "5", "5\r\nhell", "5\r\nhello", "5\r\nhello\r\n", "0\r\n", "0\r\nX: 1\r\n", "0\r\n\r"] {
        assert!(chunked(part).unwrap().starts_with("incomplete"), "{part:?}");
    }
}

#[test]
fn every_way_to_write_a_size_that_parsers_disagree_about_is_refused() {
    for bad in [
        "5\nhello\r\n",
        "\r\n",
        "+5\r\nhello\r\n",
        "-1\r\n",
        "0x5\r\nhello\r\n",
        " 5\r\nhello\r\n",
        "5 \r\nhello\r\n",
        "5 ;x\r\nhello\r\n",
        "5\r;x\r\nhello\r\n",
        "g\r\n",
        "5,5\r\nhello\r\n",
        "1_0\r\n",
        "1000000000000000\r\n",
        "ffffffffffffffffff\r\n",
        "5;a\x00b\r\nhello\r\n",
        "5;a\rb\r\nhello\r\n",
        "5;a\nb\r\nhello\r\n",
        "5;\x7f\r\nhello\r\n",
    ] {
        assert_eq!(chunked(bad), Err(Reason::BadChunk), "{bad:?}");
    }
}

#[test]
fn a_chunk_must_end_where_its_size_says() {
    for bad in ["5\r\nhelloX\r\n", "5\r\nhello\n0\r\n\r\n", "5\r\nhello\rX", "4\r\nhello\r\n"] {
        assert_eq!(chunked(bad), Err(Reason::BadChunk), "{bad:?}");
    }
}

#[test]
fn trailers_may_not_frame_route_or_deceive() {
    for bad in [
        "Content-Length: 5",
        "Transfer-Encoding: chunked",
        "Host: evil",
        "Connection: close",
        "X-Forwarded-For: 1.1.1.1",
        "Forwarded: for=1.1.1.1",
        "Authorization: x",
        "X_Y: 1",
        "no colon",
        ": no name",
        "na me: x",
        "name : x",
        " folded: x",
        "X: a\x00b",
        "X: a\x7fb",
    ] {
        assert_eq!(chunked(&format!("0\r\n{bad}\r\n\r\n")), Err(Reason::BadChunk), "{bad:?}");
    }
    assert_eq!(chunked("0\r\nX: 1\n\r\n"), Err(Reason::BadChunk));
}

#[test]
fn extensions_and_trailers_are_bounded() {
    let chunk = format!("1;{}\r\nx\r\n", "e".repeat(1023));
    assert!(chunked(&chunk.repeat(4)).unwrap().starts_with("incomplete: xxxx"));
    assert_eq!(chunked(&chunk.repeat(5)), Err(Reason::BadChunk));
    let longest = format!("1;{}\r\nx\r\n0\r\n\r\n", "e".repeat(LONGEST_LINE - 2));
    assert_eq!(chunked(&longest).unwrap(), "x");
    let long = format!("1;{}", "e".repeat(LONGEST_LINE));
    assert_eq!(chunked(&long), Err(Reason::BadChunk));
    let trailer = format!("X: {}\r\n", "t".repeat(1019));
    assert!(chunked(&format!("0\r\n{}\r\n", trailer.repeat(16))).is_ok());
    assert_eq!(chunked(&format!("0\r\n{}\r\n", trailer.repeat(17))), Err(Reason::BadChunk));
}

#[test]
fn a_length_is_digits_only() {
    assert_eq!(parse_length(b"0"), Some(0));
    assert_eq!(parse_length(b"007"), Some(7));
    assert_eq!(parse_length(b"9223372036854775807"), Some(9_223_372_036_854_775_807));
    for bad in
        ["", "+5", "-5", "5,5", "5 5", "0x5", "5.0", "9223372036854775808", "99999999999999999999", "٥"]
    {
        assert_eq!(parse_length(bad.as_bytes()), None, "{bad:?}");
    }
}

#[test]
fn only_a_body_without_length_may_end_with_its_connection() {
    assert!(Body::new(Framing::UntilClose).ends_with_connection());
    assert!(Body::new(Framing::None).ends_with_connection());
    assert!(!Body::new(Framing::Length(1)).ends_with_connection());
    assert!(!Body::new(Framing::Chunked).ends_with_connection());
}

#[test]
fn skipping_to_the_end_of_a_chunk_leaves_its_line_end() {
    let mut body = Body::new(Framing::Chunked);
    assert_eq!(body.read(b"5\r\n"), Ok(Run::Framing(3)));
    assert_eq!(body.certain_bytes(), Some(5));
    body.skip(5);
    assert_eq!(body.certain_bytes(), Some(0));
    assert_eq!(body.read(b"\r\n"), Ok(Run::Framing(2)));
    assert_eq!(Body::new(Framing::UntilClose).certain_bytes(), None);
}
