//! Gathers problems while the configuration is read, and the files they are in.
//!
//! Rules keep one mistake from being told twice: what was found on the line of a syntax error is dropped; a problem that
//! a syntax error may have caused (a key that seems to be missing, a name that seems unknown) is dropped when there is
//! one anywhere; and so is a warning that any error may have caused (a pool that seems unused).

use std::collections::BTreeSet;
use std::ops::Range;
use std::path::{Path, PathBuf};

use crate::masked::masked;
use crate::report::{Excerpt, MOST_PROBLEMS, Place, Problem, Related, Report, Severity};

/// Which file, by its place in [`Problems`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct FileId(u32);

/// Bytes of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Span {
    file: FileId,
    start: usize,
    end: usize,
}

/// A value and where it stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct At<T> {
    pub(crate) value: T,
    pub(crate) span: Span,
}

impl Span {
    pub(crate) fn new(file: FileId, range: Range<usize>) -> Self {
        Self { file, start: range.start, end: range.end }
    }

    pub(crate) fn range(self) -> Range<usize> {
        self.start..self.end
    }

    pub(crate) fn start(self) -> usize {
        self.start
    }
}

impl<T> At<T> {
    pub(crate) fn new(value: T, span: Span) -> Self {
        Self { value, span }
    }
}

/// A problem that is still tied to its file.
#[derive(Debug)]
pub(crate) struct Draft {
    severity: Severity,
    span: Span,
    message: String,
    label: Option<String>,
    pub(crate) help: Option<String>,
    related: Vec<(Span, String)>,
    /// Found by the TOML parser.
    pub(crate) syntax: bool,
    /// A syntax error elsewhere may have caused it; a warning: any error.
    consequence: bool,
}

impl Draft {
    /// Says it in other words.
    pub(crate) fn message(&mut self, message: impl Into<String>) -> &mut Self {
        self.message = message.into();
        self
    }

    /// What to do.
    pub(crate) fn help(&mut self, help: impl Into<String>) -> &mut Self {
        self.help = Some(help.into());
        self
    }

    /// A few words at the underlined text.
    pub(crate) fn label(&mut self, label: impl Into<String>) -> &mut Self {
        self.label = Some(label.into());
        self
    }

    /// Another place that has to do with it.
    pub(crate) fn see(&mut self, span: Span, message: impl Into<String>) -> &mut Self {
        self.related.push((span, message.into()));
        self
    }

    /// Marks it as one that a syntax error elsewhere may have caused.
    pub(crate) fn consequence(&mut self) -> &mut Self {
        self.consequence = true;
        self
    }
}

#[derive(Debug)]
struct SourceFile {
    path: PathBuf,
    text: String,
    /// Where each line starts.
    lines: Vec<usize>,
    broken: bool,
}

/// The files that were read and what is wrong with them.
#[derive(Debug, Default)]
pub(crate) struct Problems {
    files: Vec<SourceFile>,
    drafts: Vec<Draft>,
    whole_files: Vec<Problem>,
    omitted: usize,
    /// What the caller goes on to describe when there are too many.
    spare: Option<Draft>,
}

impl Problems {
    pub(crate) fn add_file(&mut self, path: &Path, text: &str) -> FileId {
        let id = FileId(u32::try_from(self.files.len()).unwrap_or(u32::MAX));
        let starts = text.bytes().enumerate().filter(|&(_, byte)| byte == b'\n').map(|(at, _)| at + 1);
        let lines = std::iter::once(0).chain(starts).collect();
        self.files.push(SourceFile { path: path.to_owned(), text: text.to_owned(), lines, broken: false });
        id
    }

    pub(crate) fn files(&self) -> Vec<PathBuf> {
        self.files.iter().map(|file| file.path.clone()).collect()
    }

    pub(crate) fn syntax_error_in(&mut self, file: FileId) {
        if let Some(file) = self.files.get_mut(file.0 as usize) {
            file.broken = true;
        }
    }

    /// A file that cannot be used at all and that no other file names.
    pub(crate) fn whole_file(&mut self, path: &Path, message: String, help: &str) {
        self.whole_files.push(Problem::of_file(path, message, help));
    }

    pub(crate) fn error(&mut self, span: Span, message: impl Into<String>) -> &mut Draft {
        self.add(Severity::Error, span, message.into())
    }

