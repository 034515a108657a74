//! `cargo xtask api-fuzz`: lets schemathesis try everything that the OpenAPI document allows, and much that it does not,
//! against a running program with the token, and finds answers that the document does not know.
//!
//! `POST /v1/stop` is left out, because it would end the run; everything else is tried: servers are changed, the file is
//! written and read again, virtual routers hand over. As root the program runs in a network namespace of its own, with a
//! virtual router; else without one.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use evenkeel_testkit::lab::{Host, Lab};
use evenkeel_testkit::{BOUND, Program, TempDir, needs, needs_root, temp_dir};

use crate::live_lab::Part;

/// What is looked at in each answer. Not whether a server is gone at once when it was deleted: it drains first (202).
const CHECKS: &str = "not_a_server_error,status_code_conformance,content_type_conformance,\
                      response_headers_conformance,response_schema_conformance,negative_data_rejection,\
                      missing_required_header,unsupported_method,allow_header_conformance,ignored_auth";
/// Cases for each operation and phase.
const CASES: &str = "100";
/// How long one run may take.
const LONGEST: Duration = Duration::from_secs(900);
const TOKEN: &str = "api-fuzz-api-fuzz-api-fuzz-api-fuzz";
const ADDRESS: &str = "127.0.0.1:8404";

/// Runs it with the arguments after `api-fuzz`: none, or `--seed N`.
pub(crate) fn run(root: &Path, arguments: &[&str]) -> Result<(), String> {
    let seed = match arguments {
        [] => None,
        ["--seed", seed] if seed.parse::<u64>().is_ok() => Some(*seed),
        _ => return Err("usage: cargo xtask api-fuzz [--seed N]".into()),
    };
    let program = crate::bench::program(root)?;
    let part = fuzz(root, &program, seed, true)?;
    print!("{}", part.text());
    if part.is_kept() { Ok(()) } else { Err("api-fuzz: an answer was not as documented; see above".into()) }
}

/// As a part of the live lab.
pub(crate) fn of_the_lab(root: &Path, program: &Path) -> Result<Part, String> {
    fuzz(root, program, None, false)
}

/// Builds what is needed, and fuzzes; `shows` what schemathesis says.
fn fuzz(root: &Path, program: &Path, seed: Option<&str>, shows: bool) -> Result<Part, String> {
    if !needs("python3") {
        return Err("schemathesis needs Python: apt-get install python3-venv".into());
    }
    let schemathesis = schemathesis(root)?;
    let lab = if needs_root() { Lab::start() } else { None };
    let place = lab.as_ref().map(|lab| {
        let (host, switch) = (lab.host("node"), lab.switch("lan"));
        let cable = lab.plug(&host, "eth0", &switch);
        host.add_address("eth0", "10.99.0.1/24");
        (host, switch, cable)
    });
    let host = place.as_ref().map(|(host, ..)| host);
    let directory = temp_dir();
    let path = |name: &str| directory.path().join(name);
    write(&directory, host.is_some())?;
    let mut command = inside(host, program);
    command.arg("run").arg("-c").arg(path("evenkeel.toml"));
    let running = Program::start(&mut command);
    running.wait_for_line(|line| line.contains("INFO ready: "), BOUND);
    let version = text_of(Command::new(&schemathesis).arg("--version"))?;
    let version = version.trim_start_matches(|c: char| !c.is_ascii_digit()).trim().to_owned();
    let mut part = Part::new(
        "A fuzzer driven by the OpenAPI document",
        format!(
            "schemathesis {version} reads `/v1/openapi.json` and sends what the document allows and what it forbids, with the \
             token, to every operation but `POST /v1/stop`: once with names of its own, once with names that exist. It looks \
             for answers of status 5xx, and for statuses, content types, headers and bodies that the document does not know."
        ),
    );
    for names in [false, true] {
        std::fs::write(path("schemathesis.toml"), settings(names)).map_err(|error| error.to_string())?;
        let mut command = inside(host, &schemathesis);
        command
            .arg("--config-file")
            .arg(path("schemathesis.toml"))
            .args(["run", "--no-color", "--continue-on-failure", "--suppress-health-check", "all"])
            .args(["--checks", CHECKS, "--max-examples", CASES, "--request-timeout", "10"])
            .args(["--header", &format!("Authorization: Bearer {TOKEN}")])
            .args(["--exclude-path", "/v1/stop"])
            .args(seed.iter().flat_map(|seed| ["--seed", seed]))
            .arg(format!("http://{ADDRESS}/v1/openapi.json"))
            .current_dir(directory.path());
        let fuzzing = Program::start(&mut command);
        let code = fuzzing.wait(LONGEST);
        let lines = fuzzing.wait_for_end_of_output(BOUND);
        if shows || code != 0 {
            println!("{}", lines.join("\n"));
        }
        let whose = if names { "names that exist" } else { "names of its own" };
        let found = |word: &str| {
            lines.iter().rev().find(|line| line.contains(word)).map(|line| line.trim().to_owned())
        };
        let cases = found(" generated, ").unwrap_or_else(|| format!("it ended with {code}"));
        let seed = found("Seed: ").unwrap_or_default();
        part.judge(whose, format!("{cases} ({seed})"), code == 0);
    }
    let lines = running.lines();
    let fell =
        lines.iter().filter(|line| line.contains("panicked") || line.contains("role has ended")).count();
    part.judge("roles that ended or panicked", fell.to_string(), fell == 0);
    running.signal(evenkeel_testkit::Signal::TERM);
    let code = running.wait(BOUND * 2);
    part.judge("the program afterwards", format!("ended with {code} when asked to"), code == 0);
    Ok(part)
}

