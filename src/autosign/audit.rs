//! A decision as text: one line for people, one line of JSON for the audit, and all checks.

use std::fmt::Write as _;

use serde::Serialize;

use super::{Checks, Decision};
use crate::text;

/// The audit line. It contains no secret: neither tokens nor signatures nor passwords.
#[derive(Serialize)]
struct Line<'a> {
    time: String,
    certname: &'a str,
    /// SHA-256 of the public key.
    key: Option<&'a str>,
    verdict: &'static str,
    rule: Option<usize>,
    proof: Option<&'static str>,
    account: Option<&'a str>,
    role: Option<&'a str>,
    session: Option<&'a str>,
    instance: Option<&'a str>,
    region: Option<&'a str>,
    /// Why nothing was signed.
    why: Option<&'a str>,
}

impl Decision {
    /// One line of JSON, without a newline.
    #[must_use]
    pub fn audit_line(&self) -> String {
        let line = Line {
            time: text::time(self.now),
            certname: &self.certname,
            key: self.key.as_deref(),
            verdict: if self.verdict.is_ok() { "signed" } else { "refused" },
            rule: self.verdict.as_ref().ok().copied(),
            proof: self.proof,
            account: self.proven.account.as_deref(),
            role: self.proven.role.as_deref(),
            session: self.proven.session.as_deref(),
            instance: self.proven.instance_id.as_deref(),
            region: self.proven.region.as_deref(),
            why: self.verdict.as_ref().err().map(|refusal| refusal.why.as_str()),
        };
        let line = serde_json::to_string(&line).unwrap_or_default();
        text::json(&line)
    }

    /// One line for people, without a newline.
    #[must_use]
    pub fn sentence(&self) -> String {
        let who = match (&self.proven.instance_id, &self.proven.session) {
            (Some(instance), _) => format!(", {instance}"),
            (None, Some(session)) => format!(", session {session}"),
            (None, None) => String::new(),
        };
        let sentence = match &self.verdict {
            Ok(rule) => {
                let proof = self.proof.unwrap_or_default();
                let account = self.proven.account.iter().map(|it| format!(" of account {it}"));
                let account: String = account.collect();
                format!("{}: signed by rule {rule} ({proof}){who}{account}", self.certname)
            }
            Err(refusal) => format!("{}: not signed: {}", self.certname, refusal.why),
        };
        text::phrase(&sentence)
    }

    /// Every check with its result, and the decision.
    #[must_use]
    pub fn explanation(&self) -> String {
        let mut text = String::from("request\n");
        list(&mut text, &self.checks);
        for (number, proof, checks) in &self.rules {
            let _ = writeln!(text, "rule {number} ({proof})");
            list(&mut text, checks);
        }
        let _ = writeln!(text, "{}", self.sentence());
        text
    }
}

fn list(text: &mut String, checks: &Checks) {
    for check in &checks.0 {
        let (word, what) = match &check.result {
            Ok(found) => ("ok", found.as_str()),
            Err(refusal) => ("REFUSED", refusal.why.as_str()),
        };
        let _ = writeln!(text, "  {word:<8} {}: {what}", check.name);
    }
}
