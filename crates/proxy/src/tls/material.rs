//! What the supervisor has read for TLS and hands to the proxy role. Keys are in no `Debug` text.

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use evenkeel_traffic::name::Name;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Everything for the listeners with TLS of one plan.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Certificates {
    /// By the name of the listener.
    pub listeners: BTreeMap<Name, Material>,
    /// By the name of the pool.
    #[serde(default)]
    pub pools: BTreeMap<Name, ServerMaterial>,
    /// What the documents of pools are asked for with, by the name of the pool.
    #[serde(default)]
    pub documents: BTreeMap<Name, ServerMaterial>,
    /// The authorities that the system trusts (DER); empty when no pool asks for them.
    #[serde(default)]
    pub roots: Arc<Vec<Bytes>>,
    /// What tickets are sealed with, the newest first. The first one seals; each of them opens.
    pub tickets: Vec<TicketKey>,
}

/// What one listener needs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Material {
    /// At least one; the first is for clients that ask for no known name.
    pub certificates: Vec<Certificate>,
    /// Whom clients' certificates are held against, if they are asked for any.
    pub clients: Option<Clients>,
}

/// A certificate with its key, as the files hold them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Certificate {
    /// The file of the certificate.
    pub file: PathBuf,
    /// The file of the key; the same if it holds both.
    pub key_file: PathBuf,
    /// The chain as PEM.
    pub chain: String,
    /// The key as PEM.
    pub key: Secret,
    /// An OCSP response (DER).
    pub ocsp: Option<Bytes>,
}

/// What TLS to the servers of one pool needs.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ServerMaterial {
    /// `ca`: the authorities of servers as PEM.
    pub ca: Option<String>,
    /// `crl`: lists of revoked certificates as PEM.
    pub crl: Option<String>,
    /// What is shown to servers that ask for it.
    pub certificate: Option<Certificate>,
}

/// Authorities of clients.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Clients {
    /// The authorities as PEM.
    pub ca: String,
    /// Lists of revoked certificates as PEM.
    pub crl: Option<String>,
}

/// A text that is never shown.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Secret(pub String);

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret")
    }
}

/// A key for tickets: 16 bytes of name, 32 of key for AES-256-GCM. Never shown.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TicketKey(Bytes);

/// Bytes of a [`TicketKey`].
pub const TICKET_KEY_BYTES: usize = 48;

impl TicketKey {
    /// A key of random bytes.
    #[must_use]
    pub fn from_random(bytes: [u8; TICKET_KEY_BYTES]) -> Self {
        Self(Bytes(bytes.to_vec()))
    }

    /// Its name and its secret; `None` when its length is wrong.
    pub(crate) fn parts(&self) -> Option<(&[u8; 16], &[u8])> {
        let (name, secret) = self.0.0.split_first_chunk()?;
        (secret.len() == TICKET_KEY_BYTES - 16).then_some((name, secret))
    }
}

impl fmt::Debug for TicketKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TicketKey")
    }
}

/// Bytes that travel as Base64.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bytes(pub Vec<u8>);

impl Serialize for Bytes {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&STANDARD.encode(&self.0))
    }
}

impl<'de> Deserialize<'de> for Bytes {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        STANDARD.decode(text).map(Self).map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_travel_and_are_never_shown() {
        let key = TicketKey::from_random([0xab; TICKET_KEY_BYTES]);
        let text = serde_json::to_string(&key).unwrap();
        assert_eq!(serde_json::from_str::<TicketKey>(&text).unwrap(), key);
        let certificate = Certificate {
            file: "/a.pem".into(),
            key_file: "/a.pem".into(),
            chain: String::new(),
            key: Secret("hush".into()),
            ocsp: None,
        };
        let certificates = Certificates {
            listeners: [(
                "web".parse().unwrap(),
                Material { certificates: vec![certificate], clients: None },
            )]
            .into(),
            tickets: vec![key],
            ..Certificates::default()
        };
        let shown = format!("{certificates:?}").to_lowercase();
        assert!(!shown.contains("hush") && !shown.contains("ab, ab") && !shown.contains("171"), "{shown}");
    }
}
