//! Sources of servers in words.

use super::Differences;
use super::shown::duration;
use crate::overlay::described;
use crate::plan::{Families, From, Pool, Resolver, Server, Source, Trust};

pub(super) fn compare(old: &Pool, new: &Pool, differences: &mut Differences) {
    for source in &new.sources {
        match old.sources.iter().find(|known| known.name == source.name) {
            None => differences.add(format!("source {} added ({})", source.name, shown(source))),
            Some(known) if known != source => differences.add(format!(
                "source {} changed from {} to {}",
                source.name,
                shown(known),
                shown(source)
            )),
            Some(_) => {}
        }
    }
    for source in old.sources.iter().filter(|source| !new.sources.iter().any(|one| one.name == source.name)) {
        differences.add(format!("source {} removed ({})", source.name, source.from));
    }
}

/// Everything that a source means, in one line.
fn shown(source: &Source) -> String {
    let mut words = vec![source.from.to_string()];
    match &source.from {
        From::File { interval, .. } => words.push(format!("interval {}", duration(*interval))),
        From::Http { interval, timeout, trust, .. } => {
            words.push(format!("interval {}, timeout {}", duration(*interval), duration(*timeout)));
            if let Some(Trust::Authorities(ca)) = trust {
                words.push(format!("authorities of {}", ca.display()));
            }
        }
        From::Names { .. } | From::Services { .. } => {}
    }
    words.push(format!("at most {}", source.most));
    if source.may_be_empty {
        words.push("may be empty".into());
    }
    if source.template.prefix.is_some() {
        let template = &source.template;
        let like = Server {
            name: source.name.clone(),
            address: evenkeel_traffic::address::Address::Tcp(([0, 0, 0, 0], 0).into()),
            check_address: None,
            weight: template.weight,
            priority: template.priority,
            max_connections: template.max_connections,
            duty: template.duty,
        };
        let text = described(&like);
        words.push(text.split_once(", ").map_or_else(String::new, |(_, rest)| rest.to_owned()));
    }
    words.join(", ")
}

pub(super) fn resolver(old: &Resolver, new: &Resolver, differences: &mut Differences) {
    let servers = |resolver: &Resolver| {
        let list: Vec<String> = resolver.nameservers.iter().map(ToString::to_string).collect();
        if list.is_empty() { "those of /etc/resolv.conf".to_owned() } else { list.join(", ") }
    };
    differences.compare("nameservers", &servers(old), &servers(new));
    differences.compare("timeout", &duration(old.timeout), &duration(new.timeout));
    differences.compare("attempts", &old.attempts, &new.attempts);
    differences.compare("min-ttl", &duration(old.min_ttl), &duration(new.min_ttl));
    differences.compare("max-ttl", &duration(old.max_ttl), &duration(new.max_ttl));
    let families = |families: Families| families.word();
    differences.compare("addresses", families(old.families), families(new.families));
}
