//! Certificates and the keys of tickets: read, watched and kept here, because the proxy role has no rights, and so that
//! both outlive it.
//!
//! Files are looked at twice a second; one that has changed and then stood still for a look is read. Invariants: what the
//! role has can be used; a file that cannot leaves the last good one in force, and `status` says why; a certificate and its
//! key take effect together.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use evenkeel_admin::message::{CertificateStatus, Difference};
use evenkeel_config::plan::{Plan, Trust};
use evenkeel_proxy::message::{Certificates, Change};
use evenkeel_proxy::tls::examine::Examined;
use evenkeel_proxy::tls::material::{TICKET_KEY_BYTES, TicketKey};
use evenkeel_sys::secret;
use tokio::time::Instant;

use super::Supervisor;
use crate::certificates::{self, FoundForPool, Owner, Roots, Stamp, Trouble, date, read_for_pool};

/// The pause between two looks at the files.
const LOOK: Duration = Duration::from_millis(500);
/// How long a key seals tickets.
const TICKET_KEY_LIFE: Duration = Duration::from_secs(12 * 60 * 60);
/// Keys of tickets: the one that seals and those that tickets of the last 24 hours may be sealed with.
const TICKET_KEYS: usize = 3;

/// What was read for one plan.
#[derive(Clone, Debug, Default)]
pub(super) struct Read {
    /// What the proxy role gets.
    pub(super) certificates: Certificates,
    examined: Vec<(Owner, PathBuf, Examined)>,
    troubles: Vec<(Owner, Trouble)>,
    seen: Vec<Stamp>,
}

/// When to look, and what was seen then.
#[derive(Debug)]
pub(super) struct Watch {
    look_at: Instant,
    /// A change that may not be complete.
    unsettled: Option<Vec<Stamp>>,
    new_ticket_key_at: Instant,
}

impl Watch {
    pub(super) fn begin(now: Instant) -> Self {
        Self { look_at: now + LOOK, unsettled: None, new_ticket_key_at: now + TICKET_KEY_LIFE }
    }

    /// The same where the program before has begun: a new key for tickets is due then.
    pub(super) fn take(now: Instant, key_in: Duration) -> Self {
        Self { new_ticket_key_at: now + key_in.min(TICKET_KEY_LIFE), ..Self::begin(now) }
    }

    /// How long until a new key for tickets is due.
    pub(super) fn key_in(&self, now: Instant) -> Duration {
        self.new_ticket_key_at.saturating_duration_since(now)
    }

    pub(super) fn deadline(&self, plan: &Plan) -> Option<Instant> {
        speaks_tls(plan).then(|| self.look_at.min(self.new_ticket_key_at))
    }
}

fn speaks_tls(plan: &Plan) -> bool {
    plan.listeners.iter().any(|listener| listener.tls.is_some())
        || plan.pools.iter().any(|pool| pool.tls.is_some() || pool.document_tls().is_some())
}

/// What the first plan needs, with a new key for tickets, or those of the program before.
pub(super) fn begin(plan: &Plan, tickets: Option<Vec<TicketKey>>) -> Result<Read, Vec<String>> {
    let tickets = match tickets.filter(|tickets| !tickets.is_empty()) {
        Some(tickets) => tickets,
        None => {
            vec![ticket_key().map_err(|error| vec![format!("the kernel gives no random bytes: {error}")])?]
        }
    };
    let before =
        Read { certificates: Certificates { tickets, ..Certificates::default() }, ..Read::default() };
    read(plan, &before)
}

fn ticket_key() -> std::io::Result<TicketKey> {
    let mut bytes = [0; TICKET_KEY_BYTES];
    for part in bytes.chunks_mut(32) {
        part.copy_from_slice(&secret::random()?[..part.len()]);
    }
    Ok(TicketKey::from_random(bytes))
}

