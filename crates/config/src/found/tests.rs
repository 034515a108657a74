use super::document::parse;
use super::*;
use crate::plan::{From, SERVERS_FROM};

fn name(text: &str) -> Name {
    text.parse().unwrap()
}

fn plan(text: &str) -> Plan {
    struct Only<'t>(&'t str);
    impl crate::Source for Only<'_> {
        fn read(&self, _: &std::path::Path) -> Result<String, String> {
            Ok(self.0.to_owned())
        }
        fn glob(&self, _: &str, _: &std::path::Path) -> Result<Vec<std::path::PathBuf>, String> {
            Ok(Vec::new())
        }
        fn program(&self, _: &std::path::Path, _: Option<&str>) -> Result<(), String> {
            Ok(())
        }
        fn variable(&self, _: &str) -> Option<String> {
            None
        }
    }
    match crate::load(std::path::Path::new("evenkeel.toml"), &Only(text)) {
        Ok(loaded) => loaded.plan,
        Err(report) => panic!("{}", report.render(false)),
    }
}

const POOL: &str = "[listener.l]\nbind = \"0.0.0.0:80\"\npool = \"web\"\n[pool.web]\n";

fn with_file(rest: &str) -> Plan {
    plan(&format!("{POOL}servers-from = {{ file = \"/run/servers\"{rest} }}\n"))
}

fn list(text: &str) -> List {
    List { servers: parse(text.as_bytes()).unwrap(), partial: false }
}

fn servers(plan: &Plan) -> Vec<String> {
    let told = |server: &Server| format!("{} {} {}", server.name, server.weight.value(), server.duty.word());
    plan.pools[0].servers.iter().map(told).collect()
}

#[test]
fn what_was_found_is_laid_over_the_file() {
    let plan = plan(&format!(
        "{POOL}servers-from = {{ file = \"/run/servers\" }}\nservers = {{ own = \"192.0.2.9:80\" }}\n"
    ));
    let mut findings = Findings::default();
    assert_eq!(servers(&findings.over(&plan)), ["own 1 ready"]);
    let difference = findings
        .take(
            &plan,
            &name("web"),
            &name(SERVERS_FROM),
            list("192.0.2.1:80 weight=3\n192.0.2.2:80 name=b\n192.0.2.9:80\n"),
        )
        .unwrap();
    assert_eq!(difference.added.len(), 3);
    // The last one is `own`, which has a name already.
    assert_eq!(servers(&findings.over(&plan)), ["own 1 ready", "192.0.2.1-80 3 ready", "b 1 ready"]);
}

#[test]
fn a_server_that_is_not_named_any_more_drains_until_it_can_go() {
    let plan = with_file("");
    let (web, from) = (name("web"), name(SERVERS_FROM));
    let mut findings = Findings::default();
    findings.take(&plan, &web, &from, list("192.0.2.1:80\n192.0.2.2:80\n")).unwrap();
    let difference = findings.take(&plan, &web, &from, list("192.0.2.2:80 weight=5\n")).unwrap();
    assert_eq!((difference.added.len(), difference.leaving.len(), difference.changed.len()), (0, 1, 1));
    assert_eq!(servers(&findings.over(&plan)), ["192.0.2.2-80 5 ready", "192.0.2.1-80 1 drain"]);
    assert!(findings.is_leaving(&web, &name("192.0.2.1-80")));
    assert!(findings.finished(&web, &name("192.0.2.1-80")));
    assert_eq!(servers(&findings.over(&plan)), ["192.0.2.2-80 5 ready"]);
}

