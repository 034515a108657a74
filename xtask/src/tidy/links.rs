//! Links in the documentation lead to files that are there.

use super::Finding;
use super::tree::Tree;

pub(super) fn check(tree: &Tree) -> Vec<Finding> {
    let mut findings = Vec::new();
    for file in tree.files.iter().filter(|file| file.path.ends_with(".md")) {
        let directory = file.path.rsplit_once('/').map_or("", |(directory, _)| directory);
        let mut fenced = false;
        for (index, line) in file.text.lines().enumerate() {
            if line.trim_start().starts_with("```") {
                fenced = !fenced;
            } else if !fenced {
                let dead =
                    targets(line).into_iter().filter(|target| !leads_somewhere(tree, directory, target));
                findings.extend(dead.map(|target| {
                    Finding::new(&file.path, index + 1, format!("the link to {target} leads nowhere"))
                }));
            }
        }
    }
    findings
}

/// The targets of `[text](target)` and of `[text]: target` in a line, less those in code.
fn targets(line: &str) -> Vec<String> {
    let prose: String = line.split('`').step_by(2).collect();
    let mut targets: Vec<String> = prose
        .split("](")
        .skip(1)
        .filter_map(|rest| rest.split([')', ' ']).next())
        .map(str::to_owned)
        .collect();
    if line.starts_with('[')
        && let Some((_, target)) = prose.split_once("]: ")
    {
        targets.push(target.trim().to_owned());
    }
    targets
}

fn leads_somewhere(tree: &Tree, directory: &str, target: &str) -> bool {
    let path = target.split('#').next().unwrap_or_default();
    if path.is_empty() || path.contains("://") || path.starts_with("mailto:") {
        return true;
    }
    let mut parts: Vec<&str> = directory.split('/').filter(|part| !part.is_empty()).collect();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." => {
                if parts.pop().is_none() {
                    return false;
                }
            }
            part => parts.push(part),
        }
    }
    parts.is_empty() || tree.paths.contains(&parts.join("/"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn dead(text: &str) -> usize {
        check(&Tree::of(&[("docs/guide/a.md", text), ("docs/adr/1.md", ""), ("README.md", "")])).len()
    }

    #[test]
    fn links_to_files_directories_places_and_the_web_are_fine() {
        assert_eq!(
            dead(
                "[a](../adr/1.md) [b](../../README.md#c) [d](#e) [f](https://example.com/g.md) [h](../adr/)"
            ),
            0
        );
        assert_eq!(dead("[a]: ../adr/1.md\n`[b](c.md)`\n```\n[d](e.md)\n```"), 0);
    }

    #[test]
    fn links_to_nothing_are_found() {
        assert_eq!(dead("[a](b.md)\n[c](../adr/2.md#d), [e](../../../x)\n[f]: g.md"), 4);
    }
}
