//! Sticky sessions over real connections: who keeps his server, who gets another, and what the cookie says then.

#![expect(clippy::unwrap_used, reason = "what fails in a test's support fails the test")]

mod common;

use std::collections::BTreeMap;

use common::Balancer;
use evenkeel_testkit::{Connection, ToyServer};
use evenkeel_traffic::sticky::{Key, Token};

const STICKY: &str = "sticky = { cookie = \"LB\" }";

/// A server that answers with its name and with the cookies that it saw; `/cut` ends the connection instead.
fn server(name: &'static str) -> ToyServer {
    ToyServer::start(move |mut connection: Connection| {
        while let Ok(head) = connection.read_head() {
            if head.is_empty() || (head.starts_with("GET /cut") && name == "s0") {
                return;
            }
            let cookies: Vec<&str> = head.lines().filter(|line| line.starts_with("Cookie:")).collect();
            let body = format!("{name} {}", cookies.join("|"));
            let own =
                if head.starts_with("GET /sets") { "Set-Cookie: LB=mine\r\nSet-Cookie: a=1\r\n" } else { "" };
            let answer = format!("HTTP/1.1 200 OK\r\n{own}Content-Length: {}\r\n\r\n{body}", body.len());
            if connection.write(answer).is_err() {
                return;
            }
        }
    })
}

fn servers() -> Vec<ToyServer> {
    vec![server("s0"), server("s1")]
}

/// One listener before pool `web` with these settings and servers.
fn config(pool: &str, servers: &str) -> String {
    format!(
        "[listener.web]\nbind = \"${{BIND}}\"\npool = \"web\"\n[pool.web]\n{pool}\npassive = \"off\"\n\
         [pool.web.servers]\n{servers}\n"
    )
}

const BOTH: &str = "s0 = \"${S0}\"\ns1 = \"${S1}\"";

fn start(servers: &[ToyServer], pool: &str, lines: &str) -> Balancer {
    let addresses: Vec<_> = servers.iter().map(ToyServer::address).collect();
    Balancer::start(&config(pool, lines), &addresses)
}

/// An answer: who gave it, which cookies it saw, and the fields of the head.
struct Answer {
    by: String,
    saw: String,
    head: String,
}

impl Answer {
    /// The value of our cookie, if it is set.
    fn cookie(&self) -> Option<&str> {
        let set = self.head.lines().find_map(|line| line.strip_prefix("Set-Cookie: LB="))?;
        Some(set.split(';').next().unwrap())
    }
}

fn get(balancer: &Balancer, target: &str, cookie: &str) -> Answer {
    let field = if cookie.is_empty() { String::new() } else { format!("Cookie: {cookie}\r\n") };
    let text = balancer.raw(format!("GET {target} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n{field}\r\n"));
    assert!(text.starts_with("HTTP/1.1 200"), "{text}");
    let (head, body) = text.split_once("\r\n\r\n").unwrap();
    let (by, saw) = body.split_once(' ').unwrap();
    Answer { by: by.into(), saw: saw.into(), head: head.into() }
}

/// The cookie of each server, as clients without one are given it.
fn cookies(balancer: &Balancer) -> BTreeMap<String, String> {
    let mut cookies = BTreeMap::new();
    for _ in 0..2 {
        let answer = get(balancer, "/", "");
        cookies.insert(answer.by.clone(), format!("LB={}", answer.cookie().unwrap()));
    }
    assert_eq!(cookies.len(), 2, "{cookies:?}");
    cookies
}

fn outcomes(balancer: &mut Balancer) -> [u64; 4] {
    let counts = balancer.snapshot().pools[0].sticky.clone().unwrap();
    ["kept", "new", "moved", "unknown"].map(|name| counts[name])
}

#[test]
fn a_client_with_a_cookie_keeps_its_server_and_gets_no_other_cookie() {
    let servers = servers();
    let mut balancer = start(&servers, STICKY, BOTH);
    let first = get(&balancer, "/", "");
    let token = Token::new(&Key::from_random([7; 32]), &"web".parse().unwrap(), &first.by.parse().unwrap());
    let expected = format!("Set-Cookie: LB={}; Path=/; HttpOnly; SameSite=Lax", token.as_str());
    assert!(first.head.lines().any(|line| line == expected), "{}", first.head);
    assert!(first.head.lines().any(|line| line == "Cache-Control: private"), "{}", first.head);
    for _ in 0..5 {
        let next = get(&balancer, "/", &format!("a=1; LB={}; b=2", token.as_str()));
        assert_eq!((next.by.as_str(), next.saw.as_str()), (first.by.as_str(), "Cookie: a=1; b=2"));
        assert_eq!(next.cookie(), None);
        assert!(!next.head.contains("Cache-Control"), "{}", next.head);
    }
    assert_eq!(outcomes(&mut balancer), [5, 1, 0, 0]);
}

