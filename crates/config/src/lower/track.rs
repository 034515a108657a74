//! Decides what is tracked, and what that does.

use std::time::Duration;

use super::{HTTP, PoolNames, default};
use crate::keys::Section;
use crate::model::{Model, Pool, Track, VirtualRouter, WordOr};
use crate::plan::{self, Bearing, Least, ProcessTrack, Script, Tracked};
use crate::problems::{At, Problems, Span};
use crate::suggest::{nearest, one_of, quoted};

/// The keys that say what is tracked, each with the keys that go with it.
const KINDS: [(&str, &[&str]); 6] = [
    ("listener", &[]),
    ("pool", &["least-servers", "least-share"]),
    ("interface", &[]),
    ("script", &["user", "interval", "timeout", "rise", "fall"]),
    ("file", &["interval"]),
    ("process", &["least-processes", "interval", "rise", "fall"]),
];
/// Of scripts, files and processes.
const INTERVAL: Duration = Duration::from_secs(1);
/// The longest name of a program that the kernel knows, in bytes (TASK_COMM_LEN with its zero).
const LONGEST_PROCESS: usize = 15;

pub(super) fn lower(
    typed: &VirtualRouter,
    model: &Model,
    pools: &PoolNames,
    problems: &mut Problems,
) -> Option<Vec<plan::Track>> {
    let mut tracks = Vec::new();
    if !model.listeners.is_empty() && typed.track_proxy.is_none_or(|flag| flag.value) {
        tracks.push(plan::Track { what: Tracked::Proxy, bearing: Bearing::Yield });
    }
    let lowered: Vec<Option<plan::Track>> =
        typed.tracks.iter().map(|typed| track(typed, model, pools, problems)).collect();
    for (place, track) in lowered.iter().enumerate() {
        let Some(track) = track else { continue };
        let before = lowered.iter().take(place).flatten().any(|other| other.what == track.what);
        if let Some(typed) = typed.tracks.get(place).filter(|_| before) {
            problems
                .error(typed.span, format!("{} is tracked twice", track.what))
                .help("leave one of them out");
        }
    }
    tracks.extend(lowered.into_iter().collect::<Option<Vec<_>>>()?);
    Some(tracks)
}

fn track(typed: &Track, model: &Model, pools: &PoolNames, problems: &mut Problems) -> Option<plan::Track> {
    let kind = kind(typed, problems)?;
    fitting(typed, kind, problems);
    let bearing = bearing(typed, problems);
    let what = match kind {
        "listener" => Tracked::Listener(listener(typed.listener.as_ref()?, model, problems)?),
        "pool" => {
            let name = pools.resolve(typed.pool.as_ref()?, problems)?;
            let pool = model.pools.iter().find(|pool| pool.name.value == name);
            unchecked(typed, pool, problems);
            Tracked::Pool(name, least(typed, pool, problems)?)
        }
        "interface" => Tracked::Interface(typed.interface.as_ref()?.value.clone()),
        "script" => Tracked::Script(script(typed, model)?),
        "file" => Tracked::File(
            typed.file.as_ref()?.value.clone(),
            typed.interval.map_or(INTERVAL, |interval| interval.value),
        ),
        _ => Tracked::Process(process(typed, problems)?),
    };
    Some(plan::Track { what, bearing })
}

/// The one key that says what is tracked.
fn kind(typed: &Track, problems: &mut Problems) -> Option<&'static str> {
    let names = KINDS.map(|(name, _)| name);
    let mut given = typed.given.iter().filter_map(|key| {
        let name = names.into_iter().find(|name| *name == key.value)?;
        Some((name, key.span))
    });
    let Some((first, span)) = given.next() else {
        problems
            .error(typed.span, "this does not say what is tracked")
            .help(format!("add one of {}", one_of(names.into_iter())))
            .consequence();
        return None;
    };
    if let Some((second, other)) = given.next() {
        problems
            .error(other, format!("this tracks two things, `{first}` and `{second}`"))
            .help("write a table `{ … }` for each of them")
            .see(span, "the first one");
        return None;
    }
    Some(first)
}

/// Refuses keys that mean nothing for this kind.
fn fitting(typed: &Track, kind: &str, problems: &mut Problems) {
    for key in &typed.given {
        let owners: Vec<&str> = KINDS
            .iter()
            .filter(|(_, keys)| keys.contains(&key.value.as_str()))
            .map(|(name, _)| *name)
            .collect();
        if !owners.is_empty() && !owners.contains(&kind) {
            problems
                .error(key.span, format!("`{}` means nothing for a tracked {kind}", key.value))
                .help(format!("it goes with {}: remove it", one_of(owners.into_iter())));
        }
    }
}

fn bearing(typed: &Track, problems: &mut Problems) -> Bearing {
    if let (Some(priority), Some(effect)) = (typed.priority, typed.effect) {
        problems
            .error(effect.span, "this has both a `priority` and an `effect`")
            .help("leave one of them out: a weight changes the priority, an effect does without")
            .see(priority.span, "the weight");
    }
    let effect = typed
        .effect
        .map_or_else(|| default(Section::Track, "effect", HTTP).unwrap_or_default(), |word| word.value);
    match (typed.priority, effect) {
        (Some(priority), _) => Bearing::Priority(priority.value),
        (None, "fault") => Bearing::Fault,
        (None, _) => Bearing::Yield,
    }
}

