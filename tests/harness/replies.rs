//! Lost calls and replies, at every call and combined with crashes.

use enlist::fault::{Fault, Kind};
use enlist_emulator::http::{AMZ_JSON, Delivery, Response};
use std::time::Duration;

use super::cases::{
    CHEF, CHEF_SERVER, Case, OPSWORKS, OPSWORKS_ON_PREMISES, PUPPET, PUPPET_SERVER,
    PUPPET_SERVER_BY_HAND, SSM, SSM_FILE, SSM_REGISTERED,
};
use super::checks;
use super::explore::{Reference, Story, finish_leave, join, sample};

/// At least as many calls as any leave makes.
const MOST_CALLS: usize = 5;

/// What happens to one call and its reply.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reply {
    Comes,
    /// The connection breaks, before or after the call had its effect.
    LostBefore,
    LostAfter,
    /// Status 500, before or after.
    ErrorBefore,
    ErrorAfter,
    /// No answer within the time limit, before or after.
    SilentBefore,
    SilentAfter,
    /// The reply is incomplete.
    Truncated,
    /// Throttled: the call had no effect, and the host knows that.
    Throttled,
}

/// Every failure.
pub const REPLIES: [Reply; 8] = [
    Reply::LostBefore,
    Reply::LostAfter,
    Reply::ErrorBefore,
    Reply::ErrorAfter,
    Reply::SilentBefore,
    Reply::SilentAfter,
    Reply::Truncated,
    Reply::Throttled,
];

/// Which call fails.
#[derive(Clone, Copy, Debug)]
pub enum When {
    /// The nth call of all, from 0.
    Nth(usize),
    /// The next call of this action.
    Next(&'static str),
    /// The nth call after the first one of this action.
    After(&'static str, usize),
}

pub type Loss = (When, Reply);

impl Reply {
    /// What happens to this call. Removes the loss from the list.
    pub fn of(losses: &mut Vec<Loss>, action: &str, index: usize) -> Self {
        for (when, _) in losses.iter_mut() {
            if let When::After(first, later) = *when
                && first == action
            {
                *when = When::Nth(index + later);
            }
        }
        let found = losses.iter().position(|(when, _)| match when {
            When::Nth(nth) => *nth == index,
            When::Next(next) => *next == action,
            When::After(..) => false,
        });
        found.map_or(Self::Comes, |found| losses.remove(found).1)
    }

    /// Whether the call reaches the authority.
    pub fn arrives(self) -> bool {
        matches!(self, Self::Comes | Self::LostAfter | Self::ErrorAfter | Self::SilentAfter)
            || self == Self::Truncated
    }

    /// The additional time that it takes, in milliseconds.
    pub fn takes(self) -> u64 {
        if matches!(self, Self::SilentBefore | Self::SilentAfter) { 10_000 } else { 0 }
    }

    /// What the node sees. `throttled` is the status of a throttled call.
    pub fn becomes(self, response: Option<Response>, throttled: u16) -> Result<Response, Fault> {
        let error = |status, code: &str| {
            let body = format!("{{\"__type\":\"{code}\",\"message\":\"\"}}");
            Response::new(status, AMZ_JSON, body)
        };
        let delivered = |delivery| Response { delivery, ..Response::new(0, "", "") };
        Ok(match self {
            Self::Comes => {
                let none = || Fault::new(Kind::Invariant, "there is no response", "", "");
                return response.ok_or_else(none);
            }
            Self::LostBefore | Self::LostAfter => delivered(Delivery::Dropped),
            Self::ErrorBefore | Self::ErrorAfter => error(500, "InternalFailure"),
            Self::SilentBefore | Self::SilentAfter => {
                delivered(Delivery::Late(Duration::from_secs(10)))
            }
            Self::Truncated => delivered(Delivery::Truncated),
            Self::Throttled => error(throttled, "ThrottlingException"),
        })
    }
}

/// Every failure at every call of a join: alone, with a crash at every point, and two after each other.
fn every_loss(case: &Case) {
    let reference = Reference::of(case);
    let (mut alone, mut crashed, mut twice) = (0, 0, 0);
    for nth in 0..reference.calls {
        for reply in REPLIES {
            join(case, &reference, &[], &[(When::Nth(nth), reply)]);
            alone += 1;
            for crash in sample(alone) {
                if !join(case, &reference, &[crash], &[(When::Nth(nth), reply)]).1 {
                    break;
                }
                crashed += 1;
            }
        }
    }
    let creating = case.creating;
    for first in REPLIES {
        for second in REPLIES {
            for later in 1..4 {
                let losses =
                    [(When::Next(creating), first), (When::After(creating, later), second)];
                join(case, &reference, &[], &losses);
                twice += 1;
            }
        }
    }
    println!(
        "{}: {} calls, {alone} lost replies, {crashed} with a crash, {twice} pairs of lost replies",
        case.name, reference.calls
    );
}

/// Every failure at every call of a leave.
fn every_loss_of_a_leave(case: &Case) {
    let reference = Reference::of(case);
    let mut runs = 0;
    for nth in 0..MOST_CALLS {
        for reply in REPLIES {
            let (mut node, _) = join(case, &reference, &[], &[]);
            let story = Story(format!("{}: leaving, call {nth} is {reply:?}", case.name));
            node.losses = vec![(When::Nth(node.asked.len() + nth), reply)];
            finish_leave(&mut node, case);
            checks::left(&node, case, true);
            drop(story);
            runs += 1;
        }
    }
    println!("{}: leave, {runs} lost replies", case.name);
}

#[test]
fn no_lost_reply_creates_a_second_association() {
    every_loss(&PUPPET);
    every_loss(&CHEF);
}

#[test]
fn no_lost_reply_makes_a_puppet_ca_sign_twice() {
    every_loss(&PUPPET_SERVER);
    every_loss(&PUPPET_SERVER_BY_HAND);
}

#[test]
fn no_lost_reply_creates_a_second_client_or_leaves_one_behind() {
    every_loss(&CHEF_SERVER);
    every_loss_of_a_leave(&CHEF_SERVER);
}

#[test]
fn no_lost_reply_creates_a_second_instance() {
    every_loss(&OPSWORKS);
    every_loss(&OPSWORKS_ON_PREMISES);
}

#[test]
fn no_lost_reply_leaves_an_activation_behind() {
    every_loss(&SSM);
    every_loss(&SSM_REGISTERED);
    every_loss(&SSM_FILE);
}

#[test]
fn no_lost_reply_prevents_a_leave() {
    for case in [&PUPPET, &CHEF, &OPSWORKS, &OPSWORKS_ON_PREMISES, &SSM, &SSM_FILE] {
        every_loss_of_a_leave(case);
    }
}
