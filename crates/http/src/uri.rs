//! Request targets and hosts (RFC 9112 §3.2, RFC 3986).
//!
//! Nothing is decoded or normalised: what was routed is what is forwarded. It never accepts a byte that two
//! parsers could disagree about: no controls, no spaces, no fragment, nothing outside ASCII.

/// A request target, taken apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Target<'a> {
    /// `host` or `host:port` of an absolute target.
    pub authority: Option<&'a [u8]>,
    /// What a server is asked for: path and query, or `*`. Empty for an absolute target without a path.
    pub path_and_query: &'a [u8],
    /// The part before `?`.
    pub path: &'a [u8],
}

/// Takes a request target apart; `None` when it is malformed. The form of `CONNECT` is not understood.
// fuzz: uri
#[must_use]
pub fn parse_target(target: &[u8]) -> Option<Target<'_>> {
    if target.is_empty() || !target.iter().all(|&b| is_target_byte(b)) {
        return None;
    }
    let (authority, path_and_query) = match target[0] {
        b'/' => (None, target),
        b'*' if target.len() == 1 => (None, target),
        _ => {
            let (authority, rest) = split_absolute(target)?;
            (Some(authority), rest)
        }
    };
    let path = path_and_query.split(|&b| b == b'?').next().unwrap_or_default();
    Some(Target { authority, path_and_query, path })
}

/// `http://authority/path?query`. Scheme without case; a userinfo part is refused, it only ever deceives.
fn split_absolute(target: &[u8]) -> Option<(&[u8], &[u8])> {
    let scheme = [&b"http://"[..], b"https://"]
        .into_iter()
        .find(|scheme| target.get(..scheme.len()).is_some_and(|start| start.eq_ignore_ascii_case(scheme)))?;
    let rest = &target[scheme.len()..];
    let end = rest.iter().position(|&b| b == b'/' || b == b'?').unwrap_or(rest.len());
    let (authority, path_and_query) = rest.split_at(end);
    parse_host(authority)?;
    if authority.is_empty() || path_and_query.starts_with(b"?") {
        // `http://host?query` has no path to forward; writing one in would be a repair.
        return None;
    }
    Some((authority, path_and_query))
}

/// Printable ASCII without `#`: a fragment never travels (RFC 9110 §7.1), so one that does is a trick.
fn is_target_byte(byte: u8) -> bool {
    byte.is_ascii_graphic() && byte != b'#'
}

/// The host in `host` or `host:port`, without the port; `None` when malformed. An empty value is an empty host
/// (RFC 9112 §3.2).
// fuzz: uri
#[must_use]
pub fn parse_host(value: &[u8]) -> Option<&[u8]> {
    if value.first() == Some(&b'[') {
        let end = value.iter().position(|&b| b == b']')?;
        let (host, port) = value.split_at(end + 1);
        let address = std::str::from_utf8(&host[1..end]).ok()?;
        address.parse::<std::net::Ipv6Addr>().ok()?;
        return is_port_part(port).then_some(host);
    }
    let end = value.iter().position(|&b| b == b':').unwrap_or(value.len());
    let (host, port) = value.split_at(end);
    (host.iter().all(|&b| is_host_byte(b)) && is_port_part(port) && (!host.is_empty() || port.is_empty()))
        .then_some(host)
}

/// The value of the first parameter `name` in the query of a target, as sent; `None` when there is none. A parameter
/// without `=` has an empty value.
// fuzz: uri
#[must_use]
pub fn query_value<'a>(path_and_query: &'a [u8], name: &[u8]) -> Option<&'a [u8]> {
    let start = path_and_query.iter().position(|&b| b == b'?')?;
    let query = path_and_query.get(start + 1..)?;
    query.split(|&b| b == b'&').find_map(|pair| {
        let equals = pair.iter().position(|&b| b == b'=').unwrap_or(pair.len());
        let (found, value) = pair.split_at(equals);
        (found == name).then(|| value.get(1..).unwrap_or_default())
    })
}

/// Empty, or `:` and digits.
fn is_port_part(part: &[u8]) -> bool {
    match part {
        [] => true,
        [b':', digits @ ..] => digits.len() <= 5 && digits.iter().all(u8::is_ascii_digit),
        _ => false,
    }
}

/// `reg-name` of RFC 3986 §3.2.2, with `_`, which names of real hosts have.
fn is_host_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"-._~!$&'()*+;=%".contains(&byte)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn origin_form_is_taken_apart_without_decoding() {
        let target = parse_target(b"/a%2Fb/../c?x=/?y").unwrap();
        assert_eq!(target.path, b"/a%2Fb/../c");
        assert_eq!(target.path_and_query, b"/a%2Fb/../c?x=/?y");
        assert_eq!(target.authority, None);
    }

    #[test]
    fn absolute_form_loses_scheme_and_authority() {
        let target = parse_target(b"HTTP://Example.com:8080/p?q").unwrap();
        assert_eq!(target.authority, Some(&b"Example.com:8080"[..]));
        assert_eq!(target.path_and_query, b"/p?q");
        assert_eq!(parse_target(b"http://example.com").unwrap().path_and_query, b"");
    }

    #[test]
    fn asterisk_form_is_a_path_of_its_own() {
        assert_eq!(parse_target(b"*").unwrap().path, b"*");
        assert_eq!(parse_target(b"**"), None);
    }

    #[test]
    fn parameters_are_found_in_the_query_alone() {
        let target = b"/user=no?a=1&user=b=c&flag&user=2&%75ser=3";
        assert_eq!(query_value(target, b"user"), Some(&b"b=c"[..]));
        assert_eq!(query_value(target, b"flag"), Some(&b""[..]));
        assert_eq!(query_value(target, b"use"), None);
        assert_eq!(query_value(b"/user=no", b"user"), None);
        assert_eq!(query_value(b"/?", b"user"), None);
    }

    #[test]
    fn targets_that_parsers_disagree_about_are_refused() {
        for bad in [
            &b""[..],
            b"path",
            b"/a b",
            b"/a\tb",
            b"/a\x00b",
            b"/a#b",
            b"/\xc3\xa4",
            b"/\x7f",
            b"ftp://example.com/",
            b"http:///p",
            b"http://user@example.com/",
            b"http://example.com?q",
            b"example.com:80",
        ] {
            assert_eq!(parse_target(bad), None, "{:?}", String::from_utf8_lossy(bad));
        }
    }

    #[test]
    fn hosts_lose_their_port() {
        for (value, host) in [
            ("example.com", "example.com"),
            ("example.com:80", "example.com"),
            ("example.com:", "example.com"),
            ("192.0.2.1:80", "192.0.2.1"),
            ("[2001:db8::1]", "[2001:db8::1]"),
            ("[2001:db8::1]:80", "[2001:db8::1]"),
            ("my_host", "my_host"),
            ("", ""),
        ] {
            assert_eq!(parse_host(value.as_bytes()), Some(host.as_bytes()), "{value}");
        }
    }

    #[test]
    fn malformed_hosts_are_refused() {
        for bad in [
            "a b", "a/b", "a@b", "a,b", "a:b", "a:80:80", "[::1", "[::1]x", "[zz]", "[]", ":80", "a:123456",
            "ä", "a\0",
        ] {
            assert_eq!(parse_host(bad.as_bytes()), None, "{bad}");
        }
    }
}