#[test]
fn a_server_that_comes_back_drains_no_more() {
    let plan = with_file("");
    let (web, from) = (name("web"), name(SERVERS_FROM));
    let mut findings = Findings::default();
    findings.take(&plan, &web, &from, list("192.0.2.1:80\n192.0.2.2:80\n")).unwrap();
    findings.take(&plan, &web, &from, list("192.0.2.2:80\n")).unwrap();
    let back = findings.take(&plan, &web, &from, list("192.0.2.1:80\n192.0.2.2:80\n")).unwrap();
    assert_eq!((back.added.len(), back.leaving.len()), (1, 0));
    assert_eq!(findings.leaving().count(), 0);
    assert_eq!(servers(&findings.over(&plan)), ["192.0.2.1-80 1 ready", "192.0.2.2-80 1 ready"]);
}

#[test]
fn an_empty_list_is_believed_only_where_it_may_be() {
    let (web, from) = (name("web"), name(SERVERS_FROM));
    for (rest, believed) in [("", false), (", may-be-empty = true", true)] {
        let plan = with_file(rest);
        let mut findings = Findings::default();
        findings.take(&plan, &web, &from, list("192.0.2.1:80\n")).unwrap();
        let outcome = findings.take(&plan, &web, &from, List::default());
        assert_eq!(outcome.is_ok(), believed);
        let left = findings.over(&plan).pools[0].servers.iter().filter(|s| s.duty == Duty::Ready).count();
        assert_eq!(left, usize::from(!believed));
    }
}

#[test]
fn a_part_of_an_answer_takes_nobody_away() {
    let plan = with_file("");
    let (web, from) = (name("web"), name(SERVERS_FROM));
    let mut findings = Findings::default();
    findings.take(&plan, &web, &from, list("192.0.2.1:80\n192.0.2.2:80\n")).unwrap();
    let part = List { partial: true, ..list("192.0.2.3:80\n") };
    let difference = findings.take(&plan, &web, &from, part).unwrap();
    assert_eq!((difference.added.len(), difference.leaving.len()), (1, 0));
    let nothing = List { partial: true, ..List::default() };
    assert!(findings.take(&plan, &web, &from, nothing).unwrap().is_empty());
    assert_eq!(findings.count(&web, &from), Some(3));
}

#[test]
fn more_servers_than_allowed_change_nothing() {
    let plan = with_file(", max-servers = 2");
    let (web, from) = (name("web"), name(SERVERS_FROM));
    let mut findings = Findings::default();
    findings.take(&plan, &web, &from, list("192.0.2.1:80\n")).unwrap();
    let why =
        findings.take(&plan, &web, &from, list("192.0.2.1:80\n192.0.2.2:80\n192.0.2.3:80\n")).unwrap_err();
    assert!(why.contains("3 servers and `max-servers` allows 2"), "{why}");
    assert_eq!(findings.count(&web, &from), Some(1));
}

#[test]
fn a_name_that_another_server_has_is_refused() {
    let plan = plan(&format!(
        "{POOL}servers-from = {{ file = \"/run/servers\" }}\nservers = {{ own = \"192.0.2.9:80\" }}\n"
    ));
    let mut findings = Findings::default();
    let mut take = |text: &str| findings.take(&plan, &name("web"), &name(SERVERS_FROM), list(text));
    let why = take("192.0.2.1:80 name=own\n").unwrap_err();
    assert!(why.contains("the name of 192.0.2.9:80"), "{why}");
    assert!(take("192.0.2.9:80 name=own\n192.0.2.1:80 name=other\n").is_ok());
}

#[test]
fn a_host_name_among_the_servers_is_a_source_with_its_settings() {
    let plan = plan(&format!(
        "{POOL}[pool.web.servers]\nown = \"192.0.2.9:80\"\napp = {{ address = \"app.internal:8080\", weight = 4, backup = true }}\n"
    ));
    let source = &plan.pools[0].sources[0];
    assert_eq!(source.from, From::Names { host: "app.internal".into(), port: 8080 });
    let mut findings = Findings::default();
    let two = ["192.0.2.1:8080", "[2001:db8::1]:8080"].map(|text| Found::at(text.parse().unwrap()));
    let list = List { servers: two.into(), partial: false };
    findings.take(&plan, &name("web"), &name("app"), list).unwrap();
    let plan = findings.over(&plan);
    assert_eq!(
        servers(&plan),
        ["own 1 ready", "app-192.0.2.1-8080 4 ready", "app-2001-db8-0-0-0-0-0-1-8080 4 ready"]
    );
    assert_eq!(plan.pools[0].servers[1].priority, Priority::BACKUP);
}

