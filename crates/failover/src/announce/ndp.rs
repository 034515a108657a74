//! Unsolicited neighbour advertisements (RFC 4861 §7.2.6): tell IPv6 neighbours where an address lives now.
