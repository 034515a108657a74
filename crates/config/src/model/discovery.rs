//! Reads `[resolver]`, `servers-from` and host names among the servers.

use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use super::Setting;
use super::read::Reader;
use super::value::not;
use crate::plan::{From, MOST_NAMESERVERS, Url};
use crate::problems::{At, Problems, Span};
use crate::suggest::quoted;
use crate::text::{Text, Value};

/// The longest host name (RFC 1035 §2.3.4), in bytes.
const LONGEST_HOST: usize = 253;
/// The longest label (RFC 1035 §2.3.4), in bytes.
const LONGEST_LABEL: usize = 63;
/// The longest URL, in bytes.
const LONGEST_URL: usize = 2048;
const DNS_PORT: u16 = 53;

#[derive(Debug, Default)]
pub(crate) struct Resolver {
    pub(crate) nameservers: Option<Vec<SocketAddr>>,
    pub(crate) timeout: Setting<Duration>,
    pub(crate) attempts: Setting<u64>,
    pub(crate) min_ttl: Setting<Duration>,
    pub(crate) max_ttl: Setting<Duration>,
    pub(crate) addresses: Setting<&'static str>,
}

#[derive(Debug)]
pub(crate) struct ServersFrom {
    /// Its header or braces.
    pub(crate) span: Span,
    /// Which of `dns`, `file` and `http` are given, right or wrong.
    pub(crate) given: Vec<At<&'static str>>,
    pub(crate) dns: Setting<From>,
    pub(crate) file: Setting<PathBuf>,
    pub(crate) http: Setting<Url>,
    pub(crate) ca: Setting<PathBuf>,
    pub(crate) interval: Setting<Duration>,
    pub(crate) timeout: Setting<Duration>,
    pub(crate) max_servers: Setting<u64>,
    pub(crate) may_be_empty: Setting<bool>,
}

impl Reader<'_> {
    /// What was typed for `[resolver]`, of which this is the table.
    pub(super) fn resolver(&self, problems: &mut Problems) -> Resolver {
        Resolver {
            nameservers: self.nameservers(problems),
            timeout: self.time("timeout", problems),
            attempts: self.count("attempts", problems),
            min_ttl: self.time("min-ttl", problems),
            max_ttl: self.time("max-ttl", problems),
            addresses: self.word("addresses", problems),
        }
    }

    /// What was typed for a pool's `servers-from`, of which this is the table.
    pub(super) fn servers_from(&self, span: Span, problems: &mut Problems) -> ServersFrom {
        let given = ["dns", "file", "http"];
        ServersFrom {
            span,
            given: given
                .into_iter()
                .filter_map(|name| Some(At::new(name, self.table.find(name)?.key.span)))
                .collect(),
            dns: self.dns(problems),
            file: self.file("file", "is no path of a file", problems),
            http: self.url(problems),
            ca: self.file("ca", "is no path of a file", problems),
            interval: self.time("interval", problems),
            timeout: self.time("timeout", problems),
            max_servers: self.count("max-servers", problems),
            may_be_empty: self.flag("may-be-empty", problems),
        }
    }

    fn dns(&self, problems: &mut Problems) -> Setting<From> {
        let (entry, key) = self.given("dns")?;
        let Value::Text(text) = &entry.value else {
            not(entry, key, problems);
            return None;
        };
        let origin = origin(&text.text);
        if origin.is_none() {
            problems
                .error(entry.span, format!("{} is no name to look up", quoted(&text.text)))
                .help(format!("write {}", key.kind.expectation()));
        }
        Some(At::new(origin?, entry.span))
    }

    fn url(&self, problems: &mut Problems) -> Setting<Url> {
        let (entry, key) = self.given("http")?;
        let Value::Text(text) = &entry.value else {
            not(entry, key, problems);
            return None;
        };
        let url = url(&text.text);
        if url.is_none() {
            problems
                .error(entry.span, format!("{} is no URL that can be asked", quoted(&text.text)))
                .help(format!("write {}", key.kind.expectation()));
        }
        Some(At::new(url?, entry.span))
    }

    fn nameservers(&self, problems: &mut Problems) -> Option<Vec<SocketAddr>> {
        let texts = self.texts("nameservers", false, MOST_NAMESERVERS, problems)?;
        let mut servers = Vec::new();
        for text in texts {
            let typed = text.value.text.as_str();
            let bare = typed.parse::<IpAddr>().map(|ip| SocketAddr::new(ip, DNS_PORT));
            match bare.or_else(|_| typed.parse()) {
                Ok(server) if server.port() > 0 && !server.ip().is_unspecified() => servers.push(server),
                _ => {
                    problems
                        .error(text.span, format!("{} is no address of a name server", quoted(typed)))
                        .help("write an IP address such as `\"192.0.2.53\"`, or with a port `\"192.0.2.53:5353\"`");
                }
            }
        }
        Some(servers)
    }
}

