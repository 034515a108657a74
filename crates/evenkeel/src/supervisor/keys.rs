//! The keys that sign the cookies of sticky pools. They are read here, because the proxy role has no rights, and kept
//! here, so that sessions outlive it.
//!
//! Invariants: the random key is the same as long as the program runs; what is told about keys is whether they changed.

use evenkeel_admin::message::{Difference, Token};
use evenkeel_config::plan::Plan;
use evenkeel_proxy::message::{Change, Keys};
use evenkeel_sys::secret;
use evenkeel_traffic::sticky::{Key, SHORTEST_SECRET, TooShort};

use super::Supervisor;

/// The keys of the first plan, with a new random one, or that of the program before.
pub(super) fn begin(plan: &Plan, random: Option<&Key>) -> Result<Keys, Vec<String>> {
    if let Some(random) = random {
        return read(plan, random);
    }
    let random =
        secret::random().map_err(|error| vec![format!("the kernel gives no random bytes: {error}")])?;
    read(plan, &Key::from_random(random))
}

/// The keys of a plan. When a file cannot be used, every such file is told.
pub(super) fn read(plan: &Plan, random: &Key) -> Result<Keys, Vec<String>> {
    let mut keys = Keys { random: random.clone(), by_file: Default::default() };
    let mut failures = Vec::new();
    for path in plan.key_files() {
        let key = secret::read(path).and_then(|secret| {
            Key::from_secret(&secret).map_err(|TooShort { bytes }| {
                format!(
                    "the key {} has {bytes} bytes and must have {SHORTEST_SECRET} at least: write it with \
                     `openssl rand -base64 32`",
                    path.display()
                )
            })
        });
        match key {
            Ok(key) => drop(keys.by_file.insert(path.to_owned(), key)),
            Err(why) => failures.push(why),
        }
    }
    if failures.is_empty() { Ok(keys) } else { Err(failures) }
}

/// The token of the API, when the plan names a file.
pub(super) fn token(plan: &Plan) -> Result<Option<Token>, String> {
    let Some(path) = plan.admin.as_ref().and_then(|admin| admin.token_file.as_deref()) else {
        return Ok(None);
    };
    let token = secret::read(path)?;
    let unusable = || {
        format!(
            "the token in {} must be one line of {} visible ASCII characters at least: write it with `openssl rand -base64 32`",
            path.display(),
            Token::SHORTEST
        )
    };
    Token::read(&token).map(Some).ok_or_else(unusable)
}

/// The pools whose key is another although their plan names the same file.
pub(super) fn differences(old: (&Plan, &Keys), new: (&Plan, &Keys)) -> Vec<Difference> {
    let changed = |pool: &&evenkeel_config::plan::Pool| {
        let before = old.0.pool(&pool.name).and_then(|pool| pool.sticky.as_ref());
        before
            .zip(pool.sticky.as_ref())
            .is_some_and(|(before, now)| before.key_file == now.key_file && old.1.of(before) != new.1.of(now))
    };
    let told = |pool: &evenkeel_config::plan::Pool| Difference {
        what: format!("pool {}: sticky key changed; clients are spread anew", pool.name),
        needs_restart: false,
    };
    new.0.pools.iter().filter(changed).map(told).collect()
}

impl Supervisor {
    /// Gives the proxy role the keys of the plan that it is told next.
    pub(super) fn send_keys(&self, keys: &Keys) {
        self.proxy.tell(Change::Keys { keys: keys.clone() }, Vec::new());
    }
}
