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
within 60 s, an association takes 20 s, a call 50 ms. One node in a hundred crashes once, half of them
within 0.2 s of the boot, in the middle of the first calls, the others within 15 s, and is back after
30 s; one reply in a thousand is lost.

**The least** is what no strategy can beat, not even one that knows everything beforehand. The
nodes that boot at some moment or later need three calls each through the limit from then on,
(3 x nodes - 10) / 5 seconds; or two, and then the last association's 20 s; this holds for every moment. And
every node needs its own three calls and 20 s, those that crash 30 s more. It is tight: whoever knows all
nodes, and gives each token to one that has not yet asked to be associated and else to the one that asked
first, comes within 1 % of it at the sizes of this table, as long as no node crashes.

| nodes | strategy | joined | last join, s | least, s | ratio | calls a node | refused a node | median wait, s | last node's wait, s |
|---|---|---|---|---|---|---|---|---|---|
";

const AFTER: &str = "
![Nodes that have joined, by time](fleet.svg)

The other strategies are models, simple ones: the AWS CLI tries a call three times with up to 1 s
and 2 s between (its standard retry mode) and its waiter asks fifteen times, every 15 s; a script
around it ends where it ends. The other two ask for ever. After a crash all three begin again.

## Why it is paced so

Being put off (`ThrottlingException`, 429) says that others ask too, and that nothing is wrong. How
many others, nobody can know. So a node waits for a part of the time that this has lasted: half of it
up to 20 s, then 20 s, and after some four minutes 8 %. Tries become rarer as a fleet proves large,
and nobody sleeps for more than a tenth or so of the whole, which is what the last node costs. An
admitted question with the answer IN_PROGRESS takes the turn of another node; a node that has been put off
therefore asks for the status after 20 s (a large crowd: up to 60 s), and one that has not asks at
once, and then every few seconds. Errors and silence are another matter: they double to a minute. The
reasoning, and what was tried, is in [decision 0005](decisions/0005-pacing.md).

## Other worlds

`enlist` over five seeds: the ratio's mean, its worst, and how often a node was put off.

";

const END: &str = "
**Where 1.10 is not reached, and why.**

- *All at once, and small.* Ten nodes in one second need thirty calls, and the burst is ten. Nodes that
  are put off take it for a crowd, and ask for the status after 20 s: with an authority that signs at
  once that is all the difference, some 20 s. They can't tell ten nodes from a thousand. The same 20 s
  are lost where a hundred boot within a minute and the authority needs 5 s or none. With one that
  takes a minute it is the time between two questions.
- *Associations that take as long as the calls* (100 nodes at once, 150 to 300 within a minute). The
  least has every node associated before the first status question is asked. A node knows neither
  how many there are nor how long an association takes; the questions of the first compete with the
  associations of the last, which then have their 20 s still before them.
- *Associations of 60 s.* The only way to learn that 20 s were too few is a question, and each takes a
  third of a node's share of the limit; asking after 60 s only would cost fleets of ten to three hundred
  nodes more than that wherever it takes 20 s.
- *A crash in the midst of a crowd.* The least lets a node that crashes after 50 ms have made its two
  calls by then. One that was put off before it crashed had not.

## Fleets of more than 2,500 nodes

A fleet takes some 0.65 s a node, so 2,500 nodes nearly fill the default budget of half an hour. It is left
there because it also says when a missing role or an unreachable endpoint is reported. For a larger
fleet set `node.budget` to a second a node. A start that the service manager makes after the budget
was spent goes on where the last one was, with a new budget.
";

/// docs/fleet.md.
pub fn page(results: &[Outcome], elsewhere: &[Vec<Outcome>]) -> String {
    let mut text = BEFORE.to_owned();
    for result in results {
        let _ = write!(text, "{}", row(result));
    }
    text.push_str(AFTER);
    text.push_str(
        "| nodes | boot within, s | association, s | mean ratio | worst | refused a node |\n",
    );
    text.push_str("|---|---|---|---|---|---|\n");
    for seeds in elsewhere {
        let _ = write!(text, "{}", summary(seeds));
    }
    text + END
}

/// One world with several seeds.
pub fn summary(seeds: &[Outcome]) -> String {
    let Some(first) = seeds.first() else { return String::new() };
    let whole = seeds.iter().all(|it| it.joined == it.nodes && it.associations == it.nodes);
    assert!(whole, "every node joins, once");
    let mean =
        |of: &dyn Fn(&Outcome) -> f64| seeds.iter().map(of).sum::<f64>() / seeds.len() as f64;
    let ratio = |it: &Outcome| it.makespan / it.least;
    format!(
        "| {} | {} | {} | {:.2} | {:.2} | {:.1} |\n",
        first.nodes,
        first.spread_ms / 1000,
        first.association_ms / 1000,
        mean(&ratio),
        seeds.iter().map(ratio).fold(0.0, f64::max),
        mean(&|it| per_node(it, it.refused)),
    )
}
