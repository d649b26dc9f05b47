//! The network: one TLS stack, and no answer read without a bound.

use aws_config::provider_config::ProviderConfig;
use aws_smithy_http_client::Connector;
use aws_smithy_http_client::proxy::ProxyConfig;
use aws_smithy_http_client::tls::{self, rustls_provider::CryptoMode};
use aws_smithy_runtime_api::client::http::{
    HttpClient, HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpClient,
    SharedHttpConnector,
};
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use aws_smithy_types::body::SdkBody;

use super::guard::Guarded;
use super::variables;

/// The largest answer of an API, in bytes. A server with its attributes or a page of 50 instances
/// takes some tens of KiB.
pub const LARGEST_ANSWER: usize = 1024 * 1024;

/// The largest answer of the metadata service: an identity document or a signature takes 2 KiB,
/// a role's credentials take 4.
pub const LARGEST_METADATA: usize = 64 * 1024;

/// The one TLS stack (rustls on AWS-LC), in two clients: the APIs' goes through the proxy that the
/// environment names (`HTTPS_PROXY`, `HTTP_PROXY`, `NO_PROXY`), the one for what is on this very
/// host or link never does.
#[derive(Clone, Debug)]
pub struct Net {
    api: SharedHttpClient,
    local: SharedHttpClient,
}

impl Net {
    #[must_use]
    pub fn new() -> Self {
        let local = aws_smithy_http_client::Builder::new().tls_provider(TLS).build_https();
        let api = if is_proxied() { through_proxy() } else { local.clone() };
        Self::of(api, local)
    }

    /// Over these clients, whatever they lead to.
    #[must_use]
    pub fn of(api: SharedHttpClient, local: SharedHttpClient) -> Self {
        Self { api: bounded(api, LARGEST_ANSWER), local: bounded(local, LARGEST_METADATA) }
    }

    pub(super) fn api(&self) -> SharedHttpClient {
        self.api.clone()
    }

    /// For metadata and container credentials.
    pub(super) fn local_config(&self) -> ProviderConfig {
        ProviderConfig::default().with_http_client(self.local.clone())
    }

    pub(super) fn api_config(&self) -> ProviderConfig {
        ProviderConfig::default().with_http_client(self.api.clone())
    }
}

impl Default for Net {
    fn default() -> Self {
        Self::new()
    }
}

const TLS: tls::Provider = tls::Provider::Rustls(CryptoMode::AwsLc);

fn is_proxied() -> bool {
    const NAMES: [&str; 6] =
        ["HTTPS_PROXY", "https_proxy", "HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"];
    NAMES.iter().any(|name| variables::variable(name).is_some_and(|value| !value.is_empty()))
}

fn through_proxy() -> SharedHttpClient {
    aws_smithy_http_client::Builder::new().build_with_connector_fn(|settings, components| {
        let mut builder = Connector::builder().proxy_config(ProxyConfig::from_env());
        if let Some(settings) = settings {
            builder = builder.connector_settings(settings.clone());
        }
        builder.set_sleep_impl(components.and_then(RuntimeComponents::sleep_impl));
        builder.tls_provider(TLS).build()
    })
}

fn bounded(inner: SharedHttpClient, limit: usize) -> SharedHttpClient {
    SharedHttpClient::new(BoundedClient { inner, limit })
}

/// A client whose answers end in an error where they are larger than the limit, or too deep.
#[derive(Debug)]
struct BoundedClient {
    inner: SharedHttpClient,
    limit: usize,
}

impl HttpClient for BoundedClient {
    fn http_connector(
        &self,
        settings: &HttpConnectorSettings,
        components: &RuntimeComponents,
    ) -> SharedHttpConnector {
        let inner = self.inner.http_connector(settings, components);
        SharedHttpConnector::new(BoundedConnector { inner, limit: self.limit })
    }
}

#[derive(Debug)]
struct BoundedConnector {
    inner: SharedHttpConnector,
    limit: usize,
}

impl HttpConnector for BoundedConnector {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        // Nothing but metadata's tokens is asked for so.
        let is_token = request.method() == "PUT";
        let guarded = if is_token { Guarded::token } else { Guarded::new };
        let (answer, limit) = (self.inner.call(request), self.limit);
        HttpConnectorFuture::new(async move {
            let answer: HttpResponse = answer.await?;
            Ok(answer.map(|body| SdkBody::from_body_1_x(guarded(body, limit))))
        })
    }
}
