//! Finds what was probably meant.

/// The least likeness (Jaro-Winkler, 0 to 1) at which a known word is proposed. With 0.8 `bnid` still finds `bind`,
/// and unrelated words of the same length find nothing.
const LEAST_LIKENESS: f64 = 0.8;

/// The known word that is most like `typed`, if any is like it. The first of equals wins.
pub(crate) fn nearest<'a>(typed: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let typed = simplified(typed);
    let mut best: Option<(f64, &str)> = None;
    for word in known {
        let likeness = strsim::jaro_winkler(&typed, &simplified(word));
        if likeness >= LEAST_LIKENESS && best.is_none_or(|(most, _)| likeness > most) {
            best = Some((likeness, word));
        }
    }
    best.map(|(_, word)| word)
}

/// `graceful_timeout` and `GracefulTimeout` are meant as `graceful-timeout`.
fn simplified(word: &str) -> String {
    word.chars().take(128).filter(|c| !matches!(c, '-' | '_' | ' ')).flat_map(char::to_lowercase).collect()
}

/// Joins words for a sentence: `a`, `b` or `c`, each in backquotes.
pub(crate) fn one_of<'a>(words: impl IntoIterator<Item = &'a str>) -> String {
    let words: Vec<String> = words.into_iter().map(|word| format!("`{word}`")).collect();
    match words.split_last() {
        None => String::new(),
        Some((last, [])) => last.clone(),
        Some((last, before)) => format!("{} or {last}", before.join(", ")),
    }
}

/// `text` as it may stand in a message: shortened, control characters escaped.
pub(crate) fn quoted(text: &str) -> String {
    const LONGEST: usize = 80;
    let mut shown: String =
        text.chars().take(LONGEST).flat_map(|c| if c.is_control() { escaped(c) } else { vec![c] }).collect();
    if text.chars().nth(LONGEST).is_some() {
        shown.push('…');
    }
    format!("`{shown}`")
}

fn escaped(c: char) -> Vec<char> {
    c.escape_default().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_typing_mistake_finds_the_word() {
        let known = ["bind", "mode", "pool", "header-timeout"];
        assert_eq!(nearest("bnid", known), Some("bind"));
        assert_eq!(nearest("header_timeout", known), Some("header-timeout"));
        assert_eq!(nearest("Pool", known), Some("pool"));
    }

    #[test]
    fn an_unrelated_word_finds_nothing() {
        assert_eq!(nearest("xyz", ["bind", "mode"]), None);
        assert_eq!(nearest("", ["bind", "mode"]), None);
    }

    #[test]
    fn long_and_unprintable_text_is_cut_and_escaped() {
        assert_eq!(quoted("a\nb"), "`a\\nb`");
        assert_eq!(quoted(&"x".repeat(100)), format!("`{}…`", "x".repeat(80)));
    }
}
