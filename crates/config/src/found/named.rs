//! Names for servers that have none: made of their address, so that the same server always has the same name.

use std::net::{IpAddr, SocketAddr};

use evenkeel_traffic::name::{InvalidName, Name};

/// `app-192.0.2.1-80`, or `192.0.2.1-80` without a prefix or when that is too long.
pub(super) fn after(prefix: Option<&Name>, address: SocketAddr) -> Result<Name, InvalidName> {
    let own = match address.ip() {
        IpAddr::V4(ip) => format!("{ip}-{}", address.port()),
        // All eight groups: a name has no `:`, and a shortened address could be read in two ways.
        IpAddr::V6(ip) => {
            let groups: Vec<String> = ip.segments().iter().map(|group| format!("{group:x}")).collect();
            format!("{}-{}", groups.join("-"), address.port())
        }
    };
    let long = prefix.and_then(|prefix| format!("{prefix}-{own}").parse().ok());
    long.map_or_else(|| own.parse(), Ok)
}