/// A program in the host, or here.
fn inside(host: Option<&Host>, program: &Path) -> Command {
    match host {
        Some(host) => host.command(&program.to_string_lossy()),
        None => Command::new(program),
    }
}

/// The program of a virtual environment below `target`, made when there is none.
fn schemathesis(root: &Path) -> Result<PathBuf, String> {
    let target = std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root.join("target"), PathBuf::from);
    let directory = target.join("schemathesis");
    let program = directory.join("bin/schemathesis");
    if !program.exists() {
        println!("installing schemathesis in {}", directory.display());
        text_of(Command::new("python3").args(["-m", "venv"]).arg(&directory))?;
        text_of(Command::new(directory.join("bin/pip")).args(["install", "--quiet", "schemathesis"]))?;
    }
    Ok(program)
}

fn text_of(command: &mut Command) -> Result<String, String> {
    let output = command.output().map_err(|error| format!("{command:?}: {error}"))?;
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned());
    }
    Err(format!("{command:?}: {}", String::from_utf8_lossy(&output.stderr).trim()))
}

/// What every run says, and the names that exist.
fn settings(names: bool) -> String {
    let mut text = String::from(
        "[[operations]]\ninclude-path = \"/v1/events\"\nparameters = { \"query.follow\" = \"false\" }\n",
    );
    if names {
        text.push_str(
            "[parameters]\n\"path.pool\" = \"website\"\n\"path.server\" = \"webserver01\"\n\"path.name\" = \"public\"\n",
        );
    }
    text
}

fn write(directory: &TempDir, routers: bool) -> Result<(), String> {
    let path = |name: &str| directory.path().join(name);
    let mut text = format!(
        "[global]\nthreads = 1\ncontrol-socket = {:?}\nstate-dir = {:?}\n[admin]\nbind = \"{ADDRESS}\"\ntoken-file = {:?}\n\
         [listener.website]\nbind = \"127.0.0.1:8080\"\npool = \"website\"\n\
         [[listener.website.route]]\npath-prefix = \"/static/\"\npool = \"static\"\n\
         [pool.website]\nsticky = {{ cookie = \"LB\" }}\nhealth = {{ http = \"/\" }}\n\
         [pool.website.servers]\n# Nobody is there.\nwebserver01 = \"127.0.0.1:8081\"\nwebserver02 = \"127.0.0.1:8082\"\n\
         [pool.static.servers]\ncache01 = \"127.0.0.1:8083\"\n",
        path("control.sock"),
        path("state"),
        path("token")
    );
    if routers {
        text.push_str(
            "[virtual-router.public]\ninterface = \"eth0\"\nvrid = 51\npriority = 150\naddresses = [\"10.99.0.50/24\"]\n\
             advertisement-interval = \"100ms\"\n",
        );
    }
    let write = |name: &str, text: &str| {
        std::fs::write(path(name), text).map_err(|error| format!("{name} cannot be written: {error}"))
    };
    write("evenkeel.toml", &text)?;
    write("token", TOKEN)?;
    let private = std::os::unix::fs::PermissionsExt::from_mode(0o600);
    std::fs::set_permissions(path("token"), private).map_err(|error| error.to_string())
}
