//! Tickets: what a client brings back to resume a session without a full handshake (RFC 8446 §4.6.1, RFC 5077).
//!
//! A ticket is the session, sealed with AES-256-GCM by a key that all workers share and that the supervisor keeps, so
//! that tickets outlive the role. Its name says which key; keys are replaced in time and the older ones only open.
//! Invariant: a ticket opens only for the listener that made it, and only while that asks the same of its clients: nobody
//! gets past `client-auth` with a ticket from elsewhere.

use std::sync::Arc;

use arc_swap::ArcSwap;
use aws_lc_rs::aead::{AES_256_GCM, Aad, NONCE_LEN, Nonce, RandomizedNonceKey};
use aws_lc_rs::digest::{self, SHA256};
use rustls::server::ProducesTickets;

use super::material::{Clients, TicketKey};

/// How long a ticket may be used, in seconds. Keys are kept at least that long after the last ticket.
pub(crate) const LIFETIME: u32 = 24 * 60 * 60;
/// Bytes of the name of a key.
const NAME: usize = 16;

/// The keys, the newest first; replaced while they are in use.
#[derive(Debug, Default)]
pub(crate) struct Tickets(ArcSwap<Vec<Key>>);

struct Key {
    name: [u8; NAME],
    key: RandomizedNonceKey,
}

impl std::fmt::Debug for Key {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Key")
    }
}

impl Tickets {
    /// From now on these keys count.
    pub(crate) fn replace(&self, keys: &[TicketKey]) {
        let usable = |key: &TicketKey| {
            let (name, secret) = key.parts()?;
            Some(Key { name: *name, key: RandomizedNonceKey::new(&AES_256_GCM, secret).ok()? })
        };
        self.0.store(Arc::new(keys.iter().filter_map(usable).collect()));
    }
}

/// The tickets of one listener.
#[derive(Debug)]
pub(crate) struct Ticketer {
    tickets: Arc<Tickets>,
    /// For whom: sealed along.
    purpose: [u8; 32],
}

impl Ticketer {
    pub(crate) fn new(
        tickets: Arc<Tickets>,
        listener: &str,
        clients: Option<&Clients>,
        required: bool,
    ) -> Self {
        let mut context = digest::Context::new(&SHA256);
        let mut add = |part: &str| {
            context.update(&(part.len() as u64).to_be_bytes());
            context.update(part.as_bytes());
        };
        add(listener);
        if let Some(Clients { ca, crl }) = clients {
            add(ca);
            add(crl.as_deref().unwrap_or_default());
            add(if required { "required" } else { "requested" });
        }
        let mut purpose = [0; 32];
        purpose.copy_from_slice(context.finish().as_ref());
        Self { tickets, purpose }
    }
}

impl ProducesTickets for Ticketer {
    fn enabled(&self) -> bool {
        !self.tickets.0.load().is_empty()
    }

    fn lifetime(&self) -> u32 {
        LIFETIME
    }

    fn encrypt(&self, plain: &[u8]) -> Option<Vec<u8>> {
        let keys = self.tickets.0.load();
        let key = keys.first()?;
        let mut sealed = plain.to_vec();
        let nonce = key.key.seal_in_place_append_tag(Aad::from(&self.purpose), &mut sealed).ok()?;
        let mut ticket = Vec::with_capacity(NAME + NONCE_LEN + sealed.len());
        ticket.extend_from_slice(&key.name);
        ticket.extend_from_slice(nonce.as_ref());
        ticket.append(&mut sealed);
        Some(ticket)
    }

    fn decrypt(&self, ticket: &[u8]) -> Option<Vec<u8>> {
        let (name, rest) = ticket.split_first_chunk::<NAME>()?;
        let (nonce, sealed) = rest.split_first_chunk::<NONCE_LEN>()?;
        let keys = self.tickets.0.load();
        // Names are no secret: whoever has a ticket can read them.
        let key = keys.iter().find(|key| key.name == *name)?;
        let mut opened = sealed.to_vec();
        let nonce = Nonce::assume_unique_for_key(*nonce);
        let length = key.key.open_in_place(nonce, Aad::from(&self.purpose), &mut opened).ok()?.len();
        opened.truncate(length);
        Some(opened)
    }
}

#[cfg(test)]
mod tests {
    use super::super::material::TICKET_KEY_BYTES;
    use super::*;

    fn key(seed: u8) -> TicketKey {
        TicketKey::from_random([seed; TICKET_KEY_BYTES])
    }

    fn tickets(keys: &[TicketKey]) -> Arc<Tickets> {
        let tickets = Arc::new(Tickets::default());
        tickets.replace(keys);
        tickets
    }

    #[test]
    fn a_ticket_outlives_the_next_key_and_not_its_own() {
        let tickets = tickets(&[key(1)]);
        let ticketer = Ticketer::new(tickets.clone(), "web", None, false);
        let ticket = ticketer.encrypt(b"session").unwrap();
        assert!(!ticket.windows(7).any(|part| part == b"session"));
        tickets.replace(&[key(2), key(1)]);
        assert_eq!(ticketer.decrypt(&ticket).unwrap(), b"session");
        assert_ne!(ticketer.encrypt(b"session").unwrap()[..16], ticket[..16]);
        tickets.replace(&[key(3), key(2)]);
        assert_eq!(ticketer.decrypt(&ticket), None);
        tickets.replace(&[]);
        assert!(!ticketer.enabled() && ticketer.encrypt(b"x").is_none());
    }

    #[test]
    fn a_ticket_is_for_its_listener_and_for_what_that_asks_of_clients() {
        let tickets = tickets(&[key(1)]);
        let clients = |ca: &str, crl: Option<&str>| Clients { ca: ca.into(), crl: crl.map(Into::into) };
        let of = |name: &str, clients: Option<&Clients>, required| {
            Ticketer::new(tickets.clone(), name, clients, required)
        };
        let open = of("web", None, false);
        let closed = of("web", Some(&clients("ca", None)), true);
        let ticket = open.encrypt(b"session").unwrap();
        assert_eq!(of("web", None, false).decrypt(&ticket).unwrap(), b"session");
        for other in [
            of("shop", None, false),
            closed,
            of("web", Some(&clients("ca", None)), false),
            of("web", Some(&clients("ca", Some("crl"))), true),
        ] {
            assert_eq!(other.decrypt(&ticket), None);
        }
    }

    #[test]
    fn strangers_bytes_are_no_ticket() {
        let ticketer = Ticketer::new(tickets(&[key(1)]), "web", None, false);
        let ticket = ticketer.encrypt(b"session").unwrap();
        for length in 0..ticket.len() {
            assert_eq!(ticketer.decrypt(&ticket[..length]), None, "{length}");
        }
        for place in 0..ticket.len() {
            let mut changed = ticket.clone();
            changed[place] ^= 1;
            assert_eq!(ticketer.decrypt(&changed), None, "{place}");
        }
    }
}
