//! Sticky sessions in the hands of the supervisor: the key outlives roles and reloads, and is never shown.

use std::fs;
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use evenkeel_testkit::{BOUND, HttpClient, Program, Signal, ToyServer, free_address, temp_dir};

use crate::site::{Site, errors, evenkeel, text};

const SECRET: &str = "0123456789abcdef0123456789abcdef";

fn sticky(bind: SocketAddr, servers: &[ToyServer; 2], more: &str) -> String {
    let [a, b] = servers.each_ref().map(ToyServer::address);
    format!(
        "[listener.website]\nbind = \"{bind}\"\npool = \"website\"\n[pool.website]\n\
         sticky = {{ cookie = \"LB\"{more} }}\n[pool.website.servers]\na = \"{a}\"\nb = \"{b}\"\n"
    )
}

fn servers() -> [ToyServer; 2] {
    [ToyServer::named("a"), ToyServer::named("b")]
}

/// Who answers, and the cookie that comes with it.
fn ask(address: SocketAddr, cookie: Option<&str>) -> (String, Option<String>) {
    let field = cookie.map_or(String::new(), |cookie| format!("Cookie: LB={cookie}\r\n"));
    let mut client = HttpClient::connect(address).unwrap();
    client.send(format!("GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n{field}\r\n")).unwrap();
    let answer = String::from_utf8(client.read_until_close().unwrap()).unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    let set = head.lines().find_map(|line| line.strip_prefix("Set-Cookie: LB="));
    (body.to_owned(), set.map(|value| value.split(';').next().unwrap().to_owned()))
}

fn write_key(path: &Path, secret: &str, mode: u32) {
    fs::write(path, secret).unwrap();
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}

#[test]
fn a_session_outlives_a_reload_and_the_proxy_role() {
    let (servers, address) = (servers(), free_address());
    let site = Site::start(&sticky(address, &servers, ""));
    let (by, cookie) = ask(address, None);
    let cookie = cookie.unwrap();
    let kept = || assert_eq!(ask(address, Some(&cookie)), (by.clone(), None));
    for _ in 0..3 {
        kept();
    }
    site.write(&sticky(address, &servers, ", max-age = \"1h\""));
    assert!(site.command(&["reload"]).status.success());
    kept();
    let seen = site.seen();
    let pid = site.role("proxy").try_into().unwrap();
    rustix::process::kill_process(rustix::process::Pid::from_raw(pid).unwrap(), Signal::KILL).unwrap();
    site.wait_for(seen, "the proxy role is back");
    kept();
    assert!(text(&site.command(&["status"])).contains(", sticky (1 kept, 0 new, 0 moved, 0 unknown)"));
    assert!(site.command(&["upgrade"]).status.success());
    kept();
    // What the program before has counted is there as well.
    assert!(text(&site.command(&["status"])).contains(", sticky (2 kept, 0 new, 0 moved, 0 unknown)"));
}

#[test]
fn a_key_file_is_shared_and_its_change_is_told_without_it() {
    let (servers, directory) = (servers(), temp_dir());
    let key = directory.path().join("sticky.key");
    write_key(&key, SECRET, 0o600);
    let more = format!(", key-file = \"{}\"", key.display());
    let addresses = [free_address(), free_address()];
    let sites = addresses.map(|address| Site::start(&sticky(address, &servers, &more)));
    let (by, cookie) = ask(addresses[0], None);
    let cookie = cookie.unwrap();
    for _ in 0..3 {
        assert_eq!(ask(addresses[1], Some(&cookie)), (by.clone(), None));
    }

    let unchanged = sites[0].command(&["reload"]);
    assert!(unchanged.status.success() && !text(&unchanged).contains("sticky"), "{unchanged:?}");
    let other = SECRET.to_uppercase();
    write_key(&key, &other, 0o600);
    for command in ["diff", "reload"] {
        let told = sites[0].command(&[command]);
        assert!(text(&told).contains("pool website: sticky key changed"), "{told:?}");
        assert!(!format!("{told:?}").to_lowercase().contains(SECRET), "{told:?}");
    }
    assert!(ask(addresses[0], Some(&cookie)).1.is_some_and(|new| new != cookie));

    for (secret, mode, why) in
        [(SECRET, 0o644, "chmod 600"), ("short", 0o600, "has 5 bytes and must have 32 at least")]
    {
        write_key(&key, secret, mode);
        let refused = sites[0].command(&["reload"]);
        assert!(!refused.status.success() && errors(&refused).contains(why), "{refused:?}");
        assert!(errors(&sites[0].command(&["diff"])).contains(why));
    }
    // What was in force is in force.
    let (_, again) = ask(addresses[0], None);
    assert_eq!(ask(addresses[0], again.as_deref()).1, None);
    let lines = sites[0].program.lines().join("\n").to_lowercase();
    assert!(!lines.contains(SECRET) && lines.contains("nothing was changed"), "{lines}");
}

#[test]
fn a_key_that_cannot_be_used_stops_the_start() {
    let (servers, directory) = (servers(), temp_dir());
    let key = directory.path().join("sticky.key");
    write_key(&key, SECRET, 0o606);
    let config = directory.path().join("evenkeel.toml");
    let socket = format!("[global]\ncontrol-socket = \"{}\"\n", directory.path().join("c.sock").display());
    let more = format!(", key-file = \"{}\"", key.display());
    fs::write(&config, socket + &sticky(free_address(), &servers, &more)).unwrap();
    let program = Program::start(evenkeel().arg("run").arg("-c").arg(&config));
    assert_eq!(program.wait(BOUND), 2);
    let lines = program.wait_for_end_of_output(BOUND);
    assert!(
        lines.iter().any(|line| line.contains("sticky.key") && line.contains("its mode 606")),
        "{lines:?}"
    );
}
