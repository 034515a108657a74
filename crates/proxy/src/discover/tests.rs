use std::path::{Path, PathBuf};
use std::time::Duration;

use evenkeel_config::found::Found;
use evenkeel_config::plan::{Families, SERVERS_FROM, Template, Url};
use evenkeel_testkit::{NameServer, Over, RecordType, Saying, ToyServer, temp_dir};

use super::*;

const WEB: &str = "web";

fn resolver(server: &NameServer) -> Resolver {
    Resolver {
        nameservers: vec![server.address()],
        timeout: Duration::from_millis(300),
        attempts: 2,
        min_ttl: Duration::from_millis(100),
        ..Resolver::default()
    }
}

fn source(from: From) -> Source {
    Source {
        name: SERVERS_FROM.parse().unwrap(),
        from,
        most: 16,
        may_be_empty: false,
        template: Template::default(),
    }
}

/// What one look at a name finds.
async fn look(server: &NameServer, from: From) -> Result<Look, String> {
    let names = Arc::new(Names::new(resolver(server)));
    match &from {
        From::Names { host, port } => names::hosts(&names, host, *port).await,
        From::Services { name } => names::services(&names, name, &source(from.clone())).await,
        _ => panic!("no name"),
    }
}

fn host(name: &str) -> From {
    From::Names { host: name.into(), port: 80 }
}

fn addresses(look: &Look) -> Vec<String> {
    look.list.as_ref().unwrap().servers.iter().map(|found| found.address.to_string()).collect()
}

#[tokio::test]
async fn every_address_of_a_name_is_a_server_for_as_long_as_the_answer_holds() {
    let server = NameServer::start();
    server.points("app.test", &["192.0.2.2", "192.0.2.1", "2001:db8::1"], 30);
    let look = look(&server, host("app.test")).await.unwrap();
    assert_eq!(addresses(&look), ["192.0.2.1:80", "192.0.2.2:80", "[2001:db8::1]:80"]);
    assert_eq!((look.again, look.trouble), (Duration::from_secs(30), None));
}

#[tokio::test]
async fn an_address_that_no_server_can_have_is_none() {
    let server = NameServer::start();
    server.points("blocked.test", &["0.0.0.0", "::"], 30);
    let blocked = look(&server, host("blocked.test")).await.unwrap();
    assert_eq!((addresses(&blocked), blocked.empty.is_some()), (vec![], true));
    server.points("half.test", &["0.0.0.0", "192.0.2.1"], 30);
    assert_eq!(addresses(&look(&server, host("half.test")).await.unwrap()), ["192.0.2.1:80"]);
}

#[tokio::test]
async fn the_shortest_time_on_the_way_through_aliases_counts() {
    let server = NameServer::start();
    server.says("app.test", Saying::Alias("a.test".into(), 300));
    server.says("a.test", Saying::Alias("b.test".into(), 7));
    server.points("b.test", &["192.0.2.1"], 120);
    let look = look(&server, host("app.test")).await.unwrap();
    assert_eq!((addresses(&look), look.again), (vec!["192.0.2.1:80".to_owned()], Duration::from_secs(7)));
}

#[tokio::test]
async fn one_family_that_fails_is_missing_and_not_gone() {
    let server = NameServer::start();
    server.says("app.test", Saying::FailsFor(RecordType::AAAA, vec!["192.0.2.1".parse().unwrap()], 30));
    let look = look(&server, host("app.test")).await.unwrap();
    assert_eq!(addresses(&look), ["192.0.2.1:80"]);
    assert!(look.list.unwrap().partial);
    assert!(look.trouble.unwrap().contains("app.test AAAA"));
}

