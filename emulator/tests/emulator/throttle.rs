//! The account's request limit, in virtual time.

use std::time::Duration;

use enlist_emulator::control::{ControlPlane, ControlSettings, Rate};
use enlist_emulator::now::Now;
use serde_json::json;

use super::plane::{START, call, paper, verdict};

fn admitted(plane: &mut ControlPlane, now: Now, requests: usize) -> usize {
    let errors = (0..requests).map(|_| verdict(&call(plane, now, "DescribeServers", &json!({}))).0);
    errors.filter(|error| error != "ThrottlingException").count()
}

fn after(milliseconds: u64) -> Now {
    START.plus(Duration::from_millis(milliseconds))
}

#[test]
fn a_burst_of_ten_then_five_a_second() {
    let mut plane = paper(ControlSettings::default());
    assert_eq!(admitted(&mut plane, START, 25), 10);
    assert_eq!(admitted(&mut plane, after(199), 1), 0);
    assert_eq!(admitted(&mut plane, after(200), 2), 1);
    assert_eq!(admitted(&mut plane, after(1200), 10), 5);
    assert_eq!(admitted(&mut plane, after(60_000), 25), 10, "the bucket holds no more than ten");
}

#[test]
fn a_steady_five_a_second_is_never_refused() {
    let mut plane = paper(ControlSettings::default());
    let steady = (0..500).map(|number| admitted(&mut plane, after(number * 200), 1));
    assert_eq!(steady.sum::<usize>(), 500);
}

#[test]
fn a_hundred_nodes_at_once_get_through_at_the_documented_rate() {
    let mut plane = paper(ControlSettings::default());
    let mut waiting = 100;
    let mut seconds = 0;
    while waiting > 0 {
        waiting -= admitted(&mut plane, after(seconds * 1000), waiting);
        seconds += 1;
    }
    assert_eq!(seconds, 1 + 90 / 5);
}

#[test]
fn the_limit_can_be_set_and_switched_off() {
    let rate = Rate { per_second: 1, burst: 2 };
    let mut plane = paper(ControlSettings { throttle: Some(rate), ..ControlSettings::default() });
    assert_eq!(admitted(&mut plane, START, 5), 2);
    plane.set_throttle(None, START);
    assert_eq!(admitted(&mut plane, START, 1000), 1000);
}

#[test]
fn a_clock_that_goes_back_gives_nothing_away() {
    let mut plane = paper(ControlSettings::default());
    assert_eq!(admitted(&mut plane, after(10_000), 20), 10);
    assert_eq!(admitted(&mut plane, after(5_000), 5), 0);
    assert_eq!(admitted(&mut plane, after(10_200), 5), 1);
}

#[test]
fn a_rate_says_what_it_may_be() {
    assert_eq!("5/10".parse::<Rate>().ok(), Some(Rate { per_second: 5, burst: 10 }));
    for wrong in ["", "5", "0/10", "5/0", "5/ten", "-1/10", "5/10/20"] {
        let message = wrong.parse::<Rate>().err().map(|error| error.to_string());
        assert!(message.is_some_and(|text| text.contains("write RATE/BURST")), "{wrong}");
    }
}
