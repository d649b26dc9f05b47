//! A fleet boots in virtual time: every node the real core, against the emulator's control plane
//! with the reference's request limit; and what people do today, modelled simply, beside it.
//!
//! ```text
//! cargo bench --bench fleet                    10, 100, 1,000 and 10,000 nodes
//! cargo bench --bench fleet -- --nodes 100000 --only enlist
//! cargo bench --bench fleet -- --chef 10000    nodes of a Chef server
//! cargo bench --bench fleet -- --write docs    writes docs/fleet.md and docs/fleet.svg
//! ```
//! `--spread SECONDS` (60) and `--association SECONDS` (20) change the world, `--seed N` (1) its random numbers;
//! `--worlds` runs the many worlds of the page, as `--write` does.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::disallowed_methods,
    clippy::cast_precision_loss
)]

mod authority;
mod bootstrap;
mod chef;
mod lower_bound;
#[path = "../../tests/common/puppet_node.rs"]
mod puppet_node;
mod report;
mod rng;
mod simulation;
mod strategies;
mod svg;
#[allow(dead_code, reason = "what other targets and the agent ask is the harness's")]
#[path = "../../tests/harness/wire.rs"]
mod wire;

use simulation::{Outcome, Strategy, World, run};

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let value = |name: &str| {
        let at = arguments.iter().position(|argument| argument == name)?;
        arguments.get(at + 1).cloned()
    };
    let number = |name: &str, default: u64| {
        value(name).map_or(default, |text| text.parse().expect("a whole number"))
    };
    let sizes: Vec<usize> = match value("--nodes") {
        Some(list) => list.split(',').map(|size| size.parse().expect("a number")).collect(),
        None => vec![10, 100, 1_000, 10_000],
    };
    if let Some(nodes) = value("--chef") {
        for seed in 1..=number("--seeds", 1) {
            let nodes = nodes.parse().expect("a number");
            let spread_ms = number("--spread", 0) * 1000;
            let world = chef::World { nodes, spread_ms, per_second: 50, seed };
            println!("{}", chef::line(&chef::run(&world)));
        }
        return;
    }
    let only = value("--only");
    let mut results = Vec::new();
    for nodes in sizes {
        let world = World {
            nodes,
            spread_ms: number("--spread", 60) * 1000,
            association_ms: number("--association", 20) * 1000,
            seed: number("--seed", 1),
            ..World::default()
        };
        for strategy in Strategy::ALL {
            if only.as_ref().is_none_or(|only| only == strategy.id()) {
                let result = run(&world, strategy);
                println!("{}", report::line(&result));
                results.push(result);
            }
        }
    }
    let all_worlds = arguments.iter().any(|it| it == "--worlds" || it == "--write");
    let worlds = if all_worlds { other_worlds() } else { Vec::new() };
    if let Some(directory) = value("--write") {
        let directory = std::path::Path::new(&directory);
        std::fs::write(directory.join("fleet.md"), report::page(&results, &worlds)).unwrap();
        std::fs::write(directory.join("fleet.svg"), svg::plot(&results)).unwrap();
    }
}

/// The worlds that the page tells of beside the table's, each with five seeds, the largest with one.
fn other_worlds() -> Vec<Vec<Outcome>> {
    let mut worlds = vec![(3_000, 0, 20), (3_000, 60, 20), (3_000, 300, 60)];
    worlds.extend([(10_000, 0, 0), (10_000, 60, 20), (10_000, 300, 60)]);
    for nodes in [1, 3, 10, 30, 60, 100, 150, 300, 1_000] {
        for spread in [0, 60, 300] {
            worlds.extend([0, 1, 5, 20, 60].map(|association| (nodes, spread, association)));
        }
    }
    worlds.sort_unstable();
    let run_all = |(nodes, spread, association): (usize, u64, u64)| {
        let seeds = (1..=if nodes < 10_000 { 5 } else { 1 }).map(|seed| World {
            nodes,
            spread_ms: spread * 1000,
            association_ms: association * 1000,
            seed,
            ..World::default()
        });
        let seeds: Vec<Outcome> = seeds.map(|world| run(&world, Strategy::Enlist)).collect();
        print!("{}", report::summary(&seeds));
        seeds
    };
    worlds.into_iter().map(run_all).collect()
}
