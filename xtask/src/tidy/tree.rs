//! The files of the project, read once.

use std::collections::BTreeSet;
use std::io;
use std::path::Path;

use super::code::Code;

/// What is built or found out, not written.
const NOT_OURS: [&str; 6] =
    [".git", "target", "fuzz/target", "fuzz/artifacts", "fuzz/coverage", "labs/clients/target"];

/// A text file.
#[derive(Debug)]
pub(super) struct Source {
    /// Relative to the root, with `/`.
    pub path: String,
    pub text: String,
    /// The same text with comments and literals blanked, and the comments; for Rust only.
    pub code: Option<Code>,
}

impl Source {
    pub(super) fn new(path: &str, text: &str) -> Self {
        let code = path.ends_with(".rs").then(|| Code::read(text));
        Self { path: path.to_owned(), text: text.to_owned(), code }
    }
}

/// All files of the project.
#[derive(Debug, Default)]
pub(super) struct Tree {
    /// Those that are UTF-8 text, less the inputs of fuzz targets, sorted by path.
    pub files: Vec<Source>,
    /// Every file and directory, relative to the root.
    pub paths: BTreeSet<String>,
}

impl Tree {
    pub(super) fn read(root: &Path) -> io::Result<Self> {
        let mut tree = Self::default();
        tree.read_directory(root, "")?;
        tree.files.sort_by(|a, b| a.path.cmp(&b.path));
        Ok(tree)
    }

    /// A tree that a test makes up.
    #[cfg(test)]
    pub(super) fn of(files: &[(&str, &str)]) -> Self {
        let mut tree = Self::default();
        for &(path, text) in files {
            let mut above = Path::new(path);
            while let Some(parent) = above.parent().filter(|parent| !parent.as_os_str().is_empty()) {
                tree.paths.insert(parent.display().to_string());
                above = parent;
            }
            tree.paths.insert(path.to_owned());
            tree.files.push(Source::new(path, text));
        }
        tree
    }

    /// The Rust files with their code.
    pub(super) fn rust(&self) -> impl Iterator<Item = (&Source, &Code)> {
        self.files.iter().filter_map(|file| Some((file, file.code.as_ref()?)))
    }

    /// The files whose path starts so.
    pub(super) fn below<'a>(&'a self, start: &'a str) -> impl Iterator<Item = &'a str> {
        self.paths
            .range(start.to_owned()..)
            .map(String::as_str)
            .take_while(move |path| path.starts_with(start))
    }

    fn read_directory(&mut self, directory: &Path, prefix: &str) -> io::Result<()> {
        for entry in std::fs::read_dir(directory)? {
            let entry = entry?;
            let path = format!("{prefix}{}", entry.file_name().to_string_lossy());
            if NOT_OURS.contains(&path.as_str()) {
                continue;
            }
            self.paths.insert(path.clone());
            let kind = entry.file_type()?;
            if kind.is_dir() {
                self.read_directory(&entry.path(), &format!("{path}/"))?;
            } else if kind.is_file()
                && !path.starts_with("fuzz/corpus/")
                && let Ok(text) = String::from_utf8(std::fs::read(entry.path())?)
            {
                self.files.push(Source::new(&path, &text));
            }
        }
        Ok(())
    }
}
