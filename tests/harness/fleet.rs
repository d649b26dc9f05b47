//! The fleet of benches/fleet at a small size: everyone joins, nobody twice.

#![allow(clippy::cast_precision_loss)]

#[path = "../../benches/fleet/authority.rs"]
mod authority;
#[path = "../../benches/fleet/bootstrap.rs"]
mod bootstrap;
#[path = "../../benches/fleet/lot.rs"]
mod lot;
#[path = "../../benches/fleet/simulation.rs"]
mod simulation;
#[path = "../../benches/fleet/strategies.rs"]
mod strategies;

use super::wire;
use simulation::{Strategy, World, run};

#[test]
fn a_small_fleet_joins_whole_and_once() {
    for (nodes, spread_ms) in [(1, 0), (10, 0), (10, 60_000), (100, 0), (100, 60_000)] {
        // Worse luck than in the report: one in ten crashes, one reply in fifty is lost.
        let world = World { nodes, spread_ms, crashes: 100, losses: 20, ..World::default() };
        let it = run(&world, Strategy::Enlist);
        assert_eq!(it.joined, nodes, "all of {nodes} join");
        assert_eq!(it.associations, nodes, "and each of them once");
        assert!(it.makespan < 10.0 * it.least, "{:.0} s of {:.0}", it.makespan, it.least);
    }
}

#[test]
fn the_same_luck_gives_the_same_run() {
    let world = World { nodes: 50, ..World::default() };
    let [first, second] = [(); 2].map(|()| run(&world, Strategy::Enlist));
    assert_eq!(first.joins, second.joins);
    assert_eq!((first.calls, first.refused), (second.calls, second.refused));
}

#[test]
fn a_node_that_nobody_refuses_asks_at_once() {
    let world = World { nodes: 1, association_ms: 0, crashes: 0, losses: 0, ..World::default() };
    let it = run(&world, Strategy::Enlist);
    assert_eq!((it.calls, it.refused), (3, 0));
    // Three calls of 50 ms, and nothing between them.
    assert!(it.longest < 0.2, "{} s", it.longest);
}

/// The models of what people do today: none joins a node twice, and only the one that gives up
/// leaves nodes out.
#[test]
fn the_strategies_of_today_join_whoever_does_not_give_up() {
    let world = World::default();
    for strategy in Strategy::ALL {
        let it = run(&world, strategy);
        let name = strategy.word();
        println!("{name}: {} of {} joined, median {:.0} s", it.joined, it.nodes, it.median);
        assert!(it.strategy == strategy && it.joined <= it.associations);
        assert_eq!(it.joined == world.nodes, strategy != Strategy::Cli, "{name}");
    }
}
