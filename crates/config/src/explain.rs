//! Explains a key or a table to the operator: `evenkeel explain header-timeout`.

use crate::keys::{KEYS, Key, Section};
use crate::suggest::nearest;

/// The widest line of an explanation, in characters.
const WIDTH: usize = 96;

/// What `key` means. A key may be given alone (`weight`), with its table (`pool.servers.weight`), or as it stands in a
/// file with names (`listener.website.header-timeout`, `[listener.website]`). One that stands in several tables is
/// explained for each.
///
/// # Errors
/// The known keys that were probably meant, when there is no such key; possibly none.
pub fn explain(key: &str) -> Result<String, Vec<String>> {
    let typed = key.trim().trim_start_matches('[').trim_end_matches(']').trim().to_ascii_lowercase();
    let parts: Vec<&str> = typed.split('.').map(str::trim).collect();
    let mut blocks: Vec<String> = Section::ALL
        .into_iter()
        .filter(|section| *section != Section::Top && same_path(section.path(), &parts))
        .map(section_text)
        .collect();
    blocks.extend(
        KEYS.iter()
            .filter(|key| parts == [key.name] || same_path(&key.path(), &parts))
            // A table is explained as a table.
            .filter(|key| !Section::ALL.iter().any(|section| section.path() == key.path()))
            .map(key_text),
    );
    if blocks.is_empty() {
        let near = suggestions(&parts);
        if !near.is_empty() {
            return Err(near);
        }
        // `listener.website`: the last part is a name of the operator's.
        if parts.len() > 1 {
            let deepest = Section::ALL.into_iter().rev().find(|section| {
                !section.path().is_empty()
                    && same_path(section.path(), parts.split_last().map_or(&[], |(_, rest)| rest))
            });
            blocks.extend(deepest.map(section_text));
        }
    }
    if blocks.is_empty() { Err(Vec::new()) } else { Ok(blocks.join("\n")) }
}

/// Says whether `typed` is `path`, possibly with names of the operator's between its parts.
fn same_path(path: &str, typed: &[&str]) -> bool {
    let path: Vec<&str> = path.split('.').collect();
    let mut rest = typed.iter();
    let in_order = path.iter().all(|part| rest.any(|typed| typed == part));
    in_order && typed.len() <= 2 * path.len() && path.first() == typed.first() && path.last() == typed.last()
}

fn suggestions(typed: &[&str]) -> Vec<String> {
    let Some(last) = typed.last() else { return Vec::new() };
    let Some(near) = nearest(last, KEYS.iter().map(|key| key.name)) else { return Vec::new() };
    KEYS.iter().filter(|key| key.name == near).map(Key::path).collect()
}

fn section_text(section: Section) -> String {
    let mut text = format!("{}\n\n{}\n  keys:\n", section.header(), wrapped(section.description()));
    for key in section.keys() {
        text.push_str(&format!("    {:<22}{}\n", key.name, key.shown_default().replace('`', "")));
    }
    text
}

fn key_text(key: &Key) -> String {
    let mut text = format!("{}   in {}\n\n{}\n", key.path(), key.section.header(), wrapped(key.description));
    text.push_str(&format!("  takes    {}\n", key.kind.expectation()));
    text.push_str(&format!("  default  {}\n", key.shown_default()));
    text.push_str(&format!("  example  {}\n", key.example));
    if key.http_only {
        text.push_str("  only with mode = \"http\"\n");
    }
    if key.at_restart {
        text.push_str("  a change takes effect when the program is started again\n");
    }
    text
}

/// Breaks a paragraph into indented lines.
fn wrapped(paragraph: &str) -> String {
    let mut lines = String::new();
    let mut line = String::from(" ");
    for word in paragraph.split_whitespace() {
        if line.chars().count() + 1 + word.chars().count() > WIDTH {
            lines.push_str(&line);
            lines.push('\n');
            line = String::from(" ");
        }
        line.push(' ');
        line.push_str(word);
    }
    lines + &line + "\n"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_found_alone_with_its_table_and_with_names() {
        for typed in ["header-timeout", "listener.header-timeout", "listener.website.header-timeout"] {
            let text = explain(typed).unwrap();
            assert!(text.starts_with("listener.header-timeout   in [listener.NAME]"), "{text}");
            assert!(text.contains("default  `\"10s\"`"), "{text}");
        }
        let text = explain("pool.website.servers.webserver01.weight").unwrap();
        assert!(text.starts_with("pool.servers.weight"), "{text}");
    }

    #[test]
    fn a_key_of_several_tables_is_explained_for_each() {
        let text = explain("bind").unwrap();
        assert!(text.contains("[admin]") && text.contains("[listener.NAME]"), "{text}");
    }

    #[test]
    fn a_table_lists_its_keys() {
        for typed in ["listener", "[listener.website]", "listener.website"] {
            let text = explain(typed).unwrap();
            assert!(text.starts_with("[listener.NAME]"), "{text}");
            assert!(text.contains("    idle-timeout"), "{text}");
        }
        assert!(explain("[[listener.website.route]]").unwrap().starts_with("[[listener.NAME.route]]"));
        assert!(explain("pool.website.servers").unwrap().starts_with("[pool.NAME.servers]"));
    }

    #[test]
    fn an_unknown_key_gets_the_nearest() {
        assert_eq!(explain("header_timeot"), Err(vec!["listener.header-timeout".to_owned()]));
        assert_eq!(
            explain("listener.website.bnid"),
            Err(vec!["admin.bind".to_owned(), "listener.bind".to_owned(), "pair.bind".to_owned()])
        );
        assert_eq!(explain("xyzzy"), Err(Vec::new()));
        assert_eq!(explain(""), Err(Vec::new()));
    }
}
