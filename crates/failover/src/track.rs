//! The effective priority: what the operator gave, and what the tracked things add, take, or forbid.
//!
//! Every part stays visible, so that `status` can say why a router has the priority that it has. It knows no interface,
//! listener or pool: whoever tracks them says how each is.

use serde::{Deserialize, Serialize};

use crate::vrrp::params::Priority;

/// What one tracked thing says at the moment.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Part {
    /// The name for the operator: `listener website`, `interface eth1`.
    pub name: String,
    /// What it does to the priority.
    pub effect: Effect,
}

/// What a tracked thing does to the priority.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Effect {
    /// Nothing at the moment.
    None,
    /// Adds this, or takes it away when negative.
    Weight(i16),
    /// Any other router that is well shall be active instead; if there is none, this one.
    Yield,
    /// Forbids to be active.
    Fault,
}

/// With what a router stands for election.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Effective {
    /// With this priority.
    Priority(Priority),
    /// With the least priority: an active router gives its addresses to whoever takes them, and keeps them if nobody
    /// does; a backup is in no hurry to take over.
    Yielding,
    /// Not at all.
    Withdrawn,
}

/// The limit of one weight, as in keepalived.
pub const WEIGHTS: std::ops::RangeInclusive<i16> = -253..=253;

/// What the parts make of `base`: their sum, within 1 and 254. One fault withdraws the router, whatever its priority; an
/// owner's priority (255) no weight changes, and one that should yield is withdrawn, because it cannot stand with less.
#[must_use]
pub fn effective(base: Priority, parts: &[Part]) -> Effective {
    let mut sum = i64::from(base.number());
    let mut yields = false;
    for part in parts {
        match part.effect {
            Effect::None => {}
            Effect::Weight(weight) => sum += i64::from(weight),
            Effect::Yield => yields = true,
            Effect::Fault => return Effective::Withdrawn,
        }
    }
    if yields {
        return if base.is_owner() { Effective::Withdrawn } else { Effective::Yielding };
    }
    if base.is_owner() {
        return Effective::Priority(base);
    }
    let clamped = u8::try_from(sum.clamp(1, 254)).unwrap_or(1);
    Effective::Priority(Priority::new(clamped).unwrap_or(Priority::LEAST))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(base: u8, effects: &[Effect]) -> Option<u8> {
        let parts: Vec<Part> =
            effects.iter().map(|&effect| Part { name: "interface eth1".to_owned(), effect }).collect();
        match effective(Priority::new(base).unwrap(), &parts) {
            Effective::Priority(priority) => Some(priority.number()),
            Effective::Yielding => Some(0),
            Effective::Withdrawn => None,
        }
    }

    #[test]
    fn weights_add_up() {
        assert_eq!(with(100, &[]), Some(100));
        assert_eq!(with(100, &[Effect::Weight(-20), Effect::None, Effect::Weight(5)]), Some(85));
    }

    #[test]
    fn the_sum_stays_within_1_and_254_and_only_the_sum() {
        assert_eq!(with(100, &[Effect::Weight(-253)]), Some(1));
        assert_eq!(with(100, &[Effect::Weight(253)]), Some(254));
        // 100 - 253 + 200 = 47: no part is cut by itself.
        assert_eq!(with(100, &[Effect::Weight(-253), Effect::Weight(200)]), Some(47));
        assert_eq!(with(254, &[Effect::Weight(1)]), Some(254));
    }

    #[test]
    fn one_fault_withdraws() {
        assert_eq!(with(100, &[Effect::Weight(50), Effect::Fault]), None);
        assert_eq!(with(255, &[Effect::Fault]), None);
    }

    #[test]
    fn one_yield_counts_more_than_weights_and_less_than_a_fault() {
        // 0 stands for yielding here.
        assert_eq!(with(100, &[Effect::Weight(50), Effect::Yield]), Some(0));
        assert_eq!(with(100, &[Effect::Yield, Effect::Fault]), None);
        assert_eq!(with(255, &[Effect::Yield]), None);
    }

    #[test]
    fn no_weight_changes_an_owner() {
        assert_eq!(with(255, &[Effect::Weight(-100)]), Some(255));
    }
}
