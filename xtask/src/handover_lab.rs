//! `cargo xtask handover-lab`: planned failovers of two linked balancers, back and forth, while clients hold on to everything
//! that can be held on to. Writes `docs/guide/handover-measured.md`. Needs root.
//!
//! `--only moves|kills|leftovers|strangers` does one part and prints it; `--moves N` says how many failovers there are under load.

mod clients;
mod kills;
mod leftovers;
mod moves;
mod site;
mod strangers;

use std::path::Path;

/// Failovers under load, and without.
const MOVES: usize = 20;
const MANY: usize = 200;

/// A part of the page.
struct Part {
    title: &'static str,
    /// Lines of Markdown.
    text: String,
    /// What is not as promised.
    wrong: Vec<String>,
}

/// Runs the lab with the arguments after `handover-lab`.
pub(crate) fn run(root: &Path, arguments: &[&str]) -> Result<(), String> {
    let (mut only, mut moves) = (None, MOVES);
    let mut rest = arguments;
    while let [name, value, further @ ..] = rest {
        match *name {
            "--only" => only = Some((*value).to_owned()),
            "--moves" => moves = value.parse().map_err(|_| format!("{value} is no number"))?,
            _ => return Err(USAGE.into()),
        }
        rest = further;
    }
    if !rest.is_empty() {
        return Err(USAGE.into());
    }
    let program = crate::bench::program(root)?;
    let wanted = |name: &str| only.as_deref().is_none_or(|only| only == name);
    let mut parts = Vec::new();
    if wanted("moves") {
        parts.push(moves::run(&program, moves)?);
    }
    if wanted("kills") {
        parts.push(kills::run(&program)?);
    }
    if wanted("leftovers") {
        parts.push(leftovers::run(&program, MANY)?);
    }
    if wanted("strangers") {
        parts.push(strangers::run(&program)?);
    }
    for part in &parts {
        eprintln!("## {}\n\n{}\n", part.title, part.text);
        for wrong in &part.wrong {
            eprintln!("not as promised: {wrong}");
        }
    }
    if only.is_none() {
        write(root, &parts)?;
    }
    let wrong: usize = parts.iter().map(|part| part.wrong.len()).sum();
    if wrong == 0 { Ok(()) } else { Err(format!("handover-lab: {wrong} promises were not kept; see above")) }
}

const USAGE: &str = "usage: cargo xtask handover-lab [--only moves|kills|leftovers|strangers] [--moves N]";

fn write(root: &Path, parts: &[Part]) -> Result<(), String> {
    let mut page = String::from(
        "# Planned failovers, measured\n\n\
         Two linked balancers (`[pair]`) in network namespaces of one machine with two shared cores, their servers and all clients beside them; \
         advertisements every 0.1 s. `cargo xtask handover-lab` makes this page. What it is for: [patch a balancer at noon](patch-at-noon.md).\n",
    );
    for Part { title, text, wrong } in parts {
        page.push_str(&format!("\n## {title}\n\n{}\n", text.trim_end()));
        for wrong in wrong {
            page.push_str(&format!("\nNot as promised: {wrong}.\n"));
        }
    }
    let path = root.join("docs/guide/handover-measured.md");
    std::fs::write(&path, page).map_err(|error| format!("{}: {error}", path.display()))
}
