//! The simulated fleet of benches/fleet at a small size: every node joins, and none twice.

#![allow(clippy::cast_precision_loss)]

#[path = "../../benches/fleet/authority.rs"]
mod authority;
#[path = "../../benches/fleet/bootstrap.rs"]
mod bootstrap;
#[path = "../../benches/fleet/lower_bound.rs"]
mod lower_bound;
#[allow(dead_code, reason = "some of it is for the report")]
#[path = "../../benches/fleet/simulation.rs"]
mod simulation;
#[path = "../../benches/fleet/strategies.rs"]
mod strategies;

use super::{puppet_node, rng, wire};
use simulation::{Strategy, World, run};

#[test]
fn every_node_of_a_small_fleet_joins_once() {
    for (nodes, spread_ms) in [(1, 0), (10, 0), (10, 60_000), (100, 0), (100, 60_000)] {
        // More failures than in the report: one node in ten crashes, one reply in fifty is lost.
        let world = World { nodes, spread_ms, crashes: 100, losses: 20, ..World::default() };
        let it = run(&world, Strategy::Enlist);
        assert_eq!(it.joined, nodes, "all {nodes} nodes join");
        assert_eq!(it.associations, nodes, "each node joins once");
        assert!(
            it.makespan < 10.0 * it.lower_bound,
            "{:.0} s of {:.0}",
            it.makespan,
            it.lower_bound
        );
    }
}

/// The figures of docs/fleet.md. They are in virtual time, so they are the same on every machine.
#[test]
fn a_fleet_joins_in_little_more_than_the_lower_bound() {
    for nodes in [10, 60, 100, 1000] {
        let world = World { nodes, ..World::default() };
        let it = run(&world, Strategy::Enlist);
        assert_eq!((it.joined, it.associations), (nodes, nodes), "all {nodes} nodes, once");
        let allowed = lower_bound::allowed(nodes, it.lower_bound);
        assert!(it.makespan <= allowed, "{nodes} nodes: {:.0} s of {allowed:.0}", it.makespan);
        assert!(it.longest <= allowed, "no node starves: {:.0} s", it.longest);
        if nodes == 1000 {
            // A poll every 15 s takes longer.
            let fixed = run(&world, Strategy::Fixed);
            assert!(it.makespan < fixed.makespan, "{} and {}", it.makespan, fixed.makespan);
            // On average a call every three seconds.
            let throttled = it.throttled as f64 / nodes as f64;
            assert!(throttled <= 210.0, "{throttled} throttled calls a node");
        }
    }
}

/// All nodes at once is the hardest case. Nodes that wait must not sleep longer than a fleet of this
/// size takes, and polls of the first ones must not take the turns of the others.
#[test]
fn a_fleet_that_boots_at_once_joins_in_the_promised_time() {
    for (nodes, association) in
        [(3, 0), (10, 0), (10, 5), (10, 60), (30, 0), (30, 1), (30, 20), (60, 0), (60, 1), (100, 0)]
            .into_iter()
            .chain([(100, 60), (300, 0), (300, 20), (1000, 60)])
    {
        let world = World {
            nodes,
            spread_ms: 0,
            association_ms: association * 1000,
            crashes: 0,
            ..World::default()
        };
        let it = run(&world, Strategy::Enlist);
        assert_eq!((it.joined, it.associations), (nodes, nodes), "{world:?}");
        let allowed = lower_bound::allowed(nodes, it.lower_bound);
        assert!(it.makespan <= allowed, "{:.1} s of {allowed:.1}: {world:?}", it.makespan);
    }
}

/// For every spread and association time, every node joins once. The time is within the limit on the
/// average of five seeds; a seed in which a node crashes may take a little longer.
#[test]
fn every_node_joins_in_every_simulated_world() {
    for (nodes, spread, association) in [
        (10, 60, 0),
        (10, 60, 5),
        (10, 60, 20),
        (10, 300, 60),
        (50, 60, 20),
        (50, 300, 20),
        (50, 0, 20),
        (60, 60, 60),
        (100, 60, 0),
        (100, 300, 20),
        (150, 60, 20),
        (150, 60, 60),
    ] {
        let (spread_ms, association_ms) = (spread * 1000, association * 1000);
        let mut sum = 0.0;
        for seed in 1..=5 {
            let world = World { nodes, spread_ms, association_ms, seed, ..World::default() };
            let it = run(&world, Strategy::Enlist);
            assert_eq!((it.joined, it.associations), (nodes, nodes), "{world:?}");
            let part = it.makespan / lower_bound::allowed(nodes, it.lower_bound);
            assert!(part <= 1.15, "{part:.2} of the allowed time: {world:?}");
            sum += part;
        }
        assert!(
            sum <= 5.0,
            "{:.2} of the allowed time: {nodes}, {spread}, {association}",
            sum / 5.0
        );
    }
}

#[test]
fn the_same_seed_gives_the_same_run() {
    let world = World { nodes: 50, ..World::default() };
    let [first, second] = [(); 2].map(|()| run(&world, Strategy::Enlist));
    assert_eq!(first.joins, second.joins);
    assert_eq!((first.calls, first.throttled), (second.calls, second.throttled));
}

#[test]
fn a_node_that_is_never_throttled_does_not_wait() {
    let world = World { nodes: 1, association_ms: 0, crashes: 0, losses: 0, ..World::default() };
    let it = run(&world, Strategy::Enlist);
    assert_eq!((it.calls, it.throttled), (3, 0));
    // Three calls of 50 ms, and nothing between them.
    assert!(it.longest < 0.2, "{} s", it.longest);
}

/// The models of other strategies: none joins a node twice, and only the one that gives up leaves nodes
/// out.
#[test]
fn other_strategies_join_every_node_that_does_not_give_up() {
    let world = World::default();
    for strategy in Strategy::ALL {
        let it = run(&world, strategy);
        let name = strategy.id();
        println!("{name}: {} of {} joined, median {:.0} s", it.joined, it.nodes, it.median);
        assert!(it.strategy == strategy && it.joined <= it.associations);
        assert_eq!(it.joined == world.nodes, strategy != Strategy::Cli, "{name}");
    }
}
