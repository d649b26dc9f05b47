//! The plot: how many nodes have joined by when, a panel for each size.

use std::fmt::Write as _;

use super::report::name;
use super::simulation::{Outcome, Strategy};

/// Pixels.
const WIDTH: f64 = 460.0;
const HEIGHT: f64 = 260.0;
const LEFT: f64 = 56.0;
const TOP: f64 = 34.0;
const RIGHT: f64 = 16.0;
const BOTTOM: f64 = 40.0;
/// Points of a curve at most: more are not to be seen.
const POINTS: usize = 200;
/// A panel shows this much of the least time; what is later is beyond its edge.
const SHOWN: f64 = 2.5;

/// Two panels in a row, and a legend.
pub fn plot(results: &[Outcome]) -> String {
    let mut sizes: Vec<usize> = results.iter().map(|it| it.nodes).collect();
    sizes.dedup();
    let rows = sizes.len().div_ceil(2) as f64;
    let (width, height) = (2.0 * WIDTH, rows * HEIGHT + 30.0);
    let mut text = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width} {height}\" \
         font-family=\"sans-serif\" font-size=\"12\">\n\
         <rect width=\"{width}\" height=\"{height}\" fill=\"white\"/>\n"
    );
    for (place, size) in sizes.iter().enumerate() {
        let of_size: Vec<&Outcome> = results.iter().filter(|it| it.nodes == *size).collect();
        let (x, y) = ((place % 2) as f64 * WIDTH, (place / 2) as f64 * HEIGHT);
        panel(&mut text, x, y, &of_size);
    }
    legend(&mut text, rows * HEIGHT + 16.0);
    text + "</svg>\n"
}

fn panel(text: &mut String, x: f64, y: f64, results: &[&Outcome]) {
    let Some(first) = results.first() else { return };
    let (least, nodes) = (first.lower_bound, first.nodes as f64);
    let (left, top) = (x + LEFT, y + TOP);
    let (wide, high) = (WIDTH - LEFT - RIGHT, HEIGHT - TOP - BOTTOM);
    let across = |seconds: f64| left + wide * (seconds / (SHOWN * least)).min(1.0);
    let up = |joined: f64| top + high * (1.0 - joined / nodes);
    let _ = writeln!(
        text,
        "<text x=\"{left:.0}\" y=\"{:.0}\" font-weight=\"bold\">{} nodes</text>\n\
         <rect x=\"{left:.0}\" y=\"{top:.0}\" width=\"{wide:.0}\" height=\"{high:.0}\" fill=\"none\" stroke=\"#888\"/>\n\
         <line x1=\"{at:.1}\" x2=\"{at:.1}\" y1=\"{top:.0}\" y2=\"{:.0}\" stroke=\"#888\" stroke-dasharray=\"4 3\"/>",
        top - 8.0,
        first.nodes,
        top + high,
        at = across(least),
    );
    for part in [0.0, 0.5, 1.0] {
        let _ = writeln!(
            text,
            "<text x=\"{:.0}\" y=\"{:.0}\" text-anchor=\"end\">{:.0}</text>",
            left - 6.0,
            up(part * nodes) + 4.0,
            part * nodes
        );
    }
    for (part, word) in [(0.0, String::new()), (1.0, "bound: ".to_owned()), (SHOWN, String::new())]
    {
        let _ = writeln!(
            text,
            "<text x=\"{:.0}\" y=\"{:.0}\" text-anchor=\"middle\">{word}{:.0} s</text>",
            across(part * least),
            top + high + 16.0,
            part * least
        );
    }
    for result in results {
        let step = result.joins.len().div_ceil(POINTS).max(1);
        let mut points = format!("{:.1},{:.1}", across(0.0), up(0.0));
        let end = result.joins.len().saturating_sub(1);
        for (index, seconds) in result.joins.iter().enumerate() {
            if (index % step == 0 || index == end) && *seconds <= SHOWN * least {
                let _ = write!(points, " {:.1},{:.1}", across(*seconds), up(index as f64 + 1.0));
            }
        }
        let color = color(result.strategy);
        let _ = writeln!(
            text,
            "<polyline points=\"{points}\" fill=\"none\" stroke=\"{color}\" stroke-width=\"2\"/>"
        );
    }
}

fn legend(text: &mut String, y: f64) {
    for (place, strategy) in Strategy::ALL.into_iter().enumerate() {
        let x = 56.0 + 215.0 * place as f64;
        let _ = writeln!(
            text,
            "<line x1=\"{x:.0}\" x2=\"{:.0}\" y1=\"{y:.0}\" y2=\"{y:.0}\" stroke=\"{}\" stroke-width=\"3\"/>\n\
             <text x=\"{:.0}\" y=\"{:.0}\">{}</text>",
            x + 24.0,
            color(strategy),
            x + 30.0,
            y + 4.0,
            name(strategy)
        );
    }
}

/// Told apart by those who see no red and green, too (Okabe and Ito, "Color Universal Design").
fn color(strategy: Strategy) -> &'static str {
    match strategy {
        Strategy::Enlist => "#0072b2",
        Strategy::Cli => "#d55e00",
        Strategy::Fixed => "#009e73",
        Strategy::Doubling => "#cc79a7",
    }
}
