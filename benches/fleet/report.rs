//! The table.

use std::fmt::Write as _;

use super::lower_bound;
use super::simulation::{Outcome, Strategy};

/// One line for the terminal.
pub fn line(it: &Outcome) -> String {
    format!(
        "{:>6} nodes  {:<9} joined {:>6} (names {:>6})  makespan {:>8.1} s = {:>5.2} of the bound {:>7.1} s  \
         calls/node {:>6.1}  throttled/node {:>6.1}  wait: median {:>7.1} s, last {:>8.1} s",
        it.nodes,
        it.strategy.id(),
        it.joined,
        it.associations,
        it.makespan,
        it.makespan / it.lower_bound,
        it.lower_bound,
        per_node(it, it.calls),
        per_node(it, it.throttled),
        it.median,
        it.longest,
    )
}

fn per_node(it: &Outcome, count: usize) -> f64 {
    count as f64 / it.nodes as f64
}

fn row(it: &Outcome) -> String {
    let of_least = if it.joined == it.nodes {
        format!("{:.2}", it.makespan / it.lower_bound)
    } else {
        "-".to_owned()
    };
    format!(
        "| {} | {} | {} | {:.0} | {:.0} | {of_least} | {:.1} | {:.1} | {:.0} | {:.0} |\n",
        it.nodes,
        name(it.strategy),
        it.joined,
        it.makespan,
        it.lower_bound,
        per_node(it, it.calls),
        per_node(it, it.throttled),
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

**The lower bound** is what no strategy can beat, not even one that knows everything beforehand. The
nodes that boot at some moment or later need three calls each through the limit from then on,
(3 x nodes - 10) / 5 seconds; or two, and then the last association's 20 s; this holds for every moment. And
every node needs its own three calls and 20 s, those that crash 30 s more. It is tight: whoever knows all
nodes, and gives each token to one that has not yet asked to be associated and else to the one that asked
first, comes within 1 % of it at the sizes of this table, as long as no node crashes.

| nodes | strategy | joined | last join, s | bound, s | ratio | calls a node | throttled a node | median wait, s | last node's wait, s |
|---|---|---|---|---|---|---|---|---|---|
";

const AFTER: &str = "
![Nodes that have joined, by time](fleet.svg)

The other strategies are models, simple ones: the AWS CLI tries a call three times with up to 1 s
and 2 s between (its standard retry mode) and its waiter asks fifteen times, every 15 s; a script
around it ends where it ends. The other two ask for ever. After a crash all three begin again.

## Why the waits are as they are

A throttled call (`ThrottlingException`, 429) says that others ask too, and that nothing is wrong. How
many others, no node can know; but how long it has been throttled grows with their number. So every
wait grows with that time, for each kind of call by a rule of its own. A node's share of the limit
is the rate of its tries, and a node that has yet to ask for its membership comes before one that only asks
how far it is: an admitted poll with the answer IN_PROGRESS takes the turn of another node's call. So a
node that was throttled polls first after about half of the time that it had been throttled, ten seconds at
least and a minute at most. Then each throttled poll makes the interval to the next one longer, and each
admitted one makes it shorter: all polls together come to little more than the limit, and give way while
others still associate. A node that was not throttled polls at once, and then every few seconds. Errors and
silence are another matter: they double to a minute. The rules, and what was tried, are in
[decision 0012](decisions/0012-retry-schedule.md).

## Other worlds

`enlist` over five seeds (10,000 nodes: one). *Allowed* is the time by which the last node is to have
joined: 10 s more than the lower bound below 60 nodes, 1.25 of it from 60, 1.10 from 1,000 on. *Of the
allowed* is the last node's time as a part of that, the mean and the worst of the seeds: more than 1.00 is
too late. The longest wait is one node's, from its boot to its join.

";

const END: &str = "
## Real processes

`benches/processes [NODES [ASSOCIATION [BOOT]]]` boots a fleet in real time: every node a process of its
own, with a root directory, a machine-id and a key of its own, against one emulator; it fails where the
last node joins later than allowed.
Measured on two cores that were compiling other things meanwhile, seven to twenty processes at work at
any time. The release build and the emulator's debug build, except where it says otherwise:

| nodes at once | association, s | bound, s | allowed, s | last join, s | throttled a node |
|---|---|---|---|---|---|
| 10 | 0 | 4.0 | 14.0 | 10.4 | 2 |
| 60 | 0 | 34.0 | 42.5 | 38.0 (debug build), 39.3, 40.3 | 14 to 20 |
| 60 | 20 | 42.0 | 52.5 | 50.0, 50.4, 51.2, 52.1; once 65.2 | 19 to 22 |
| 60 | 60 | 82.0 | 102.5 | 94.1 | 26 |

The run of 65.2 s came at a load of more than 15; its cause is not known. With an association of 20 s there
is little to spare.

## Nodes of a Chef server

`[chef-server]` needs three requests: the versions, the client, the node object. The server here answers 503 above 50 requests a second, as one behind a
proxy with a limit; one node in a hundred crashes, one reply in a thousand is lost, as above. The nodes are the real state machine, the server a model: a set of clients and
nodes. The bound is (3 x nodes - 50) / 50 seconds.

```
cargo bench --bench fleet -- --chef 1000
```

| nodes at once | joined | bound, s | last join, s | ratio | requests a node | refused a node |
|---|---|---|---|---|---|---|
| 1000 | 1000 | 59.0 | 69.8 | 1.18 | 41.8 | 38.8 |
| 3000 | 3000 | 179.0 | 200.7 | 1.12 | 142.8 | 139.8 |

A 503 counts as a throttled call, and the client is created again without a look in between
([decision 0018](decisions/0018-the-nodes-own-key-asks-a-chef-server.md)). With a look after each 503, and waits that double to a minute, the same fleet took 118.1 s.

## Fleets of more than 2,500 nodes

A fleet takes some 0.65 s a node, so 2,500 nodes nearly fill the default budget of half an hour. It is left
there because it also says when a missing role or an unreachable endpoint is reported. For a larger
fleet set `node.budget` to a second a node. A start that the service manager makes after the budget
was spent goes on where the last one was, with a new budget.
";

/// docs/fleet.md.
pub fn page(results: &[Outcome], worlds: &[Vec<Outcome>]) -> String {
    let mut text = BEFORE.to_owned();
    for result in results {
        let _ = write!(text, "{}", row(result));
    }
    text.push_str(AFTER);
    text.push_str(
        "| nodes | boot within, s | association, s | bound, s | ratio | worst | of the allowed | worst | calls a node | throttled a node | mean wait, s | longest wait, s |\n",
    );
    text.push_str("|---|---|---|---|---|---|---|---|---|---|---|---|\n");
    for seeds in worlds {
        let _ = write!(text, "{}", summary(seeds));
    }
    text + &misses(worlds) + END
}

/// What is later than allowed: worlds in the mean of their seeds, and single runs.
fn misses(worlds: &[Vec<Outcome>]) -> String {
    let part = |it: &Outcome| it.makespan / lower_bound::allowed(it.nodes, it.lower_bound);
    let late = |seeds: &&Vec<Outcome>| {
        seeds.iter().map(part).sum::<f64>() / seeds.len().max(1) as f64 > 1.0
    };
    let worlds_late: Vec<String> =
        worlds.iter().filter(late).filter_map(|seeds| seeds.first().map(world)).collect();
    let mut runs_late: Vec<&Outcome> =
        worlds.iter().flatten().filter(|it| part(it) > 1.0).collect();
    runs_late.sort_by(|one, other| part(other).total_cmp(&part(one)));
    let worlds_late =
        if worlds_late.is_empty() { "none".to_owned() } else { worlds_late.join("; ") };
    let mut text = format!(
        "\n**Where it takes longer than allowed.** In the mean of the seeds: {worlds_late}. \
         In single runs: {} of {}",
        runs_late.len(),
        worlds.iter().map(Vec::len).sum::<usize>()
    );
    let worst: Vec<String> = runs_late
        .iter()
        .take(5)
        .map(|it| format!("{} ({:.0} % over)", world(it), (part(it) - 1.0) * 100.0))
        .collect();
    if !worst.is_empty() {
        let _ = write!(text, "; the worst are {}", worst.join("; "));
    }
    text + ".\n"
}

fn world(it: &Outcome) -> String {
    let within = match it.spread_ms {
        0 => "at once".to_owned(),
        spread => format!("within {} s", spread / 1000),
    };
    format!("{} nodes {within}, association {} s", it.nodes, it.association_ms / 1000)
}

/// One world with several seeds.
pub fn summary(seeds: &[Outcome]) -> String {
    let Some(first) = seeds.first() else { return String::new() };
    let whole = seeds.iter().all(|it| it.joined == it.nodes && it.associations == it.nodes);
    assert!(whole, "every node joins, once");
    let mean =
        |of: &dyn Fn(&Outcome) -> f64| seeds.iter().map(of).sum::<f64>() / seeds.len() as f64;
    let ratio = |it: &Outcome| it.makespan / it.lower_bound;
    let allowed = |it: &Outcome| it.makespan / lower_bound::allowed(it.nodes, it.lower_bound);
    let worst = |of: &dyn Fn(&Outcome) -> f64| seeds.iter().map(of).fold(0.0, f64::max);
    format!(
        "| {} | {} | {} | {:.0} | {:.2} | {:.2} | {:.2} | {:.2} | {:.1} | {:.1} | {:.0} | {:.0} |\n",
        first.nodes,
        first.spread_ms / 1000,
        first.association_ms / 1000,
        mean(&|it| it.lower_bound),
        mean(&ratio),
        worst(&ratio),
        mean(&allowed),
        worst(&allowed),
        mean(&|it| per_node(it, it.calls)),
        mean(&|it| per_node(it, it.throttled)),
        mean(&|it| it.mean),
        worst(&|it| it.longest),
    )
}