#[tokio::test]
async fn failures_and_silence_are_told_and_a_name_that_is_gone_is_an_empty_list() {
    let server = NameServer::start();
    server.says("bad.test", Saying::Failure);
    server.says("mute.test", Saying::Silence);
    let why = look(&server, host("bad.test")).await.err().unwrap();
    assert!(why.contains("bad.test A:"), "{why}");
    let why = look(&server, host("mute.test")).await.err().unwrap();
    assert!(why.contains("no answer in time"), "{why}");
    let gone = look(&server, host("gone.test")).await.unwrap();
    assert_eq!(gone.list, Some(List::default()));
    assert_eq!(gone.empty.as_deref(), Some("gone.test does not exist (NXDOMAIN)"));
    server.points("none.test", &[], 30);
    let none = look(&server, host("none.test")).await.unwrap();
    assert_eq!(none.empty.as_deref(), Some("none.test has no address"));
    let questions =
        server.asked().iter().filter(|(name, kind, _)| name == "mute.test" && *kind == RecordType::A).count();
    assert_eq!(questions, 2, "attempts = 2");
}

#[tokio::test]
async fn an_answer_that_does_not_fit_comes_over_tcp() {
    let server = NameServer::start();
    server.truncates();
    server.points("app.test", &["192.0.2.1"], 30);
    let look = look(&server, host("app.test")).await.unwrap();
    assert_eq!(addresses(&look), ["192.0.2.1:80"]);
    assert!(server.asked().iter().any(|(_, kind, over)| (*kind, *over) == (RecordType::A, Over::Tcp)));
}

#[tokio::test]
async fn only_the_wanted_family_is_asked_for() {
    let server = NameServer::start();
    server.points("app.test", &["192.0.2.1", "2001:db8::1"], 30);
    let settings = Resolver { families: Families::Ipv4, ..resolver(&server) };
    let look = names::hosts(&Names::new(settings), "app.test", 80).await.unwrap();
    assert_eq!(addresses(&look), ["192.0.2.1:80"]);
    assert!(server.asked().iter().all(|(_, kind, _)| *kind == RecordType::A));
}

#[tokio::test]
async fn services_bring_their_ports_ranks_and_weights() {
    let server = NameServer::start();
    let targets =
        [(20, 1, 82, "c.test"), (10, 30, 81, "b.test"), (10, 10, 80, "a.test"), (20, 1, 83, "gone.test")];
    let targets = targets.map(|(priority, weight, port, target)| (priority, weight, port, target.to_owned()));
    server.says("_http._tcp.test", Saying::Services(targets.into(), 60));
    server.points("a.test", &["192.0.2.1"], 50);
    server.points("b.test", &["192.0.2.2"], 40);
    server.points("c.test", &["192.0.2.3"], 55);
    let look = look(&server, From::Services { name: "_http._tcp.test".into() }).await.unwrap();
    let told =
        |found: &Found| (found.address.to_string(), found.weight.unwrap().value(), found.priority.unwrap().0);
    let list = look.list.unwrap();
    let told: Vec<_> = list.servers.iter().map(told).collect();
    let expected = [("192.0.2.1:80", 10, 100), ("192.0.2.2:81", 30, 100), ("192.0.2.3:82", 1, 99)];
    assert_eq!(told, expected.map(|(address, weight, rank)| (address.to_owned(), weight, rank)));
    assert_eq!((look.again, list.partial), (Duration::from_secs(40), false));
}

#[tokio::test]
async fn a_target_that_cannot_be_looked_up_makes_the_list_a_part() {
    let server = NameServer::start();
    let targets = vec![(10, 1, 80, "a.test".to_owned()), (10, 1, 80, "bad.test".to_owned())];
    server.says("_http._tcp.test", Saying::Services(targets, 60));
    server.points("a.test", &["192.0.2.1"], 50);
    server.says("bad.test", Saying::Failure);
    let look = look(&server, From::Services { name: "_http._tcp.test".into() }).await.unwrap();
    assert_eq!(addresses(&look), ["192.0.2.1:80"]);
    assert!(look.list.unwrap().partial && look.trouble.is_some());
}

#[tokio::test]
async fn the_hosts_of_this_machine_come_first() {
    let server = NameServer::start();
    server.points("localhost", &["192.0.2.1"], 30);
    let settings = Resolver { families: Families::Ipv4, ..resolver(&server) };
    let look = names::hosts(&Names::new(settings), "localhost", 80).await.unwrap();
    assert_eq!(addresses(&look), ["127.0.0.1:80"]);
    assert_eq!(server.asked(), []);
}

const INTERVAL: Duration = Duration::from_millis(10);

