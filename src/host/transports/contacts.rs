//! Where the services are, for `enlist doctor`.

use aws_smithy_types::DateTime;

use super::{ServiceId, Transports};
use crate::host::https;
use crate::host::reach::Contact;
use crate::targets::Request;
use crate::targets::puppet_server::api::Trust;

impl Transports {
    /// Where a request would go. Empty where no region is known, so that no endpoint is.
    #[must_use]
    pub fn contacts(&self, request: &Request) -> Vec<Contact> {
        let service = match request {
            Request::OpsworksCm(_) => ServiceId::OpsworksCm,
            Request::OpsworksStacks(_) => ServiceId::OpsworksStacks,
            Request::SystemsManager(_) => ServiceId::SystemsManager,
            Request::ChefServer(request) => {
                let url = format!("https://{}", request.url.place());
                return vec![Contact { url, ca: request.ca.clone(), unchecked: None }];
            }
            Request::PuppetCa(request) => {
                let contact = |server: &String| Contact {
                    url: format!("https://{}", https::place(server, request.port)),
                    ca: match &request.trust {
                        Trust::Ca { ca, .. } => Some(ca.clone()),
                        Trust::Pinned | Trust::FirstUse => None,
                    },
                    unchecked: match &request.trust {
                        Trust::Ca { .. } => None,
                        Trust::Pinned => Some("a pin, which is compared when a node joins"),
                        Trust::FirstUse => {
                            Some("nothing: trust_on_first_use takes any CA when a node joins")
                        }
                    },
                };
                return request.servers.iter().map(contact).collect();
            }
        };
        let url =
            self.environment.endpoints.get(&service).cloned().or_else(|| self.default_of(service));
        url.into_iter().map(|url| Contact { url, ca: None, unchecked: None }).collect()
    }

    /// The SDK's endpoint of a service (AWS General Reference, "Service endpoints").
    fn default_of(&self, service: ServiceId) -> Option<String> {
        let region = self.region()?;
        let name = match service {
            ServiceId::OpsworksCm => "opsworks-cm",
            ServiceId::OpsworksStacks => "opsworks",
            ServiceId::SystemsManager => "ssm",
            ServiceId::Sts => "sts",
        };
        let fips = if self.environment.fips { "-fips" } else { "" };
        let suffix = match (self.environment.dualstack, region.starts_with("cn-")) {
            (true, true) => "api.amazonwebservices.com.cn",
            (true, false) => "api.aws",
            (false, true) => "amazonaws.com.cn",
            (false, false) => "amazonaws.com",
        };
        Some(format!("https://{name}{fips}.{region}.{suffix}"))
    }

    /// Fetches credentials. Returns their source, and when they expire (Unix seconds).
    ///
    /// # Errors
    /// As for a call.
    pub async fn credentials(&mut self) -> Result<(String, Option<i64>), crate::fault::Fault> {
        let described = self.environment.credential_sources.first();
        let described = described.map(|(source, by)| format!("{} ({by})", source.describe()));
        let end = self.session()?.credentials().await?.expiry();
        let end = end.map(|end| DateTime::from(end).secs());
        Ok((described.unwrap_or_else(|| "no source".to_owned()), end))
    }
}