/// The address of a server, when it is a name and not an address.
pub(super) fn named_server(text: &Text, span: Span) -> Setting<From> {
    Some(At::new(origin(&text.text)?, span))
}

/// `HOST:PORT`, or `_SERVICE._PROTOCOL.DOMAIN`.
fn origin(text: &str) -> Option<From> {
    if let Some((host, port)) = text.rsplit_once(':') {
        let port = port.parse().ok().filter(|port| *port > 0)?;
        return is_host(host).then(|| From::Names { host: host.to_owned(), port });
    }
    let mut labels = text.split('.');
    let service = labels.next().is_some_and(|label| label.starts_with('_'));
    let protocol = labels.next().is_some_and(|label| label.starts_with('_'));
    (service && protocol && is_host(text)).then(|| From::Services { name: text.to_owned() })
}

/// A name of letters, digits, `-` and `_` with dots between; not what an address mistyped would look like.
fn is_host(text: &str) -> bool {
    let label = |label: &str| {
        !label.is_empty()
            && label.len() <= LONGEST_LABEL
            && !label.starts_with('-')
            && !label.ends_with('-')
            && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_')
    };
    let bare = text.strip_suffix('.').unwrap_or(text);
    let last = bare.rsplit('.').next().unwrap_or_default();
    bare.len() <= LONGEST_HOST
        && bare.split('.').all(label)
        && last.bytes().any(|byte| !byte.is_ascii_digit())
}

/// `http://HOST[:PORT][/PATH]`, or the same with `https`.
fn url(text: &str) -> Option<Url> {
    let (secure, rest) = match text.strip_prefix("https://") {
        Some(rest) => (true, rest),
        None => (false, text.strip_prefix("http://")?),
    };
    if text.len() > LONGEST_URL {
        return None;
    }
    let usual = Url::usual_port(secure);
    if !rest.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'#') {
        return None;
    }
    let (authority, path) = rest.split_at(rest.find(['/', '?']).unwrap_or(rest.len()));
    let target = if path.starts_with('/') { path.to_owned() } else { format!("/{path}") };
    let whole = |host: &str, port: u16| Url { secure, host: host.to_owned(), port, target: target.clone() };
    if let Ok(address) = authority.parse::<SocketAddr>() {
        return (address.port() > 0).then(|| whole(&address.ip().to_string(), address.port()));
    }
    if let Ok(ip) = authority.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>() {
        return Some(whole(&ip.to_string(), usual));
    }
    match authority.rsplit_once(':') {
        Some((host, port)) => {
            let port = port.parse().ok().filter(|port| *port > 0)?;
            is_host(host).then(|| whole(host, port))
        }
        None => is_host(authority).then(|| whole(authority, usual)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_services_are_told_from_addresses() {
        let names = |host: &str, port| Some(From::Names { host: host.into(), port });
        assert_eq!(origin("app.internal:8080"), names("app.internal", 8080));
        assert_eq!(origin("localhost:80"), names("localhost", 80));
        assert_eq!(origin("my_app.internal.:80"), names("my_app.internal.", 80));
        let service = Some(From::Services { name: "_http._tcp.app.internal".into() });
        assert_eq!(origin("_http._tcp.app.internal"), service);
        for wrong in [
            "app.internal",
            "app.internal:0",
            "300.0.0.1:80",
            "-a:80",
            "a..b:80",
            "_http.app",
            ":80",
            "a b:80",
        ] {
            assert_eq!(origin(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn a_url_is_taken_apart() {
        let parts = |text: &str| url(text).map(|url| (url.host, url.port, url.target));
        let some = |host: &str, port, target: &str| Some((host.to_owned(), port, target.to_owned()));
        assert_eq!(parts("http://a.internal"), some("a.internal", 80, "/"));
        assert_eq!(parts("http://a.internal:8500/v1?x=1"), some("a.internal", 8500, "/v1?x=1"));
        assert_eq!(parts("http://a.internal?x=1"), some("a.internal", 80, "/?x=1"));
        assert_eq!(parts("http://[2001:db8::1]:81/"), some("2001:db8::1", 81, "/"));
        assert_eq!(url("http://[2001:db8::1]/a").unwrap().to_string(), "http://[2001:db8::1]/a");
        assert_eq!(parts("https://a.internal/x"), some("a.internal", 443, "/x"));
        assert_eq!(url("https://a.internal:443/x").unwrap().to_string(), "https://a.internal/x");
        assert_eq!(url("https://a.internal:80/x").unwrap().to_string(), "https://a.internal:80/x");
        for wrong in [
            "ftp://a.internal/",
            "https://",
            "http://",
            "http://user@a.internal/",
            "http://a/#x",
            "http://a b/",
            "a.internal",
        ] {
            assert_eq!(parts(wrong), None, "{wrong}");
        }
    }
}