/// What a plan needs. A file that cannot be used is an error, unless `before` has it.
pub(super) fn read(plan: &Plan, before: &Read) -> Result<Read, Vec<String>> {
    // Looked at first: what changes meanwhile is seen by the next look.
    let mut read = Read { seen: certificates::stamps(plan), ..Read::default() };
    read.certificates.tickets.clone_from(&before.certificates.tickets);
    let mut errors = Vec::new();
    for listener in &plan.listeners {
        let Some(tls) = &listener.tls else { continue };
        let name = &listener.name;
        let found = certificates::read(listener, tls, before.certificates.listeners.get(name));
        let failed = found.troubles.iter().filter(|trouble| !trouble.replaced);
        let owner = Owner::Listener(name.clone());
        errors.extend(failed.map(|trouble| format!("{owner}: {}", trouble.why)));
        read.certificates.listeners.extend(found.material.map(|material| (name.clone(), material)));
        read.examined.extend(found.examined.into_iter().map(|(file, said)| (owner.clone(), file, said)));
        read.troubles.extend(found.troubles.into_iter().map(|trouble| (owner.clone(), trouble)));
    }
    let roots = certificates::roots_for(plan, Some(&before.certificates.roots));
    for pool in &plan.pools {
        let Some(tls) = &pool.tls else { continue };
        let owner = Owner::Pool(pool.name.clone());
        let found = match &roots {
            Ok(roots) => read_for_pool(tls, before.certificates.pools.get(&pool.name), roots),
            // Only those who believe the system miss its authorities.
            Err(trouble) if tls.trust == Trust::System => FoundForPool::of(trouble),
            Err(_) => read_for_pool(tls, before.certificates.pools.get(&pool.name), &Roots::default()),
        };
        let failed = found.troubles.iter().filter(|trouble| !trouble.replaced);
        errors.extend(failed.map(|trouble| format!("{owner}: {}", trouble.why)));
        read.certificates.pools.extend(found.material.map(|material| (pool.name.clone(), material)));
        read.examined.extend(found.examined.into_iter().map(|(file, said)| (owner.clone(), file, said)));
        read.troubles.extend(found.troubles.into_iter().map(|trouble| (owner.clone(), trouble)));
    }
    for (name, tls) in plan.pools.iter().filter_map(|pool| Some((&pool.name, pool.document_tls()?))) {
        let owner = Owner::Pool(name.clone());
        let known = before.certificates.documents.get(name);
        let found = match &roots {
            Ok(roots) => read_for_pool(&tls, known, roots),
            Err(trouble) if tls.trust == Trust::System => FoundForPool::of(trouble),
            Err(_) => read_for_pool(&tls, known, &Roots::default()),
        };
        let failed = found.troubles.iter().filter(|trouble| !trouble.replaced);
        errors.extend(failed.map(|trouble| format!("{owner}: {}", trouble.why)));
        read.certificates.documents.extend(found.material.map(|material| (name.clone(), material)));
        read.troubles.extend(found.troubles.into_iter().map(|trouble| (owner.clone(), trouble)));
    }
    read.certificates.roots = roots.unwrap_or_default().certificates;
    errors.extend(certificates::too_large(&read.certificates));
    if errors.is_empty() { Ok(read) } else { Err(errors) }
}

impl Read {
    /// Files that cannot be used and whose last good one stays, one line each; empty when there are none.
    pub(super) fn doubts(&self) -> Vec<String> {
        let told = |(owner, trouble): &(Owner, Trouble)| {
            format!("{owner}: {}; what was read before stays in force", trouble.why)
        };
        self.troubles.iter().map(told).collect()
    }

    /// For `status`.
    pub(super) fn status(&self) -> Vec<CertificateStatus> {
        let now = SystemTime::now();
        let mut statuses: Vec<CertificateStatus> = self
            .examined
            .iter()
            .map(|(owner, file, said)| CertificateStatus {
                listener: listener(owner),
                pool: pool(owner),
                file: file.clone(),
                names: said.names.clone(),
                algorithm: Some(said.algorithm.into()),
                not_after: Some(said.not_after),
                problem: said.expired(now),
            })
            .collect();
        for (owner, Trouble { file, why, .. }) in &self.troubles {
            let place = statuses.iter_mut().find(|status| {
                (&status.listener, &status.pool) == (&listener(owner), &pool(owner)) && status.file == *file
            });
            let problem = Some(format!("{why}; what was read before stays in force"));
            match place {
                Some(status) => status.problem = problem,
                None => statuses.push(CertificateStatus {
                    listener: listener(owner),
                    pool: pool(owner),
                    file: file.clone(),
                    names: Vec::new(),
                    algorithm: None,
                    not_after: None,
                    problem,
                }),
            }
        }
        statuses
    }

