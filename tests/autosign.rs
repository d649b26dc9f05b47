//! `enlist autosign`: the judge of certificate requests, with requests that are made from the standards
//! in `csr`, and an STS that verifies signatures itself.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, clippy::expect_used)]
#![allow(clippy::disallowed_methods, clippy::disallowed_types, reason = "tests do I/O")]
#![allow(clippy::cast_possible_truncation, reason = "lengths in DER")]

#[path = "autosign/attacks.rs"]
mod attacks;
#[path = "autosign/audit.rs"]
mod audit;
mod common;
#[path = "autosign/csr.rs"]
mod csr;
#[path = "autosign/identity.rs"]
mod identity;
#[path = "autosign/input.rs"]
mod input;
#[path = "autosign/node.rs"]
mod node;
#[path = "autosign/others.rs"]
mod others;
#[path = "autosign/program.rs"]
mod program;
#[path = "autosign/property.rs"]
mod property;
#[path = "autosign/refusals.rs"]
mod refusals;
#[path = "autosign/sts.rs"]
mod sts;

use enlist::autosign::{Decision, Found, Judge, Policy, StsAnswer, StsRequest, meaning};
use enlist::fault::Kind;

use csr::{Key, Proof, Request};
use sts::Asked;

const ID: &str = "i-0123456789abcdef0";
const ACCOUNT: &str = "123456789012";
/// 2026-07-14T12:00:00Z.
const NOW: i64 = 1_784_030_400;
const DATE: &str = "20260714T120000Z";

const RULE: &str = "[[allow]]\nproof = \"iam\"\naccount = \"123456789012\"\nrole = \"web-*\"\n";

/// A good request of the instance, and its proof.
fn good() -> Request {
    Request::new(ID).iam(&Proof::new(&Key::one().spki, ID, DATE).json())
}

/// Judges a request as the program does. STS is asked as `caller` says, and verifies the signature.
fn judge(settings: &str, name: &str, pem: &str, now: i64, caller: &str) -> Decision {
    let policy = Policy::parse(settings).unwrap();
    let judge = Judge::begin(&policy, name, pem.as_bytes(), now);
    let sts = judge.needs_sts(&Found::default()).map(|request| {
        let asked = asked(&request);
        let (status, body) = if asked.is_signed() { (200, caller) } else { (403, sts::MISMATCH) };
        meaning(&StsAnswer { status, body: body.as_bytes().to_vec() }).map_err(|not| not.refusal)
    });
    judge.decide(&Found { sts, ..Found::default() })
}

fn asked(request: &StsRequest) -> Asked {
    let pair = |(name, value): &(&str, String)| ((*name).to_owned(), value.clone());
    Asked {
        head: "POST / HTTP/1.1".to_owned(),
        headers: request.headers.iter().map(pair).collect(),
        body: request.body.to_owned(),
    }
}

fn caller() -> String {
    sts::instance(ACCOUNT, "web-7", ID)
}

/// The kind of the refusal and why; fails if the request is signed.
#[track_caller]
fn refused(decision: &Decision) -> (Kind, String) {
    let refusal = decision.verdict.clone().expect_err("it was signed");
    (refusal.kind, refusal.why)
}
