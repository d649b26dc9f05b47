//! HTTP clients: one TLS stack, proxies, and a guard on every answer.

mod exceptions;
pub(super) mod proxy;
mod roots;
mod trace;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use aws_config::provider_config::ProviderConfig;
use aws_smithy_async::time::TimeSource;
use aws_smithy_http_client::Connector;
use aws_smithy_http_client::proxy::ProxyConfig;
use aws_smithy_http_client::tls::{self, TlsContext, TrustStore, rustls_provider::CryptoMode};
use aws_smithy_runtime_api::client::http::{
    HttpClient, HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpClient,
    SharedHttpConnector,
};
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
use aws_smithy_runtime_api::client::result::ConnectorError;
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;

use super::aws::environment::{Environment, Metadata, Roots};
use super::limited_body::Guard;
use super::{clock, timer};
use crate::fault::{Fault, Kind};
use proxy::Proxy;

pub use proxy::ProxyRefused;
pub use trace::{Skew, Trace};

const TLS: tls::Provider = tls::Provider::Rustls(CryptoMode::AwsLc);

/// Makes the HTTP clients for APIs, and for services on this host or link. The latter are never
/// asked through a proxy. Certificates of trusted CAs are read only when TLS is first used.
#[derive(Clone)]
pub struct HttpClients(Arc<Inner>);

struct Inner {
    proxy: Proxy,
    roots: Roots,
    /// The certificates of trusted CAs, in PEM.
    trusted: OnceLock<Result<Vec<u8>, Fault>>,
    metadata: Metadata,
    skew: Arc<Skew>,
    connectors: Mutex<BTreeMap<ConnectorKey, SharedHttpConnector>>,
    /// Connectors that replace the network: for APIs, and for services on this host.
    replacements: Option<(SharedHttpConnector, SharedHttpConnector)>,
}

/// What distinguishes connectors.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct ConnectorKey {
    limits: (Option<Duration>, Option<Duration>),
    is_secure: bool,
    proxy: Option<String>,
}

impl std::fmt::Debug for HttpClients {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("HttpClients")
    }
}

impl HttpClients {
    #[must_use]
    pub fn new(environment: &Environment) -> Self {
        Self::build(environment, None)
    }

    /// Clients over the given connectors instead of the network, for tests.
    #[must_use]
    pub fn with_connectors(
        environment: &Environment,
        api: SharedHttpConnector,
        local: SharedHttpConnector,
    ) -> Self {
        Self::build(environment, Some((api, local)))
    }

    fn build(
        environment: &Environment,
        replacements: Option<(SharedHttpConnector, SharedHttpConnector)>,
    ) -> Self {
        Self(Arc::new(Inner {
            proxy: Proxy::new(environment.proxies.clone()),
            roots: environment.roots.clone(),
            trusted: OnceLock::new(),
            metadata: environment.metadata.clone(),
            skew: Arc::default(),
            connectors: Mutex::default(),
            replacements,
        }))
    }

    /// The difference between the APIs' clock and ours.
    #[must_use]
    pub fn skew(&self) -> &Arc<Skew> {
        &self.0.skew
    }

    /// How the metadata service is reached.
    #[must_use]
    pub fn metadata(&self) -> &Metadata {
        &self.0.metadata
    }

    /// The proxy that the environment names for a URL.
    pub(super) fn proxy_of(&self, url: &str) -> Option<String> {
        self.0.proxy.of(url).map(str::to_owned)
    }

    /// The certificates of the CAs that this system trusts, in PEM.
    pub(super) fn system_roots(&self) -> Result<Vec<u8>, Fault> {
        self.0.trusted.get_or_init(|| roots::load(&self.0.roots)).clone()
    }

    /// A client for an API, through a proxy where one is set. It notes in the trace what it asks.
    pub(super) fn api(&self, trace: Arc<Trace>, guard: Guard) -> SharedHttpClient {
        SharedHttpClient::new(Client { net: self.clone(), api: Some(trace), guard })
    }

    /// The SDK's configuration for services on this host or link, which are asked directly.
    pub(super) fn local_config(&self, guard: Guard) -> ProviderConfig {
        let client = Client { net: self.clone(), api: None, guard };
        ProviderConfig::empty()
            .with_http_client(SharedHttpClient::new(client))
            .with_sleep_impl(aws_smithy_async::rt::sleep::TokioSleep::new())
            .with_time_source(Since1970)
    }

    /// Sends one request to a service on this host or link.
    pub(super) async fn ask_local(
        &self,
        request: HttpRequest,
        (connect, read): (Duration, Duration),
        guard: Guard,
    ) -> Result<HttpResponse, ConnectorError> {
        let (connect, read) = (timer::cut(connect), timer::cut(read));
        let settings =
            HttpConnectorSettings::builder().connect_timeout(connect).read_timeout(read).build();
        Connection { net: self.clone(), api: None, guard, settings }.call(request).await
    }

    /// Sends `GET` to an `http://` URL and notes the date of the answer, whatever it is.
    pub(super) async fn date_of(&self, url: &str, limit: Duration) -> Result<(), ConnectorError> {
        let request =
            HttpRequest::get(url).map_err(|error| ConnectorError::other(error.into(), None))?;
        let answer = self.ask_local(request, (limit, limit), |_, answer| answer).await?;
        if let Some(date) = answer.headers().get("date") {
            self.skew().note(date);
        }
        Ok(())
    }