#[tokio::test]
async fn a_file_is_read_again_when_a_change_has_stood_still() {
    let directory = temp_dir();
    let path = directory.path().join("servers");
    let mut reader = file::Reader::default();
    assert!(reader.look(&path, INTERVAL).await.err().unwrap().contains("cannot be looked at"));
    std::fs::write(&path, "192.0.2.1:80\n").unwrap();
    let first = reader.look(&path, INTERVAL).await.unwrap();
    assert_eq!(addresses(&first), ["192.0.2.1:80"]);
    assert_eq!(reader.look(&path, INTERVAL).await.unwrap().list, None);
    std::fs::write(&path, "192.0.2.1:80\n192.0.2.2:80\n").unwrap();
    assert_eq!(reader.look(&path, INTERVAL).await.unwrap().list, None, "it may not be complete");
    let second = reader.look(&path, INTERVAL).await.unwrap();
    assert_eq!(addresses(&second), ["192.0.2.1:80", "192.0.2.2:80"]);
}

#[tokio::test]
async fn a_damaged_file_is_trouble_until_it_is_mended() {
    let directory = temp_dir();
    let path = directory.path().join("servers");
    std::fs::write(&path, "192.0.2.1:80\nnonsense\n").unwrap();
    let mut reader = file::Reader::default();
    for _ in 0..2 {
        let look = reader.look(&path, INTERVAL).await.unwrap();
        assert_eq!(look.list, None);
        assert!(look.trouble.unwrap().contains("line 2"));
    }
    std::fs::remove_file(&path).unwrap();
    std::fs::create_dir(&path).unwrap();
    assert!(reader.look(&path, INTERVAL).await.err().unwrap().contains("no file"));
    std::fs::remove_dir(&path).unwrap();
    std::fs::write(&path, "[\"192.0.2.3:80\"]").unwrap();
    reader.look(&path, INTERVAL).await.unwrap();
    let look = reader.look(&path, INTERVAL).await.unwrap();
    assert_eq!((addresses(&look), look.trouble), (vec!["192.0.2.3:80".to_owned()], None));
}

/// A server that gives these answers one after the other, each to a connection of its own.
fn answers(answers: Vec<String>) -> ToyServer {
    let answers = std::sync::Mutex::new(answers.into_iter());
    ToyServer::start(move |mut connection| {
        let _head = connection.read_head();
        let next = answers.lock().unwrap().next();
        if let Some(answer) = next {
            let _gone = connection.write(answer);
        }
    })
}

fn ok(fields: &str, body: &str) -> String {
    format!("HTTP/1.1 200 OK\r\n{fields}Content-Length: {}\r\n\r\n{body}", body.len())
}

#[tokio::test]
async fn a_document_is_asked_for_again_only_if_it_has_changed() {
    let server = answers(vec![
        ok("ETag: \"one\"\r\n", "[\"192.0.2.1:80\"]"),
        "HTTP/1.1 304 Not Modified\r\nETag: \"one\"\r\n\r\n".into(),
        "HTTP/1.1 500 Oops\r\nContent-Length: 0\r\n\r\n".into(),
        ok("", "192.0.2.2:80 weight=3\n"),
        ok("", "<html>\n"),
        "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n192.0.2.1:80\n".into(),
        ok("", &"#".repeat(2 << 20)),
    ]);
    let address = server.address();
    let url = Url {
        secure: false,
        host: address.ip().to_string(),
        port: address.port(),
        target: "/servers?all".into(),
    };
    let names = Names::new(Resolver::default());
    let mut client = http::Client::new(None);
    let mut outcomes = Vec::new();
    for _ in 0..7 {
        outcomes.push(client.look(&url, INTERVAL, &names).await);
    }
    assert_eq!(addresses(outcomes[0].as_ref().unwrap()), ["192.0.2.1:80"]);
    assert_eq!(outcomes[1].as_ref().unwrap().list, None);
    let why = |index: usize| outcomes[index].as_ref().err().unwrap();
    assert!(why(2).contains("500"), "{}", why(2));
    assert_eq!(addresses(outcomes[3].as_ref().unwrap()), ["192.0.2.2:80"]);
    assert!(why(4).contains("line 1"), "{}", why(4));
    assert!(why(5).contains("broke off"), "{}", why(5));
    assert!(why(6).contains("too long"), "{}", why(6));
    let heads: Vec<String> =
        server.received().iter().map(|bytes| String::from_utf8_lossy(bytes).to_lowercase()).collect();
    assert!(heads[0].starts_with("get /servers?all http/1.1\r\n") && !heads[0].contains("if-none-match"));
    assert!(
        heads[1].contains("if-none-match: \"one\"\r\n") && heads[3].contains("if-none-match: \"one\"\r\n")
    );
    assert!(!heads[4].contains("if-none-match"));
}

