//! `${VAR}` and `${VAR:-default}` inside strings, `$$` for a dollar sign.
//!
//! Works on values that were already parsed, never on the file's text: what a variable holds cannot add keys, close a
//! string or name another variable. As in a shell, `:-` takes the default also when the variable is set and empty.

use std::ops::Range;

/// The longest text that a string may become, in bytes.
pub(crate) const LONGEST_VALUE: usize = 64 * 1024;

/// A mistake in the use of a variable.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Mistake {
    /// The bytes of the text that are meant.
    pub(crate) at: Range<usize>,
    pub(crate) message: String,
    pub(crate) help: String,
}

/// Replaces the variables in `text`; `None` when there is no dollar sign in it. All mistakes are reported at once.
pub(crate) fn substitute(
    text: &str,
    lookup: impl Fn(&str) -> Option<String>,
) -> Option<Result<String, Vec<Mistake>>> {
    if !text.contains('$') {
        return None;
    }
    let mut result = String::new();
    let mut mistakes = Vec::new();
    let mut position = 0;
    while let Some(found) = text[position..].find('$') {
        let dollar = position + found;
        result.push_str(&text[position..dollar]);
        let after = &text[dollar + 1..];
        if after.starts_with('$') {
            result.push('$');
            position = dollar + 2;
        } else if let Some(inside) = after.strip_prefix('{') {
            let Some(length) = inside.find('}') else {
                mistakes.push(Mistake {
                    at: dollar..text.len(),
                    message: "`${` is never closed".into(),
                    help: "write `${NAME}`, or `$$` for a dollar sign".into(),
                });
                position = text.len();
                break;
            };
            let end = dollar + 2 + length + 1;
            match value(&inside[..length], &lookup) {
                Ok(value) => result.push_str(&value),
                Err((message, help)) => mistakes.push(Mistake { at: dollar..end, message, help }),
            }
            position = end;
        } else {
            let name = after.len() - after.trim_start_matches(is_name_character).len();
            let help = if name > 0 {
                format!("write `${{{}}}` for the variable, or `$$` for a dollar sign", &after[..name])
            } else {
                "write `${NAME}` for a variable, or `$$` for a dollar sign".into()
            };
            mistakes.push(Mistake {
                at: dollar..dollar + 1 + name,
                message: "`$` is followed by neither `{` nor `$`".into(),
                help,
            });
            position = dollar + 1;
        }
        if result.len() > LONGEST_VALUE {
            mistakes.push(Mistake {
                at: 0..text.len(),
                message: format!("with its variables replaced this is longer than {LONGEST_VALUE} bytes"),
                help: "set the variables to shorter values".into(),
            });
            return Some(Err(mistakes));
        }
    }
    result.push_str(&text[position..]);
    Some(if mistakes.is_empty() { Ok(result) } else { Err(mistakes) })
}

/// The value of what stands between the braces, or a message and its cure.
fn value(inside: &str, lookup: impl Fn(&str) -> Option<String>) -> Result<String, (String, String)> {
    let (name, default) = match inside.split_once(":-") {
        Some((name, default)) => (name, Some(default)),
        None => (inside, None),
    };
    if name.is_empty()
        || name.starts_with(|c: char| c.is_ascii_digit())
        || !name.chars().all(is_name_character)
    {
        return Err((
            format!("{} is no name of a variable", crate::suggest::quoted(name)),
            "a name has letters, digits and `_` and does not start with a digit; a default follows after `:-`".into(),
        ));
    }
    if let Some(default) = default
        && default.contains('$')
    {
        return Err((
            "a default may not hold a variable itself".into(),
            format!("write the default's text, or set {name} outside"),
        ));
    }
    match (lookup(name), default) {
        (Some(value), None) => Ok(value),
        (Some(value), Some(_)) if !value.is_empty() => Ok(value),
        (_, Some(default)) => Ok(default.to_owned()),
        (None, None) => Err((
            format!("the variable {name} is not set"),
            format!("set {name} in the environment, or give a default: `${{{name}:-…}}`"),
        )),
    }
}

fn is_name_character(c: char) -> bool {
    c.is_ascii_alphanumeric() || c == '_'
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(text: &str) -> Result<String, Vec<Mistake>> {
        substitute(text, |name| match name {
            "PORT" => Some("8080".into()),
            "EMPTY" => Some(String::new()),
            "TRICK" => Some("${PORT}$$\"".into()),
            "LONG" => Some("x".repeat(LONGEST_VALUE)),
            _ => None,
        })
        .unwrap_or_else(|| Ok(text.to_owned()))
    }

    #[test]
    fn set_variables_and_defaults_are_replaced() {
        assert_eq!(with("127.0.0.1:${PORT}").unwrap(), "127.0.0.1:8080");
        assert_eq!(with("${HOST:-127.0.0.1}:${PORT:-80}").unwrap(), "127.0.0.1:8080");
        assert_eq!(with("${EMPTY}").unwrap(), "");
        assert_eq!(with("${EMPTY:-a:-b}").unwrap(), "a:-b");
        assert_eq!(with("costs 5$$, ${PORT}$$").unwrap(), "costs 5$, 8080$");
        assert_eq!(substitute("no dollar", |_| None), None);
    }

    #[test]
    fn what_a_variable_holds_is_not_looked_at_again() {
        assert_eq!(with("${TRICK}").unwrap(), "${PORT}$$\"");
    }

    #[test]
    fn every_mistake_is_found_where_it_is() {
        let places =
            |text| with(text).unwrap_err().into_iter().map(|m| (m.at.start, m.at.end)).collect::<Vec<_>>();
        assert_eq!(places("a${UNSET}b$PORT"), [(1, 9), (10, 15)]);
        assert_eq!(places("${PORT"), [(0, 6)]);
        assert_eq!(places("${}"), [(0, 3)]);
        assert_eq!(places("${1A}"), [(0, 5)]);
        assert_eq!(places("${A:-${B}}"), [(0, 9)]);
        assert_eq!(places("ä$"), [(2, 3)]);
    }

    #[test]
    fn a_value_that_grows_too_long_is_refused() {
        assert!(with("${LONG}${PORT}").unwrap_err()[0].message.contains("longer"));
    }
}
