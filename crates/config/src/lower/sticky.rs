//! Makes the cookies of sticky sessions, and refuses or doubts those that browsers would not take.

use std::collections::BTreeMap;

use evenkeel_traffic::sticky::{Cookie, SameSite, Secure};

use super::TCP;
use crate::model::{Listener, Model, Pool, Sticky};
use crate::plan;
use crate::problems::{Problems, Span};

/// `None` when the name is missing or wrong, which was reported.
pub(super) fn lower(typed: &Sticky, problems: &mut Problems) -> Option<plan::Sticky> {
    if let Some(age) = typed.max_age.filter(|age| age.value.subsec_nanos() > 0) {
        problems
            .error(age.span, "`max-age` has a part of a second")
            .help("browsers count in whole seconds: round it");
    }
    refused_by_browsers(typed, problems);
    let cookie = Cookie {
        name: typed.cookie.as_ref()?.value.clone(),
        same_site: match typed.same_site.map(|word| word.value) {
            Some("strict") => SameSite::Strict,
            Some("none") => SameSite::None,
            _ => SameSite::Lax,
        },
        secure: typed.secure.map_or(Secure::Auto, |secure| secure.value),
        max_age: typed.max_age.map(|age| age.value),
        domain: typed.domain.as_ref().map(|domain| domain.value.clone()),
    };
    Some(plan::Sticky { cookie, key_file: typed.key_file.as_ref().map(|path| path.value.clone()) })
}

/// Reports attributes with which browsers throw the cookie away: every request would begin a new session.
fn refused_by_browsers(typed: &Sticky, problems: &mut Problems) {
    let starts = |prefix: &str| {
        let named =
            |name: &str| name.get(..prefix.len()).is_some_and(|start| start.eq_ignore_ascii_case(prefix));
        typed.cookie.as_ref().filter(|name| named(&name.value)).map(|name| name.span)
    };
    if let (Some(name), Some(domain)) = (starts("__Host-"), &typed.domain) {
        problems
            .error(domain.span, "browsers take no cookie with `domain` whose name starts with `__Host-`")
            .see(name, "its name")
            .help("remove `domain`, or choose another name");
    }
    let none =
        typed.same_site.filter(|word| word.value == "none").map(|word| (word.span, "`same-site = \"none\"`"));
    let prefixed = starts("__Host-").or(starts("__Secure-")).map(|span| (span, "this name"));
    let Some((span, what)) = none.or(prefixed) else { return };
    let what = format!("browsers take a cookie with {what} only when it is `Secure`");
    match typed.secure.map(|secure| (secure.value, secure.span)) {
        Some((Secure::Always, _)) => {}
        Some((Secure::Never, not_secure)) => {
            problems.error(span, what).see(not_secure, "it is not").help("write `secure = true`");
        }
        Some((Secure::Auto, _)) | None => {
            problems
                .warning(span, what)
                .help("write `secure = true`: clients of a listener without TLS would lose it at once");
        }
    }
}

/// Warns of sticky pools whose cookie nobody sees, and of those that take it from each other.
pub(super) fn check(model: &Model, problems: &mut Problems) {
    let sticky: BTreeMap<&str, (&Pool, &Sticky)> = model
        .pools
        .iter()
        .filter_map(|pool| Some((pool.name.value.as_str(), (pool, pool.sticky.as_ref()?))))
        .collect();
    let mut told: Vec<Span> = Vec::new();
    for listener in &model.listeners {
        let mut seen: BTreeMap<&str, (&str, Span)> = BTreeMap::new();
        for name in pools_of(listener) {
            let Some((pool, typed)) = sticky.get(name) else { continue };
            let Some(cookie) = &typed.cookie else { continue };
            let by_tcp = listener.mode.is_some_and(|mode| mode.value == TCP);
            let earlier = seen.get(cookie.value.as_str()).filter(|(other, _)| *other != name).copied();
            if (!by_tcp && earlier.is_none()) || told.contains(&cookie.span) {
                seen.entry(&cookie.value).or_insert((name, cookie.span));
                continue;
            }
            told.push(cookie.span);
            if by_tcp {
                let listener = &listener.name.value;
                problems
                    .warning(
                        cookie.span,
                        format!("listener `{listener}` with `mode = \"tcp\"` sends to pool `{name}` and sees no cookie"),
                    )
                    .help("write `balance = \"source\"`; its connections are spread as if `sticky` were not there");
            } else if let Some((other, span)) = earlier {
                problems
                    .warning(
                        cookie.span,
                        format!("pools `{other}` and `{}` use the same cookie", pool.name.value),
                    )
                    .see(
                        span,
                        format!("`{other}` has it, and listener `{}` sends to both", listener.name.value),
                    )
                    .help("give each a name of its own; else a client that visits both belongs to none");
            }
        }
    }
}

/// The pools that a listener sends to, in file order.
fn pools_of(listener: &Listener) -> impl Iterator<Item = &str> {
    let routes = listener.routes.iter().filter_map(|route| route.pool.as_ref());
    listener.pool.iter().chain(routes).map(|pool| pool.value.as_str())
}
