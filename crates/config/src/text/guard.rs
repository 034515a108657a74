//! Refuses keys of absurd depth before the TOML parser sees them: it guards itself against nested brackets, but not
//! against `a.a.a…`, whose tree it could only take down by recursion.

use std::ops::Range;

use toml_parser::Source;
use toml_parser::lexer::TokenKind;

/// The most parts of one dotted key or table header; the deepest that means anything has four.
pub(crate) const MOST_KEY_PARTS: usize = 16;

/// Finds the first run of more than [`MOST_KEY_PARTS`] parts.
pub(super) fn check(text: &str) -> Result<(), Range<usize>> {
    let mut parts = 1;
    let mut start = 0;
    for token in Source::new(text).lex() {
        let span = token.span();
        match token.kind() {
            TokenKind::Dot => {
                parts += 1;
                if parts > MOST_KEY_PARTS {
                    return Err(start..span.end());
                }
            }
            TokenKind::Whitespace | TokenKind::Atom | TokenKind::LiteralString | TokenKind::BasicString => {}
            _ => {
                parts = 1;
                start = span.end();
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn deep_keys_and_headers_are_refused_where_they_are() {
        let deep = vec!["a"; MOST_KEY_PARTS + 1].join(".");
        assert_eq!(check(&format!("x = 1\n{deep} = 1")), Err(6..6 + 2 * MOST_KEY_PARTS));
        assert!(check(&format!("[{deep}]")).is_err());
        assert!(check(&format!("x = {{ {deep} = 1 }}")).is_err());
    }

    #[test]
    fn dots_in_strings_and_in_many_keys_count_for_nothing() {
        let lines = "a.b.c = \"1.2.3.4.5.6.7.8.9.10.11.12.13.14.15.16.17.18\"\n".repeat(50);
        assert_eq!(check(&lines), Ok(()));
        let most = vec!["a"; MOST_KEY_PARTS].join(".");
        assert_eq!(check(&format!("[{most}]\n{most} = 1")), Ok(()));
    }
}
