//! What of a line may be shown beside a problem: all but the parts of an address that may be secret.
//!
//! Problems are printed at the start and so reach the journal. An address for notices carries its secret in its path or
//! behind a `?`; any other address may have a password before its host or a key behind a `?`. Invariant: the masked line
//! has as many bytes as the line, and what stays is where it was.

/// Key whose addresses are secret behind the host.
const SECRET_BEHIND_HOST: &str = "webhook";

/// The line with `*` for each byte that may be secret.
pub(crate) fn masked(line: &str) -> String {
    let mut bytes = line.as_bytes().to_vec();
    let all_secret = line.contains(SECRET_BEHIND_HOST);
    let mut from = 0;
    while let Some(found) = line.get(from..).and_then(|rest| rest.find("://")) {
        let begin = from + found + 3;
        let rest = line.get(begin..).unwrap_or_default();
        let length = rest.find(['"', '\'', ' ', '\t']).unwrap_or(rest.len());
        let address = rest.get(..length).unwrap_or_default();
        let host_ends = address.find(['/', '?', '#']).unwrap_or(length);
        let user_ends = address.get(..host_ends).and_then(|host| host.rfind('@')).unwrap_or(0);
        let secret_from = match all_secret {
            true => host_ends,
            false => address.find('?').unwrap_or(length),
        };
        bytes[begin..begin + user_ends].fill(b'*');
        bytes[begin + secret_from..begin + length].fill(b'*');
        from = begin + length;
    }
    // Only whole characters were replaced: each place above is next to an ASCII character or an end.
    String::from_utf8(bytes).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_follows_the_host_of_a_webhook_is_not_shown() {
        assert_eq!(
            masked(r#"notify = [{ webhook = "https://hooks.example.com/T0/ä?k=1", timeout = "1s" }]"#),
            r#"notify = [{ webhook = "https://hooks.example.com**********", timeout = "1s" }]"#
        );
    }

    #[test]
    fn passwords_and_keys_of_other_addresses_are_not_shown() {
        assert_eq!(
            masked("servers-from = { http = 'http://me:word@10.0.0.1/list?key=x' }"),
            "servers-from = { http = 'http://*******@10.0.0.1/list******' }"
        );
    }

    #[test]
    fn everything_else_is_shown_as_it_is() {
        for line in ["", "://", "a = \"b://\"", "check = { http = \"http://a/health\" }", "# ä ? @"] {
            assert_eq!(masked(line), line);
        }
    }

    proptest::proptest! {
        #[test]
        fn a_masked_line_is_as_long_as_the_line(line in "([a-zä/?@:\"' ]|://|webhook){0,40}") {
            proptest::prop_assert_eq!(masked(&line).len(), line.len());
        }
    }
}
