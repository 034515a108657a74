//! Checks that run a program, agents, and checks at another address, through a whole proxy role.

#![expect(clippy::unwrap_used, reason = "what fails in a test's support fails the test")]

mod common;

use std::net::TcpStream;
use std::sync::{Arc, Mutex};

use common::{Balancer, website};
use evenkeel_testkit::{BOUND, Connection, ToyServer, free_address, temp_dir};

/// An agent, and what it says to whoever asks.
fn agent() -> (ToyServer, Arc<Mutex<String>>) {
    let words = Arc::new(Mutex::new(String::new()));
    let shared = words.clone();
    let server = ToyServer::start(move |mut connection: Connection| {
        let text = shared.lock().unwrap().clone();
        // The other side may be gone by now.
        let _ = connection.write(text);
    });
    (server, words)
}

fn wait_for(balancer: &mut Balancer, name: &str, state: &str, why: &str) {
    balancer.wait_until(|snapshot| {
        let mut servers = snapshot.pools.iter().flat_map(|pool| &pool.servers);
        let server = servers.find(|server| server.name.as_str() == name).unwrap();
        server.state == state && server.why.as_deref().unwrap_or_default().contains(why)
    });
}

fn answers(balancer: &Balancer, count: usize) -> Vec<String> {
    let mut client = balancer.client();
    (0..count).map(|_| client.get("/").unwrap().text()).collect()
}

fn exec(script: &str, more: &str) -> String {
    format!(
        "passive = \"off\"\nhealth = {{ exec = [\"/bin/sh\", \"-c\", '{script}', \"sh\", \"x y\"], interval = \"20ms\"{more} }}"
    )
}

#[test]
fn the_exit_code_of_a_program_decides_and_its_last_line_explains() {
    let server = ToyServer::named("web");
    let directory = temp_dir();
    let ready = directory.path().join("ready");
    let script = format!(
        "echo first; echo \"$$EVENKEEL_POOL $$EVENKEEL_SERVER $$EVENKEEL_ADDRESS $$EVENKEEL_PORT $$1\"; test -e {}",
        ready.display()
    );
    let config = |more: &str| website(1, "", &exec(&script, more));
    let mut balancer = Balancer::start(&config(""), &[server.address()]);
    let port = server.address().port();
    let why = format!("/bin/sh ended with exit code 1: web s0 127.0.0.1 {port} x y");
    wait_for(&mut balancer, "s0", "down", &why);
    std::fs::write(&ready, "").unwrap();
    wait_for(&mut balancer, "s0", "up", "");
    std::fs::remove_file(&ready).unwrap();
    balancer.apply(&config(", port = 99"));
    wait_for(&mut balancer, "s0", "down", "127.0.0.1 99 x y");
}

#[test]
fn a_program_that_does_not_end_is_killed_and_no_other_waits_for_it() {
    let server = ToyServer::named("web");
    // More servers than programs may run at once: each gets its turn all the same.
    let servers: String =
        (0..20).map(|index| format!("s{index} = \"127.0.0.1:{}\"\n", 1000 + index)).collect();
    let health = exec("echo so far; sleep 1000", ", timeout = \"30ms\"");
    let config = format!(
        "[listener.web]\nbind = \"${{BIND}}\"\npool = \"web\"\n[pool.web]\n{health}\n[pool.web.servers]\n{servers}\
         [listener.other]\nbind = \"{}\"\npool = \"other\"\n[pool.other]\n\
         health = {{ http = \"/\", initial-state = \"checking\", interval = \"20ms\" }}\n[pool.other.servers]\nb = \"${{S0}}\"\n",
        free_address()
    );
    let mut balancer = Balancer::start(&config, &[server.address()]);
    wait_for(&mut balancer, "b", "up", "");
    balancer.wait_until(|snapshot| snapshot.pools[0].servers.iter().all(|server| server.state == "down"));
    let why = balancer.server("s7").why.unwrap();
    assert_eq!(why, "/bin/sh did not end within 30ms and was killed: so far");
}

#[test]
fn a_check_asks_the_address_of_the_server_that_is_for_checks() {
    let (server, nobody) = (ToyServer::named("web"), free_address());
    let config = |health: &str, check: &str| {
        format!(
            "[listener.web]\nbind = \"${{BIND}}\"\npool = \"web\"\n[pool.web]\nhealth = {health}\n\
             [pool.web.servers]\ns0 = {{ address = \"{nobody}\", check-address = \"{check}\" }}\n"
        )
    };
    let health = "{ http = \"/\", initial-state = \"checking\", interval = \"20ms\", port = 9 }";
    let check = server.address().to_string();
    let mut balancer = Balancer::start(&config(health, &check), &[]);
    wait_for(&mut balancer, "s0", "up", "");
    assert_eq!(balancer.server("s0").address.to_string(), nobody.to_string());
    balancer.apply(&config(health, &nobody.to_string()));
    wait_for(&mut balancer, "s0", "down", &format!("cannot connect to {nobody}"));
}

