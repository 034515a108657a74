//! Agents of servers: what is understood can be written, and reads back the same.

use evenkeel_traffic::agent::{MOST_PERCENT, parse, weights};
use evenkeel_traffic::pick::Weight;

/// An answer of an agent, and what follows from its percentage.
pub fn agent(data: &[u8]) {
    let Ok(answer) = parse(data) else { return };
    assert_eq!(parse(answer.to_string().as_bytes()).as_ref(), Ok(&answer));
    if let Some(percent) = answer.percent {
        assert!(percent <= MOST_PERCENT);
        let weights = weights(&[(Weight::ONE, percent), (Weight::ONE, 100)]);
        assert_eq!(weights[0].value() > 0, percent > 0);
        assert!(weights[1].value() > 0);
    }
}
