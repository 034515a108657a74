//! `cargo xtask live-lab`: changes the release build in every way that can be changed while it runs, under load, and
//! writes what clients saw of it to the guide.
//!
//! It judges what is promised and no more: that nothing fails, nothing is lost, nothing grows. Figures that depend on the
//! machine are shown, and held against generous bounds only.

mod active;
mod certificates;
mod drains;
mod load;
mod page;
mod reloads;
mod restarts;
mod servers;
mod site;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;

use evenkeel_testkit::needs;

pub(crate) use page::Part;
pub(crate) use site::Site;

/// How many servers come and go when nothing is said; a pool has at most 4096.
const SERVERS: usize = 1000;
const MOST_SERVERS: usize = 4000;

/// What to do.
#[derive(Debug, PartialEq, Eq)]
struct Plan {
    /// The name of one part; all without.
    only: Option<String>,
    servers: usize,
}

/// A part of the lab: its name, and what it does.
type Run = fn(&Path, &Path, &Plan) -> Result<Part, String>;
const PARTS: [(&str, Run); 9] = [
    ("reloads", |_, program, _| reloads::of_reloads(program)),
    ("upgrades", |_, program, _| reloads::of_upgrades(program)),
    ("active-upgrades", |_, program, _| active::of_upgrades(program)),
    ("active", |_, program, _| active::of_reloads(program)),
    ("servers", |_, program, plan| servers::run(program, plan.servers)),
    ("drains", |_, program, _| drains::run(program)),
    ("certificates", |_, program, _| certificates::run(program)),
    ("restarts", |_, program, _| restarts::run(program)),
    ("fuzzer", |root, program, _| crate::api_fuzz::of_the_lab(root, program)),
];

/// Runs the lab with the arguments after `live-lab`.
pub(crate) fn run(root: &Path, arguments: &[&str]) -> Result<(), String> {
    let plan = understand(arguments)?;
    let wanted = |name: &str| plan.only.as_deref().is_none_or(|only| only == name);
    let parts: Vec<(&str, Run)> = PARTS.into_iter().filter(|(name, _)| wanted(name)).collect();
    if parts.is_empty() {
        let names: Vec<&str> = PARTS.iter().map(|(name, _)| *name).collect();
        return Err(format!("no such part; there are {}", names.join(", ")));
    }
    if !(needs("wrk") && needs("nginx")) {
        return Err("the lab needs `wrk` and `nginx`: apt-get install wrk nginx-light".into());
    }
    let program = crate::bench::program(root)?;
    let mut done = Vec::new();
    for (name, run) in parts {
        println!("{name} …");
        let part = caught(|| run(root, &program, &plan)).unwrap_or_else(|why| Part::broken(name, why));
        print!("{}", part.text());
        done.push(part);
    }
    if plan.only.is_none() {
        page::write(root, &done)?;
    }
    if done.iter().all(Part::is_kept) {
        Ok(())
    } else {
        Err("live-lab: a promise was not kept; see above".into())
    }
}

/// What a wait of the lab complains about comes back as words.
fn caught<T>(act: impl FnOnce() -> Result<T, String>) -> Result<T, String> {
    catch_unwind(AssertUnwindSafe(act)).unwrap_or_else(|panic| {
        let text = panic.downcast_ref::<String>().cloned();
        Err(text.or_else(|| panic.downcast_ref::<&str>().map(|&text| text.to_owned())).unwrap_or_default())
    })
}

fn understand(arguments: &[&str]) -> Result<Plan, String> {
    let mut plan = Plan { only: None, servers: SERVERS };
    let mut rest = arguments.iter();
    while let Some(argument) = rest.next() {
        match *argument {
            "--only" => plan.only = Some((*rest.next().ok_or("--only needs the name of a part")?).to_owned()),
            "--servers" => {
                let count = rest.next().and_then(|count| count.parse().ok());
                plan.servers = count
                    .filter(|count| (1..=MOST_SERVERS).contains(count))
                    .ok_or_else(|| format!("--servers needs a number from 1 to {MOST_SERVERS}"))?;
            }
            other => return Err(format!("live-lab does not know {other}")),
        }
    }
    Ok(plan)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_part_and_a_number_of_servers_can_be_asked_for() {
        assert_eq!(understand(&[]), Ok(Plan { only: None, servers: 1000 }));
        let plan = Plan { only: Some("servers".into()), servers: 4000 };
        assert_eq!(understand(&["--servers", "4000", "--only", "servers"]), Ok(plan));
        for wrong in [&["--servers", "4001"][..], &["--servers"], &["--only"], &["100"]] {
            assert!(understand(wrong).is_err(), "{wrong:?}");
        }
    }

    #[test]
    fn a_panic_is_a_sentence() {
        assert_eq!(caught(|| -> Result<(), String> { panic!("not {}", 3) }), Err("not 3".into()));
    }
}