#[test]
fn a_forged_cookie_is_ignored_and_replaced() {
    let servers = servers();
    let mut balancer = start(&servers, STICKY, BOTH);
    let forged = Token::new(&Key::from_random([8; 32]), &"web".parse().unwrap(), &"s0".parse().unwrap());
    let mut by = Vec::new();
    for value in ["s0", "s0", forged.as_str(), forged.as_str()] {
        let answer = get(&balancer, "/", &format!("LB={value}"));
        assert_eq!(answer.saw, "");
        assert!(answer.cookie().is_some_and(|cookie| cookie != value));
        by.push(answer.by);
    }
    by.sort_unstable();
    assert_eq!(by, ["s0", "s0", "s1", "s1"]);
    assert_eq!(outcomes(&mut balancer), [0, 0, 0, 4]);
}

#[test]
fn the_cookie_of_a_server_gives_way_to_ours() {
    let servers = servers();
    let balancer = start(&servers, STICKY, BOTH);
    let answer = get(&balancer, "/sets", "");
    assert!(!answer.head.contains("mine") && answer.head.contains("Set-Cookie: a=1"), "{}", answer.head);
    let again = get(&balancer, "/sets", &format!("LB={}", answer.cookie().unwrap()));
    assert!(!again.head.contains("LB=") && again.head.contains("Set-Cookie: a=1"), "{}", again.head);
}

#[test]
fn a_client_whose_server_is_gone_moves_for_good() {
    let mut servers = servers();
    let mut balancer = start(&servers, STICKY, BOTH);
    let cookies = cookies(&balancer);
    drop(servers.remove(0));
    let moved = get(&balancer, "/", &cookies["s0"]);
    assert_eq!(moved.by, "s1");
    assert_eq!(moved.cookie().map(|cookie| format!("LB={cookie}")).as_ref(), Some(&cookies["s1"]));
    assert_eq!(get(&balancer, "/", &cookies["s1"]).cookie(), None);
    assert_eq!(outcomes(&mut balancer), [1, 2, 1, 0]);
}

#[test]
fn a_client_whose_server_is_down_moves_while_another_is_up() {
    let servers = servers();
    let mut balancer = start(&servers, STICKY, BOTH);
    let cookies = cookies(&balancer);
    // The first server never answers this.
    let health = format!("{STICKY}\nhealth = {{ http = \"/cut\", interval = \"20ms\" }}");
    balancer.apply(&config(&health, BOTH));
    balancer.wait_until(|snapshot| snapshot.pools[0].servers[0].state == "down");
    let moved = get(&balancer, "/", &cookies["s0"]);
    assert_eq!((moved.by.as_str(), moved.cookie().is_some()), ("s1", true));
    assert_eq!(outcomes(&mut balancer), [0, 2, 1, 0]);

    let sick = ToyServer::start(|_: Connection| {});
    let port = sick.address().port();
    let all = format!("{STICKY}\nhealth = {{ http = \"/\", interval = \"20ms\", port = {port} }}");
    balancer.apply(&config(&format!("{all}\nwhen-all-down = \"try-all\""), BOTH));
    balancer.wait_until(|snapshot| snapshot.pools[0].servers.iter().all(|server| server.state == "down"));
    // All are down and all are tried: nobody wins by a move.
    for (name, cookie) in &cookies {
        assert_eq!(get(&balancer, "/", cookie).by, *name);
    }
    balancer.apply(&config(&all, BOTH));
    let request =
        format!("GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\nCookie: {}\r\n\r\n", cookies["s0"]);
    let refused = balancer.raw(request);
    assert!(refused.starts_with("HTTP/1.1 503") && !refused.contains("Set-Cookie"), "{refused}");
}

#[test]
fn a_retry_elsewhere_gives_the_cookie_of_the_server_that_answered() {
    let servers = servers();
    let balancer = start(&servers, STICKY, BOTH);
    let cookies = cookies(&balancer);
    let answer = get(&balancer, "/cut", &cookies["s0"]);
    assert_eq!(answer.by, "s1");
    assert_eq!(answer.cookie().map(|cookie| format!("LB={cookie}")).as_ref(), Some(&cookies["s1"]));
}

