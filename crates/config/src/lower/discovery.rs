//! Makes the sources of servers and the resolver, and refuses what would mean nothing.

use std::num::NonZeroU32;
use std::time::Duration;

use evenkeel_traffic::duty::Duty;
use evenkeel_traffic::pick::Weight;

use super::{HTTP, count, default, servers, time};
use crate::keys::Section;
use crate::model::{Model, Pool, Server, ServersFrom};
use crate::plan::{self, Families, From, MOST_SOURCES, SERVERS_FROM, Template};
use crate::problems::Problems;
use crate::units;

/// The pause between two looks at a file.
const FILE_INTERVAL: Duration = Duration::from_secs(1);
/// The pause between two requests for a document.
const HTTP_INTERVAL: Duration = Duration::from_secs(10);

/// The resolver of the plan.
pub(super) fn resolver(model: &Model, problems: &mut Problems) -> plan::Resolver {
    const SECTION: Section = Section::Resolver;
    let typed = &model.resolver;
    let (min_ttl, max_ttl) =
        (time(typed.min_ttl, SECTION, "min-ttl", HTTP), time(typed.max_ttl, SECTION, "max-ttl", HTTP));
    if min_ttl > max_ttl
        && let Some(given) = typed.min_ttl.or(typed.max_ttl)
    {
        problems
            .error(
                given.span,
                format!(
                    "`min-ttl` ({}) is longer than `max-ttl` ({})",
                    units::ShownDuration(min_ttl),
                    units::ShownDuration(max_ttl)
                ),
            )
            .help("make `min-ttl` shorter, or `max-ttl` longer");
    }
    plan::Resolver {
        nameservers: typed.nameservers.clone().unwrap_or_default(),
        timeout: time(typed.timeout, SECTION, "timeout", HTTP),
        attempts: u8::try_from(count(typed.attempts, SECTION, "attempts")).unwrap_or(1),
        min_ttl,
        max_ttl,
        families: typed.addresses.and_then(|word| Families::of_word(word.value)).unwrap_or(Families::Both),
    }
}

/// The sources of a pool: names among its servers in their order, then `servers-from`.
pub(super) fn sources(pool: &Pool, problems: &mut Problems) -> Vec<plan::Source> {
    let mut sources: Vec<plan::Source> =
        pool.servers.iter().filter_map(|server| named(server, problems)).collect();
    if let Some(typed) = &pool.servers_from {
        sources.extend(servers_from(typed, problems));
        if let Some(twin) = pool
            .servers
            .iter()
            .find(|server| server.settings.origin.is_some() && server.name.value.as_str() == SERVERS_FROM)
        {
            problems
                .error(twin.name.span, format!("a name to look up is called `{SERVERS_FROM}`"))
                .see(typed.span, "the source that is always called so")
                .help("give it another name");
        }
    }
    sources
}

/// A server whose address is a name.
fn named(server: &Server, problems: &mut Problems) -> Option<plan::Source> {
    let settings = &server.settings;
    let origin = settings.origin.as_ref()?;
    if let Some(check) = &settings.check_address {
        problems
            .error(
                check.span,
                format!("server `{}` has `check-address` and a name to look up", server.name.value),
            )
            .see(origin.span, "this may be many servers, each is asked at its own address")
            .help("remove it; for another port write `port` in `health`");
    }
    if let (From::Services { .. }, Some(weight)) = (&origin.value, settings.weight) {
        problems
            .error(weight.span, "`weight` means nothing here: SRV records say it")
            .see(origin.span, "a name with SRV records")
            .help("remove it");
    }
    Some(plan::Source {
        name: server.name.value.clone(),
        from: origin.value.clone(),
        most: default_most(),
        may_be_empty: false,
        template: Template {
            prefix: Some(server.name.value.clone()),
            weight: settings.weight.map_or(Weight::ONE, |weight| weight.value),
            priority: servers::priority(server, problems),
            max_connections: settings
                .max_connections
                .and_then(|most| NonZeroU32::new(u32::try_from(most.value).ok()?)),
            duty: settings.duty.and_then(|word| Duty::of_word(word.value)).unwrap_or_default(),
        },
    })
}

fn default_most() -> usize {
    default(Section::ServersFrom, "max-servers", HTTP).and_then(|text| text.parse().ok()).unwrap_or(1)
}

fn servers_from(typed: &ServersFrom, problems: &mut Problems) -> Option<plan::Source> {
    match typed.given.as_slice() {
        [_] => {}
        [] => {
            problems
                .error(typed.span, "`servers-from` does not say where from")
                .help("write one of `dns = \"app.internal:8080\"`, `file = \"/PATH\"` and `http = \"https://HOST/PATH\"`");
        }
        [first, second, ..] => {
            problems
                .error(second.span, format!("`servers-from` has `{}` and `{}`", first.value, second.value))
                .see(first.span, "the other")
                .help("keep one: a pool has one source beside `servers`, in which names may stand as well");
        }
    }
    let given = |name: &str| typed.given.iter().any(|given| given.value == name);
    if let Some(interval) = typed.interval.filter(|_| given("dns")) {
        problems
            .error(
                interval.span,
                "`interval` means nothing with `dns`: the TTL of the answer says when to ask again",
            )
            .help("remove it; `min-ttl` and `max-ttl` in `[resolver]` bound the TTL");
    }
    if let Some(timeout) = typed.timeout.filter(|_| !given("http")) {
        problems
            .error(timeout.span, "`timeout` means nothing without `http`")
            .help("remove it; names are looked up within the `timeout` in `[resolver]`");
    }
    let url = typed.http.as_ref().map(|url| &url.value);
    let secure = url.is_some_and(|url| url.secure);
    if let Some(ca) = typed.ca.as_ref().filter(|_| !secure && (url.is_some() || !given("http"))) {
        problems
            .error(ca.span, "`ca` means nothing without `http = \"https://…\"`: no certificate is looked at")
            .help("remove it, or write `https://` in `http`");
    }
    let or = |usual: Duration| typed.interval.map_or(usual, |interval| interval.value);
    let from = if let Some(dns) = &typed.dns {
        dns.value.clone()
    } else if let Some(path) = &typed.file {
        From::File { path: path.value.clone(), interval: or(FILE_INTERVAL) }
    } else {
        From::Http {
            url: typed.http.as_ref()?.value.clone(),
            interval: or(HTTP_INTERVAL),
            timeout: time(typed.timeout, Section::ServersFrom, "timeout", HTTP),
            trust: secure.then(|| match &typed.ca {
                Some(ca) => plan::Trust::Authorities(ca.value.clone()),
                None => plan::Trust::System,
            }),
        }
    };
    Some(plan::Source {
        name: SERVERS_FROM.parse().ok()?,
        from,
        most: usize::try_from(count(typed.max_servers, Section::ServersFrom, "max-servers")).ok()?,
        may_be_empty: typed.may_be_empty.is_some_and(|flag| flag.value),
        template: Template::default(),
    })
}

/// Reports more sources than there may be.
pub(super) fn check(model: &Model, problems: &mut Problems) {
    let mut count = 0;
    for pool in &model.pools {
        let names = pool.servers.iter().filter(|server| server.settings.origin.is_some()).count();
        count += names + usize::from(pool.servers_from.is_some());
        if count > MOST_SOURCES {
            problems
                .error(
                    pool.name.span,
                    format!("there are more than {MOST_SOURCES} names and other sources of servers"),
                )
                .help("join pools, or write addresses");
            return;
        }
    }
}
