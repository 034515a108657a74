use std::fs::Permissions;
use std::os::fd::AsRawFd;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::sync::Arc;

use super::*;

const LONG: Duration = Duration::from_secs(60);

/// A directory with a program of these lines.
fn program(lines: &str) -> (tempfile::TempDir, PathBuf) {
    let directory = tempfile::Builder::new().permissions(Permissions::from_mode(0o755)).tempdir().unwrap();
    let path = directory.path().join("script");
    std::fs::write(&path, format!("#!/bin/sh\n{lines}\n")).unwrap();
    std::fs::set_permissions(&path, Permissions::from_mode(0o755)).unwrap();
    (directory, path)
}

fn run(lines: &str, arguments: &[&str], patience: Duration) -> Ended {
    let (_directory, path) = program(lines);
    let arguments: Vec<String> = arguments.iter().map(|&argument| argument.to_owned()).collect();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        // Another test's process that is just being started may still hold the file open for writing.
        let running = loop {
            match start(&path, &arguments, &[("EVENKEEL_SERVER", "web 1".into())], ()) {
                Err(error) if error.kind() == io::ErrorKind::ExecutableFileBusy => {
                    tokio::task::yield_now().await;
                }
                started => break started.unwrap(),
            }
        };
        running.end(patience).await.unwrap()
    })
}

#[test]
fn the_exit_code_and_the_last_line_are_told() {
    let ended = run("echo one; echo \"two $1\" >&2; echo; exit 3", &["x y"], LONG);
    assert_eq!(ended, Ended { how: How::Code(3), last_line: Some("two x y".into()) });
    assert_eq!(run("exit 0", &[], LONG), Ended { how: How::Code(0), last_line: None });
    assert_eq!(run("kill -9 $$", &[], LONG).how, How::Signal(9));
}

#[test]
fn it_gets_a_clean_environment_and_no_file_of_ours() {
    let file = std::fs::File::open("/dev/null").unwrap();
    // A number that neither a shell nor `ls` takes by itself.
    let ours = rustix::io::fcntl_dupfd_cloexec(&file, 200).unwrap();
    let lines = "echo $(env | cut -d= -f1 | sort) / $EVENKEEL_SERVER / $PWD / $(ls /proc/self/fd)";
    let told = run(lines, &[], LONG).last_line.unwrap();
    let files = told.strip_prefix("EVENKEEL_SERVER PATH PWD / web 1 / / / ").unwrap();
    assert!(files.starts_with("0 1"), "{files}");
    assert!(!files.split(' ').any(|number| number == ours.as_raw_fd().to_string()), "{files}");
}

#[test]
fn it_is_killed_with_all_that_it_started_when_time_is_up() {
    let (directory, path) = program("sleep 1000 & echo $!; wait");
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let hold = Arc::new(());
    let ended = runtime.block_on(async {
        let running = start(&path, &[], &[], hold.clone()).unwrap();
        // Long enough to have said who its child is: asked of the output, not of the clock.
        running.output.readable().await.unwrap();
        running.end(Duration::from_millis(1)).await.unwrap()
    });
    assert_eq!(ended.how, How::TimeUp);
    runtime.block_on(async {
        while Arc::strong_count(&hold) > 1 {
            tokio::task::yield_now().await;
        }
    });
    let child = Pid::from_raw(ended.last_line.unwrap().parse().unwrap()).unwrap();
    let end = std::time::Instant::now() + LONG;
    // Its parent is gone, so whoever adopts it takes its status; until then it is a zombie.
    let alive = || {
        let status = std::fs::read_to_string(format!("/proc/{child}/stat")).unwrap_or_default();
        !(status.is_empty() || status.contains(") Z "))
    };
    while alive() {
        assert!(std::time::Instant::now() < end, "{child} lives on");
    }
    drop(directory);
}

#[test]
fn what_it_leaves_behind_ends_with_it() {
    let (_directory, path) = program("sleep 1000 & echo $!");
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let ended = runtime.block_on(async { start(&path, &[], &[], ()).unwrap().end(LONG).await.unwrap() });
    assert_eq!(ended.how, How::Code(0));
    let left = ended.last_line.unwrap();
    let end = std::time::Instant::now() + LONG;
    while std::fs::read_to_string(format!("/proc/{left}/stat")).is_ok_and(|stat| !stat.contains(") Z ")) {
        assert!(std::time::Instant::now() < end, "{left} lives on");
    }
}

