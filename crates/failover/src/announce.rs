//! The frames that tell neighbours where an address lives now. Built here, sent by the effects.

pub mod arp;
pub mod ndp;

/// The address of a network interface on its link.
pub type LinkAddress = [u8; 6];