struct Text(String);

impl evenkeel_config::Source for Text {
    fn read(&self, _: &Path) -> Result<String, String> {
        Ok(self.0.clone())
    }

    fn glob(&self, _: &str, _: &Path) -> Result<Vec<PathBuf>, String> {
        Ok(Vec::new())
    }

    fn variable(&self, _: &str) -> Option<String> {
        None
    }
}

/// Pools, each with one name to follow.
fn plan(pools: &[(&str, &str)], resolver: Resolver) -> Arc<Plan> {
    let mut text = String::new();
    for (pool, name) in pools {
        text.push_str(&format!("[pool.{pool}]\nservers-from = {{ dns = \"{name}:80\" }}\n"));
    }
    let plan = evenkeel_config::load(Path::new("a.toml"), &Text(text)).unwrap().plan;
    Arc::new(Plan { resolver, ..plan })
}

/// The next thing that is said of a pool: how many servers, and whether there is trouble.
async fn next(events: &mut mpsc::Receiver<Event>) -> (String, Option<usize>, bool) {
    match events.recv().await {
        Some(Event::Found { pool, news, .. }) => {
            (pool.to_string(), news.list.map(|list| list.servers.len()), news.trouble.is_some())
        }
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_name_is_followed_and_what_has_not_changed_is_not_told_again() {
    let server = NameServer::start();
    server.points("app.test", &["192.0.2.1"], 0);
    let (sender, mut events) = mpsc::channel(MOST_EVENTS);
    let handle = Handle::start(sender).unwrap();
    handle.watch(&plan(&[(WEB, "app.test")], resolver(&server)), &Default::default());
    assert_eq!(next(&mut events).await, (WEB.into(), Some(1), false));
    let asked = server.asked().len();
    server.wait_until(|questions| questions.len() >= asked + 4);
    server.points("app.test", &["192.0.2.1", "192.0.2.2"], 0);
    assert_eq!(next(&mut events).await, (WEB.into(), Some(2), false));
    server.says("app.test", Saying::Failure);
    assert_eq!(next(&mut events).await, (WEB.into(), None, true));
    server.points("app.test", &["192.0.2.1", "192.0.2.2"], 0);
    assert_eq!(next(&mut events).await, (WEB.into(), None, false));
    handle.stop();
}

#[tokio::test]
async fn a_plan_that_leaves_a_source_as_it_is_does_not_disturb_it() {
    let server = NameServer::start();
    server.points("app.test", &["192.0.2.1"], 300);
    server.points("other.test", &["192.0.2.2", "192.0.2.3"], 300);
    let (sender, mut events) = mpsc::channel(MOST_EVENTS);
    let handle = Handle::start(sender).unwrap();
    handle.watch(&plan(&[(WEB, "app.test")], resolver(&server)), &Default::default());
    assert_eq!(next(&mut events).await.1, Some(1));
    handle
        .watch(&plan(&[(WEB, "app.test"), ("other", "other.test")], resolver(&server)), &Default::default());
    assert_eq!(next(&mut events).await, ("other".into(), Some(2), false));
    let first = server.asked().iter().filter(|(name, _, _)| name == "app.test").count();
    assert_eq!(first, 2, "once for each family");
    handle.stop();
}

#[test]
fn pauses_after_failures_grow_to_a_bound() {
    let pauses: Vec<u64> = (1..=8).map(|failures| backoff(failures).as_secs()).collect();
    assert_eq!(pauses, [1, 2, 4, 8, 16, 30, 30, 30]);
    assert!(spread(Duration::from_secs(10)) < Duration::from_secs(1));
}
