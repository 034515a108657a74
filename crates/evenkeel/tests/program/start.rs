//! How the program starts, or says why it does not.

use std::os::unix::fs::PermissionsExt;

use crate::site::{Site, errors, evenkeel, text, website};
use evenkeel_testkit::{BOUND, Program, free_address, needs_root, temp_dir};

#[test]
fn top_without_a_terminal_says_what_to_do() {
    let output = evenkeel().arg("top").stdin(std::process::Stdio::null()).output().unwrap();
    assert_eq!(output.status.code(), Some(64));
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(said.contains("needs a terminal: `evenkeel status`"), "{said}");
}

#[test]
fn five_mistakes_are_five_errors_and_nothing_is_started() {
    let directory = temp_dir();
    let socket = directory.path().join("control.sock");
    let file = directory.path().join("evenkeel.toml");
    let listener = directory.path().join("listener.sock");
    std::fs::write(
        &file,
        format!(
            "[global]\ncontrol-socket = \"{}\"\nthreds = 2\n\n[listener.website]\nbind = [\"unix:{}\", \"localhost:80\"]\n\
             pool = \"webside\"\n\n[pool.website]\nretries = \"many\"\n[pool.website.servers]\nweb = \"127.0.0.1\"\n",
            socket.display(),
            listener.display()
        ),
    )
    .unwrap();
    let output = evenkeel().arg("run").arg("-c").arg(&file).output().unwrap();
    let errors = errors(&output);
    assert_eq!(output.status.code(), Some(1), "{errors}");
    assert_eq!(errors.matches("error: ").count(), 5, "{errors}");
    for place in [":3:1", ":6:", ":7:8", ":10:11", ":12:7"] {
        assert!(errors.contains(&format!("{}{place}", file.display())), "{place} in {errors}");
    }
    assert!(errors.ends_with("nothing was started: 5 errors\n"), "{errors}");
    assert!(!socket.exists() && !listener.exists());

    let checked = evenkeel().arg("check").arg("-c").arg(&file).output().unwrap();
    assert_eq!(checked.status.code(), Some(1));
    let checked = evenkeel().arg("check").arg("--json").arg("-c").arg(&file).output().unwrap();
    let checked: serde_json::Value = serde_json::from_slice(&checked.stdout).unwrap();
    assert_eq!((checked["good"].as_bool(), checked["errors"].as_u64()), (Some(false), Some(5)));
}

#[test]
fn the_same_file_does_not_run_twice() {
    let address = free_address();
    let site = Site::start(&website(address, 1));
    let second = evenkeel().arg("run").arg("-c").arg(site.path("evenkeel.toml")).output().unwrap();
    assert_eq!(second.status.code(), Some(2));
    let errors = errors(&second);
    let socket = site.path("control.sock");
    assert!(
        errors.contains(&format!("cannot listen on unix:{}: another program", socket.display())),
        "{errors}"
    );
    assert!(errors.contains(&format!("cannot listen on {address}: ")), "{errors}");
    assert!(errors.contains("nothing was started"), "{errors}");
    // The first is as it was, its control socket included.
    assert_eq!(site.status()["phase"], "running");
}

#[test]
fn an_address_is_not_shared_with_another_instance() {
    let address = free_address();
    let _first = Site::start(&website(address, 1));
    let directory = temp_dir();
    let file = directory.path().join("evenkeel.toml");
    let socket = directory.path().join("control.sock");
    std::fs::write(
        &file,
        format!("[global]\ncontrol-socket = \"{}\"\n{}", socket.display(), website(address, 1)),
    )
    .unwrap();
    let second = evenkeel().arg("run").arg("-c").arg(&file).output().unwrap();
    assert_eq!(second.status.code(), Some(2));
    let errors = errors(&second);
    // As the same user the name of the first can be seen.
    assert!(errors.contains("evenkeel (pid "), "{errors}");
    assert!(!socket.exists(), "what was opened is closed again");
}

#[test]
fn an_unknown_user_is_said_before_anything_is_started() {
    if !needs_root() {
        return;
    }
    let directory = temp_dir();
    let file = directory.path().join("evenkeel.toml");
    let socket = directory.path().join("control.sock");
    std::fs::write(
        &file,
        format!(
            "[global]\ncontrol-socket = \"{}\"\nuser = \"nobody-here\"\n{}",
            socket.display(),
            website(free_address(), 1)
        ),
    )
    .unwrap();
    let output = evenkeel().arg("run").arg("-c").arg(&file).output().unwrap();
    assert_eq!(output.status.code(), Some(2));
    assert!(errors(&output).contains("there is no user `nobody-here`: create it"), "{output:?}");
}

