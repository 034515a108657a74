//! Cookies that a client sends and a server sets (RFC 6265 §4.1, §4.2, §5.4).
//!
//! Servers are lenient about cookies, and so is this: what has no `=` is passed over, and of several of one name the
//! first counts, as most servers see it. Nothing is decoded; quotes are part of the value. What is not taken out of a
//! field stays as it is, byte for byte.

/// The value of the cookie `name` in the value of one `Cookie` field.
// fuzz: cookie
#[must_use]
pub fn find<'a>(field: &'a [u8], name: &[u8]) -> Option<&'a [u8]> {
    values(field, name).next()
}

/// The values of all cookies `name` in the value of one `Cookie` field.
// fuzz: cookie
pub fn values<'a>(field: &'a [u8], name: &[u8]) -> impl Iterator<Item = &'a [u8]> {
    pairs(field).filter_map(move |pair| {
        let (found, value) = split(pair)?;
        (found == name).then_some(value)
    })
}

/// Appends the value of one `Cookie` field without the cookies `name` to `out`; the white space and `;` that set one off
/// go with it. Says whether anything is left; a field without the cookie is left whole, even an empty one.
// fuzz: cookie
pub fn write_without(field: &[u8], name: &[u8], out: &mut Vec<u8>) -> bool {
    let is_it = |pair: &[u8]| split(pair).is_some_and(|(found, _)| found == name);
    if !pairs(field).any(is_it) {
        out.extend_from_slice(field);
        return true;
    }
    let begin = out.len();
    for pair in pairs(field).filter(|pair| !is_it(pair)) {
        if out.len() == begin {
            // What stood between it and the one before, if that is gone.
            out.extend_from_slice(pair.trim_ascii_start());
        } else {
            out.push(b';');
            out.extend_from_slice(pair);
        }
    }
    out.len() > begin
}

/// The name of the cookie that the value of a `Set-Cookie` field sets, as browsers read it (RFC 6265 §5.2).
// fuzz: cookie
#[must_use]
pub fn name_set(field: &[u8]) -> Option<&[u8]> {
    Some(split(pairs(field).next()?)?.0)
}

/// What stands between semicolons: browsers send none within a value, whatever quotes are around it.
fn pairs(field: &[u8]) -> impl Iterator<Item = &[u8]> {
    field.split(|&byte| byte == b';')
}

fn split(pair: &[u8]) -> Option<(&[u8], &[u8])> {
    let equals = memchr::memchr(b'=', pair)?;
    Some((pair.get(..equals)?.trim_ascii(), pair.get(equals + 1..)?.trim_ascii()))
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

    /// What is left of `field` without the cookie `id`.
    fn left(field: &str) -> Option<String> {
        let mut out = b">".to_vec();
        let any = write_without(field.as_bytes(), b"id", &mut out);
        any.then(|| String::from_utf8(out).unwrap().split_off(1))
    }

    #[test]
    fn one_cookie_is_taken_out_and_the_others_stay_as_they_are() {
        for (field, expected) in [
            ("a=1; id=x; b=2", "a=1; b=2"),
            ("id=x; a=1", "a=1"),
            ("a=1; id=x", "a=1"),
            ("a=1;id=x;b=2", "a=1;b=2"),
            ("id=x;  a = \"q\" ;b", "a = \"q\" ;b"),
            ("a=1;  id = x ;\tb=2;", "a=1;\tb=2;"),
            ("id=1; id=2; a=id=3; id=4", "a=id=3"),
            ("a=1; ID=x; xid=1; idx=2; id", "a=1; ID=x; xid=1; idx=2; id"),
            (" ; a", " ; a"),
        ] {
            assert_eq!(left(field).as_deref(), Some(expected), "{field}");
        }
    }

    #[test]
    fn nothing_is_left_of_a_field_with_the_cookie_alone() {
        assert_eq!(left("id=x"), None);
        assert_eq!(left("id=x; id=y"), None);
        assert_eq!(left(""), Some(String::new()));
    }

    #[test]
    fn every_cookie_of_the_name_is_found() {
        let found: Vec<_> = values(b"id=1; a=2; id = 3", b"id").collect();
        assert_eq!(found, [&b"1"[..], b"3"]);
    }

    #[test]
    fn a_set_cookie_names_its_cookie() {
        assert_eq!(name_set(b"id=x; Path=/"), Some(&b"id"[..]));
        assert_eq!(name_set(b" id = x"), Some(&b"id"[..]));
        assert_eq!(name_set(b"x; id=1"), None);
        assert_eq!(name_set(b""), None);
    }
}
