//! What people do today, modelled simply: DescribeServers, AssociateNode, then the status, by a
//! script that waits between tries in its own way.

use enlist::fault::{Fault, Kind};
use enlist::targets::Answer;
use enlist::targets::opsworks_cm::api as cm;

use super::bootstrap::name;
use super::rng::Rng;
use super::simulation::{Client, Step, Strategy};

/// The AWS CLI's standard retry mode: three attempts in all, and a wait of up to 2^n s between
/// them, at random (AWS CLI User Guide, "AWS CLI retries").
const CLI_ATTEMPTS: u32 = 3;
/// Its waiter `node-associated`: fifteen times, every 15 s (botocore's waiters of opsworkscm).
const CLI_POLLS: u32 = 15;
const POLL: u64 = 15_000;
/// Where doubling ends: milliseconds.
const LONGEST: u64 = 60_000;

pub struct Script {
    strategy: Strategy,
    index: usize,
    rng: Rng,
    /// 0: who is the server; 1: associate; 2: the status.
    stage: u32,
    token: String,
    failures: u32,
    polls: u32,
    until: u64,
    ended: Option<bool>,
}

impl Script {
    pub fn new(strategy: Strategy, index: usize, seed: u64) -> Self {
        let rng = Rng(seed ^ Rng(u64::try_from(index).unwrap()).next());
        Self {
            strategy,
            index,
            rng,
            stage: 0,
            token: String::new(),
            failures: 0,
            polls: 0,
            until: 0,
            ended: None,
        }
    }

    fn failed(&mut self, now_ms: u64, fault: &Fault) {
        self.failures += 1;
        if fault.kind != Kind::Transient {
            self.ended = Some(false);
            return;
        }
        let doubled = 1000u64 << (self.failures - 1).min(16);
        let wait = match self.strategy {
            Strategy::Cli if self.failures == CLI_ATTEMPTS => {
                self.ended = Some(false);
                0
            }
            Strategy::Cli => self.rng.below(doubled),
            Strategy::Doubling => doubled.min(LONGEST),
            _ => POLL,
        };
        self.until = now_ms + wait;
    }

    fn answered(&mut self, now_ms: u64, answer: Answer) {
        self.failures = 0;
        match answer {
            Answer::OpsworksCm(cm::Answer::Associated { token: Some(token) }) => {
                (self.stage, self.token) = (2, token);
            }
            Answer::OpsworksCm(cm::Answer::AssociationStatus { status: Some(status), .. })
                if status == "SUCCESS" =>
            {
                self.ended = Some(true);
            }
            Answer::OpsworksCm(cm::Answer::AssociationStatus { .. }) => {
                self.polls += 1;
                self.until = now_ms + POLL;
                if self.strategy == Strategy::Cli && self.polls == CLI_POLLS {
                    self.ended = Some(false);
                }
            }
            // The servers; or the token is too old: once more from there.
            _ => self.stage = 1,
        }
    }
}

impl Client for Script {
    fn step(&mut self, now_ms: u64) -> Step {
        match self.ended {
            Some(true) => return Step::Joined,
            Some(false) => return Step::GaveUp,
            None if self.until > now_ms => return Step::WaitUntil(self.until),
            None => {}
        }
        let server = "puppet-test".to_owned();
        let request = match self.stage {
            0 => cm::Request::DescribeServers { server },
            1 => {
                let node = name(self.index);
                let attributes = vec![("PUPPET_NODE_CSR".to_owned(), node.clone())];
                cm::Request::AssociateNode { server, node, attributes }
            }
            _ => cm::Request::DescribeNodeAssociationStatus { server, token: self.token.clone() },
        };
        Step::Call(Box::new(request.into()))
    }

    fn reply(&mut self, now_ms: u64, reply: Result<Answer, Fault>) {
        match reply {
            Ok(answer) => self.answered(now_ms, answer),
            Err(fault) => self.failed(now_ms, &fault),
        }
    }

    /// User data runs again from its beginning.
    fn restart(&mut self, now_ms: u64) {
        (self.stage, self.failures, self.polls, self.until) = (0, 0, 0, now_ms);
    }
}
