//! The time that no strategy can beat, not even one that knows everything beforehand.

use enlist_emulator::control::DOCUMENTED;

use super::simulation::{REBOOT, ROUND_TRIP};

/// Before this a node can't have joined, however free the service is: milliseconds. Three calls one
/// after the other, and between the second and the third the association; a crash takes the
/// machine away, and what it had asked for goes on without it.
pub fn earliest(booted: u64, crashed: Option<u64>, association_ms: u64) -> u64 {
    let alone = (2 * ROUND_TRIP + association_ms).max(3 * ROUND_TRIP);
    match crashed {
        // The second call was not yet made.
        Some(crashed) if crashed < booted + ROUND_TRIP => crashed + REBOOT + alone - ROUND_TRIP,
        Some(crashed) if crashed < booted + alone => {
            (booted + alone).max(crashed + REBOOT + ROUND_TRIP)
        }
        _ => booted + alone,
    }
}

/// What the request limit leaves: the nodes that boot from some moment on, be it the first boot or
/// any later one, need three calls each through a bucket that is full at best; or two, and then the
/// association of the last one. In seconds.
pub fn of_fleet(mut boots: Vec<f64>, association: f64) -> f64 {
    let (rate, burst) = (f64::from(DOCUMENTED.per_second), f64::from(DOCUMENTED.burst));
    let through = |calls: f64| ((calls - burst) / rate).max(0.0);
    boots.sort_by(|one, other| other.total_cmp(one));
    let bounds = boots.iter().zip(1u32..).map(|(boot, nodes)| {
        let nodes = f64::from(nodes);
        boot + through(3.0 * nodes).max(through(2.0 * nodes) + association)
    });
    bounds.fold(0.0, f64::max)
}

/// What docs/fleet.md promises for a fleet of this size, seconds.
pub fn allowed(nodes: usize, lower_bound: f64) -> f64 {
    match nodes {
        ..60 => lower_bound + 10.0,
        60..1000 => 1.25 * lower_bound,
        _ => 1.10 * lower_bound,
    }
}
