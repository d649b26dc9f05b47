//! The endpoint of the metadata service.

use std::sync::atomic::{AtomicBool, Ordering};

use aws_config::imds::client::{Builder, EndpointMode};

use super::answer::Failure;
use crate::host::aws::environment::Metadata;

/// Whether the IPv6 endpoint answered last. One value for the process: routes are the machine's,
/// and later requests for credentials use the same endpoint.
static IS_IPV6: AtomicBool = AtomicBool::new(false);

/// An endpoint: one of the service's two addresses (EC2 user guide, "Use IMDS"), or one that is set.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Endpoint {
    Set(String),
    IpV4,
    IpV6,
}

impl Endpoint {
    /// The URL, for messages.
    pub fn url(&self) -> String {
        match self {
            Self::Set(url) => url.clone(),
            Self::IpV4 => "http://169.254.169.254".to_owned(),
            Self::IpV6 => "http://[fd00:ec2::254]".to_owned(),
        }
    }

    /// Sets this endpoint for an SDK client.
    pub fn set(&self, builder: Builder) -> Result<Builder, Failure> {
        match self {
            Self::Set(url) => builder
                .endpoint(url)
                .map_err(|error| Failure::transient(&format!("it is not an endpoint: {error}"))),
            Self::IpV4 => Ok(builder),
            Self::IpV6 => Ok(builder.endpoint_mode(EndpointMode::IpV6)),
        }
    }
}

/// The endpoints in the order in which they are tried. The next one is tried only if there is no
/// route to the one before.
pub fn candidates(metadata: &Metadata) -> Vec<Endpoint> {
    match (&metadata.endpoint, metadata.is_ipv6) {
        (Some(url), _) => vec![Endpoint::Set(url.clone())],
        (None, Some(true)) => vec![Endpoint::IpV6],
        (None, Some(false)) => vec![Endpoint::IpV4],
        (None, None) => vec![Endpoint::IpV4, Endpoint::IpV6],
    }
}

/// Notes the endpoint that answered.
pub fn remember(endpoint: &Endpoint) {
    IS_IPV6.store(*endpoint == Endpoint::IpV6, Ordering::Relaxed);
}

/// The endpoint that answered last, or the first candidate.
pub fn remembered(metadata: &Metadata) -> Endpoint {
    let candidates = candidates(metadata);
    if IS_IPV6.load(Ordering::Relaxed) && candidates.contains(&Endpoint::IpV6) {
        return Endpoint::IpV6;
    }
    candidates.into_iter().next().unwrap_or(Endpoint::IpV4)
}

#[cfg(test)]
mod tests {
    use super::{Endpoint, Metadata, candidates};

    #[test]
    fn an_endpoint_or_a_protocol_that_is_set_is_the_only_candidate() {
        let metadata = |endpoint: Option<&str>, is_ipv6| Metadata {
            endpoint: endpoint.map(str::to_owned),
            is_ipv6,
            ..Metadata::default()
        };
        let set = Endpoint::Set("http://h".to_owned());
        assert_eq!(candidates(&metadata(Some("http://h"), Some(true))), [set]);
        assert_eq!(candidates(&metadata(None, Some(true))), [Endpoint::IpV6]);
        assert_eq!(candidates(&metadata(None, Some(false))), [Endpoint::IpV4]);
        assert_eq!(candidates(&metadata(None, None)), [Endpoint::IpV4, Endpoint::IpV6]);
    }
}
