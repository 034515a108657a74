//! Priorities of virtual routers that were changed while the program ran. They outlive reloads and end with the program.
//!
//! Invariants: each is of a virtual router of the plan and differs from the file's; none is that of an owner (255).

use std::collections::BTreeMap;

use evenkeel_admin::message::RouterPriority;
use evenkeel_config::plan::VirtualRouter;
use evenkeel_failover::vrrp::params::{Params, Priority};

/// See the module; by virtual router.
#[derive(Debug, Default)]
pub(super) struct Priorities {
    set: BTreeMap<String, (Priority, String)>,
}

impl Priorities {
    /// Those of the program before, as far as they fit the plan.
    pub(super) fn take(told: &[RouterPriority], routers: &[VirtualRouter]) -> Self {
        let one = |told: &RouterPriority| {
            Some((told.router.clone(), (Priority::new(told.priority)?, told.by.clone())))
        };
        let mut priorities = Self { set: told.iter().filter_map(one).collect() };
        priorities.settle(routers);
        priorities
    }

    /// `None`: that of the file again.
    pub(super) fn set(&mut self, router: &str, priority: Option<Priority>, by: &str) {
        match priority {
            Some(priority) => self.set.insert(router.to_owned(), (priority, by.to_owned())),
            None => self.set.remove(router),
        };
    }

    /// The one that was set, if any was.
    pub(super) fn of(&self, router: &str) -> Option<Priority> {
        self.set.get(router).map(|(priority, _)| *priority)
    }

    /// Forgets what a new plan says itself, and what does not fit it.
    pub(super) fn settle(&mut self, routers: &[VirtualRouter]) {
        self.set.retain(|name, (priority, _)| {
            let configured = routers.iter().find(|router| router.name.as_str() == name).map(configured);
            configured.is_some_and(|configured| configured != *priority && !configured.is_owner())
        });
    }

    /// The virtual routers with these priorities.
    pub(super) fn over(&self, routers: &[VirtualRouter]) -> Vec<VirtualRouter> {
        let over = |router: &VirtualRouter| {
            let mut router = router.clone();
            if let Some((priority, _)) = self.set.get(router.name.as_str()) {
                let mut settings = router.params.settings().clone();
                settings.priority = *priority;
                // Nothing else depends on it but for an owner's.
                if let Ok(params) = Params::new(settings) {
                    router.params = params;
                }
            }
            router
        };
        routers.iter().map(over).collect()
    }

    /// For `status` and `diff`.
    pub(super) fn told(&self, routers: &[VirtualRouter]) -> Vec<RouterPriority> {
        let told = |router: &VirtualRouter| {
            let (priority, by) = self.set.get(router.name.as_str())?;
            Some(RouterPriority {
                router: router.name.to_string(),
                priority: priority.number(),
                configured: configured(router).number(),
                by: by.clone(),
            })
        };
        routers.iter().filter_map(told).collect()
    }
}

fn configured(router: &VirtualRouter) -> Priority {
    router.params.settings().priority
}
