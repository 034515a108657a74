//! Decides who is told about a virtual router, and who else moves its addresses.

use std::time::Duration;

use super::{HTTP, time};
use crate::keys::Section;
use crate::model::{self, Model, VirtualRouter};
use crate::plan::{Notify, Provider, Target};
use crate::problems::{At, Problems, Span};

/// The shortest pause between two calls that only verify.
const SHORTEST_VERIFY: Duration = Duration::from_secs(1);
/// The keys that go with one kind only.
const OWNERS: [(&str, &str); 2] = [("user", "script"), ("token-file", "webhook")];

pub(super) fn notify(typed: &VirtualRouter, model: &Model, problems: &mut Problems) -> Option<Vec<Notify>> {
    let lowered: Vec<Option<Notify>> = typed.notify.iter().map(|typed| one(typed, model, problems)).collect();
    for (place, notify) in lowered.iter().enumerate() {
        let Some(notify) = notify else { continue };
        let before = lowered.iter().take(place).flatten().any(|other| other.target == notify.target);
        if let Some(typed) = typed.notify.get(place).filter(|_| before) {
            problems
                .error(typed.span, format!("{} is told twice", notify.target))
                .help("leave one of them out");
        }
    }
    lowered.into_iter().collect()
}

fn one(typed: &model::Notify, model: &Model, problems: &mut Problems) -> Option<Notify> {
    let given = |name: &str| typed.given.iter().find(|key| key.value == name);
    let kind = match (given("script"), given("webhook")) {
        (Some(script), Some(webhook)) => {
            problems
                .error(webhook.span, "this tells two, a `script` and a `webhook`")
                .help("write a table `{ … }` for each of them")
                .see(script.span, "the first one");
            return None;
        }
        (None, None) => {
            problems
                .error(typed.span, "this does not say who is told")
                .help("add a `script` or a `webhook`")
                .consequence();
            return None;
        }
        (Some(_), None) => "script",
        (None, Some(_)) => "webhook",
    };
    for (name, owner) in OWNERS {
        if let Some(key) = given(name).filter(|_| owner != kind) {
            problems
                .error(key.span, format!("`{name}` means nothing for a {kind}"))
                .help(format!("it goes with `{owner}`: remove it"));
        }
    }
    let target = match kind {
        "script" => Target::Script {
            command: typed.script.as_ref()?.value.clone(),
            user: typed.user.as_ref().or(model.global.user.as_ref()).map(|user| user.value.clone()),
        },
        _ => {
            let url = url(typed.webhook.as_ref()?, problems)?;
            let token_file = typed.token_file.as_ref();
            if let Some(file) = token_file.filter(|_| url.starts_with("http://")) {
                problems
                    .warning(file.span, "the token is sent without encryption, for all on the way to read")
                    .help("write `https://` in `webhook`, unless it goes to this machine only");
            }
            Target::Webhook { url, token_file: token_file.map(|file| file.value.clone()) }
        }
    };
    Some(Notify { target, timeout: time(typed.timeout, Section::Notify, "timeout", HTTP) })
}

/// Whether it can be an address of the web at all; whether somebody answers is found out later.
fn url(typed: &At<String>, problems: &mut Problems) -> Option<String> {
    let url = &typed.value;
    let mut wrong = |what: &str| {
        problems
            .error(typed.span, format!("the address of the webhook {what}"))
            .help("write an address such as `\"https://hooks.example.com/vrrp\"`");
    };
    let Some(rest) = url.strip_prefix("https://").or_else(|| url.strip_prefix("http://")) else {
        wrong("begins with neither `https://` nor `http://`");
        return None;
    };
    let host = rest.split(['/', '?', '#']).next().unwrap_or_default();
    if host.is_empty() || host.starts_with(':') {
        wrong("names no host");
        return None;
    }
    if host.contains('@') {
        wrong("has a user or a password, which belong into the file of `token-file`");
        return None;
    }
    if !url.bytes().all(|byte| byte.is_ascii_graphic()) {
        wrong("has a character that must be written as `%` and two digits");
        return None;
    }
    Some(url.clone())
}

/// None when what is given cannot be; otherwise the provider, if there is one.
pub(super) fn provider(
    typed: &VirtualRouter,
    model: &Model,
    problems: &mut Problems,
) -> Option<Option<Provider>> {
    let Some(typed) = &typed.provider else { return Some(None) };
    let verify = time(typed.verify, Section::Provider, "verify", HTTP);
    if let Some(verify) =
        typed.verify.filter(|verify| !verify.value.is_zero() && verify.value < SHORTEST_VERIFY)
    {
        problems
            .error(verify.span, "`verify` is too often")
            .help("write `\"1s\"` or more, or `\"0s\"` for never");
    }
    Some(Some(Provider {
        command: typed.exec.as_ref()?.value.clone(),
        user: typed.user.as_ref().or(model.global.user.as_ref()).map(|user| user.value.clone()),
        timeout: time(typed.timeout, Section::Provider, "timeout", HTTP),
        verify: Some(verify).filter(|verify| !verify.is_zero()),
    }))
}

/// The programs, with their users and what they cannot be.
pub(super) fn programs(model: &Model) -> impl Iterator<Item = (Span, &String, Option<&str>, &'static str)> {
    let global = || model.global.user.as_ref();
    model.virtual_routers.iter().flat_map(move |router| {
        let told = router.notify.iter().filter_map(move |notify| {
            let (script, user) = (notify.script.as_ref()?, notify.user.as_ref().or_else(global));
            Some((script.span, script.value.first()?, user.map(|user| user.value.as_str()), "told"))
        });
        let provider = router.provider.as_ref().and_then(|provider| {
            let (exec, user) = (provider.exec.as_ref()?, provider.user.as_ref().or_else(global));
            Some((exec.span, exec.value.first()?, user.map(|user| user.value.as_str()), "a provider"))
        });
        told.chain(provider)
    })
}