#[test]
fn what_is_kept_comes_back_without_those_that_were_leaving() {
    let plan = with_file("");
    let (web, from) = (name("web"), name(SERVERS_FROM));
    let mut findings = Findings::default();
    findings.take(&plan, &web, &from, list("192.0.2.1:80 weight=7\n192.0.2.2:80\n")).unwrap();
    findings.take(&plan, &web, &from, list("192.0.2.1:80 weight=7\n")).unwrap();
    let kept: Findings = serde_json::from_str(&serde_json::to_string(&findings).unwrap()).unwrap();
    assert_eq!(servers(&kept.over(&plan)), ["192.0.2.1-80 7 ready"]);
    let other = plan_without_source();
    assert!(kept.settle(&other).is_empty());
}

fn plan_without_source() -> Plan {
    plan(&format!("{POOL}servers = {{ own = \"192.0.2.9:80\" }}\n"))
}

#[test]
fn documents_of_every_form_say_the_same() {
    let expected =
        parse(b"192.0.2.1:80\n# a comment\n\n[2001:db8::1]:80 weight=2 name=b backup # six\n").unwrap();
    assert_eq!(expected.len(), 2);
    let json =
        br#"["192.0.2.1:80", {"address": "[2001:db8::1]:80", "weight": 2, "name": "b", "backup": true}]"#;
    assert_eq!(parse(json).unwrap(), expected);
    let named = br#"{"servers": ["192.0.2.1:80", {"address": "[2001:db8::1]:80", "weight": 2, "name": "b", "priority": 0}]}"#;
    assert_eq!(parse(named).unwrap(), expected);
    let prometheus = br#"[{"targets": ["192.0.2.1:80", "[2001:db8::1]:80"], "labels": {"job": "web"}}]"#;
    assert_eq!(parse(prometheus).unwrap().len(), 2);
    let six_first = parse(b"[2001:db8::1]:80\n").unwrap();
    assert_eq!(six_first, [Found::at("[2001:db8::1]:80".parse().unwrap())]);
    assert_eq!((parse(b"").unwrap(), parse(b"[]").unwrap()), (Vec::new(), Vec::new()));
}

#[test]
fn a_document_with_any_mistake_is_none() {
    for (text, word) in [
        ("192.0.2.1:80\n192.0.2.2:8", "cut off"),
        ("192.0.2.1:80\nnonsense\n", "line 2"),
        ("192.0.2.1:80 weight=257\n", "0 to 256"),
        ("192.0.2.1:80 wieght=2\n", "unknown"),
        ("192.0.2.1:80\n192.0.2.1:80\n", "twice"),
        ("192.0.2.1:80 name=a\n192.0.2.2:80 name=a\n", "the name a"),
        ("web.internal:80\n", "host name"),
        ("0.0.0.0:80\n", "no address of a server"),
        ("[\"192.0.2.1:80\"", "no JSON"),
        ("[{\"adress\": \"192.0.2.1:80\"}]", "another form"),
        ("{}", "another form"),
        ("<html>502 Bad Gateway</html>\n", "line 1"),
        ("[{\"address\": \"192.0.2.1:80\", \"backup\": true, \"priority\": 3}]", "one is enough"),
    ] {
        let why = parse(text.as_bytes()).unwrap_err();
        assert!(why.contains(word), "{text:?}: {why}");
    }
    assert!(parse(&[0xff, b'\n']).unwrap_err().contains("UTF-8"));
    assert!(parse(&vec![b'#'; document::LARGEST + 1]).unwrap_err().contains("bytes"));
}
