//! Which server of a list is asked first.

use std::time::{Duration, Instant};

use crate::targets::puppet_server::api::{Action, Request};

/// How long a server that gave no answer of a CA gets no request with an effect, while another is there.
const PASSED_OVER: Duration = Duration::from_mins(1);

/// What the servers of a list have shown so far.
#[derive(Default)]
pub struct ServerOrder {
    answered: Option<String>,
    failed: Vec<(String, Instant)>,
}

impl ServerOrder {
    /// The servers in the order in which they are asked. An attempt begins with the first of the list.
    /// After that the one that answered last comes first. A request with an effect may hold a secret,
    /// so it does not go to a server that has just failed, unless all of them have.
    pub fn of(&self, request: &Request, now: Instant) -> Vec<String> {
        let mut servers = request.servers.clone();
        if is_discovery(&request.action) {
            return servers;
        }
        servers.sort_by_key(|server| self.answered.as_ref() != Some(server));
        let has_failed = |server: &String| {
            let mut failed = self.failed.iter();
            failed.any(|(name, at)| name == server && now.duration_since(*at) < PASSED_OVER)
        };
        if has_effect(&request.action) && !servers.iter().all(has_failed) {
            servers.retain(|server| !has_failed(server));
        }
        servers
    }

    pub fn answered(&mut self, server: &str) {
        self.failed.retain(|(name, _)| name != server);
        self.answered = Some(server.to_owned());
    }

    pub fn failed(&mut self, server: &str, now: Instant) {
        self.failed.retain(|(name, _)| name != server);
        self.failed.push((server.to_owned(), now));
    }
}

fn is_discovery(action: &Action) -> bool {
    match action {
        Action::GetRevocationLists => true,
        Action::GetCertificate { name } => name == "ca",
        _ => false,
    }
}

fn has_effect(action: &Action) -> bool {
    !matches!(
        action,
        Action::GetCertificate { .. }
            | Action::GetCertificateRequest { .. }
            | Action::GetRevocationLists
    )
}