    fn connector(
        &self,
        settings: &HttpConnectorSettings,
        is_secure: bool,
        proxy: Option<&str>,
    ) -> Result<SharedHttpConnector, Fault> {
        let limits = (settings.connect_timeout(), settings.read_timeout());
        let key = ConnectorKey { limits, is_secure, proxy: proxy.map(str::to_owned) };
        let mut connectors = self.0.connectors.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(connector) = connectors.get(&key) {
            return Ok(connector.clone());
        }
        let mut builder = Connector::builder().connector_settings(settings.clone());
        if let Some(url) = proxy {
            let config = ProxyConfig::all(url).map_err(|error| {
                let todo = "correct HTTPS_PROXY or HTTP_PROXY";
                Fault::new(Kind::Config, "the proxy can't be used", proxy::shown(url), todo)
                    .because(&error)
            })?;
            builder = builder.proxy_config(config);
        }
        let is_secure_proxy = proxy.is_some_and(|url| url.starts_with("https:"));
        let connector = if is_secure || is_secure_proxy {
            builder.tls_provider(TLS).tls_context(self.trust()?).build()
        } else {
            builder.build_http()
        };
        let connector = SharedHttpConnector::new(connector);
        connectors.insert(key, connector.clone());
        Ok(connector)
    }

    fn trust(&self) -> Result<TlsContext, Fault> {
        let trusted = self.system_roots()?;
        let mut store = TrustStore::empty();
        if !trusted.is_empty() {
            store = store.with_pem_certificate(trusted);
        }
        TlsContext::builder().with_trust_store(store).build().map_err(|error| {
            let todo = "this is a bug in enlist; please report it";
            Fault::new(Kind::Invariant, "TLS can't be set up", "trusted CAs", todo).because(&error)
        })
    }
}

/// This node's clock, never before 1970: the SDK panics on an earlier time. A clock without a
/// battery may show one.
#[derive(Debug)]
pub(super) struct Since1970;

impl TimeSource for Since1970 {
    fn now(&self) -> SystemTime {
        clock::system_now().max(UNIX_EPOCH)
    }
}

/// Guards answers, and compares the clocks by their `Date`.
#[derive(Debug)]
struct Client {
    net: HttpClients,
    /// Set for APIs; unset for what is on this host or link.
    api: Option<Arc<Trace>>,
    guard: Guard,
}

impl HttpClient for Client {
    fn http_connector(
        &self,
        settings: &HttpConnectorSettings,
        _: &RuntimeComponents,
    ) -> SharedHttpConnector {
        let (net, api, guard) = (self.net.clone(), self.api.clone(), self.guard);
        SharedHttpConnector::new(Connection { net, api, guard, settings: settings.clone() })
    }
}

#[derive(Debug)]
struct Connection {
    net: HttpClients,
    api: Option<Arc<Trace>>,
    guard: Guard,
    settings: HttpConnectorSettings,
}

impl HttpConnector for Connection {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let url = request.uri().to_owned();
        let inner = &self.net.0;
        let proxy = self.api.as_ref().and_then(|_| inner.proxy.of(&url)).map(str::to_owned);
        if let Some(trace) = &self.api {
            trace.record(proxy::shown(&url), proxy.as_deref().map(proxy::shown));
        }
        let connector = match (&inner.replacements, &self.api) {
            (Some((api, _)), Some(_)) => Ok(api.clone()),
            (Some((_, local)), None) => Ok(local.clone()),
            (None, _) => {
                let is_secure =
                    url.get(..6).is_some_and(|head| head.eq_ignore_ascii_case("https:"));
                self.net.connector(&self.settings, is_secure, proxy.as_deref())
            }
        };
        let connector = match connector {
            Ok(connector) => connector,
            Err(fault) => {
                return HttpConnectorFuture::ready(Err(ConnectorError::other(fault.into(), None)));
            }
        };
        let skew = self.api.as_ref().map(|_| inner.skew.clone());
        let (guard, method) = (self.guard, request.method().to_owned());
        let shown = proxy::shown(&url);
        HttpConnectorFuture::new(async move {
            let answer = connector.call(request).await;
            let status = answer.as_ref().ok().map(|answer| answer.status().as_u16());
            tracing::trace!(%method, url = shown, status, "HTTP");
            let answer = match proxy {
                Some(proxy) => through(&proxy, &url, answer).await?,
                None => answer?,
            };
            if let (Some(skew), Some(date)) = (skew, answer.headers().get("date")) {
                skew.note(date);
            }
            Ok(guard(&method, answer))
        })
    }
}

/// The answer of the API. An answer that the proxy gave itself is an error.
async fn through(
    proxy: &str,
    url: &str,
    answer: Result<HttpResponse, ConnectorError>,
) -> Result<HttpResponse, ConnectorError> {
    let refused = |status| {
        let refused = ProxyRefused { status, proxy: proxy::shown(proxy) };
        ConnectorError::other(refused.into(), None)
    };
    match answer {
        Ok(answer) => match answer.status().as_u16() {
            407 => Err(refused(407)),
            // Every answer of an AWS API has a request id.
            403 if answer.headers().get("x-amzn-requestid").is_none() => Err(refused(403)),
            _ => Ok(answer),
        },
        Err(error) => {
            let says = |what: &str| {
                crate::fault::chain(&error).any(|error| error.to_string().ends_with(what))
            };
            if says("proxy authorization required") {
                return Err(refused(407));
            }
            if says("tunnel error: unsuccessful")
                && let Some(status) = proxy::refusal(proxy, url).await
            {
                return Err(refused(status));
            }
            Err(error)
        }
    }
}