#[test]
fn only_owner_and_group_may_use_the_control_socket() {
    let site = Site::start(&website(free_address(), 1));
    let mode = std::fs::metadata(site.path("control.sock")).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o660);
}

#[test]
fn roles_have_no_rights_and_no_secrets() {
    if !needs_root() {
        return;
    }
    let site = Site::start_with(&website(free_address(), 1), |command, _| {
        command.env("SITE_SECRET", "x");
    });
    for role in ["proxy", "admin"] {
        let process = format!("/proc/{}", site.role(role));
        let status = std::fs::read_to_string(format!("{process}/status")).unwrap();
        let field = |name: &str| {
            let line = status.lines().find_map(|line| line.strip_prefix(name)).unwrap();
            line.split_whitespace().map(String::from).collect::<Vec<_>>()
        };
        let uids = field("Uid:");
        assert!(uids.iter().all(|uid| uid != "0" && *uid == uids[0]), "{role}: {uids:?}");
        assert!(field("Gid:").iter().all(|gid| gid != "0"), "{role}");
        assert!(!field("Groups:").contains(&"0".to_owned()), "{role}");
        for set in ["CapInh:", "CapPrm:", "CapEff:", "CapBnd:", "CapAmb:"] {
            assert_eq!(field(set), ["0000000000000000"], "{role}: {set}");
        }
        assert_eq!(field("NoNewPrivs:"), ["1"], "{role}");
        let environment = std::fs::read_to_string(format!("{process}/environ")).unwrap();
        assert!(!environment.contains("SITE_SECRET"), "{role}");
    }
}

#[test]
fn the_facts_are_printed_at_the_start() {
    let address = free_address();
    let admin = free_address();
    let site = Site::start(&format!("threads = 2\n[admin]\nbind = \"{admin}\"\n{}", website(address, 1)));
    let lines = site.program.lines().join("\n");
    for fact in [
        &format!("listener website: {address}"),
        &format!("admin: {admin}"),
        "workers: 2 (global.threads)",
        "client connections: at most ",
        "roles run as ",
    ] {
        assert!(lines.contains(fact), "{fact} in {lines}");
    }
}

#[test]
fn commands_without_a_running_program_say_what_to_do() {
    let directory = temp_dir();
    let socket = directory.path().join("none.sock");
    for command in ["status", "reload", "stop", "diff"] {
        let output = evenkeel().arg(command).arg("--socket").arg(&socket).output().unwrap();
        assert_eq!(output.status.code(), Some(4), "{command}");
        let expected = format!(
            "no Evenkeel answers on {}: start it with `evenkeel run`, or name its socket with --socket\n",
            socket.display()
        );
        assert_eq!(errors(&output), expected);
    }
}

#[test]
fn a_command_line_that_makes_no_sense_has_its_own_exit_code() {
    assert_eq!(evenkeel().arg("rnu").output().unwrap().status.code(), Some(64));
    let output = evenkeel().args(["run", "--log-level", "evenkeel=loud"]).output().unwrap();
    assert_eq!(output.status.code(), Some(64));
    assert!(errors(&output).contains("`evenkeel=loud` is no log level"), "{output:?}");
    let help = evenkeel().arg("--help").output().unwrap();
    assert_eq!(help.status.code(), Some(0));
    assert!(text(&help).contains("Exit codes:"));
}

#[test]
fn a_proxy_role_that_cannot_start_ends_the_start() {
    if !needs_root() {
        return;
    }
    // Root without the right to become somebody else: the roles cannot give their rights up and refuse to work.
    let directory = temp_dir();
    let file = directory.path().join("evenkeel.toml");
    let socket = directory.path().join("control.sock");
    std::fs::write(
        &file,
        format!("[global]\ncontrol-socket = \"{}\"\n{}", socket.display(), website(free_address(), 1)),
    )
    .unwrap();
    if !evenkeel_testkit::needs("setpriv") {
        return;
    }
    let mut command = std::process::Command::new("setpriv");
    command.args(["--bounding-set", "-setuid", "--inh-caps", "-setuid"]);
    command.arg(evenkeel().get_program()).arg("run").arg("-c").arg(&file);
    let program = Program::start(&mut command);
    assert_eq!(program.wait(BOUND), 3);
    let lines = program.wait_for_end_of_output(BOUND).join("\n");
    assert!(lines.contains("Evenkeel needs CAP_SETUID and CAP_SETGID for this"), "{lines}");
    assert!(lines.contains("role failed 5 times at the start"), "{lines}");
    assert!(!socket.exists());
}