    pub(crate) fn warning(&mut self, span: Span, message: impl Into<String>) -> &mut Draft {
        self.add(Severity::Warning, span, message.into())
    }

    /// Says whether further problems are only counted: then it is not worth finding cures for them.
    pub(crate) fn full(&self) -> bool {
        self.drafts.len() >= MOST_PROBLEMS
    }

    fn add(&mut self, severity: Severity, span: Span, message: String) -> &mut Draft {
        let draft = Draft {
            severity,
            span,
            message,
            label: None,
            help: None,
            related: Vec::new(),
            syntax: false,
            consequence: false,
        };
        if self.full() {
            self.omitted += usize::from(severity == Severity::Error);
            return self.spare.insert(draft);
        }
        self.drafts.push(draft);
        let last = self.drafts.len() - 1;
        &mut self.drafts[last]
    }

    /// Puts the problems in order and ties them to lines and columns.
    pub(crate) fn finish(self) -> Report {
        let broken = self.files.iter().any(|file| file.broken);
        let failed = self.omitted > 0 || self.drafts.iter().any(|draft| draft.severity == Severity::Error);
        let broken_lines: BTreeSet<(FileId, usize)> = self
            .drafts
            .iter()
            .filter(|draft| draft.syntax)
            .map(|draft| (draft.span.file, self.line(draft.span)))
            .collect();
        let mut kept: Vec<&Draft> = self
            .drafts
            .iter()
            .filter(|draft| {
                let on_broken_line = broken_lines.contains(&(draft.span.file, self.line(draft.span)));
                // A warning is not worth its place when an error may have caused it.
                let caused = draft.consequence && (broken || failed && draft.severity == Severity::Warning);
                draft.syntax || !(on_broken_line || caused)
            })
            .collect();
        kept.sort_by_key(|draft| (draft.span, draft.severity));
        // One slip often makes the TOML parser complain two or three times about the same spot.
        kept.dedup_by(|later, earlier| {
            later.syntax
                && earlier.syntax
                && self.line(later.span) == self.line(earlier.span)
                && later.span.file == earlier.span.file
        });
        let mut problems: Vec<Problem> = self.whole_files.clone();
        problems.extend(kept.into_iter().map(|draft| self.problem(draft)));
        Report { problems, omitted: self.omitted }
    }

    fn problem(&self, draft: &Draft) -> Problem {
        Problem {
            severity: draft.severity,
            message: draft.message.clone(),
            place: self.place(draft.span),
            label: draft.label.clone(),
            help: draft.help.clone(),
            related: draft
                .related
                .iter()
                .map(|(span, message)| Related { message: message.clone(), place: self.place(*span) })
                .collect(),
        }
    }

    /// The line of a place, counted from 0.
    fn line(&self, span: Span) -> usize {
        let Some(file) = self.files.get(span.file.0 as usize) else { return 0 };
        file.lines.partition_point(|&start| start <= span.start).saturating_sub(1)
    }

    /// Ties bytes to a line: a place that goes over several lines is cut to the first.
    fn place(&self, span: Span) -> Place {
        let line = self.line(span);
        let Some(file) = self.files.get(span.file.0 as usize) else {
            return Place { file: PathBuf::new(), line: None, column: None, excerpt: None };
        };
        let start = file.lines.get(line).copied().unwrap_or(0);
        let text = file.text.get(start..).unwrap_or_default();
        let text = text.split('\n').next().unwrap_or_default().trim_end_matches('\r');
        let from = floor(text, span.start.saturating_sub(start));
        let to = ceil(text, span.end.saturating_sub(start)).max(from);
        let column = text.get(..from).unwrap_or_default().chars().count() + 1;
        Place {
            file: file.path.clone(),
            line: Some(line + 1),
            column: Some(column),
            excerpt: Some(Excerpt { line: masked(text), underlined: from..to }),
        }
    }
}

/// The nearest start of a character at or before `at`.
fn floor(text: &str, at: usize) -> usize {
    let at = at.min(text.len());
    (0..=at).rev().find(|&at| text.is_char_boundary(at)).unwrap_or(0)
}

/// The nearest start of a character at or after `at`.
fn ceil(text: &str, at: usize) -> usize {
    let at = at.min(text.len());
    (at..=text.len()).find(|&at| text.is_char_boundary(at)).unwrap_or(text.len())
}
