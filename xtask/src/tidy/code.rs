//! Tells Rust code from comments and literals, and finds words in it.
//!
//! Invariant: `code` and `comments` have the same lines and columns as the text; what does not belong is blank.
//! This reads tokens, not a grammar: it needs no valid program.

/// A Rust text taken apart.
#[derive(Debug, Default)]
pub(super) struct Code {
    /// Everything but comments and literals of text and characters.
    pub code: Vec<char>,
    /// Comments only, with their marks.
    pub comments: Vec<char>,
}

impl Code {
    pub(super) fn read(text: &str) -> Self {
        let text: Vec<char> = text.chars().collect();
        let mut parts = Self::default();
        let mut at = 0;
        while at < text.len() {
            let kind = Kind::at(&text, at);
            let end = kind.end(&text, at).min(text.len());
            for &char in &text[at..end] {
                let (code, comment) = match (char, kind) {
                    ('\n', _) => ('\n', '\n'),
                    (char, Kind::Code) => (char, ' '),
                    (char, Kind::LineComment | Kind::BlockComment) => (' ', char),
                    _ => (' ', ' '),
                };
                parts.code.push(code);
                parts.comments.push(comment);
            }
            at = end;
        }
        parts
    }

    /// Where each whole word `word` stands in the code, as an index.
    pub(super) fn words<'a>(&'a self, word: &'a str) -> impl Iterator<Item = usize> + 'a {
        let length = word.chars().count();
        (0..self.code.len().saturating_sub(length - 1)).filter(move |&at| {
            word.chars().eq(self.code[at..at + length].iter().copied())
                && !(at > 0 && in_word(self.code[at - 1]))
                && !self.code.get(at + length).is_some_and(|&next| in_word(next))
        })
    }

    /// The line of an index, from 1.
    pub(super) fn line(&self, at: usize) -> usize {
        1 + self.code[..at].iter().filter(|&&char| char == '\n').count()
    }

    /// The lines of the comments.
    pub(super) fn comment_lines(&self) -> Vec<String> {
        self.comments.split(|&char| char == '\n').map(|line| line.iter().collect()).collect()
    }

    /// The lines of the code.
    pub(super) fn code_lines(&self) -> Vec<String> {
        self.code.split(|&char| char == '\n').map(|line| line.iter().collect()).collect()
    }

    /// The first index from `at` on that is no white space.
    pub(super) fn skip_blanks(&self, at: usize) -> usize {
        at + self.code[at.min(self.code.len())..].iter().take_while(|char| char.is_whitespace()).count()
    }

    /// The word that starts at `at`; empty when none does.
    pub(super) fn word_at(&self, at: usize) -> String {
        self.code[at.min(self.code.len())..].iter().take_while(|&&char| in_word(char)).collect()
    }

    /// The index after the bracket that closes the one at `at`.
    pub(super) fn closing(&self, at: usize) -> usize {
        let mut depth = 0_usize;
        for (index, char) in self.code.iter().enumerate().skip(at) {
            match char {
                '(' | '[' | '{' => depth += 1,
                ')' | ']' | '}' => {
                    depth = depth.saturating_sub(1);
                    if depth == 0 {
                        return index + 1;
                    }
                }
                _ => {}
            }
        }
        self.code.len()
    }

    /// The ranges of `#[cfg(test)] mod … { }`.
    pub(super) fn test_modules(&self) -> Vec<std::ops::Range<usize>> {
        let attribute: Vec<char> = "#[cfg(test)]".chars().collect();
        let starts = (0..self.code.len()).filter(|&at| self.code[at..].starts_with(&attribute));
        starts
            .filter_map(|start| {
                let module = self.skip_blanks(start + attribute.len());
                if self.word_at(module) != "mod" {
                    return None;
                }
                let open =
                    module + self.code[module..].iter().position(|&char| char == '{' || char == ';')?;
                (self.code[open] == '{').then(|| start..self.closing(open))
            })
            .collect()
    }
}

fn in_word(char: char) -> bool {
    char.is_alphanumeric() || char == '_'
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Code,
    LineComment,
    BlockComment,
    Text,
    RawText { hashes: usize },
    Char,
}

