//! What a client of a whole site sees of everything that is planned, and of processes that die: it should be nothing.
//!
//! `cargo xtask failover-lab --only nobody-sees` runs all cases and writes the page; `--only nobody-sees/CASE` one of
//! them, `--only nobody-sees/many` two hundred failovers in a row, `--only nobody-sees/soak` ten minutes of full load.

mod case;
mod many;
mod page;
mod site;
mod soak;
mod trial;

use std::path::Path;

use case::Case;
use page::Row;
use site::Site;

/// Repetitions of each case.
const REPETITIONS: usize = 5;

/// Runs the case of this name, all of them without.
pub(super) fn run(
    root: &Path,
    program: &Path,
    only: Option<&str>,
    repeat: Option<usize>,
) -> Result<(), String> {
    match only {
        Some("many") => return many::run(program, repeat).map(drop),
        Some("soak") => return soak::run(program),
        _ => {}
    }
    let cases: Vec<Case> =
        Case::ALL.into_iter().filter(|case| only.is_none_or(|only| only == case.name())).collect();
    if cases.is_empty() {
        let names: Vec<&str> = Case::ALL.iter().map(|case| case.name()).collect();
        return Err(format!("no such case; there are many, soak, {}", names.join(", ")));
    }
    let mut rows = Vec::new();
    let mut site: Option<Site> = None;
    for case in cases {
        let mut row = Row::new(case);
        for repetition in 0..repeat.unwrap_or(REPETITIONS) {
            // After a repetition that went wrong nobody knows what is left of the site.
            let mut current = site.take().unwrap_or_else(|| Site::start(program));
            match trial::run(&mut current, case, repetition) {
                Ok(measured) => {
                    let wrong = case.judge(&measured);
                    eprintln!("{} {measured} {}", case.name(), wrong.join(", "));
                    if wrong.is_empty() {
                        site = Some(current);
                    } else {
                        eprintln!("{}", current.logs());
                    }
                    row.add(measured);
                }
                Err(why) => {
                    eprintln!("{}: {why}\n{}", case.name(), current.logs());
                    row.fail(why);
                }
            }
        }
        rows.push(row);
    }
    drop(site);
    if only.is_some() {
        return page::write(root, &rows, None, false);
    }
    let many = many::run(program, None)?;
    page::write(root, &rows, Some(&many), repeat.is_none())
}
