//! One edit of the runtime changes: allowed or not, and what becomes of them.

use std::collections::BTreeSet;
use std::sync::Arc;

use evenkeel_traffic::address::Address;
use evenkeel_traffic::name::Name;
use serde::{Deserialize, Serialize};

use super::{Adjustment, Change, Entry, LONGEST_ORIGIN, MOST_CHANGES, NewServer, Overlay};
use crate::plan::{MOST_SERVERS, Plan, Pool, Server};
use crate::suggest::nearest;

/// What is to become of a server.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Edit {
    /// It is to be this one, whether there was one or not.
    Put(NewServer),
    /// It is to differ in this.
    Adjust(Adjustment),
    /// It is to drain and then to go.
    Leave,
    /// It is to go at once.
    Remove,
    /// It is to be as the file says.
    Reset,
}

/// Under which conditions an edit is wanted (RFC 9110, section 13.1).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Conditions {
    /// `If-Match`: the server has one of these tags; an empty list asks for any server at all (`*`).
    pub if_match: Option<Vec<String>>,
    /// `If-None-Match: *`: there is no such server.
    pub only_new: bool,
}

/// Why an edit was not done. Nothing has changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NotDone {
    /// Of which kind.
    pub cause: Cause,
    /// What is the matter and what to do, for the operator.
    pub detail: String,
}

/// The kinds of [`NotDone`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cause {
    /// There is no such pool or server.
    Missing,
    /// It makes no sense.
    Invalid,
    /// It cannot be while other things are as they are.
    Conflict,
    /// The [`Conditions`] do not hold.
    Condition,
    /// A bound is reached.
    Full,
}

fn not_done(cause: Cause, detail: impl Into<String>) -> NotDone {
    NotDone { cause, detail: detail.into() }
}

/// A text that is the same as long as nothing about the server has changed, for `ETag`.
#[must_use]
pub fn tag(server: &Server, leaving: bool) -> String {
    // FNV-1a: it has to notice changes, not to withstand anybody.
    let text = serde_json::to_string(&(server, leaving)).unwrap_or_default();
    let hash = text
        .bytes()
        .fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x100_0000_01b3));
    format!("\"{hash:016x}\"")
}

impl Overlay {
    /// The changes after this edit. `plan` is `self` laid over `file`; `by` and `at` say who and when.
    ///
    /// # Errors
    /// When it cannot be done; the words say what to do instead.
    pub fn edit(
        &self,
        (file, plan): (&Plan, &Plan),
        (pool, server): (&Name, &Name),
        edit: &Edit,
        conditions: &Conditions,
        by: &str,
        at: u64,
    ) -> Result<Self, NotDone> {
        let entry = self.entry(pool, server);
        if *edit == Edit::Reset {
            return match entry {
                Some(_) => Ok(self.without(pool, server)),
                None => Err(not_done(
                    Cause::Missing,
                    format!(
                        "nothing about {pool}/{server} was changed at run time: `evenkeel status` lists what was"
                    ),
                )),
            };
        }
        let in_force = plan.pool(pool).ok_or_else(|| no_pool(plan, pool))?;
        let now = in_force.servers.iter().find(|one| one.name == *server);
        conditions.check(now, entry.is_some_and(|entry| entry.leaving), pool, server)?;
        let (change, leaving) = match (edit, now) {
            (Edit::Put(new), _) => (put(in_force, now, new, server)?, false),
            (_, None) => return Err(no_server(in_force, server)),
            (Edit::Adjust(adjustment), Some(_)) => {
                if adjustment.is_empty() {
                    let what = "nothing to change was given: give `weight`, `max_connections` or `state`";
                    return Err(not_done(Cause::Invalid, what));
                }
                // Whoever says what is to become of it does not want it gone.
                let stays = adjustment.state.is_some();
                let leaving = entry.is_some_and(|entry| entry.leaving) && !stays;
                (adjusted(entry, *adjustment), leaving)
            }
            (Edit::Leave | Edit::Remove, Some(now)) => {
                self.others_stay(in_force, server)?;
                let change = entry.map_or_else(
                    || Change::Adjusted(Adjustment { state: Some(now.duty), ..Adjustment::default() }),
                    |entry| entry.change.clone(),
                );
                (change, true)
            }
            (Edit::Reset, Some(_)) => return Ok(self.clone()),
        };
        let by: String = by.chars().filter(|c| !c.is_control()).take(LONGEST_ORIGIN).collect();
        let new = Entry { pool: pool.clone(), server: server.clone(), at, by, change, leaving };
        let mut overlay = self.clone();
        let room = overlay.entries.len() < MOST_CHANGES;
        match overlay.place(pool, server).and_then(|place| overlay.entries.get_mut(place)) {
            Some(entry) => *entry = Arc::new(new),
            None if !room => {
                let what = format!(
                    "{MOST_CHANGES} servers are changed at run time already: write them into the file with `evenkeel config save`"
                );
                return Err(not_done(Cause::Full, what));
            }
            None => overlay.entries.push(Arc::new(new)),
        }
        if *edit == Edit::Remove {
            overlay = overlay.finished(file, &BTreeSet::from([(pool, server)]));
        }
        Ok(overlay.settle(file))
    }

