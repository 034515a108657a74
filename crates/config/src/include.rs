//! Follows `include` and joins the files to one document.
//!
//! Invariants: at most [`MOST_FILES`] files of at most [`LARGEST_FILE`] bytes are read, nested at most [`MOST_NESTING`]
//! deep, and no file twice. What stands in the including file comes before what it includes.

use std::collections::BTreeMap;
use std::path::{Component, Path, PathBuf};

use crate::Source;
use crate::problems::{At, Problems, Span};
use crate::suggest::quoted;
use crate::text::{self, Entry, Table, Value};

/// The largest file, in bytes.
pub const LARGEST_FILE: usize = 1024 * 1024;
/// The most files of one configuration.
pub const MOST_FILES: usize = 256;
/// How deep files may include files; the first file is at depth 0.
pub const MOST_NESTING: usize = 8;

/// Reads `path` and what it includes into one table. A table that stands in several files (`[global]`, `pool`) is
/// joined; what would stand in it twice is reported and the first one kept.
pub(crate) fn gather(path: &Path, source: &dyn Source, problems: &mut Problems) -> Table {
    let mut gathering = Gathering {
        source,
        problems,
        document: Table { entries: Vec::new() },
        places: BTreeMap::new(),
        chain: Vec::new(),
        seen: Vec::new(),
    };
    gathering.file(path, None);
    gathering.document
}

struct Gathering<'a> {
    source: &'a dyn Source,
    problems: &'a mut Problems,
    document: Table,
    /// The place of each key in `document`.
    places: BTreeMap<String, usize>,
    /// The files that are being read, outermost first.
    chain: Vec<PathBuf>,
    /// Every file that was read and where it was included.
    seen: Vec<(PathBuf, Option<Span>)>,
}

