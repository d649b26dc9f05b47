//! What a refusal of a Chef server means. The API gives a status and a text, and only the text tells
//! some of them apart. The texts are those of Chef Infra Server 12 to 15 and of goiardi.

use bytes::Bytes;
use hyper::Response;
use serde_json::Value;

use super::{Exchange, said};
use crate::bootstrap::clock_skew;
use crate::fault::{Fault, Kind};
use crate::host::net::HttpClients;
use crate::targets::Call;
use crate::targets::chef_server::api::{Action, Answer, Unauthenticated, words};

/// How far a clock may be off, in seconds: a constant of Chef Infra Server.
const ALLOWED_SKEW: u64 = 900;

/// How far this clock is off, where the server would refuse every signature.
pub fn skew(clients: &HttpClients) -> Option<String> {
    let seconds = clients.skew().seconds();
    clock_skew::describe(seconds).filter(|_| seconds.unsigned_abs() >= ALLOWED_SKEW)
}

/// Whether headers with a signature are missing, or of a protocol that the server does not know.
pub fn is_about_headers(said: &str) -> bool {
    let parts = ["authentication header", "authentication protocol", "X-Ops-", "bad header"];
    parts.iter().any(|part| said.contains(part))
}

pub fn is_about_time(said: &str) -> bool {
    ["Synchronize the clock", "check your system's clock"].iter().any(|part| said.contains(part))
}

pub fn is_about_license(answer: &Response<Bytes>, said: &str) -> bool {
    said.contains("invalid-license") || answer.headers().contains_key("x-ops-license")
}

pub fn unauthenticated(said: &str) -> Unauthenticated {
    if said.contains("Invalid signature for user or client") {
        Unauthenticated::OtherKey
    } else if said.contains("Ensure that your node_name and client key are correct") {
        Unauthenticated::NoSuchClient
    } else {
        Unauthenticated::Unclear
    }
}

impl Exchange<'_> {
    /// The server refuses every signature while this clock is off. `off` says by how much, if that is
    /// known.
    pub(super) fn clock(&self, off: &str) -> Fault {
        let what = format!("{}: this node's clock is off", self.request.action());
        let todo = "wait until the clock is set; if it stays wrong, start time synchronisation (`timedatectl set-ntp true`)";
        let fault = Fault::new(Kind::Transient, what, &self.on, todo).about_time();
        let allowed = "the server refuses signatures that are more than 15 min off";
        if off.is_empty() { fault.cause(allowed) } else { fault.cause(format!("{off}; {allowed}")) }
    }

    pub(super) fn headers_lost(&self, said: &str) -> Fault {
        let proxy = self.clients.proxy_of(&self.url);
        let by = match &proxy {
            Some(proxy) => format!("the proxy {}", crate::host::net::proxy::shown(proxy)),
            None => "a proxy or balancer before the server".to_owned(),
        };
        let what = format!("the signature of {} did not reach the server", self.request.action());
        let todo = format!("have {by} pass on all headers that begin with X-Ops-");
        Fault::new(Kind::Protocol, what, &self.on, todo).cause(words(said))
    }

    pub(super) fn unlicensed(&self, said: &str) -> Fault {
        let what =
            format!("{} was refused: the licence of the server has expired", self.request.action());
        let todo = "tell the operator of the server; enlist tries again";
        Fault::new(Kind::Transient, what, &self.on, todo).cause(words(said))
    }

    pub(super) fn no_organization(&self, said: &str) -> Fault {
        let todo = "correct url in [chef-server]: use the chef_server_url from a client.rb of this server, https://HOST/organizations/NAME (without /organizations/NAME for goiardi)";
        let what = format!("the server has no place for {}", self.request.action());
        Fault::new(Kind::Config, what, &self.on, todo).cause(words(said))
    }

    /// The server does not speak the version of the join any more, and says which ones it speaks: the call is
    /// signed again for one of those. One that may change which key is accepted is not: its maintenance or join
    /// has just asked for the versions.
    pub(super) fn other_version(
        &self,
        answer: &Response<Bytes>,
        said: &str,
    ) -> Result<Answer, Fault> {
        let json: Value = serde_json::from_slice(answer.body()).unwrap_or_default();
        let number = |name| json.get(name).and_then(Value::as_i64);
        let found = number("min_version").zip(number("max_version"));
        let is_repeated =
            !matches!(self.request.action, Action::CreateClient { .. } | Action::UpdateKey { .. });
        if let (Some(versions), true) = (found, is_repeated) {
            return Ok(Answer::Versions(Some(versions)));
        }
        let what =
            format!("{} is of a version that the server does not speak", self.request.action());
        let todo = "run the command again, which asks for the versions first; if it lasts, update enlist, or check what a proxy does with the header X-Ops-Server-API-Version";
        let spoken =
            found.map(|(oldest, newest)| format!("it speaks versions {oldest} to {newest}"));
        let fault = Fault::new(Kind::Protocol, what, &self.on, todo).cause(words(said));
        Err(spoken.into_iter().fold(fault, Fault::cause))
    }

    pub(super) fn too_large(&self, answer: &Response<Bytes>) -> Fault {
        let what = format!("{} is larger than the server accepts", self.request.action());
        let todo = "allow larger requests in the server or the proxy before it (for nginx: client_max_body_size)";
        Fault::new(Kind::Rejected, what, &self.on, todo).cause(self.answered(answer))
    }

    /// Something else than a Chef server has answered, such as a balancer. It may have passed the request on.
    pub(super) fn not_chef(&self, answer: &Response<Bytes>) -> Fault {
        let what = format!("what answered {} is not a Chef server", self.request.action());
        let todo = "check url in [chef-server], and that a balancer or proxy passes it on to the Chef server";
        let fault = Fault::new(Kind::Protocol, what, &self.on, todo);
        self.arrived(fault.cause(self.answered(answer)).with_evidence("answer", said(answer)))
    }
}

#[cfg(test)]
mod tests {
    use super::{Unauthenticated, is_about_headers, is_about_time, unauthenticated};

    #[test]
    fn the_servers_texts_are_told_apart() {
        let clock = "Failed to authenticate as web1. Synchronize the clock on your host.";
        let nobody = "Failed to authenticate as 'web1'. Ensure that your node_name and client key are correct.";
        let other = "Invalid signature for user or client 'web1'";
        let goiardi = "failed to verify authorization";
        let headers = "missing required authentication header(s) 'X-Ops-UserId'";
        let protocol = "Unsupported authentication protocol version";
        assert!(is_about_time(clock));
        assert!(is_about_time("Authentication failed. Please check your system's clock."));
        assert!([nobody, other, goiardi].iter().all(|said| !is_about_time(said)));
        assert!([headers, protocol].iter().all(|said| is_about_headers(said)));
        assert!([clock, nobody, other, goiardi].iter().all(|said| !is_about_headers(said)));
        assert_eq!(unauthenticated(nobody), Unauthenticated::NoSuchClient);
        assert_eq!(unauthenticated(other), Unauthenticated::OtherKey);
        assert_eq!(unauthenticated(goiardi), Unauthenticated::Unclear);
    }
}