impl Kind {
    /// What starts at this place, which is not inside anything.
    fn at(text: &[char], at: usize) -> Self {
        let next = text.get(at + 1);
        match text[at] {
            '/' if next == Some(&'/') => Self::LineComment,
            '/' if next == Some(&'*') => Self::BlockComment,
            '"' => Self::Text,
            // 'a' and '\n' are characters, 'a alone is a lifetime.
            '\'' if next == Some(&'\\') || (next.is_some() && text.get(at + 2) == Some(&'\'')) => Self::Char,
            'r' if !text[..at]
                .last()
                .is_some_and(|&before| in_word(before) && before != 'b' && before != 'c') =>
            {
                let hashes = text[at + 1..].iter().take_while(|&&char| char == '#').count();
                match text.get(at + 1 + hashes) {
                    Some('"') => Self::RawText { hashes },
                    _ => Self::Code,
                }
            }
            _ => Self::Code,
        }
    }

    /// The index after its end.
    fn end(self, text: &[char], at: usize) -> usize {
        let from =
            |start: usize, stop: &dyn Fn(usize) -> bool| (start..text.len()).find(|&index| stop(index));
        let never = text.len();
        match self {
            Self::Code => at + 1,
            Self::LineComment => from(at, &|index| text[index] == '\n').unwrap_or(never),
            Self::BlockComment => end_of_block_comment(text, at),
            Self::Text => end_of_quoted(text, at, '"'),
            Self::Char => end_of_quoted(text, at, '\''),
            Self::RawText { hashes } => from(at + hashes + 2, &|index| {
                text[index] == '"'
                    && text[index + 1..].iter().take_while(|&&char| char == '#').count() >= hashes
            })
            .map_or(never, |quote| quote + 1 + hashes),
        }
    }
}

fn end_of_quoted(text: &[char], at: usize, quote: char) -> usize {
    let mut index = at + 1;
    while index < text.len() && text[index] != quote {
        index += if text[index] == '\\' { 2 } else { 1 };
    }
    index + 1
}

fn end_of_block_comment(text: &[char], at: usize) -> usize {
    let mut depth = 0_usize;
    let mut index = at;
    while index + 1 < text.len() {
        match (text[index], text[index + 1]) {
            ('/', '*') => depth += 1,
            ('*', '/') => depth -= 1,
            _ => {
                index += 1;
                continue;
            }
        }
        index += 2;
        if depth == 0 {
            return index;
        }
    }
    text.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn code(text: &str) -> String {
        Code::read(text).code.iter().collect()
    }

    #[test]
    fn comments_and_literals_are_blank_in_the_code() {
        assert_eq!(code("a // b\nc"), "a     \nc");
        assert_eq!(code("a /* b /* c */ d */ e"), "a                   e");
        assert_eq!(code(r#"x("y\"z") w"#), "x(      ) w");
        assert_eq!(code(r#"r"a\" b"#), "      b");
        assert_eq!(code("br#\"a\"b\"# c"), "b         c");
    }

    #[test]
    fn lifetimes_are_code_and_characters_are_not() {
        assert_eq!(code("&'a str"), "&'a str");
        assert_eq!(code(r"('x', '\'', '\u{1F600}')"), "(   ,     ,            )");
        assert_eq!(code("'\"' x"), "    x");
        assert_eq!(code("f::<'a>(b'c')"), "f::<'a>(b   )");
    }

    #[test]
    fn names_that_end_with_r_start_no_raw_text() {
        assert_eq!(code("for\"a\""), "for   ");
        assert_eq!(code("r#type x"), "r#type x");
    }

    #[test]
    fn words_are_whole_and_have_a_line() {
        let code = Code::read("cold old\nolder // old\n\"old\" old_x old");
        let lines: Vec<usize> = code.words("old").map(|at| code.line(at)).collect();
        assert_eq!(lines, [1, 3]);
    }

    #[test]
    fn brackets_are_matched_past_those_in_literals() {
        let code = Code::read("f(a, \")\", (b)) c");
        assert_eq!(code.closing(1), 14);
    }

    #[test]
    fn test_modules_are_found() {
        let code = Code::read("fn a() {}\n#[cfg(test)]\nmod tests { fn b() { } }\nfn c() {}");
        assert_eq!(code.test_modules(), vec![10..47; 1]);
        assert!(Code::read("#[cfg(test)]\nmod tests;").test_modules().is_empty());
    }

    #[test]
    fn unfinished_text_ends_with_the_file() {
        for text in ["\"a", "r#\"a\"", "/* a", "'\\", "// a", "\"\\"] {
            assert_eq!(Code::read(text).code.len(), text.chars().count(), "{text}");
        }
    }
}
