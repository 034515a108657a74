//! Which pool a request goes to: the first rule in file order whose conditions all hold.
//!
//! Invariants: rules are tried in the order of the file; conditions of one rule are joined by *and*, the values of
//! one condition by *or*; a rule without conditions always matches. Bytes are compared as the client sent them:
//! nothing is decoded or normalised, because the server will see the same bytes.

use std::net::IpAddr;

use ipnet::IpNet;
use serde::{Deserialize, Serialize};

use crate::name::Name;

/// A host that a route asks for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum HostPattern {
    /// Exactly this host, in lower case, without port.
    Exact(String),
    /// `*.example.com`: any host below `example.com`, at any depth, but not `example.com` itself. Holds the part
    /// after `*`, with its dot, in lower case.
    Below(String),
}

/// What a route asks of one header field.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HeaderCondition {
    /// Field name in lower case.
    pub name: String,
    /// What its value must be.
    pub expect: HeaderExpectation,
}

/// See [`HeaderCondition`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum HeaderExpectation {
    /// One field of this name has exactly this value.
    Equals(String),
    /// The field is there, with any value.
    Present,
    /// The field is not there.
    Absent,
}

/// The conditions of a rule. An empty list asks for nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Conditions {
    /// Any of these hosts.
    pub hosts: Vec<HostPattern>,
    /// Any of these exact paths (without query).
    pub paths: Vec<String>,
    /// The path is one of these or continues one of them after a `/`: `/a` takes `/a` and `/a/b`, not `/ab`.
    pub path_prefixes: Vec<String>,
    /// Any of these methods (case-sensitive, RFC 9110 §9.1).
    pub methods: Vec<String>,
    /// All of these header conditions.
    pub headers: Vec<HeaderCondition>,
    /// The client's address is in any of these networks.
    pub sources: Vec<IpNet>,
    /// The name in the client's TLS hello is any of these.
    #[serde(default)]
    pub names: Vec<HostPattern>,
}

/// One rule: where requests go for which all conditions hold.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rule {
    /// What must hold.
    pub conditions: Conditions,
    /// Where the request goes then.
    pub pool: Name,
}

/// What a rule, or the choice of a server, may look at. A TCP connection has a source, and the name in a TLS hello.
pub trait Facts {
    /// Host of the request without port, as sent; empty when there is none.
    fn host(&self) -> &[u8];
    /// Path without query, as sent.
    fn path(&self) -> &[u8];
    /// Path with query, as sent.
    fn target(&self) -> &[u8];
    /// Method as sent.
    fn method(&self) -> &[u8];
    /// Calls `each` with the value of every field of this (lower-case) name until it returns true; says whether it did.
    fn any_header(&self, name: &str, each: &mut dyn FnMut(&[u8]) -> bool) -> bool;
    /// The client's address; `None` for a client on a unix socket.
    fn source(&self) -> Option<IpAddr>;
    /// The name of the server in a TLS hello (SNI), when one was looked for and is there; else empty.
    fn sni(&self) -> &[u8] {
        &[]
    }
}

/// Finds the first rule that matches, as its index in `rules`.
#[must_use]
pub fn find(rules: &[Rule], facts: &impl Facts) -> Option<usize> {
    rules.iter().position(|rule| rule.conditions.hold(facts))
}

impl Conditions {
    /// Says whether every condition holds.
    #[must_use]
    pub fn hold(&self, facts: &impl Facts) -> bool {
        let any_or_none = |empty: bool, found: bool| empty || found;
        any_or_none(self.hosts.is_empty(), self.hosts.iter().any(|host| host.matches(facts.host())))
            && self.path_matches(facts.path())
            && any_or_none(
                self.methods.is_empty(),
                self.methods.iter().any(|m| m.as_bytes() == facts.method()),
            )
            && self.headers.iter().all(|header| header.holds(facts))
            && any_or_none(
                self.sources.is_empty(),
                facts.source().is_some_and(|source| self.sources.iter().any(|net| contains(net, source))),
            )
            && any_or_none(self.names.is_empty(), self.names.iter().any(|name| name.matches(facts.sni())))
    }

    /// Says whether the TLS hello of a client decides, so that it must be read first.
    #[must_use]
    pub fn need_hello(&self) -> bool {
        !self.names.is_empty()
    }

    /// `path` and `path-prefix` are two ways to say one condition: any of either.
    fn path_matches(&self, path: &[u8]) -> bool {
        if self.paths.is_empty() && self.path_prefixes.is_empty() {
            return true;
        }
        self.paths.iter().any(|exact| exact.as_bytes() == path)
            || self.path_prefixes.iter().any(|prefix| continues(prefix.as_bytes(), path))
    }
}

/// Says whether `network` contains `address`; an IPv4 client on an IPv6 socket counts as IPv4.
#[must_use]
pub fn contains(network: &IpNet, address: IpAddr) -> bool {
    network.contains(&address.to_canonical())
}

fn continues(prefix: &[u8], path: &[u8]) -> bool {
    match path.strip_prefix(prefix) {
        None => false,
        Some(rest) => rest.is_empty() || prefix.ends_with(b"/") || rest.starts_with(b"/"),
    }
}

impl HostPattern {
    fn matches(&self, host: &[u8]) -> bool {
        match self {
            Self::Exact(exact) => exact.as_bytes().eq_ignore_ascii_case(host),
            Self::Below(suffix) => {
                let suffix = suffix.as_bytes();
                host.len() > suffix.len()
                    && host
                        .get(host.len() - suffix.len()..)
                        .is_some_and(|end| end.eq_ignore_ascii_case(suffix))
            }
        }
    }
}

impl HeaderCondition {
    fn holds(&self, facts: &impl Facts) -> bool {
        match &self.expect {
            HeaderExpectation::Equals(value) => facts.any_header(&self.name, &mut |v| v == value.as_bytes()),
            HeaderExpectation::Present => facts.any_header(&self.name, &mut |_| true),
            HeaderExpectation::Absent => !facts.any_header(&self.name, &mut |_| true),
        }
    }
}

#[cfg(test)]
mod tests;
