//! What the simulator has found, each as the shortest scene that shows it.

use std::time::Duration;

use crate::vrrp::interval::Interval;
use crate::vrrp::params::{Params, Version};
use crate::vrrp::scene::{Scene, settings};

#[test]
fn backup_that_is_given_a_shorter_interval_stays_patient_with_a_slower_active_router() {
    let mut scene = Scene::started(settings(Version::V3, 100, 100));
    scene.hear(3, 150);
    let mut faster = settings(Version::V3, 100, 10);
    scene.at_millis(200);
    scene.machine.set_params(scene.now, Params::new(faster.clone()).unwrap());
    // Still 3 s and (256 - 100) / 256 s of the active router's interval of one second, from its advertisement on.
    assert_eq!(scene.deadline(), Some(3_609_375_000));
    // It follows when the active router is reloaded as well: 1 s + 0.3 s + 156 / 256 of 0.1 s.
    scene.at_millis(1000).hear_with(3, 150, |_| {});
    assert_eq!(scene.deadline(), Some(1_360_937_500));
    faster.interval = Interval::new(Duration::from_secs(1)).unwrap();
    scene.at_millis(1050);
    scene.machine.set_params(scene.now, Params::new(faster).unwrap());
    assert_eq!(scene.deadline(), Some(1_360_937_500));
}