#[test]
fn a_server_of_weight_0_keeps_its_clients_and_gets_no_new_ones() {
    let servers = servers();
    let mut balancer = start(&servers, STICKY, BOTH);
    let cookies = cookies(&balancer);
    balancer.apply(&config(STICKY, "s0 = { address = \"${S0}\", weight = 0 }\ns1 = \"${S1}\""));
    for _ in 0..3 {
        let kept = get(&balancer, "/", &cookies["s0"]);
        assert_eq!((kept.by.as_str(), kept.cookie()), ("s0", None));
        assert_eq!(get(&balancer, "/", "").by, "s1");
    }
    assert_eq!(outcomes(&mut balancer), [3, 5, 0, 0]);
}

#[test]
fn a_client_of_a_full_server_moves() {
    let slow = ToyServer::start(|mut connection: Connection| {
        let _ = connection.read_head();
        // Until the other side gives up.
        let _ = connection.read_to_end();
    });
    let servers = [slow, server("s1")];
    let lines = "s0 = { address = \"${S0}\", max-connections = 1 }\ns1 = \"${S1}\"";
    let mut balancer = start(&servers, STICKY, lines);
    let name = "s0".parse().unwrap();
    let token = Token::new(&Key::from_random([7; 32]), &"web".parse().unwrap(), &name);
    let mut waiting = balancer.client();
    waiting.send(format!("GET / HTTP/1.1\r\nHost: a\r\nCookie: LB={}\r\n\r\n", token.as_str())).unwrap();
    balancer.wait_until(|snapshot| snapshot.pools[0].servers[0].running == 1);
    let moved = get(&balancer, "/", &format!("LB={}", token.as_str()));
    assert_eq!(moved.by, "s1");
    assert!(moved.cookie().is_some());
}

#[test]
fn a_backup_keeps_its_clients_only_while_nobody_above_can_take_them() {
    let servers = servers();
    let mut balancer = start(&servers, STICKY, BOTH);
    let cookies = cookies(&balancer);
    let backup = |weight: u16| {
        format!(
            "s0 = {{ address = \"${{S0}}\", backup = true }}\ns1 = {{ address = \"${{S1}}\", weight = {weight} }}"
        )
    };
    balancer.apply(&config(STICKY, &backup(0)));
    assert_eq!(get(&balancer, "/", &cookies["s0"]).by, "s0");
    balancer.apply(&config(STICKY, &backup(1)));
    assert_eq!(get(&balancer, "/", &cookies["s0"]).by, "s1");
}

#[test]
fn a_reload_keeps_sessions_and_another_key_ends_them() {
    let servers = servers();
    let mut balancer = start(&servers, STICKY, BOTH);
    let cookies = cookies(&balancer);
    // The order of the servers, and who else is there, means nothing.
    balancer.apply(&config(
        &format!("{STICKY}\nretries = 1\nbalance = \"random-two\""),
        "s1 = \"${S1}\"\nother = \"${S1}\"\ns0 = \"${S0}\"",
    ));
    for (name, cookie) in &cookies {
        let kept = get(&balancer, "/", cookie);
        assert_eq!((kept.by.as_str(), kept.cookie()), (name.as_str(), None));
    }
    balancer.sign_with(Key::from_random([9; 32]));
    balancer.apply(&config(STICKY, BOTH));
    let before = outcomes(&mut balancer);
    let new = get(&balancer, "/", &cookies["s0"]);
    let new_cookie = new.cookie().unwrap();
    assert!(!cookies.values().any(|old| old.ends_with(new_cookie)));
    assert_eq!(outcomes(&mut balancer)[3], before[3] + 1);
    // The same plan under the same key is left alone, under another it is not.
    balancer.sign_with(Key::from_random([7; 32]));
    balancer.apply(&config(STICKY, BOTH));
    assert_eq!(get(&balancer, "/", &cookies["s0"]).cookie(), None);
}

#[test]
fn attributes_are_sent_as_the_file_says() {
    let servers = servers();
    let sticky = "sticky = { cookie = \"LB\", same-site = \"none\", secure = true, max-age = \"1h\", domain = \"example.com\" }";
    let balancer = start(&servers, sticky, BOTH);
    let answer = get(&balancer, "/", "");
    let attributes = "; Path=/; Domain=example.com; Max-Age=3600; HttpOnly; Secure; SameSite=None\r\n";
    assert!(format!("{}\r\n", answer.head).contains(attributes), "{}", answer.head);
}
