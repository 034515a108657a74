//! What is wrong with a configuration, where, and what to do about it.
//!
//! A [`Report`] stands alone: it keeps the lines it shows and none of the files. It never stops at the first problem;
//! only beyond [`MOST_PROBLEMS`] it counts and no longer keeps.

use std::fmt;
use std::path::{Path, PathBuf};

use annotate_snippets::{AnnotationKind, Group, Level, Origin, Renderer, Snippet};
use serde::Serialize;

/// The most problems that are kept and shown; further ones are counted.
pub const MOST_PROBLEMS: usize = 500;

/// Whether a problem keeps the configuration from being used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Severity {
    /// The configuration is not used.
    Error,
    /// The configuration is used, and probably does not do what was meant.
    Warning,
}

/// A place in a file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Place {
    /// The file.
    pub file: PathBuf,
    /// Line, counted from 1; `None` when the file as a whole is meant.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub line: Option<usize>,
    /// Column in characters, counted from 1; `None` when the file as a whole is meant.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub column: Option<usize>,
    /// The line and the bytes of it that are meant.
    #[serde(skip)]
    pub(crate) excerpt: Option<Excerpt>,
}

/// One line of a file and the bytes of it that are underlined.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Excerpt {
    pub(crate) line: String,
    pub(crate) underlined: std::ops::Range<usize>,
}

/// One problem.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Problem {
    /// Whether it is an error or a warning.
    pub severity: Severity,
    /// What is wrong, in one sentence without a full stop.
    pub message: String,
    /// Where.
    #[serde(flatten)]
    pub place: Place,
    /// A few words on the underlined text.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub label: Option<String>,
    /// What to do.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub help: Option<String>,
    /// Other places that have to do with it.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub related: Vec<Related>,
}

/// Another place that has to do with a problem.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Related {
    /// What is there.
    pub message: String,
    /// Where.
    #[serde(flatten)]
    pub place: Place,
}

/// All problems of a configuration, in the order of its files and lines.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Report {
    pub(crate) problems: Vec<Problem>,
    /// Problems beyond [`MOST_PROBLEMS`].
    pub(crate) omitted: usize,
}

impl Report {
    /// The problems in the order of files and lines; warnings are among them.
    #[must_use]
    pub fn problems(&self) -> &[Problem] {
        &self.problems
    }

    /// Adds what was found out about a file that the configuration names.
    pub fn add_file(&mut self, severity: Severity, file: &Path, message: String) {
        self.problems.push(Problem { severity, help: None, ..Problem::of_file(file, message, "") });
    }

    /// How many errors there are, those that are not kept included.
    #[must_use]
    pub fn count(&self) -> usize {
        self.problems.iter().filter(|problem| problem.severity == Severity::Error).count() + self.omitted
    }

    /// How many warnings there are.
    #[must_use]
    pub fn warnings(&self) -> usize {
        self.problems.iter().filter(|problem| problem.severity == Severity::Warning).count()
    }

    /// Says whether there is nothing to report.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.problems.is_empty() && self.omitted == 0
    }

    /// All problems as text for a person: what, where, the line with the place underlined, and the cure. Ends with a
    /// newline unless there is nothing to report.
    #[must_use]
    pub fn render(&self, color: bool) -> String {
        let renderer = if color { Renderer::styled() } else { Renderer::plain() };
        let mut text = String::new();
        for problem in &self.problems {
            text.push_str(&problem.render(&renderer));
            text.push_str("\n\n");
        }
        if self.omitted > 0 {
            text.push_str(&format!("and {} further errors that are not shown\n\n", self.omitted));
        }
        text.pop();
        text
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.render(false))
    }
}

impl std::error::Error for Report {}

impl Problem {
    /// A problem with a file as a whole, found before any text was read.
    pub(crate) fn of_file(file: &Path, message: String, help: &str) -> Self {
        Self {
            severity: Severity::Error,
            message,
            place: Place { file: file.to_owned(), line: None, column: None, excerpt: None },
            label: None,
            help: Some(help.to_owned()),
            related: Vec::new(),
        }
    }

    fn render(&self, renderer: &Renderer) -> String {
        let level = match self.severity {
            Severity::Error => Level::ERROR,
            Severity::Warning => Level::WARNING,
        };
        let title = level.primary_title(self.message.as_str());
        let mut group =
            show(Group::with_title(title), &self.place, AnnotationKind::Primary, self.label.as_deref());
        for related in &self.related {
            group = show(group, &related.place, AnnotationKind::Context, Some(&related.message));
        }
        if let Some(help) = &self.help {
            group = group.element(Level::HELP.message(help.as_str()));
        }
        renderer.render(&[group])
    }
}

/// Adds a place to what is shown of a problem.
fn show<'a>(group: Group<'a>, place: &'a Place, kind: AnnotationKind, label: Option<&'a str>) -> Group<'a> {
    let path = place.file.to_string_lossy();
    let (Some(line), Some(excerpt)) = (place.line, &place.excerpt) else {
        return group.element(Origin::path(path));
    };
    let annotation = kind.span(excerpt.underlined.clone()).label(label);
    group.element(Snippet::source(excerpt.line.as_str()).line_start(line).path(path).annotation(annotation))
}
