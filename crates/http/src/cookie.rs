//! Cookies that a client sends (RFC 6265 §4.2, §5.4).
//!
//! Servers are lenient about cookies, and so is this: what has no `=` is passed over, and of several of one name the
//! first counts, as most servers see it. Nothing is decoded; quotes are part of the value.

/// The value of the cookie `name` in the value of one `Cookie` field.
// fuzz: cookie
#[must_use]
pub fn find<'a>(field: &'a [u8], name: &[u8]) -> Option<&'a [u8]> {
    field.split(|&byte| byte == b';').find_map(|pair| {
        let pair = pair.trim_ascii();
        let equals = memchr::memchr(b'=', pair)?;
        let (found, value) = (pair.get(..equals)?, pair.get(equals + 1..)?);
        (found.trim_ascii() == name).then(|| value.trim_ascii())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_cookie_of_the_name_is_found() {
        let field = b"a=1; id=x=y; b ; ID=z;id=second";
        assert_eq!(find(field, b"id"), Some(&b"x=y"[..]));
        assert_eq!(find(field, b"ID"), Some(&b"z"[..]));
        assert_eq!(find(field, b"b"), None);
        assert_eq!(find(b"id=\"q\"", b"id"), Some(&b"\"q\""[..]));
        assert_eq!(find(b"id=", b"id"), Some(&b""[..]));
        assert_eq!(find(b"", b"id"), None);
        assert_eq!(find(b"xid=1", b"id"), None);
    }
}
