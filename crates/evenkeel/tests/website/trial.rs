//! Reloads on trial, and what a reload says beforehand of connections.

use std::net::TcpListener;

use evenkeel_testkit::{BOUND, HttpClient, ToyServer, WebSocket, free_address, websocket_echo};
use serde_json::Value;

use crate::site::{Site, fetch, of_server};

/// A site with a listener that goes and a server that goes: the text before, the text after, and where each listens.
struct Fixture {
    _servers: [ToyServer; 2],
    before: String,
    after: String,
    stays: std::net::SocketAddr,
    goes: std::net::SocketAddr,
}

fn fixture() -> Fixture {
    let servers = [ToyServer::named("one"), ToyServer::named("two")];
    let [stays, goes] = [free_address(), free_address()];
    let with = |server: &ToyServer, more: &str| {
        format!(
            "[global]\ncontrol-socket = \"${{CONTROL}}\"\n\
             [listener.stays]\nbind = \"{stays}\"\npool = \"web\"\n{more}\
             [pool.web.servers]\nserver = \"{}\"\n",
            server.address()
        )
    };
    let before = with(&servers[0], &format!("[listener.goes]\nbind = \"{goes}\"\npool = \"web\"\n"));
    let after = with(&servers[1], "");
    Fixture { _servers: servers, before, after, stays, goes }
}

fn json(site: &Site, arguments: &[&str]) -> Value {
    let output = site.command(arguments);
    assert!(output.status.success(), "{output:?}");
    serde_json::from_slice(&output.stdout).unwrap()
}

fn text(site: &Site, arguments: &[&str]) -> String {
    let output = site.command(arguments);
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout).unwrap()
}

fn kinds(site: &Site) -> Vec<String> {
    let events = text(site, &["events", "--json"]);
    let kind = |line: &str| serde_json::from_str::<Value>(line).unwrap()["kind"].as_str().unwrap().to_owned();
    events.lines().map(kind).collect()
}

#[test]
fn what_nobody_confirms_in_time_is_rolled_back_and_the_file_stays() {
    let Fixture { before, after, stays, goes, .. } = &fixture();
    let site = Site::of(before, &[]);
    assert_eq!(fetch(*goes, "/").unwrap(), "one");
    site.write(after);
    let reloaded = json(&site, &["reload", "--confirm", "1s", "--json"]);
    assert_eq!(reloaded["trial"]["revision"], reloaded["revision"]);
    assert!(reloaded["trial"]["left"].as_u64().unwrap() <= 1, "{reloaded}");
    site.program
        .wait_for_line(|line| line.contains("was rolled back, because nobody has confirmed it"), BOUND);
    assert_eq!(fetch(*stays, "/").unwrap(), "one");
    assert_eq!(fetch(*goes, "/").unwrap(), "one");
    assert!(site.status()["trial"].is_null());
    assert_eq!(site.status()["last_reload"]["succeeded"], false);
    assert!(kinds(&site).contains(&"rolled-back".to_owned()));
    // The file has what the operator wrote, and a reload puts it in force.
    assert!(text(&site, &["diff"]).contains("listener goes: removed"));
    site.reload(after);
    assert_eq!(fetch(*stays, "/").unwrap(), "two");
}

#[test]
fn what_is_confirmed_stays_and_a_plain_reload_waits_for_the_end_of_the_trial() {
    let Fixture { before, after, stays, goes, .. } = &fixture();
    let site = Site::of(before, &[]);
    site.write(after);
    assert!(text(&site, &["reload", "--confirm", "1h"]).contains("is on trial"));
    assert_eq!(fetch(*stays, "/").unwrap(), "two");
    assert!(site.status()["trial"]["left"].as_u64().unwrap() > 3000);
    assert!(text(&site, &["status"]).contains("is on trial (by "));
    assert!(text(&site, &["diff"]).contains("is on trial (by "));

    site.write(before);
    let refused = site.command(&["reload"]);
    assert_eq!(refused.status.code(), Some(5), "{refused:?}");
    assert!(String::from_utf8_lossy(&refused.stderr).contains("reload --confirmed"), "{refused:?}");
    // SIGHUP confirms nothing either.
    let seen = site.program.lines().len();
    site.program.signal(evenkeel_testkit::Signal::HUP);
    site.program.wait_for_line_after(
        seen,
        |line| line.contains("no reload: a configuration is on trial"),
        BOUND,
    );
    let refused = site.command(&["upgrade"]);
    assert!(!refused.status.success(), "{refused:?}");
    assert!(String::from_utf8_lossy(&refused.stderr).contains("a configuration is on trial"), "{refused:?}");
    assert_eq!(fetch(*stays, "/").unwrap(), "two");

    assert!(text(&site, &["reload", "--confirmed"]).contains("stays"));
    assert!(site.status()["trial"].is_null());
    assert_eq!(fetch(*stays, "/").unwrap(), "two");
    assert!(HttpClient::connect(*goes).is_err());
    assert!(kinds(&site).contains(&"reload-confirmed".to_owned()));
    assert_eq!(site.command(&["reload", "--confirmed"]).status.code(), Some(5));
    assert_eq!(site.command(&["reload", "--roll-back"]).status.code(), Some(5));
    site.reload(before);
    assert_eq!(fetch(*goes, "/").unwrap(), "one");
}

