//! Sticky sessions as a worker meets them: whose a request is, whether its server can have it, and what the client gets
//! for a cookie.
//!
//! The tokens of a pool are worked out when its plan is put in force; a request costs a look at its cookies and one
//! look-up, and allocates nothing. Invariant: the cookie that a client holds after an answer names the server that gave
//! the answer.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Instant;

use evenkeel_config::plan::{self, WhenAllDown};
use evenkeel_http::cookie;
use evenkeel_http::head::RequestHead;
use evenkeel_http::rewrite::OwnCookie;
use evenkeel_traffic::name::Name;
use evenkeel_traffic::sticky::{Claim, Cookie, Key, Outcome, Tokens};
use serde::{Deserialize, Serialize};

use crate::gate::Wanted;
use crate::table::{Counter, Picked, Pool, Server};

/// The keys that sign cookies. Their values are never shown.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Keys {
    /// For pools without a file of their own.
    pub random: Key,
    /// By the path of the file, as the plan names it.
    pub by_file: BTreeMap<PathBuf, Key>,
}

impl Keys {
    /// The key of these sticky sessions, if it is there.
    #[must_use]
    pub fn of(&self, sticky: &plan::Sticky) -> Option<&Key> {
        match &sticky.key_file {
            None => Some(&self.random),
            Some(path) => self.by_file.get(path),
        }
    }
}

/// What a sticky pool looks things up in, under one plan and one key.
#[derive(Debug)]
pub(crate) struct Sticky {
    key: Key,
    tokens: Tokens,
    cookie: Cookie,
    /// The attributes of the cookie for a client without TLS and for one with.
    attributes: [String; 2],
}

impl Sticky {
    pub(crate) fn new(plan: &plan::Pool, keys: Option<&Keys>) -> Option<Self> {
        let sticky = plan.sticky.as_ref()?;
        let key = keys?.of(sticky)?;
        let servers = plan.servers.iter().map(|server| &server.name);
        Some(Self {
            key: key.clone(),
            tokens: Tokens::new(key, &plan.name, servers),
            cookie: sticky.cookie.clone(),
            attributes: [false, true].map(|tls| sticky.cookie.attributes(tls)),
        })
    }

    /// Says whether the same key would be used now.
    pub(crate) fn is_of(&self, plan: &plan::Pool, keys: Option<&Keys>) -> bool {
        let key = plan.sticky.as_ref().and_then(|sticky| keys?.of(sticky));
        key == Some(&self.key)
    }

    /// The name of the cookie, which no server sees.
    pub(crate) fn name(&self) -> &str {
        &self.cookie.name
    }

    /// Which server the request says it belongs to.
    pub(crate) fn claim(&self, head: &RequestHead) -> Claim {
        let fields = head.fields.named("cookie");
        self.tokens.claim(fields.flat_map(|field| cookie::values(field, self.cookie.name.as_bytes())))
    }

    /// The cookie in the answer of the server at place `answered`.
    fn own(&self, claim: Claim, answered: usize, tls: bool) -> OwnCookie<'_> {
        let [plain, over_tls] = &self.attributes;
        let attributes = if tls { over_tls } else { plain };
        let token = self.tokens.of(answered).filter(|_| claim.outcome(answered) != Outcome::Kept);
        OwnCookie { name: &self.cookie.name, set: token.map(|token| (token.as_str(), attributes.as_str())) }
    }
}

/// Counters of requests in a sticky pool, by [`Outcome`].
#[derive(Debug, Default)]
pub(crate) struct StickyCounters([Counter; Outcome::ALL.len()]);

impl StickyCounters {
    pub(crate) fn of(&self, outcome: Outcome) -> &Counter {
        &self.0[outcome as usize]
    }
}

impl Pool {
    /// The server at this place for a request that belongs to it, if it can take it. A weight of 0, draining and slow start keep
    /// nobody away from his own server; what is down, ejected, full or outranked does, and so do others that wait for a
    /// place: nobody takes one before them.
    pub(crate) fn pick_own(&self, index: usize) -> Option<Picked> {
        if self.load.is_waited() {
            return None;
        }
        let server = self.servers.get(index)?;
        let outranked = || {
            let above = |other: &&Arc<Server>| other.plan.priority > server.plan.priority;
            self.servers.iter().filter(above).any(|other| is_free(other))
        };
        if outranked() {
            return None;
        }
        // First the room: whoever is let in on probation must also go in.
        let picked = self.begin(index)?;
        self.keeps(server).then_some(picked)
    }

    fn keeps(&self, server: &Server) -> bool {
        let gate = &server.state.gate;
        // What is open and not usable is on probation.
        if gate.fits_its_own(Wanted::Usable)
            || (gate.fits_its_own(Wanted::Open) && gate.enter(self.plan.slow_start, Instant::now))
        {
            return true;
        }
        // Where the others are no better, nobody wins by a move.
        match gate.fits_its_own(Wanted::NotDown) {
            true => !self.servers.iter().any(|other| is_free(other)),
            false => {
                gate.fits_its_own(Wanted::Any)
                    && self.plan.when_all_down == WhenAllDown::TryAll
                    && self.all_down()
            }
        }
    }

    /// The server at place `answered` answers a request with this claim: counts it, and says what the client gets for a
    /// cookie. `tls`: the client came over TLS.
    pub(crate) fn own_cookie(
        &self,
        claim: Claim,
        answered: usize,
        tls: bool,
        worker: usize,
    ) -> Option<OwnCookie<'_>> {
        let sticky = self.sticky.as_ref()?;
        self.state.counters.of(worker).sticky.of(claim.outcome(answered)).add(1);
        Some(sticky.own(claim, answered, tls))
    }
}

/// Says whether the server could take a request that belongs to nobody.
fn is_free(server: &Server) -> bool {
    let most = server.state.gate.most(&server.plan).map_or(u32::MAX, u32::from);
    let room = server.state.load.running() < most;
    room && server.has_weight() && server.state.gate.fits(Wanted::Usable)
}

/// The first pool of the plan whose key is missing.
pub(crate) fn keyless<'p>(plan: &'p plan::Plan, keys: Option<&Keys>) -> Option<&'p Name> {
    let lacks = |sticky: &plan::Sticky| keys.is_none_or(|keys| keys.of(sticky).is_none());
    plan.pools.iter().find(|pool| pool.sticky.as_ref().is_some_and(lacks)).map(|pool| &pool.name)
}
