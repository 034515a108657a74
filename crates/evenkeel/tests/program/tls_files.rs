//! The files of TLS in the hands of the supervisor: what is wrong with them is told, what was good stays in force, and no
//! key is ever shown.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::time::Instant;

use evenkeel_testkit::{Authority, BOUND, Issued, ToyServer, free_address, needs, temp_dir};

use crate::site::{Site, errors, evenkeel, text};
use crate::tls::{certificates, s_client, secured};

fn problem(site: &Site) -> Option<String> {
    site.status()["certificates"][0]["problem"].as_str().map(str::to_owned)
}

fn wait_for_problem(site: &Site, holds: impl Fn(Option<&str>) -> bool) {
    let end = Instant::now() + BOUND;
    while !holds(problem(site).as_deref()) {
        assert!(Instant::now() < end, "never seen: {:?}", problem(site));
        std::thread::yield_now();
    }
}

#[test]
fn a_broken_file_leaves_the_last_good_one_in_force_and_is_told() {
    if !needs("openssl") {
        return;
    }
    let authority = Authority::new();
    let issued = authority.issue("www", &["www.example.com"]);
    let other = authority.issue("other", &["www.example.com"]);
    let (server, address) = (ToyServer::named("a"), free_address());
    let site = Site::start(&secured(address, server.address(), "", &certificates(&[&issued])));
    assert_eq!(problem(&site), None);
    let served = || s_client(address, &[]).contains("subject=");
    let good = fs::read(&issued.certificate).unwrap();
    let key = fs::read_to_string(&issued.key).unwrap();
    for (bytes, why) in [
        (b"nonsense".to_vec(), "holds none"),
        (good[..good.len() / 2].to_vec(), "is no PEM"),
        (fs::read(&other.certificate).unwrap(), "does not belong to the certificate"),
    ] {
        fs::write(&issued.certificate, bytes).unwrap();
        wait_for_problem(&site, |problem| problem.is_some_and(|problem| problem.contains(why)));
        assert!(problem(&site).unwrap().ends_with("what was read before stays in force"));
        assert!(served());
        let shown = text(&site.command(&["status"]));
        assert!(shown.contains("CERTIFICATES") && shown.contains(why), "{shown}");
        // A reload goes on with what is good, and says what is not.
        let reloaded = site.command(&["reload"]);
        assert!(reloaded.status.success(), "{reloaded:?}");
        assert!(format!("{}{}", text(&reloaded), errors(&reloaded)).contains(why), "{reloaded:?}");
    }
    fs::write(&issued.certificate, good).unwrap();
    wait_for_problem(&site, |problem| problem.is_none());
    assert!(served());
    let lines = site.program.lines().join("\n");
    let secret = key.lines().nth(1).unwrap();
    assert!(lines.contains("stays in force") && !lines.contains(secret));
    for command in [&["status", "--json"][..], &["diff"], &["status"]] {
        assert!(!format!("{:?}", site.command(command)).contains(secret));
    }
}

#[test]
fn a_directory_of_certificates_is_followed() {
    if !needs("openssl") {
        return;
    }
    let authority = Authority::new();
    let directory = temp_dir();
    let put = |issued: &Issued, name: &str| {
        // Under a name that does not count until it is complete.
        let both =
            fs::read_to_string(&issued.certificate).unwrap() + &fs::read_to_string(&issued.key).unwrap();
        let part = directory.path().join("part");
        fs::write(&part, both).unwrap();
        fs::set_permissions(&part, fs::Permissions::from_mode(0o600)).unwrap();
        fs::rename(part, directory.path().join(name)).unwrap();
    };
    put(&authority.issue("a", &["a.example.com"]), "a.pem");
    put(&authority.issue("z", &["z.example.com"]), "default.pem");
    let (server, address) = (ToyServer::named("a"), free_address());
    let tls = format!("certificates = {:?}", directory.path());
    let site = Site::start(&secured(address, server.address(), "", &tls));
    let subject = |name: &str| {
        let said = s_client(address, &["-servername", name]);
        said.lines().find_map(|line| line.strip_prefix("subject=")).map(|name| name.replace(' ', ""))
    };
    assert_eq!(subject("a.example.com").as_deref(), Some("CN=a.example.com"));
    assert_eq!(subject("b.example.com").as_deref(), Some("CN=z.example.com"));
    put(&authority.issue("b", &["b.example.com"]), "b.pem");
    let end = Instant::now() + BOUND;
    while subject("b.example.com").as_deref() != Some("CN=b.example.com") {
        assert!(Instant::now() < end, "{:?}", site.program.lines());
    }
    assert_eq!(subject("a.example.com").as_deref(), Some("CN=a.example.com"));
}

#[test]
fn check_says_which_file_is_bad_and_what_to_do() {
    if !needs("openssl") {
        return;
    }
    let authority = Authority::new();
    let issued = authority.issue("www", &["www.example.com"]);
    let other = authority.issue("other", &["www.example.com"]);
    let expired = authority.issue_expired("old", &["www.example.com"]);
    let directory = temp_dir();
    let path = |name: &str| directory.path().join(name);
    fs::write(path("empty.pem"), "").unwrap();
    fs::copy(&issued.key, path("open.key")).unwrap();
    fs::set_permissions(path("open.key"), fs::Permissions::from_mode(0o644)).unwrap();
    let check = |certificate: &Issued| {
        let file = path("evenkeel.toml");
        fs::write(&file, secured(free_address(), free_address(), "", &certificates(&[certificate]))).unwrap();
        let output = evenkeel().arg("check").arg("-c").arg(&file).output().unwrap();
        (output.status.success(), errors(&output))
    };
    let with = |certificate, key| Issued { certificate, key };
    let good = || issued.certificate.clone();
    for (files, why) in [
        (with(good(), other.key), "take the one that it was requested with"),
        (with(good(), path("none.key")), "put it there, or mend its path"),
        (with(good(), path("open.key")), "chmod 600"),
        (with(good(), good()), "chmod 600"),
        (with(path("empty.pem"), issued.key.clone()), "BEGIN CERTIFICATE"),
        (with(path("none.pem"), issued.key.clone()), "cannot be read: No such file or directory"),
    ] {
        let (success, told) = check(&files);
        assert!(!success && told.contains(why) && told.contains("listener website"), "{told}");
        let secret = fs::read_to_string(&issued.key).unwrap();
        assert!(!told.contains(secret.lines().nth(1).unwrap()), "{told}");
    }
    let (success, told) = check(&expired);
    assert!(
        success && told.contains("warning") && told.contains("expired") && told.contains("renew it"),
        "{told}"
    );
    assert_eq!(check(&issued), (true, String::new()));
}

#[test]
fn a_start_without_a_usable_certificate_fails_with_the_reason() {
    if !needs("openssl") {
        return;
    }
    let authority = Authority::new();
    let issued = authority.issue("www", &["www.example.com"]);
    let missing = Issued { key: authority.directory().join("none"), ..issued };
    let directory = temp_dir();
    let file = directory.path().join("evenkeel.toml");
    let socket = format!("[global]\ncontrol-socket = \"{}\"\n", directory.path().join("c.sock").display());
    fs::write(&file, socket + &secured(free_address(), free_address(), "", &certificates(&[&missing])))
        .unwrap();
    let output = evenkeel().arg("run").arg("-c").arg(&file).output().unwrap();
    let told = errors(&output);
    assert!(output.status.code() == Some(2) && told.contains("listener website: the key"), "{told}");
}
