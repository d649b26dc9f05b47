//! TLS at the endpoints of servers: each shows a certificate of the account's CA; Puppet servers ask
//! for the client's.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use rustls::crypto::aws_lc_rs::default_provider;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{
    CertificateDer, CertificateRevocationListDer, PrivateKeyDer, PrivatePkcs8KeyDer, UnixTime,
};
use rustls::server::{Acceptor, NoServerSessionStorage, WebPkiClientVerifier};
use rustls::time_provider::TimeProvider;
use rustls::{RootCertStore, ServerConfig};
use tokio::net::TcpStream;
use tokio_rustls::LazyConfigAcceptor;
use tokio_rustls::server::TlsStream;

use crate::control::{Family, Greeting};
use crate::http::Connection;
use crate::shared::Shared;

/// The keys and certificates that servers show, by server: made when one is first asked for, and
/// again when the CA or its revocation list has changed.
#[derive(Default)]
pub struct Tls {
    made: Mutex<BTreeMap<String, (String, Arc<ServerConfig>)>>,
}

/// Certificates are judged by the emulator's clock, as all else is.
struct Clock(Weak<Shared>);

impl std::fmt::Debug for Clock {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("Clock")
    }
}

impl TimeProvider for Clock {
    fn current_time(&self) -> Option<UnixTime> {
        let now = self.0.upgrade()?.now();
        Some(UnixTime::since_unix_epoch(Duration::from_millis(now.unix_ms())))
    }
}

impl Tls {
    /// Begins a connection. None when it cannot: no server answers at that name, or the client
    /// showed a certificate that is not good.
    pub async fn accept(
        &self,
        stream: TcpStream,
        family: Family,
        shared: &Arc<Shared>,
    ) -> Option<(TlsStream<TcpStream>, Connection)> {
        let begun = async {
            let start = LazyConfigAcceptor::new(Acceptor::default(), stream).await.ok()?;
            let name = start.client_hello().server_name().map(str::to_owned);
            let greeting = shared.control().greet(shared.now(), family, name.as_deref())?;
            let config = self.config(&greeting, family, shared)?;
            let stream = start.into_stream(config).await.ok()?;
            let certificates = stream.get_ref().1.peer_certificates();
            let certificate = certificates.and_then(<[_]>::first).map(|der| der.to_vec());
            let is_of_this_ca = certificate.is_some();
            Some((stream, Connection { server: greeting.server, certificate, is_of_this_ca }))
        };
        tokio::time::timeout(shared.read_timeout, begun).await.ok().flatten()
    }

    /// Begins a connection to AWS's APIs.
    pub async fn accept_api(
        &self,
        stream: TcpStream,
        shared: &Arc<Shared>,
    ) -> Option<TlsStream<TcpStream>> {
        let begun = async {
            let start = LazyConfigAcceptor::new(Acceptor::default(), stream).await.ok()?;
            let greeting = shared.control().greet_api();
            let config = self.config(&greeting, Family::Sts, shared)?;
            start.into_stream(config).await.ok()
        };
        tokio::time::timeout(shared.read_timeout, begun).await.ok().flatten()
    }

    fn config(
        &self,
        greeting: &Greeting,
        family: Family,
        shared: &Arc<Shared>,
    ) -> Option<Arc<ServerConfig>> {
        let mut made = self.made.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((version, config)) = made.get(&greeting.server)
            && *version == greeting.version
        {
            return Some(Arc::clone(config));
        }
        let config = Arc::new(new_config(greeting, family, shared)?);
        let entry = (greeting.version.clone(), Arc::clone(&config));
        made.insert(greeting.server.clone(), entry);
        Some(config)
    }
}

fn new_config(greeting: &Greeting, family: Family, shared: &Arc<Shared>) -> Option<ServerConfig> {
    let provider = Arc::new(default_provider());
    let clock = Arc::new(Clock(Arc::downgrade(shared)));
    let names: Vec<_> = greeting.names.iter().chain(&shared.hosts).cloned().collect();
    let (identity, bundle, lists) = {
        let mut control = shared.control();
        let identity = control.server_identity(shared.now(), &greeting.server, &names).ok()?;
        let lists = control.revocation_list(&greeting.server).unwrap_or_default();
        (identity, control.ca_bundle().to_owned(), lists)
    };
    let builder = ServerConfig::builder_with_details(Arc::clone(&provider), clock);
    let builder = builder.with_safe_default_protocol_versions().ok()?;
    let builder = if family == Family::PuppetCa {
        let mut roots = RootCertStore::empty();
        let certificates = CertificateDer::pem_slice_iter(bundle.as_bytes()).flatten();
        roots.add_parsable_certificates(certificates);
        let lists = CertificateRevocationListDer::pem_slice_iter(lists.as_bytes()).flatten();
        let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider)
            .with_crls(lists)
            .allow_unknown_revocation_status()
            .allow_unauthenticated();
        builder.with_client_cert_verifier(verifier.build().ok()?)
    } else {
        builder.with_no_client_auth()
    };
    let chain = identity.chain.into_iter().map(CertificateDer::from).collect();
    let key = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(identity.key));
    let mut config = builder.with_single_cert(chain, key).ok()?;
    // A session that is taken up again is one whose certificate nobody looks at again.
    config.session_storage = Arc::new(NoServerSessionStorage {});
    config.send_tls13_tickets = 0;
    Some(config)
}
