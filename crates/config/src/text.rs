//! Reads TOML into a tree in which every key and value knows its place, with variables already replaced.
//!
//! Never gives up at the first mistake: what can be read behind it is in the tree. Invariants: a [`Table`] holds each
//! key once, in file order; no tree is deeper than [`MOST_KEY_PARTS`] and the TOML parser's own bound on brackets allow.

mod guard;
mod syntax;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use crate::include::LARGEST_FILE;
use crate::problems::{At, FileId, Problems, Span};
use crate::variables;

pub(crate) use guard::MOST_KEY_PARTS;

/// A table: keys and values in file order.
#[derive(Clone, Debug)]
pub(crate) struct Table {
    pub(crate) entries: Vec<Entry>,
}

/// One key and its value.
#[derive(Clone, Debug)]
pub(crate) struct Entry {
    pub(crate) key: At<String>,
    pub(crate) value: Value,
    /// Where the value stands; for a table its header.
    pub(crate) span: Span,
}

/// A value without its key, as in an array.
#[derive(Clone, Debug)]
pub(crate) struct Item {
    pub(crate) value: Value,
    pub(crate) span: Span,
}

#[derive(Clone, Debug)]
pub(crate) enum Value {
    Text(Text),
    /// `None` when it does not fit.
    Integer(Option<i64>),
    Float(f64),
    Boolean(bool),
    Date,
    Array(Vec<Item>),
    Table(Table),
    /// A string whose variables could not be replaced; that was already reported.
    Damaged,
}

#[derive(Clone, Debug)]
pub(crate) struct Text {
    pub(crate) text: String,
    /// A variable was replaced in it: then it may also stand where a number is needed.
    pub(crate) from_variable: bool,
}

impl Value {
    /// For messages: what it is.
    pub(crate) fn kind(&self) -> &'static str {
        match self {
            Self::Text(_) | Self::Damaged => "a string",
            Self::Integer(_) => "a number",
            Self::Float(_) => "a number with a fraction",
            Self::Boolean(_) => "true or false",
            Self::Date => "a date or time",
            Self::Array(_) => "a list",
            Self::Table(_) => "a table",
        }
    }
}

impl Table {
    pub(crate) fn find(&self, key: &str) -> Option<&Entry> {
        self.entries.iter().find(|entry| entry.key.value == key)
    }
}

/// Reads the text of `file`. Mistakes go to `problems`.
pub(crate) fn read(
    file: FileId,
    text: &str,
    variable: &dyn Fn(&str) -> Option<String>,
    problems: &mut Problems,
) -> Table {
    let mut reading = Reading { file, text, variable, problems, substituted: 0 };
    if let Err(place) = guard::check(text) {
        reading
            .problems
            .error(reading.span(place), format!("a key has more than {MOST_KEY_PARTS} parts"))
            .help("no setting is as deep as that; put a name that contains dots in quotes");
        reading.problems.syntax_error_in(file);
        return Table { entries: Vec::new() };
    }
    let (table, errors) = DeTable::parse_recoverable(text);
    let table = reading.table(table.get_ref());
    for error in &errors {
        reading.report(error, &table);
    }
    table
}

struct Reading<'a> {
    file: FileId,
    text: &'a str,
    variable: &'a dyn Fn(&str) -> Option<String>,
    problems: &'a mut Problems,
    /// Bytes of all strings in which variables were replaced.
    substituted: usize,
}

impl Reading<'_> {
    fn span(&self, range: std::ops::Range<usize>) -> Span {
        Span::new(self.file, range)
    }

    fn table(&mut self, table: &DeTable<'_>) -> Table {
        let mut entries = Vec::with_capacity(table.len());
        for (key, value) in table {
            let key = At { value: key.get_ref().to_string(), span: self.span(key.span()) };
            let Item { value, span } = self.item(value);
            entries.push(Entry { key, value, span });
        }
        Table { entries }
    }

    fn item(&mut self, value: &Spanned<DeValue<'_>>) -> Item {
        let span = self.span(value.span());
        let value = match value.get_ref() {
            DeValue::String(text) => self.string(text, value.span()),
            DeValue::Integer(integer) => {
                Value::Integer(i64::from_str_radix(integer.as_str(), integer.radix()).ok())
            }
            DeValue::Float(number) => Value::Float(number.as_str().parse().unwrap_or(f64::NAN)),
            DeValue::Boolean(boolean) => Value::Boolean(*boolean),
            DeValue::Datetime(_) => Value::Date,
            DeValue::Array(array) => Value::Array(array.iter().map(|item| self.item(item)).collect()),
            DeValue::Table(table) => Value::Table(self.table(table)),
        };
        Item { value, span }
    }

    fn string(&mut self, text: &str, range: std::ops::Range<usize>) -> Value {
        match variables::substitute(text, self.variable) {
            None => Value::Text(Text { text: text.to_owned(), from_variable: false }),
            Some(Ok(text)) => {
                self.substituted += text.len();
                if self.substituted > LARGEST_FILE {
                    let span = self.span(range);
                    self.problems
                        .error(
                            span,
                            format!("the file's variables hold more than {LARGEST_FILE} bytes together"),
                        )
                        .help("set them to shorter values");
                    return Value::Damaged;
                }
                Value::Text(Text { text, from_variable: true })
            }
            Some(Err(mistakes)) => {
                for mistake in mistakes {
                    // Escapes make a string's text differ from the file's; then the whole string is underlined.
                    let plain = self.text.get(range.start + 1..range.end.saturating_sub(1)) == Some(text);
                    let at = if plain {
                        range.start + 1 + mistake.at.start..range.start + 1 + mistake.at.end
                    } else {
                        range.clone()
                    };
                    let span = self.span(at);
                    self.problems.error(span, mistake.message).help(mistake.help);
                }
                Value::Damaged
            }
        }
    }
}