    /// The listeners of both that have other certificates, keys or authorities now.
    pub(super) fn differences(&self, new: &Self) -> Vec<Difference> {
        let (old, listeners) = (&self.certificates.listeners, &new.certificates.listeners);
        let changed =
            listeners.iter().filter(|(name, material)| old.get(*name).is_some_and(|old| old != *material));
        let (old_pools, new_pools) = (&self.certificates.pools, &new.certificates.pools);
        let pools = new_pools
            .iter()
            .filter(|(name, material)| old_pools.get(*name).is_some_and(|old| old != *material))
            .map(|(name, _)| format!("pool {name}: what its TLS files hold has changed"));
        let (old_documents, new_documents) = (&self.certificates.documents, &new.certificates.documents);
        let documents = new_documents
            .iter()
            .filter(|(name, material)| old_documents.get(*name).is_some_and(|old| old != *material))
            .map(|(name, _)| {
                format!("pool {name}: whom the document of its servers must be from has changed")
            });
        let roots = !self.certificates.roots.is_empty()
            && !new.certificates.roots.is_empty()
            && self.certificates.roots != new.certificates.roots;
        changed
            .map(|(name, _)| format!("listener {name}: what its TLS files hold has changed"))
            .chain(pools)
            .chain(documents)
            .chain(roots.then(|| "the authorities that the system trusts have changed".to_owned()))
            .map(|what| Difference { what, needs_restart: false })
            .collect()
    }

    /// Until when each certificate holds, by owner and file.
    fn ends(&self) -> BTreeMap<(&Owner, &PathBuf), u64> {
        self.examined.iter().map(|(name, file, said)| ((name, file), said.not_after)).collect()
    }
}

fn listener(owner: &Owner) -> Option<String> {
    if let Owner::Listener(name) = owner { Some(name.to_string()) } else { None }
}

fn pool(owner: &Owner) -> Option<String> {
    if let Owner::Pool(name) = owner { Some(name.to_string()) } else { None }
}

impl Supervisor {
    /// Gives the proxy role what the plan that it is told next needs.
    pub(super) fn send_certificates(&self, read: &Read) {
        self.proxy.tell(Change::Certificates { certificates: read.certificates.clone() }, Vec::new());
    }

    /// Looks at the files and makes new keys for tickets, when it is time.
    pub(super) fn tick_certificates(&mut self, now: Instant) {
        if self.ending.is_some() || !speaks_tls(&self.plan) {
            return;
        }
        if self.watch.new_ticket_key_at <= now {
            self.watch.new_ticket_key_at = now + TICKET_KEY_LIFE;
            match ticket_key() {
                Ok(key) => {
                    let tickets = &mut self.read.certificates.tickets;
                    tickets.insert(0, key);
                    tickets.truncate(TICKET_KEYS);
                    self.send_certificates(&self.read);
                }
                Err(error) => {
                    tracing::error!("the kernel gives no random bytes: {error}; the key for tickets stays");
                }
            }
        }
        if self.watch.look_at <= now {
            self.watch.look_at = now + LOOK;
            // The reload under way reads them itself.
            if self.complete && !self.reloads.is_under_way() && self.proxy.is_ready() {
                self.look_at_certificates();
            }
        }
    }

    fn look_at_certificates(&mut self) {
        let stamps = certificates::stamps(&self.plan);
        if stamps == self.read.seen {
            self.watch.unsettled = None;
            return;
        }
        if self.watch.unsettled.as_ref() != Some(&stamps) {
            self.watch.unsettled = Some(stamps);
            return;
        }
        self.watch.unsettled = None;
        let new = match read(&self.plan, &self.read) {
            Ok(new) => new,
            Err(errors) => {
                // Not even what was read before can be used with the plan that it was read for.
                for error in errors {
                    tracing::error!("{error}; what was read before stays in force");
                }
                self.read.seen = stamps;
                return;
            }
        };
        for doubt in new.doubts().into_iter().filter(|doubt| !self.read.doubts().contains(doubt)) {
            tracing::error!("{doubt}");
        }
        for difference in self.read.differences(&new) {
            tracing::info!("{}", difference.what);
        }
        let before = self.read.ends();
        for ((owner, file), end) in new.ends() {
            if before.get(&(owner, file)) != Some(&end) {
                tracing::info!("{owner}: {} holds until {}", file.display(), date(end));
            }
        }
        let same = new.certificates == self.read.certificates;
        self.read = new;
        if !same {
            self.send_certificates(&self.read);
            let (revision, plan) = (self.revision, Arc::clone(&self.plan));
            self.proxy.tell(Change::Apply { revision, plan }, Vec::new());
        }
    }
}