fn listener(
    typed: &At<String>,
    model: &Model,
    problems: &mut Problems,
) -> Option<evenkeel_traffic::name::Name> {
    let known = || model.listeners.iter().map(|listener| listener.name.value.as_str());
    let found = model.listeners.iter().find(|listener| listener.name.value.as_str() == typed.value);
    if found.is_none() {
        problems
            .error(typed.span, format!("there is no listener {}", quoted(&typed.value)))
            .help(match nearest(&typed.value, known()) {
                Some(near) => format!("did you mean `{near}`?"),
                None if model.listeners.is_empty() => {
                    "without listeners, track a `pool` with the service of this machine".into()
                }
                None => format!("known: {}", one_of(known().take(10))),
            })
            .consequence();
    }
    found.map(|listener| listener.name.value.clone())
}

fn least(typed: &Track, pool: Option<&Pool>, problems: &mut Problems) -> Option<Least> {
    if let (Some(servers), Some(share)) = (typed.least_servers, typed.least_share) {
        problems
            .error(share.span, "this has both `least-servers` and `least-share`")
            .help("leave one of them out")
            .see(servers.span, "the other one");
    }
    let least = match (typed.least_servers, typed.least_share) {
        (_, Some(share)) => Least::Share(u32::try_from(share.value).ok()?),
        (Some(servers), None) => Least::Servers(u32::try_from(servers.value).ok()?),
        (None, None) => Least::Servers(1),
    };
    let all = pool.map_or(usize::MAX, |pool| pool.servers.len());
    if let Some(servers) = typed.least_servers.filter(|least| least.value > all as u64) {
        problems
            .error(servers.span, "the pool has fewer servers")
            .help(format!("ask for {all} at most, or use `least-share`"));
    }
    Some(least)
}

fn unchecked(typed: &Track, pool: Option<&Pool>, problems: &mut Problems) {
    let is_checked = |pool: &Pool| {
        pool.agent.is_some()
            || matches!(
                pool.health.as_ref().map(|health| &health.value),
                Some(WordOr::Table(_) | WordOr::Word("tcp"))
            )
    };
    if let (Some(name), Some(pool)) = (&typed.pool, pool)
        && !is_checked(pool)
    {
        problems
            .warning(
                name.span,
                format!("pool `{}` has no `health`, so its servers are always thought well", name.value),
            )
            .help("add a check such as `health = { http = \"/healthz\" }` to the pool")
            .consequence();
    }
}

fn script(typed: &Track, model: &Model) -> Option<Script> {
    let interval = typed.interval.map_or(INTERVAL, |interval| interval.value);
    Some(Script {
        command: typed.script.as_ref()?.value.clone(),
        interval,
        timeout: typed.timeout.map_or(INTERVAL, |timeout| timeout.value),
        rise: streak(typed.rise)?,
        fall: streak(typed.fall)?,
        user: typed.user.as_ref().or(model.global.user.as_ref()).map(|user| user.value.clone()),
    })
}

fn process(typed: &Track, problems: &mut Problems) -> Option<ProcessTrack> {
    let name = typed.process.as_ref()?;
    if name.value.len() > LONGEST_PROCESS || name.value.contains('/') {
        let short: String =
            name.value.rsplit('/').next().unwrap_or_default().chars().take(LONGEST_PROCESS).collect();
        problems
            .error(name.span, format!("no process is called {}", quoted(&name.value)))
            .help(format!("the kernel keeps {LONGEST_PROCESS} bytes without the path: `\"{short}\"`"));
        return None;
    }
    Some(ProcessTrack {
        name: name.value.clone(),
        least: u32::try_from(typed.least_processes.map_or(1, |least| least.value)).ok()?,
        interval: typed.interval.map_or(INTERVAL, |interval| interval.value),
        rise: streak(typed.rise)?,
        fall: streak(typed.fall)?,
    })
}

fn streak(setting: Option<At<u64>>) -> Option<u32> {
    u32::try_from(setting.map_or(1, |setting| setting.value)).ok()
}

/// The pools that somebody tracks: they have their use without a listener.
pub(super) fn pools(model: &Model) -> impl Iterator<Item = &str> {
    let tracks = model.virtual_routers.iter().flat_map(|router| &router.tracks);
    tracks.filter_map(|track| track.pool.as_ref()).map(|pool| pool.value.as_str())
}

/// The programs of tracking, with their users.
pub(super) fn scripts(model: &Model) -> impl Iterator<Item = (Span, &String, Option<&str>)> {
    let tracks = model.virtual_routers.iter().flat_map(|router| &router.tracks);
    tracks.filter_map(|track| {
        let script = track.script.as_ref()?;
        let user = track.user.as_ref().or(model.global.user.as_ref());
        Some((script.span, script.value.first()?, user.map(|user| user.value.as_str())))
    })
}
