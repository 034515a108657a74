//! Says what the TOML parser found in the operator's words.

use super::{Reading, Table, Value};
use crate::problems::{Draft, Span};
use crate::suggest::quoted;

impl Reading<'_> {
    /// Reports one mistake that the TOML parser found; `tree` is what it made of the file.
    pub(super) fn report(&mut self, error: &toml::de::Error, tree: &Table) {
        let range = error.span().unwrap_or(0..0);
        let span = self.span(range.clone());
        let (message, expected) = match error.message().split_once(", expected ") {
            Some((message, expected)) => (message, Some(expected)),
            None => (error.message(), None),
        };
        if message == "duplicate key" {
            let key = self.text.get(range).unwrap_or_default();
            let earlier = if self.problems.full() { None } else { self.earlier(key, span, tree) };
            let draft = self.problems.error(span, format!("{} is given twice", quoted(key)));
            draft.help = Some("each name may stand only once in its table; remove one, or rename it".into());
            if let Some(earlier) = earlier {
                draft.see(earlier, "it is already here");
            }
            return;
        }
        self.problems.syntax_error_in(self.file);
        let (message, expected, span) = match message {
            "string values must be quoted" if range.is_empty() => ("missing value", None, span),
            "invalid basic string" | "invalid literal string" if matches!(expected, Some("`\"`" | "`'`")) => {
                ("unclosed string", expected, span)
            }
            "string values must be quoted" | "invalid boolean" | "invalid float" | "invalid integer" => {
                ("text without quotes", None, self.span(self.word_around(range)))
            }
            _ => (message, expected, span),
        };
        let draft = self.problems.error(span, message);
        draft.syntax = true;
        help(draft, message, expected);
    }

    /// The whole word of which the TOML parser dislikes a part.
    fn word_around(&self, range: std::ops::Range<usize>) -> std::ops::Range<usize> {
        let before = self.text.get(..range.start).unwrap_or_default();
        let delimiter = |c: char| c.is_whitespace() || matches!(c, '=' | ',' | '[' | '{');
        let start =
            before.char_indices().rev().find(|&(_, c)| delimiter(c)).map_or(0, |(at, c)| at + c.len_utf8());
        start..range.end
    }

    /// Where the key that stands at `span` was given before: in a table header, or nearest above in the tree.
    fn earlier(&self, key: &str, span: Span, tree: &Table) -> Option<Span> {
        let range = span.range();
        let line_start = self.text.get(..range.start)?.rfind('\n').map_or(0, |newline| newline + 1);
        let before_key = self.text.get(line_start..range.start)?;
        if before_key.trim_start().starts_with('[') {
            // The tree has only the later of two equal headers: look for the same line above.
            let up_to_key = self.text.get(line_start..range.end)?.trim_start();
            let mut at = 0;
            for line in self.text.get(..line_start)?.split_inclusive('\n') {
                let indent = line.len() - line.trim_start().len();
                if line
                    .trim_start()
                    .strip_prefix(up_to_key)
                    .is_some_and(|rest| rest.trim_start().starts_with(']'))
                {
                    let key_at = at + indent + up_to_key.len() - key.len();
                    return Some(self.span(key_at..key_at + key.len()));
                }
                at += line.len();
            }
        }
        let name = key.trim_matches(['"', '\'']);
        let mut nearest: Option<Span> = None;
        walk(tree, &mut |found, at| {
            if found == name
                && at.start() < span.start()
                && nearest.is_none_or(|best| best.start() < at.start())
            {
                nearest = Some(at);
            }
        });
        nearest
    }
}

fn walk(table: &Table, visit: &mut dyn FnMut(&str, Span)) {
    for entry in &table.entries {
        visit(&entry.key.value, entry.key.span);
        walk_value(&entry.value, visit);
    }
}

fn walk_value(value: &Value, visit: &mut dyn FnMut(&str, Span)) {
    match value {
        Value::Table(table) => walk(table, visit),
        Value::Array(items) => items.iter().for_each(|item| walk_value(&item.value, visit)),
        _ => {}
    }
}

/// The cure of a mistake in the syntax.
fn help(draft: &mut Draft, message: &str, expected: Option<&str>) {
    let cure = match message {
        "unclosed string" => format!("close the string with {}", expected.unwrap_or("`\"`")),
        "text without quotes" => "put it in quotes: `\"…\"`".to_owned(),

        "key with no value" | "missing assignment between key-value pairs" => {
            "write `key = value`".to_owned()
        }
        "missing value" | "missing value for key" => "write a value after `=`".to_owned(),
        "unclosed table" => "close the header with `]`".to_owned(),
        "unclosed array table" => "close the header with `]]`".to_owned(),
        "unclosed array" => "close the list with `]`".to_owned(),
        "unclosed inline table" => "close the table with `}`".to_owned(),
        "missing comma between array elements" | "missing comma between key-value pairs" => {
            "put a comma between the two".to_owned()
        }
        "unexpected leading zero" => "write the number without leading zeros".to_owned(),
        _ if message.starts_with("cannot extend value") => {
            "the name already stands for something else; remove one of the two".to_owned()
        }
        _ => match expected {
            Some("") | None | Some("nothing") => "the file must be TOML (https://toml.io)".to_owned(),
            Some(expected) => format!("expected {expected}"),
        },
    };
    draft.help = Some(cure);
}
