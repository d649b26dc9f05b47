//! Joining with a crash at every point, at pairs of points, and at random triples.

use super::cases::{
    CHEF, CHEF_SERVER, CHEF_SERVER_ONCE, Case, OPSWORKS, OPSWORKS_ON_PREMISES, PUPPET,
    PUPPET_SERVER, PUPPET_SERVER_BY_HAND, SSM, SSM_FILE, SSM_REGISTERED,
};
use super::explore::{Count, Reference, join, sample, share};
use super::rng::Rng;

/// The number of triples per target with `HARNESS=all`.
const TRIPLES: usize = 300;

fn every_point(case: &Case) {
    let reference = Reference::of(case);
    let mut single = Count { points: reference.points, runs: 0 };
    let mut pairs = 0;
    for first in 0..reference.points {
        let (_, crashed) = join(case, &reference, &[first], &[]);
        assert!(crashed, "{}: there is a point {first}", case.name);
        single.runs += 1;
        for second in sample(first) {
            let (_, both) = join(case, &reference, &[first, second], &[]);
            if !both {
                break;
            }
            pairs += 1;
        }
    }
    let mut rng = Rng(1);
    let triples = share(TRIPLES);
    for _ in 0..triples {
        let points = u64::try_from(reference.points).unwrap();
        let crashes = [(); 3].map(|()| usize::try_from(rng.below(points)).unwrap());
        join(case, &reference, &crashes, &[]);
    }
    println!(
        "{}: join, {} crash points, {} runs, {pairs} pairs, {triples} triples",
        case.name, single.points, single.runs
    );
}

#[test]
fn puppet_joins_whenever_it_crashes() {
    every_point(&PUPPET);
}

#[test]
fn a_puppet_ca_issues_one_certificate_whenever_it_crashes() {
    every_point(&PUPPET_SERVER);
    every_point(&PUPPET_SERVER_BY_HAND);
}

#[test]
fn chef_joins_whenever_it_crashes() {
    every_point(&CHEF);
}

#[test]
fn a_chef_server_creates_one_client_whenever_it_crashes() {
    every_point(&CHEF_SERVER);
    every_point(&CHEF_SERVER_ONCE);
}

#[test]
fn an_instance_registers_whenever_it_crashes() {
    every_point(&OPSWORKS);
    every_point(&OPSWORKS_ON_PREMISES);
}

#[test]
fn the_agent_is_handed_over_whenever_it_crashes() {
    every_point(&SSM);
    every_point(&SSM_REGISTERED);
}

#[test]
fn an_activation_is_handed_over_as_a_file_whenever_it_crashes() {
    every_point(&SSM_FILE);
}