    fn without(&self, pool: &Name, server: &Name) -> Self {
        let others = |entry: &&Arc<Entry>| !(entry.pool == *pool && entry.server == *server);
        Self { entries: self.entries.iter().filter(others).cloned().collect() }
    }

    /// A pool must keep a server.
    fn others_stay(&self, pool: &Pool, server: &Name) -> Result<(), NotDone> {
        let leaving: BTreeSet<&Name> = self
            .entries()
            .filter(|entry| entry.leaving && entry.pool == pool.name)
            .map(|entry| &entry.server)
            .collect();
        if pool.servers.iter().any(|one| one.name != *server && !leaving.contains(&one.name)) {
            return Ok(());
        }
        let name = &pool.name;
        Err(not_done(
            Cause::Conflict,
            format!(
                "pool {name} would have no server left: add another one first, or take this one out of traffic with \
                 `evenkeel server maintenance {name}/{server}`"
            ),
        ))
    }
}

/// The change that puts this server in place.
fn put(pool: &Pool, now: Option<&Server>, new: &NewServer, name: &Name) -> Result<Change, NotDone> {
    if let Address::Tcp(socket) = &new.address
        && (socket.ip().is_multicast() || socket.ip().is_unspecified())
    {
        let what = format!("{} is no address of a server: write that of one machine", new.address);
        return Err(not_done(Cause::Invalid, what));
    }
    if now.is_none() && pool.servers.len() >= MOST_SERVERS {
        let what =
            format!("pool {} has {MOST_SERVERS} servers, more are not allowed: use another pool", pool.name);
        return Err(not_done(Cause::Full, what));
    }
    if let Some(twin) = pool.servers.iter().find(|one| one.address == new.address && one.name != *name) {
        return Err(not_done(
            Cause::Conflict,
            format!(
                "{} is the address of server {} already, and one server needs one name: for a larger share use \
                 `evenkeel server weight {}/{}`",
                new.address, twin.name, pool.name, twin.name
            ),
        ));
    }
    Ok(Change::Set(new.clone().named(name.clone())))
}

fn adjusted(entry: Option<&Entry>, adjustment: Adjustment) -> Change {
    match entry.map(|entry| &entry.change) {
        Some(Change::Set(server)) => {
            let mut server = server.clone();
            adjustment.apply(&mut server);
            Change::Set(server)
        }
        Some(Change::Adjusted(before)) => Change::Adjusted(before.and(adjustment)),
        Some(Change::Removed) | None => Change::Adjusted(adjustment),
    }
}

impl Conditions {
    fn check(&self, now: Option<&Server>, leaving: bool, pool: &Name, server: &Name) -> Result<(), NotDone> {
        if self.only_new && now.is_some() {
            let what = format!(
                "there is a server {pool}/{server} already: choose another name, or send the request without \
                 `If-None-Match` (`evenkeel server add --replace`) to put this one in its place"
            );
            return Err(not_done(Cause::Condition, what));
        }
        let Some(wanted) = &self.if_match else { return Ok(()) };
        let holds = now.is_some_and(|now| wanted.is_empty() || wanted.contains(&tag(now, leaving)));
        if holds {
            return Ok(());
        }
        let what = format!(
            "{pool}/{server} is not as `If-Match` says, somebody else has changed it: read it again and decide anew"
        );
        Err(not_done(Cause::Condition, what))
    }
}

fn no_pool(plan: &Plan, pool: &Name) -> NotDone {
    let names = plan.pools.iter().map(|pool| pool.name.as_str());
    let cure = nearest(pool.as_str(), names)
        .map_or_else(|| "`evenkeel status` lists them".to_owned(), |near| format!("did you mean {near}?"));
    not_done(Cause::Missing, format!("there is no pool {pool}: {cure}"))
}

fn no_server(pool: &Pool, server: &Name) -> NotDone {
    let names = pool.servers.iter().map(|server| server.name.as_str());
    let name = &pool.name;
    let cure = nearest(server.as_str(), names).map_or_else(
        || format!("`evenkeel server add {name}/{server} ADDRESS` adds it"),
        |near| format!("did you mean {near}?"),
    );
    not_done(Cause::Missing, format!("pool {name} has no server {server}: {cure}"))
}
