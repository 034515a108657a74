//! Which connections a change ends, beforehand: those of listeners that go, and those with servers that go.
//!
//! What is not named keeps its connections. How many there are nobody knows here.

use evenkeel_traffic::name::Name;

use super::{Pair, pair};
use crate::plan::{Listener, Mode, Plan, Pool, Server};

/// What a change does to connections that are open.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Effect {
    /// Whose connections.
    pub of: Of,
    /// What becomes of it, such as `removed`.
    pub why: String,
    /// What becomes of its connections.
    pub fate: Fate,
}

/// Whose connections.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Of {
    /// Those of the clients of a listener.
    Listener(Name),
    /// Those with a server of a pool: first the pool, then the server.
    Server(Name, Name),
}

/// What becomes of connections.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// Clients may finish the request under way, then their connections are closed; idle ones are closed after a second.
    CloseAfterResponse,
    /// They go on until client or server ends them.
    Finish,
    /// Requests and connections under way go on until they end; unused connections are closed.
    FinishAndCloseIdle,
}

/// What `new` in place of `old` does to open connections, in the order of [`super::diff`]. Where nothing changes, nothing ends.
#[must_use]
pub fn effects(old: &Plan, new: &Plan) -> Vec<Effect> {
    let mut found = Vec::new();
    for change in pair(&old.listeners, &new.listeners, |listener| &listener.name) {
        match change {
            Pair::Added(_) => {}
            Pair::Removed(old) => {
                found.push(of_listener(old, "removed".into()));
            }
            Pair::Both(old, new) => {
                let mode = |listener: &Listener| if is_http(listener) { "http" } else { "tcp" };
                if mode(old) != mode(new) {
                    found.push(of_listener(old, format!("speaks {} instead of {}", mode(new), mode(old))));
                }
            }
        }
    }
    for change in pair(&old.pools, &new.pools, |pool| &pool.name) {
        match change {
            Pair::Added(_) => {}
            Pair::Removed(old) => {
                let gone = |server: &Server| of_server(old, server, "its pool is removed".into());
                found.extend(old.servers.iter().map(gone));
            }
            Pair::Both(old, new) => found.extend(of_pool(old, new)),
        }
    }
    found
}

fn of_pool(old: &Pool, new: &Pool) -> Vec<Effect> {
    let spoken_otherwise = (old.tls != new.tls).then(|| "TLS to it changes".to_owned());
    pair(&old.servers, &new.servers, |server| &server.name)
        .into_iter()
        .filter_map(|change| match change {
            Pair::Added(_) => None,
            Pair::Removed(server) => Some(of_server(old, server, "removed".into())),
            Pair::Both(before, after) if before.address != after.address => {
                let why = format!("moves from {} to {}", before.address, after.address);
                Some(of_server(old, before, why))
            }
            Pair::Both(before, _) => spoken_otherwise.clone().map(|why| of_server(old, before, why)),
        })
        .collect()
}

fn of_listener(listener: &Listener, why: String) -> Effect {
    let fate = if is_http(listener) { Fate::CloseAfterResponse } else { Fate::Finish };
    Effect { of: Of::Listener(listener.name.clone()), why, fate }
}

fn of_server(pool: &Pool, server: &Server, why: String) -> Effect {
    let of = Of::Server(pool.name.clone(), server.name.clone());
    Effect { of, why, fate: Fate::FinishAndCloseIdle }
}

fn is_http(listener: &Listener) -> bool {
    matches!(listener.mode, Mode::Http(_))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::diff::tests::plan;

    const SITE: &str = "[listener.site]\nbind = \"127.0.0.1:80\"\npool = \"web\"\n\
        [listener.mail]\nbind = \"127.0.0.1:25\"\nmode = \"tcp\"\npool = \"web\"\n\
        [pool.web.servers]\na = \"192.0.2.1:80\"\nb = \"192.0.2.2:80\"\n";

    fn told(old: &str, new: &str) -> Vec<(String, String, Fate)> {
        let name = |of| match of {
            Of::Listener(name) => name.to_string(),
            Of::Server(pool, server) => format!("{pool}/{server}"),
        };
        effects(&plan(old), &plan(new))
            .into_iter()
            .map(|Effect { of, why, fate }| (name(of), why, fate))
            .collect()
    }

    #[test]
    fn what_stays_ends_nothing() {
        assert_eq!(told(SITE, SITE), []);
        let heavy = SITE.replace("\"192.0.2.1:80\"", "{ address = \"192.0.2.1:80\", weight = 3 }");
        let more = SITE.replace("b =", "c = \"192.0.2.3:80\"\nb =");
        let moved = SITE.replace("\"127.0.0.1:80\"", "\"127.0.0.1:81\"");
        for changed in [heavy, more, moved] {
            assert_eq!(told(SITE, &changed), [], "{changed}");
        }
    }

    #[test]
    fn listeners_that_go_or_speak_otherwise_end_their_connections() {
        let without_mail =
            SITE.replace("[listener.mail]\nbind = \"127.0.0.1:25\"\nmode = \"tcp\"\npool = \"web\"\n", "");
        assert_eq!(told(SITE, &without_mail), [("mail".into(), "removed".into(), Fate::Finish)]);
        let tcp = SITE.replace("\"127.0.0.1:80\"\n", "\"127.0.0.1:80\"\nmode = \"tcp\"\n");
        let why = "speaks tcp instead of http".to_owned();
        assert_eq!(told(SITE, &tcp), [("site".into(), why, Fate::CloseAfterResponse)]);
    }

    #[test]
    fn servers_that_go_or_move_finish_what_they_do() {
        let without = SITE.replace("b = \"192.0.2.2:80\"\n", "");
        let idle = Fate::FinishAndCloseIdle;
        assert_eq!(told(SITE, &without), [("web/b".into(), "removed".into(), idle)]);
        let moved = SITE.replace("192.0.2.2:80", "192.0.2.9:80");
        let why = "moves from 192.0.2.2:80 to 192.0.2.9:80".to_owned();
        assert_eq!(told(SITE, &moved), [("web/b".into(), why, idle)]);
        let tls = SITE.replace(
            "[pool.web.servers]",
            "[pool.web]\ntls = { danger-accept-any-certificate = true }\n[pool.web.servers]",
        );
        let ended: Vec<String> = told(SITE, &tls).into_iter().map(|(of, _, _)| of).collect();
        assert_eq!(ended, ["web/a", "web/b"]);
    }
}