#[test]
fn a_trial_after_a_trial_goes_back_to_what_was_before_the_first_with_what_can_come_back() {
    let Fixture { before, after, stays, goes, .. } = &fixture();
    let site = Site::of(before, &[]);
    let drained = site.command(&["server", "weight", "web/server", "7"]);
    assert!(drained.status.success(), "{drained:?}");
    site.write(after);
    json(&site, &["reload", "--confirm", "1h", "--json"]);
    site.write(&after.replace("pool = \"web\"\n", "pool = \"web\"\nidle-timeout = \"9s\"\n"));
    json(&site, &["reload", "--confirm", "1h", "--json"]);
    // Somebody takes the address meanwhile.
    let _taken = TcpListener::bind(goes).unwrap();
    let back = json(&site, &["reload", "--roll-back", "--json"]);
    let missing = back["missing"].as_array().unwrap();
    assert_eq!(missing.len(), 1, "{back}");
    assert!(missing[0].as_str().unwrap().starts_with(&format!("listener goes: cannot listen on {goes}")));
    assert_eq!(fetch(*stays, "/").unwrap(), "one");
    let status = site.status();
    assert_eq!(status["runtime_changes"].as_array().unwrap().len(), 1, "{status}");
    assert_eq!(of_server(&status, "server", "weight"), 7);
    assert!(kinds(&site).contains(&"alarm".to_owned()));
}

#[test]
fn servers_that_are_changed_during_a_trial_stay_so_after_another_try_and_the_rollback() {
    let Fixture { before, after, stays, .. } = &fixture();
    let site = Site::of(before, &[]);
    site.write(after);
    json(&site, &["reload", "--confirm", "1h", "--json"]);
    assert!(site.command(&["server", "weight", "web/server", "9"]).status.success());
    site.write(&after.replace("pool = \"web\"\n", "pool = \"web\"\nidle-timeout = \"9s\"\n"));
    json(&site, &["reload", "--confirm", "1h", "--json"]);
    let back = json(&site, &["reload", "--roll-back", "--json"]);
    assert_eq!(back["missing"], serde_json::json!([]));
    assert_eq!(of_server(&site.status(), "server", "weight"), 9);
    assert_eq!(fetch(*stays, "/").unwrap(), "one");
}

#[test]
fn a_trial_that_changes_nothing_is_none_and_its_time_has_bounds() {
    let Fixture { before, .. } = &fixture();
    let site = Site::of(before, &[]);
    assert!(text(&site, &["reload", "--confirm", "60s"]).contains("nothing is on trial"));
    assert!(site.status()["trial"].is_null());
    for wrong in ["500ms", "2h", "0s"] {
        let refused = site.command(&["reload", "--confirm", wrong]);
        assert!(String::from_utf8_lossy(&refused.stderr).contains("`1s` to `1h`"), "{wrong}: {refused:?}");
    }
    assert_eq!(site.command(&["reload", "--confirm", "soon"]).status.code(), Some(64));
    assert_eq!(site.command(&["reload", "--confirm", "9s", "--confirmed"]).status.code(), Some(64));
}

#[test]
fn a_stop_during_a_trial_says_that_the_next_start_begins_with_the_file() {
    let Fixture { before, after, .. } = &fixture();
    let site = Site::of(before, &[]);
    site.write(after);
    json(&site, &["reload", "--confirm", "1h", "--json"]);
    site.program.signal(evenkeel_testkit::Signal::TERM);
    assert_eq!(site.program.wait(BOUND), 0);
    assert!(site.program.lines().iter().any(|line| line.contains("the next start begins with")));
}

#[test]
fn diff_counts_the_connections_that_a_reload_would_end_and_the_reload_tells_the_same() {
    let Fixture { before, after, goes, .. } = &fixture();
    let chat = websocket_echo();
    let tunnels = format!(
        "[[listener.goes.route]]\npath = \"/chat\"\npool = \"chat\"\n[pool.chat.servers]\nchat = \"{}\"\n",
        chat.address()
    );
    let site = Site::of(&format!("{before}{tunnels}"), &[]);
    assert_eq!(json(&site, &["diff", "--json"])["consequences"], serde_json::json!([]));
    let mut tunnel = WebSocket::connect(*goes, "/chat").unwrap();
    assert_eq!(tunnel.echo("before").unwrap(), "before");
    let mut idle = HttpClient::connect(*goes).unwrap();
    idle.get("/").unwrap();
    site.wait_until(|status| of_server(status, "server", "idle") == 1);

    site.write(after);
    let told = json(&site, &["diff", "--json"])["consequences"].clone();
    let find = |subject: &str| {
        let all = told.as_array().unwrap().iter();
        all.clone()
            .find(|one| one["subject"] == subject)
            .unwrap_or_else(|| panic!("{subject} in {told:#}"))
            .clone()
    };
    let listener = find("listener goes");
    assert_eq!(listener["connections"], 2, "{listener}");
    assert_eq!(listener["fate"], "close-after-response");
    assert_eq!(find("server chat/chat")["connections"], 1);
    assert_eq!(find("server chat/chat")["why"], "its pool is removed");
    let server = find("server web/server");
    assert_eq!((&server["connections"], &server["idle"]), (&0.into(), &1.into()));
    assert_eq!(told.as_array().unwrap().len(), 3, "{told:#}");
    let shown = text(&site, &["diff"]);
    assert!(
        shown.contains("listener goes (removed): 2 connections close after the response under way"),
        "{shown}"
    );

    let done = json(&site, &["reload", "--json"]);
    assert_eq!(done["consequences"], told);
    assert!(idle.closed_silently());
    assert_eq!(tunnel.echo("after").unwrap(), "after");
}
