//! Whether this instance is about to end.

use aws_config::imds::client::Client;
use serde::Deserialize;

use super::endpoint::{self, Endpoint};
use super::{answer, client, may_be_ec2};
use crate::host::net::HttpClients;
use crate::host::root::Root;

/// Asks again and again whether this instance is about to end; one session for all of it.
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
    /// None where this can't be an EC2 instance.
    #[must_use]
    pub fn new(root: &Root, net: &HttpClients) -> Option<Self> {
        if !may_be_ec2(root, net.metadata()) {
            return None;
        }
        let endpoint = endpoint::remembered(net.metadata());
        let client = client(net, &endpoint).ok()?;
        Some(Self { client, net: net.clone(), endpoint })
    }

    /// What was announced, for people; none while nothing is. A service that does not answer has
    /// announced nothing.
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

    /// A join finds out which endpoint answers; until then this asks the first one.
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
    let told: SpotAction = serde_json::from_str(text).ok()?;
    let time = told.time.unwrap_or_else(|| "an unknown time".to_owned());
    // Those that are stopped or hibernated come back, as who they are.
    (told.action == "terminate").then(|| format!("EC2 takes this Spot instance back at {time}"))
}

/// `Terminated`, and `Warmed:Terminated` in a warm pool (EC2 Auto Scaling user guide, "Retrieve
/// the target lifecycle state through instance metadata").
fn group_termination(state: &str) -> Option<String> {
    let ends = state.trim().rsplit(':').next() == Some("Terminated");
    ends.then(|| "its Auto Scaling group terminates this instance".to_owned())
}
