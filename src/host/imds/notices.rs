//! Notices that this instance is about to be terminated.

use aws_config::imds::client::Client;
use serde::Deserialize;

use super::endpoint::{self, Endpoint};
use super::{answer, client, may_be_ec2};
use crate::host::net::HttpClients;
use crate::host::root::Root;

/// Asks repeatedly whether this instance is about to be terminated, in one session.
pub struct Notices {
    client: Client,
    net: HttpClients,
    endpoint: Endpoint,
}

/// `spot/instance-action` (EC2 user guide, "Spot Instance interruption notices").
#[derive(Deserialize)]
struct SpotAction {
    action: String,
    time: Option<String>,
}

impl Notices {
    /// None if this can't be an EC2 instance.
    #[must_use]
    pub fn new(root: &Root, net: &HttpClients) -> Option<Self> {
        if !may_be_ec2(root, net.metadata()) {
            return None;
        }
        let endpoint = endpoint::remembered(net.metadata());
        let client = client(net, &endpoint).ok()?;
        Some(Self { client, net: net.clone(), endpoint })
    }

    /// The notice, for people; none if there is none, or if the service does not answer.
    pub async fn termination(&mut self) -> Option<String> {
        self.follow_endpoint();
        let (spot, group) = tokio::join!(
            self.ask("/latest/meta-data/spot/instance-action"),
            self.ask("/latest/meta-data/autoscaling/target-lifecycle-state"),
        );
        spot.and_then(|text| spot_termination(&text))
            .or(group.and_then(|state| group_termination(&state)))
            .map(|notice| crate::text::line(&notice))
    }

    async fn ask(&self, path: &str) -> Option<String> {
        match self.client.get(path).await {
            Ok(text) => Some(String::from(text)),
            Err(error) => {
                tracing::trace!(path, failure = ?answer::classify(&error), "no notice");
                None
            }
        }
    }

    /// Changes to the endpoint that a join found to answer; before that, the first one is asked.
    fn follow_endpoint(&mut self) {
        let found = endpoint::remembered(self.net.metadata());
        if found == self.endpoint {
            return;
        }
        if let Ok(client) = client(&self.net, &found) {
            (self.client, self.endpoint) = (client, found);
        }
    }
}

fn spot_termination(text: &str) -> Option<String> {
    let notice: SpotAction = serde_json::from_str(text).ok()?;
    let time = notice.time.unwrap_or_else(|| "an unknown time".to_owned());
    // A stopped or hibernated instance comes back with the same identity.
    (notice.action == "terminate").then(|| format!("EC2 terminates this Spot instance at {time}"))
}

/// `Terminated`, and `Warmed:Terminated` in a warm pool (EC2 Auto Scaling user guide, "Retrieve
/// the target lifecycle state through instance metadata").
fn group_termination(state: &str) -> Option<String> {
    let is_terminated = state.trim().rsplit(':').next() == Some("Terminated");
    is_terminated.then(|| "its Auto Scaling group terminates this instance".to_owned())
}

#[cfg(test)]
mod tests {
    use super::{group_termination, spot_termination};

    #[test]
    fn only_a_termination_of_a_spot_instance_is_a_notice() {
        let notice = spot_termination(r#"{"action":"terminate","time":"2026-01-01T00:00:00Z"}"#);
        assert!(notice.unwrap().contains("2026-01-01T00:00:00Z"));
        assert!(spot_termination(r#"{"action":"terminate"}"#).is_some());
        for other in [r#"{"action":"stop"}"#, r#"{"action":"hibernate"}"#, "{}", "<html>", ""] {
            assert_eq!(spot_termination(other), None, "{other}");
        }
    }

    #[test]
    fn only_a_terminated_state_of_a_group_is_a_notice() {
        for state in ["Terminated", "Warmed:Terminated\n"] {
            assert!(group_termination(state).is_some(), "{state}");
        }
        for state in ["InService", "Warmed:Stopped", "Terminated:Wait", ""] {
            assert!(group_termination(state).is_none(), "{state}");
        }
    }
}
