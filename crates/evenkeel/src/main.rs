//! Evenkeel: load balancing and high availability in one program.
fn main() {}