impl Gathering<'_> {
    /// Reads one file; `by` is where it was included.
    fn file(&mut self, path: &Path, by: Option<Span>) {
        let plain = without_dots(path);
        if let Some(by) = by
            && self.refuse(&plain, by)
        {
            return;
        }
        self.seen.push((plain.clone(), by));
        let text = match self.source.read(path) {
            Ok(text) => text,
            Err(why) => {
                let message = format!("cannot read {}: {why}", path.display());
                match by {
                    None => {
                        self.problems.whole_file(
                            path,
                            message,
                            "check the path and its permissions, or name another file with -c",
                        );
                    }
                    Some(by) => {
                        self.problems
                            .error(by, message)
                            .help("check the path and its permissions, or remove it from `include`");
                    }
                }
                return;
            }
        };
        if text.len() > LARGEST_FILE {
            let message =
                format!("{} is {} bytes long; a file may have {LARGEST_FILE}", path.display(), text.len());
            let help = "split it with `include`";
            match by {
                None => self.problems.whole_file(path, message, help),
                Some(by) => {
                    self.problems.error(by, message).help(help);
                }
            }
            return;
        }
        let file = self.problems.add_file(path, &text);
        let source = self.source;
        let table = text::read(file, &text, &|name| source.variable(name), self.problems);
        self.chain.push(plain);
        let includes = self.join(table);
        if let Some(includes) = includes {
            self.include(path, &includes);
        }
        self.chain.pop();
    }

    /// Says whether the file may not be read, and reports why.
    fn refuse(&mut self, path: &Path, by: Span) -> bool {
        let shown = path.display();
        if self.chain.iter().any(|outer| outer == path) {
            let way: Vec<String> = self.chain.iter().map(|file| file.display().to_string()).collect();
            self.problems
                .error(by, format!("{shown} includes itself"))
                .label(format!("{} → {shown}", way.join(" → ")))
                .help("remove one of these includes");
            return true;
        }
        if let Some((_, earlier)) = self.seen.iter().find(|(seen, _)| seen == path) {
            let earlier = *earlier;
            let draft = self.problems.error(by, format!("{shown} is included twice"));
            draft.help = Some("include each file once".into());
            if let Some(earlier) = earlier {
                draft.see(earlier, "it is already included here");
            }
            return true;
        }
        if self.chain.len() > MOST_NESTING {
            self.problems
                .error(by, format!("files are included more than {MOST_NESTING} deep"))
                .help("include the file from one that is further out");
            return true;
        }
        if self.seen.len() >= MOST_FILES {
            self.problems
                .error(by, format!("more than {MOST_FILES} files are included"))
                .help("put several listeners or pools into one file");
            return true;
        }
        false
    }

    fn include(&mut self, from: &Path, includes: &Entry) {
        let directory = from.parent().unwrap_or(Path::new("")).to_owned();
        let patterns = match &includes.value {
            Value::Text(text) => vec![At::new(text.text.clone(), includes.span)],
            Value::Array(items) => items
                .iter()
                .filter_map(|item| match &item.value {
                    Value::Text(text) => Some(At::new(text.text.clone(), item.span)),
                    Value::Damaged => None,
                    other => {
                        wrong(self.problems, item.span, other);
                        None
                    }
                })
                .collect(),
            Value::Damaged => Vec::new(),
            other => {
                wrong(self.problems, includes.span, other);
                Vec::new()
            }
        };
        for pattern in patterns {
            self.pattern(&directory, &pattern);
        }
    }

    fn pattern(&mut self, directory: &Path, pattern: &At<String>) {
        let text = pattern.value.as_str();
        if text.is_empty() || text.contains('\0') {
            self.problems
                .error(pattern.span, format!("{} is no file name", quoted(text)))
                .help("write a file name or a pattern such as `\"conf.d/*.toml\"`");
            return;
        }
        if !text.contains(['*', '?', '[']) {
            self.file(&directory.join(text), Some(pattern.span));
            return;
        }
        match self.source.glob(text, directory) {
            Err(why) => {
                self.problems
                    .error(pattern.span, format!("the pattern {} cannot be used: {why}", quoted(text)))
                    .help("`*` stands for any characters of a name, `?` for one, `[a-z]` for one of these");
            }
            Ok(files) if files.is_empty() => {
                self.problems.warning(pattern.span, format!("no file matches {}", quoted(text))).help(
                    format!("the pattern is relative to {}; remove it if no file is meant", shown(directory)),
                );
            }
            Ok(mut files) => {
                files.sort();
                for file in files {
                    self.file(&file, Some(pattern.span));
                }
            }
        }
    }

    /// Adds what stands in one file to the document and hands back its `include`.
    fn join(&mut self, table: Table) -> Option<Entry> {
        let mut includes = None;
        for entry in table.entries {
            if entry.key.value == "include" {
                includes = Some(entry);
                continue;
            }
            let known =
                self.places.get(&entry.key.value).and_then(|&place| self.document.entries.get_mut(place));
            let Some(known) = known else {
                self.places.insert(entry.key.value.clone(), self.document.entries.len());
                self.document.entries.push(entry);
                continue;
            };
            if let (Value::Table(known), Value::Table(added)) = (&mut known.value, &entry.value) {
                let have: BTreeMap<String, Span> =
                    known.entries.iter().map(|have| (have.key.value.clone(), have.key.span)).collect();
                for inner in &added.entries {
                    match have.get(&inner.key.value) {
                        Some(earlier) => twice(self.problems, &entry.key.value, inner, *earlier),
                        None => known.entries.push(inner.clone()),
                    }
                }
            } else {
                twice(self.problems, "", &entry, known.key.span);
            }
        }
        includes
    }
}

fn twice(problems: &mut Problems, table: &str, entry: &Entry, earlier: Span) {
    let name = match table {
        "" => quoted(&entry.key.value),
        "listener" | "pool" | "virtual-router" => format!("the {table} {}", quoted(&entry.key.value)),
        _ => format!("{} in [{table}]", quoted(&entry.key.value)),
    };
    problems
        .error(entry.key.span, format!("{name} is given in two files"))
        .see(earlier, "it is already here")
        .help(if matches!(table, "listener" | "pool" | "virtual-router") {
            "rename one of the two, or remove it"
        } else {
            "remove one of the two"
        });
}

fn wrong(problems: &mut Problems, span: Span, value: &Value) {
    problems
        .error(span, format!("`include` takes file names, not {}", value.kind()))
        .help("write `include = [\"conf.d/*.toml\"]`");
}

fn shown(directory: &Path) -> String {
    if directory.as_os_str().is_empty() {
        "the current directory".into()
    } else {
        directory.display().to_string()
    }
}

/// `a/./b/../c` as `a/c`, so that one file has one name. Symbolic links are not followed: a cycle through them ends at
/// [`MOST_NESTING`].
fn without_dots(path: &Path) -> PathBuf {
    let mut plain = PathBuf::new();
    for component in path.components() {
        match component {
            Component::CurDir => {}
            Component::ParentDir if matches!(plain.components().next_back(), Some(Component::Normal(_))) => {
                plain.pop();
            }
            other => plain.push(other),
        }
    }
    plain
}
