//! `cargo xtask fuzz`: runs the fuzz targets for a while.
//!
//! New inputs go to `fuzz/target/found/`, so that a run never changes the committed corpus.

use std::path::Path;
use std::process::{Command, Stdio};

const DEFAULT_SECONDS: u32 = 60;

/// What was asked for.
#[derive(Debug, PartialEq, Eq)]
struct Request<'a> {
    seconds: u32,
    /// All when empty.
    targets: Vec<&'a str>,
}

/// Runs targets one after the other; fails with all that crashed.
pub(crate) fn run(root: &Path, arguments: &[&str]) -> Result<(), String> {
    let request = understand(arguments)?;
    let all = targets(root)?;
    let chosen = choose(&request.targets, &all)?;
    let cargo_fuzz = cargo_fuzz()?;
    let mut crashed = Vec::new();
    for target in chosen {
        println!("fuzz: {target} for {} s", request.seconds);
        let found = root.join("fuzz/target/found").join(target);
        std::fs::create_dir_all(&found)
            .map_err(|error| format!("cannot make {}: {error}", found.display()))?;
        let status = cargo_fuzz
            .command()
            .current_dir(root)
            .args(["run", "--features", "fuzzing", target])
            .arg(&found)
            .arg(root.join("fuzz/corpus").join(target))
            .arg("--")
            .arg(format!("-max_total_time={}", request.seconds))
            .arg("-timeout=10")
            .arg("-print_final_stats=1")
            .status()
            .map_err(|error| format!("cannot run cargo fuzz: {error}"))?;
        if !status.success() {
            let input =
                newest(&root.join("fuzz/artifacts").join(target)).unwrap_or_else(|| "INPUT".to_owned());
            crashed.push(format!(
                "fuzz: {target} failed; to see it again:\n    \
                 {} run --features fuzzing {target} fuzz/artifacts/{target}/{input}",
                cargo_fuzz.shown()
            ));
        }
    }
    if crashed.is_empty() { Ok(()) } else { Err(crashed.join("\n")) }
}

/// The name of the file in `directory` that was written last.
fn newest(directory: &Path) -> Option<String> {
    let entries = std::fs::read_dir(directory).ok()?.filter_map(Result::ok);
    let last = entries.max_by_key(|entry| entry.metadata().and_then(|metadata| metadata.modified()).ok())?;
    last.file_name().into_string().ok()
}

fn understand<'a>(arguments: &[&'a str]) -> Result<Request<'a>, String> {
    let mut request = Request { seconds: DEFAULT_SECONDS, targets: Vec::new() };
    let mut arguments = arguments.iter();
    while let Some(&argument) = arguments.next() {
        match argument {
            "--seconds" => {
                let number = arguments.next().and_then(|text| text.parse().ok()).filter(|&number| number > 0);
                request.seconds = number.ok_or("--seconds needs a whole number above 0")?;
            }
            option if option.starts_with('-') => {
                return Err(format!("unknown option {option}\n{}", crate::USAGE));
            }
            target => request.targets.push(target),
        }
    }
    Ok(request)
}

fn targets(root: &Path) -> Result<Vec<String>, String> {
    let directory = root.join("fuzz/fuzz_targets");
    let entries =
        std::fs::read_dir(&directory).map_err(|error| format!("{}: {error}", directory.display()))?;
    let names = entries.filter_map(|entry| entry.ok()?.file_name().into_string().ok());
    let mut targets: Vec<String> =
        names.filter_map(|name| Some(name.strip_suffix(".rs")?.to_owned())).collect();
    targets.sort();
    Ok(targets)
}

fn choose<'a>(asked: &[&str], all: &'a [String]) -> Result<Vec<&'a str>, String> {
    if asked.is_empty() {
        return Ok(all.iter().map(String::as_str).collect());
    }
    asked
        .iter()
        .map(|name| {
            all.iter()
                .find(|target| target == name)
                .map(String::as_str)
                .ok_or_else(|| format!("no fuzz target `{name}`; there are: {}", all.join(", ")))
        })
        .collect()
}

/// The way to run cargo-fuzz here; its sanitizers need the compiler's unstable options.
#[derive(Clone, Copy, Debug)]
enum CargoFuzz {
    /// There is a nightly toolchain.
    Nightly,
    /// There is none: the stable compiler is asked to allow them.
    Bootstrap,
}

impl CargoFuzz {
    fn command(self) -> Command {
        let mut command = Command::new("cargo");
        // Set by the `cargo xtask` that runs us; they would overrule the toolchain chosen here.
        command.env_remove("RUSTUP_TOOLCHAIN").env_remove("CARGO").env_remove("RUSTC");
        match self {
            Self::Nightly => command.args(["+nightly", "fuzz"]),
            Self::Bootstrap => command.env("RUSTC_BOOTSTRAP", "1").arg("fuzz"),
        };
        command
    }

    fn shown(self) -> &'static str {
        match self {
            Self::Nightly => "cargo +nightly fuzz",
            Self::Bootstrap => "RUSTC_BOOTSTRAP=1 cargo fuzz",
        }
    }
}

fn cargo_fuzz() -> Result<CargoFuzz, String> {
    [CargoFuzz::Nightly, CargoFuzz::Bootstrap]
        .into_iter()
        .find(|way| {
            let quiet = way.command().arg("--version").stdout(Stdio::null()).stderr(Stdio::null()).status();
            quiet.is_ok_and(|status| status.success())
        })
        .ok_or_else(|| "cargo-fuzz is missing; install it with: cargo install --locked cargo-fuzz".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seconds_and_targets_are_understood() {
        assert_eq!(understand(&[]), Ok(Request { seconds: 60, targets: vec![] }));
        assert_eq!(
            understand(&["head", "--seconds", "5"]),
            Ok(Request { seconds: 5, targets: vec!["head"] })
        );
        assert!(understand(&["--seconds"]).is_err());
        assert!(understand(&["--seconds", "0"]).is_err());
        assert!(understand(&["--fast"]).is_err());
    }

    #[test]
    fn unknown_targets_are_refused_with_the_known_ones() {
        let all = ["head".to_owned(), "uri".to_owned()];
        assert_eq!(choose(&[], &all), Ok(vec!["head", "uri"]));
        assert_eq!(choose(&["uri"], &all), Ok(vec!["uri"]));
        assert_eq!(choose(&["url"], &all), Err("no fuzz target `url`; there are: head, uri".to_owned()));
    }
}
