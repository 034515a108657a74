use std::net::{IpAddr, Ipv4Addr};

use super::*;

struct Request {
    host: &'static str,
    path: &'static str,
    method: &'static str,
    headers: &'static [(&'static str, &'static str)],
    source: Option<IpAddr>,
}

const GET: Request = Request {
    host: "www.example.com",
    path: "/",
    method: "GET",
    headers: &[],
    source: Some(IpAddr::V4(Ipv4Addr::new(192, 0, 2, 7))),
};

impl Facts for Request {
    fn host(&self) -> &[u8] {
        self.host.as_bytes()
    }
    fn path(&self) -> &[u8] {
        self.path.as_bytes()
    }
    fn target(&self) -> &[u8] {
        self.path.as_bytes()
    }
    fn method(&self) -> &[u8] {
        self.method.as_bytes()
    }
    fn any_header(&self, name: &str, each: &mut dyn FnMut(&[u8]) -> bool) -> bool {
        self.headers.iter().filter(|(n, _)| *n == name).any(|(_, v)| each(v.as_bytes()))
    }
    fn source(&self) -> Option<IpAddr> {
        self.source
    }
}

fn rule(pool: &str, conditions: Conditions) -> Rule {
    Rule { conditions, pool: pool.parse().unwrap() }
}

#[test]
fn the_first_rule_in_file_order_wins() {
    let prefix = |p: &str| Conditions { path_prefixes: vec![p.into()], ..Conditions::default() };
    let rules = [rule("a", prefix("/a")), rule("b", prefix("/a/b")), rule("rest", Conditions::default())];
    assert_eq!(find(&rules, &Request { path: "/a/b", ..GET }), Some(0));
    assert_eq!(find(&rules, &Request { path: "/c", ..GET }), Some(2));
    assert_eq!(find(&rules[..2], &Request { path: "/c", ..GET }), None);
}

#[test]
fn hosts_compare_without_case_and_wildcards_need_a_label() {
    let holds = |pattern: HostPattern, host| {
        Conditions { hosts: vec![pattern], ..Conditions::default() }.hold(&Request { host, ..GET })
    };
    let exact = || HostPattern::Exact("example.com".into());
    let below = || HostPattern::Below(".example.com".into());
    assert!(holds(exact(), "EXAMPLE.com"));
    assert!(!holds(exact(), "www.example.com"));
    assert!(holds(below(), "www.Example.com"));
    assert!(holds(below(), "a.b.example.com"));
    assert!(!holds(below(), "example.com"));
    assert!(!holds(below(), ".example.com"));
    assert!(!holds(below(), "badexample.com"));
}

#[test]
fn a_prefix_ends_at_a_path_element() {
    let holds = |prefix: &str, path| {
        Conditions { path_prefixes: vec![prefix.into()], ..Conditions::default() }
            .hold(&Request { path, ..GET })
    };
    assert!(holds("/a", "/a"));
    assert!(holds("/a", "/a/"));
    assert!(holds("/a", "/a/b"));
    assert!(!holds("/a", "/ab"));
    assert!(holds("/a/", "/a/b"));
    assert!(!holds("/a/", "/a"));
    assert!(holds("/", "/anything"));
}

#[test]
fn path_and_prefix_are_alternatives() {
    let both = Conditions {
        paths: vec!["/exact".into()],
        path_prefixes: vec!["/below/".into()],
        ..Conditions::default()
    };
    assert!(both.hold(&Request { path: "/exact", ..GET }));
    assert!(both.hold(&Request { path: "/below/x", ..GET }));
    assert!(!both.hold(&Request { path: "/exact/x", ..GET }));
}

#[test]
fn methods_are_case_sensitive() {
    let post = Conditions { methods: vec!["POST".into(), "PUT".into()], ..Conditions::default() };
    assert!(post.hold(&Request { method: "PUT", ..GET }));
    assert!(!post.hold(&Request { method: "put", ..GET }));
}

#[test]
fn header_conditions_must_all_hold() {
    let condition = |name: &str, expect| HeaderCondition { name: name.into(), expect };
    let conditions = Conditions {
        headers: vec![
            condition("x-canary", HeaderExpectation::Equals("yes".into())),
            condition("x-any", HeaderExpectation::Present),
            condition("x-none", HeaderExpectation::Absent),
        ],
        ..Conditions::default()
    };
    let holds = |headers| conditions.hold(&Request { headers, ..GET });
    assert!(holds(&[("x-canary", "no"), ("x-canary", "yes"), ("x-any", "")]));
    assert!(!holds(&[("x-canary", "Yes"), ("x-any", "")]));
    assert!(!holds(&[("x-canary", "yes")]));
    assert!(!holds(&[("x-canary", "yes"), ("x-any", "1"), ("x-none", "1")]));
}

#[test]
fn sources_count_mapped_ipv4_as_ipv4_and_unix_clients_as_none() {
    let net = Conditions { sources: vec!["192.0.2.0/24".parse().unwrap()], ..Conditions::default() };
    assert!(net.hold(&GET));
    assert!(net.hold(&Request { source: Some("::ffff:192.0.2.9".parse().unwrap()), ..GET }));
    assert!(!net.hold(&Request { source: Some("198.51.100.1".parse().unwrap()), ..GET }));
    assert!(!net.hold(&Request { source: None, ..GET }));
}

#[test]
fn a_name_in_the_hello_is_matched_like_a_host() {
    struct Named(&'static str);

    impl Facts for Named {
        fn host(&self) -> &[u8] {
            b"a.example.com"
        }

        fn path(&self) -> &[u8] {
            b""
        }

        fn target(&self) -> &[u8] {
            b""
        }

        fn method(&self) -> &[u8] {
            b""
        }

        fn any_header(&self, _: &str, _: &mut dyn FnMut(&[u8]) -> bool) -> bool {
            false
        }

        fn source(&self) -> Option<IpAddr> {
            None
        }

        fn sni(&self) -> &[u8] {
            self.0.as_bytes()
        }
    }

    let names = vec![HostPattern::Exact("a.example.com".into()), HostPattern::Below(".b.example.com".into())];
    let named = Conditions { names, ..Conditions::default() };
    assert!(named.need_hello() && !Conditions::default().need_hello());
    assert!(named.hold(&Named("A.example.com")) && named.hold(&Named("x.b.example.com")));
    assert!(!named.hold(&Named("b.example.com")) && !named.hold(&Named("")));
}
