//! The table.

use std::fmt::Write as _;

use super::simulation::{Outcome, Strategy};

/// One line for the terminal.
pub fn line(it: &Outcome) -> String {
    format!(
        "{:>6} nodes  {:<9} joined {:>6} (names {:>6})  makespan {:>8.1} s = {:>5.2} of the least {:>7.1} s  \
         calls/node {:>6.1}  refused/node {:>6.1}  wait: median {:>7.1} s, last {:>8.1} s",
        it.nodes,
        it.strategy.word(),
        it.joined,
        it.associations,
        it.makespan,
        it.makespan / it.least,
        it.least,
        per_node(it, it.calls),
        per_node(it, it.refused),
        it.median,
        it.longest,
    )
}

fn per_node(it: &Outcome, count: usize) -> f64 {
    count as f64 / it.nodes as f64
}

fn row(it: &Outcome) -> String {
    let of_least = if it.joined == it.nodes {
        format!("{:.2}", it.makespan / it.least)
    } else {
        "-".to_owned()
    };
    format!(
        "| {} | {} | {} | {:.0} | {:.0} | {of_least} | {:.1} | {:.1} | {:.0} | {:.0} |\n",
        it.nodes,
        name(it.strategy),
        it.joined,
        it.makespan,
        it.least,
        per_node(it, it.calls),
        per_node(it, it.refused),
        it.median,
        it.longest,
    )
}

pub fn name(strategy: Strategy) -> &'static str {
    match strategy {
        Strategy::Enlist => "enlist",
        Strategy::Cli => "AWS CLI and its waiter",
        Strategy::Fixed => "every 15 s, for ever",
        Strategy::Doubling => "doubling to 60 s, no jitter",
    }
}

const BEFORE: &str = "# A fleet that boots at once

How long it takes until every node of a fleet has joined one Puppet server through OpsWorks CM, and
how often the service had to refuse a call. Made, this page and the plot, by

```
cargo bench --bench fleet -- --write docs
```

in virtual time: every node of the rows `enlist` is the real state machine of `src/bootstrap`,
asking the emulator's control plane (`ControlPlane::handle`) with the limit of the API reference,
five requests a second and a burst of ten for the whole account. The certificates are real, signed
and checked; keys are one for all, since making ten thousand is not what is measured. Nodes boot
within 60 s, an association takes 20 s, a call 50 ms; one node in a hundred crashes once, right
after one of its first three calls, and is back after 30 s; one reply in a thousand is lost.

**The least** is what no strategy can beat: three calls a node through the limit, (3 x nodes - 10) / 5
seconds; or two calls a node and then the last association's 20 s; or those 20 s from the last boot, or from
the return after a crash.

| nodes | strategy | joined | last join, s | least, s | ratio | calls a node | refused a node | median wait, s | last node's wait, s |
|---|---|---|---|---|---|---|---|---|---|
";

const AFTER: &str = "
![Nodes that have joined, by time](fleet.svg)

The other strategies are models, simple ones: the AWS CLI tries a call three times with up to 1 s
and 2 s between (its standard retry mode) and its waiter asks fifteen times, every 15 s; a script
around it ends where it ends. The other two ask for ever. After a crash all three begin again.

A fleet of more than 3,000 nodes needs more than the default budget of half an hour, whatever the
pacing: set `node.budget`, or have the service manager start `enlist` again.
";

/// docs/fleet.md.
pub fn page(results: &[Outcome]) -> String {
    let mut text = BEFORE.to_owned();
    for result in results {
        let _ = write!(text, "{}", row(result));
    }
    text + AFTER
}