#[test]
fn one_that_never_stops_talking_is_stopped() {
    assert_eq!(run("while :; do echo yes; done", &[], LONG).how, How::TooMuchOutput);
}

#[test]
fn a_long_line_is_cut_and_control_characters_are_gone() {
    let ended = run("printf 'a\\033b%0300d\\n' 0", &[], LONG);
    assert_eq!(ended.last_line.unwrap(), format!("a b{}", "0".repeat(197)));
}

#[test]
fn a_path_that_others_could_change_is_refused_with_its_element_and_mode() {
    let (directory, path) = program("exit 0");
    examine(&path, None).unwrap();
    let shown = |path: &Path, rest: &str| format!("{} {rest}", path.display());
    let refused = |path: &Path| examine(path, None).unwrap_err();
    let mode = |path: &Path, mode| std::fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();

    mode(&path, 0o644);
    assert_eq!(refused(&path), shown(&path, "(mode 0644) is not executable by this user"));
    mode(&path, 0o757);
    assert_eq!(refused(&path), shown(&path, "(mode 0757) is writable by others"));
    mode(&path, 0o755);
    mode(directory.path(), 0o777);
    assert_eq!(refused(&path), shown(directory.path(), "(mode 0777) is writable by others"));
    mode(directory.path(), 0o1777);
    examine(&path, None).unwrap();
    mode(directory.path(), 0o755);

    let nobody = directory.path().join("nobody");
    assert_eq!(refused(&nobody.join("x")), shown(&nobody, "does not exist"));
    assert_eq!(refused(directory.path()), shown(directory.path(), "(mode 0755) is no file"));
    assert_eq!(refused(&path.join("x")), shown(&path, "(mode 0755) is no directory"));
}

#[test]
fn links_are_followed_and_what_they_lead_to_is_looked_at() {
    let (directory, path) = program("exit 0");
    let below = directory.path().join("below");
    std::fs::create_dir(&below).unwrap();
    let link = below.join("link");
    std::os::unix::fs::symlink("../script", &link).unwrap();
    examine(&link, None).unwrap();
    std::fs::set_permissions(&path, Permissions::from_mode(0o666)).unwrap();
    assert_eq!(
        examine(&link, None).unwrap_err(),
        format!("{} (mode 0666) is writable by others", path.display())
    );
    let round = below.join("round");
    std::os::unix::fs::symlink("round", &round).unwrap();
    assert!(examine(&round, None).unwrap_err().ends_with("leads through more than 40 symbolic links"));
}

#[test]
fn the_user_of_the_role_must_be_able_to_execute_it() {
    if !crate::process::rights::is_root() {
        // Whom a role becomes matters to root only.
        return;
    }
    let nobody = crate::process::rights::account(Some("nobody")).unwrap();
    let (directory, path) = program("exit 0");
    examine(&path, Some(&nobody)).unwrap();
    std::fs::set_permissions(&path, Permissions::from_mode(0o700)).unwrap();
    let told = examine(&path, Some(&nobody)).unwrap_err();
    assert_eq!(told, format!("{} (mode 0700) is not executable by `nobody`", path.display()));
    std::fs::set_permissions(&path, Permissions::from_mode(0o755)).unwrap();
    std::fs::set_permissions(directory.path(), Permissions::from_mode(0o700)).unwrap();
    let told = examine(&path, Some(&nobody)).unwrap_err();
    assert_eq!(told, format!("{} (mode 0700) cannot be entered by `nobody`", directory.path().display()));
}

#[test]
fn it_reads_what_it_is_given_whatever_its_length() {
    let (_directory, path) = program("wc -c");
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let told = runtime.block_on(async {
        let input = vec![b'x'; 300_000];
        let running = loop {
            match start_with(None, &path, &[], &[], &input, ()) {
                Err(error) if error.kind() == io::ErrorKind::ExecutableFileBusy => {
                    tokio::task::yield_now().await;
                }
                started => break started.unwrap(),
            }
        };
        running.end(LONG).await.unwrap().last_line
    });
    assert_eq!(told.as_deref(), Some("300000"));
}
