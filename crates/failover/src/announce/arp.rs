//! Gratuitous ARP (RFC 5227 §3): tells IPv4 neighbours where an address lives now.
