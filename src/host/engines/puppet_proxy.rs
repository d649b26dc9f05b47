//! Whether Puppet's agent reaches its server by its own settings, where these name another way than that
//! of enlist.

use std::time::Duration;

use tokio::time::timeout;

use super::puppet_service::variables;
use crate::engines::Observed;
use crate::engines::puppet::proxy::{self, Way};
use crate::fault::{Fault, Kind};
use crate::host::https::{self, place};
use crate::host::net::HttpClients;
use crate::host::net::proxy::{shown, tunnel};
use crate::host::root::Root;
use crate::host::timer;
use crate::targets::address::bracketed;
use crate::targets::puppet_server::api;
use crate::targets::{Answer, Request};

/// How long the proxy may take to connect to the server.
const LIMIT: Duration = Duration::from_secs(5);

/// What is known of the agent and its server.
#[derive(Debug, Default)]
pub struct AgentWay {
    /// Where `puppet.conf` is. None: the engine is not Puppet.
    confdir: Option<String>,
    /// The server that enlist has asked, and the agent will ask. None: the agent's server is not asked.
    pub server: Option<AgentServer>,
}

/// A Puppet Server.
#[derive(Clone, Debug)]
pub struct AgentServer {
    host: String,
    port: u16,
}

impl AgentServer {
    /// The first server of a request to a Puppet Server.
    #[must_use]
    pub fn of(request: &Request) -> Option<Self> {
        let Request::PuppetCa(request) = request else { return None };
        Some(Self { host: request.servers.first()?.clone(), port: request.port })
    }

    /// Takes the one that has answered, where the answer says it.
    pub fn answered(&mut self, answer: &Answer) {
        if let Answer::PuppetCa(api::Answer::RevocationLists(found)) = answer {
            self.host.clone_from(&found.server);
        }
    }
}

impl AgentWay {
    pub fn observed(&mut self, observed: &Observed) {
        self.confdir = observed.puppet.as_ref().map(|site| site.confdir.clone());
    }

    /// How the agent reaches the server, for messages; none where that can't be told. A way that is not
    /// enlist's own is tried.
    ///
    /// # Errors
    /// `Host` if the server can't be reached by it. The agent's first run would fail.
    pub async fn check(&self, root: &Root, clients: &HttpClients) -> Option<Result<String, Fault>> {
        let (confdir, server) = (self.confdir.as_deref()?, self.server.as_ref()?);
        Some(check(root, clients, confdir, server).await)
    }

    /// What may help where enlist did not reach the server directly, and the agent has a proxy.
    #[must_use]
    pub fn hint(
        &self,
        root: &Root,
        clients: &HttpClients,
        AgentServer { host, port }: &AgentServer,
        fault: &Fault,
    ) -> Option<String> {
        let is_unreached = fault.is_unsent && fault.kind == Kind::Transient;
        let ours = clients.proxy_of(&format!("https://{}", place(host, *port)));
        let confdir = self.confdir.as_deref().filter(|_| is_unreached && ours.is_none())?;
        let Way { proxy, place: decided } = way_to(root, confdir, host, *port);
        let (name, proxy_port) = proxy?;
        Some(format!(
            "Puppet's agent goes through a proxy ({decided}), and enlist does not: if the server is reached so, HTTPS_PROXY=http://{} in /etc/default/enlist or /etc/sysconfig/enlist",
            place(&name, proxy_port)
        ))
    }
}

async fn check(
    root: &Root,
    clients: &HttpClients,
    confdir: &str,
    AgentServer { host, port }: &AgentServer,
) -> Result<String, Fault> {
    let server = place(host, *port);
    let ours = clients.proxy_of(&format!("https://{server}")).map(|url| shown(&url));
    let Way { proxy, place: decided } = way_to(root, confdir, host, *port);
    let Some((name, proxy_port)) = proxy else {
        let Some(ours) = ours else { return Ok("directly".to_owned()) };
        return match https::tcp(host, *port).await {
            Ok(_) => Ok(format!("directly ({decided}), and enlist through {ours}")),
            Err(why) => {
                let todo = format!(
                    "have the agent use enlist's proxy: http_proxy_host and http_proxy_port of {ours} in {confdir}/puppet.conf"
                );
                let why = format!("{server}: {why}");
                Err(unreached("directly", &decided, &todo).cause(why))
            }
        };
    };
    let theirs = format!("http://{}", place(&name, proxy_port));
    if ours.as_deref() == Some(&*theirs) {
        return Ok(format!("through {theirs}, as enlist"));
    }
    let through = async {
        let mut stream = https::tcp(&name, proxy_port).await?;
        let status = timeout(timer::cut(LIMIT), tunnel(&mut stream, None, &server)).await;
        let status = status.map_err(|_| format!("no answer in {} s", LIMIT.as_secs()))?;
        match status.map_err(|error| error.to_string())? {
            // A login may be set for the agent.
            200..=299 | 407 => Ok(()),
            status => Err(format!("it answered with HTTP status {status}")),
        }
    };
    let by = format!("through the proxy {theirs}");
    match through.await {
        Ok(()) => Ok(format!("{by} ({decided}), and enlist {}", own(ours.as_deref()))),
        Err(why) => {
            let todo = format!(
                "correct what is named here, or add {host} to no_proxy in {confdir}/puppet.conf; enlist reaches the server {}",
                own(ours.as_deref())
            );
            Err(unreached(&by, &decided, &todo).cause(format!("{theirs}: {why}")))
        }
    }
}

fn own(ours: Option<&str>) -> String {
    ours.map_or_else(|| "directly".to_owned(), |proxy| format!("through {proxy}"))
}

fn unreached(by: &str, decided: &str, todo: &str) -> Fault {
    let what = format!("Puppet's agent goes to its server {by}, and does not reach it");
    Fault::new(Kind::Host, what, decided, todo)
}

fn way_to(root: &Root, confdir: &str, host: &str, port: u16) -> Way {
    let conf = format!("{confdir}/puppet.conf");
    let text = root.text(&conf).unwrap_or_default();
    let host = bracketed(host);
    proxy::way(&conf, &text, &variables(root), &host, port)
}