#[test]
fn an_agent_says_how_much_traffic_its_server_gets() {
    let (good, bad) = (ToyServer::named("good"), ToyServer::named("bad"));
    let (oracle, words) = agent();
    let say = |text: &str| *words.lock().unwrap() = text.to_owned();
    let port = oracle.address().port();
    let pool = format!("passive = \"off\"\nagent = {{ port = {port}, interval = \"20ms\" }}");
    // The good one has its agent elsewhere: nobody is there, which says nothing about it.
    let config = format!(
        "[listener.web]\nbind = \"${{BIND}}\"\npool = \"web\"\n[pool.web]\n{pool}\n[pool.web.servers]\n\
         good = \"[::1]:{}\"\nbad = \"${{S0}}\"\n",
        good.address().port()
    );
    let _ = good;
    let good =
        ToyServer::start_on(format!("[::1]:{}", good.address().port()).parse().unwrap(), |mut connection| {
            while connection.read_head().is_ok_and(|head| !head.is_empty())
                && connection.write("HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\ngood").is_ok()
            {}
        });
    let mut balancer = Balancer::start(&config, &[bad.address()]);
    let bads = |balancer: &Balancer, count| {
        answers(balancer, count).iter().filter(|answer| *answer == "bad").count()
    };
    wait_for(&mut balancer, "good", "up", "its agent cannot be asked: cannot connect to [::1]:");
    assert_eq!(bads(&balancer, 10), 5);

    say("25%\n");
    wait_for(&mut balancer, "bad", "up", "its agent said `25%`");
    // 1 × 25 % to 1: one turn in five, and never one more or less than that.
    assert!((9..=11).contains(&bads(&balancer, 50)));

    for (text, state, why) in [
        ("drain\n", "drain", "its agent said `drain`"),
        ("ready maint # new disk\n", "maintenance", "its agent said `maint #new disk`"),
        ("ready down # disk full\r\n", "down", "its agent said `down ready #disk full`"),
        ("up 0%\n", "drain", "its agent said `up 0%`"),
    ] {
        say(text);
        wait_for(&mut balancer, "bad", state, why);
        assert_eq!(bads(&balancer, 10), 0, "{text}");
        // An agent that says nothing takes nothing back.
        say("");
        wait_for(
            &mut balancer,
            "bad",
            state,
            "now its agent cannot be asked: its agent said nothing that is known",
        );
    }
    say("100% up ready\n");
    wait_for(&mut balancer, "bad", "up", "");
    balancer.wait_until(|snapshot| snapshot.pools[0].servers[1].why.is_none());
    assert_eq!(bads(&balancer, 10), 5);
    drop(good);
}

#[test]
fn an_agent_bounds_what_runs_on_its_server() {
    let list: Vec<ToyServer> =
        (0..2).map(|_| ToyServer::start(|mut connection| drop(connection.read_to_end()))).collect();
    let (oracle, words) = agent();
    *words.lock().unwrap() = "maxconn:2\n".into();
    let config = format!(
        "[listener.web]\nbind = \"${{BIND}}\"\nmode = \"tcp\"\npool = \"web\"\n\
         [pool.web]\nbalance = \"first\"\nagent = {{ port = {}, interval = \"20ms\" }}\n[pool.web.servers]\n\
         s0 = {{ address = \"${{S0}}\", max-connections = 1 }}\ns1 = \"${{S1}}\"\n",
        oracle.address().port()
    );
    let mut balancer = Balancer::start(&config, &[list[0].address(), list[1].address()]);
    wait_for(&mut balancer, "s0", "up", "its agent said `maxconn:2`");
    let mut clients = Vec::new();
    for expected in [[1, 0], [2, 0], [2, 1]] {
        clients.push(TcpStream::connect(balancer.address()).unwrap());
        balancer.wait_until(|snapshot| {
            snapshot.pools[0].servers.iter().map(|server| server.running).eq(expected)
        });
    }
}

#[test]
fn an_agent_is_asked_what_the_file_says() {
    let server = ToyServer::named("web");
    let oracle = ToyServer::start(|mut connection: Connection| {
        let heard = connection.read_some().unwrap_or_default();
        let _ = connection.write(if heard == b"web state\n" { "maint\n" } else { "up\n" });
    });
    let pool = format!(
        "agent = {{ port = {}, send = \"web state\\n\", interval = \"20ms\" }}",
        oracle.address().port()
    );
    let mut balancer = Balancer::start(&website(1, "", &pool), &[server.address()]);
    wait_for(&mut balancer, "s0", "maintenance", "its agent said `maint`");
    oracle.wait_until(|all| all.len() > 1, BOUND);
    balancer.apply(&website(1, "", ""));
    assert_eq!(balancer.server("s0").state, "up", "without an agent nothing is left of what it said");
}
