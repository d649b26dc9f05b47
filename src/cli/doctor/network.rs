//! Checks of the way to the authority, and of what it permits.

use std::collections::BTreeSet;

use super::super::report;
use super::{Checks, Found};
use crate::bootstrap::{Effect, Event, clock_skew};
use crate::daemon::memberships::Known;
use crate::daemon::standing;
use crate::fault::{Fault, Kind};
use crate::host::reach::{self, Contact};
use crate::host::{Environment, Host, HttpClients, Root, clock};
use crate::targets::{Standing, Target};

/// Which CAs are trusted for servers that have none of their own.
pub fn trusted(environment: &Environment) -> String {
    let roots = &environment.roots;
    match (&roots.bundle, &roots.file, &roots.directories) {
        (Some((path, by)), ..) => format!("{path} ({by})"),
        (None, Some(path), _) => format!("{path} (SSL_CERT_FILE)"),
        (None, None, Some(path)) => format!("{path} (SSL_CERT_DIR)"),
        (None, None, None) => "the CAs that this system trusts".to_owned(),
    }
}

/// Whether the authority's servers can be reached: name, proxy, clock, TLS. Later checks are left out
/// where they would fail for the same reason.
pub async fn reach(
    host: &Host,
    clients: &HttpClients,
    target: &dyn Target,
    trusted: &str,
    checks: &mut Checks,
) -> bool {
    let mut contacts: Vec<Contact> = Vec::new();
    for request in target.trials() {
        for contact in host.contacts(&request) {
            if !contacts.contains(&contact) {
                contacts.push(contact);
            }
        }
    }
    if contacts.is_empty() {
        let why = "there is nothing to ask before the join".to_owned();
        checks.note("network", clock::instant(), Ok(Found::Skipped(why)));
        return true;
    }
    let mut is_reached = false;
    for contact in &contacts {
        is_reached |= Box::pin(one(clients, contact, trusted, checks)).await;
    }
    is_reached
}

async fn one(clients: &HttpClients, contact: &Contact, trusted: &str, checks: &mut Checks) -> bool {
    let began = clock::instant();
    if !checks.note("dns", began, reach::resolve(clients, contact).await.map(Found::Good)) {
        return false;
    }
    let began = clock::instant();
    let proxy = reach::proxy(clients, contact).await.map(|proxy| match proxy {
        Some(proxy) => Found::Good(format!("{proxy} for {}", contact.url)),
        None => Found::Skipped(format!("none for {}", contact.url)),
    });
    if !checks.note("proxy", began, proxy) {
        return false;
    }
    let began = clock::instant();
    let clock = reach::clock(clients, contact).await;
    // Without an answer, the next check says why.
    let is_wrong = clock_skew::describe(clients.skew().seconds()).is_some();
    match clock {
        Err(fault) if !is_wrong => {
            checks.note("connection", began, Err(fault));
            return false;
        }
        clock => {
            if !checks.note("clock", began, clock.map(Found::Good)) {
                return false;
            }
        }
    }
    let began = clock::instant();
    checks.note("tls", began, reach::tls(clients, contact, trusted).await.map(Found::Good))
}

/// Whether the engine reaches its server by its own settings.
pub async fn of_engine(host: &mut Host, target: &dyn Target, checks: &mut Checks) {
    for request in target.trials() {
        let began = clock::instant();
        if let Some(way) = host.agent_way(&request).await {
            checks.note("engine proxy", began, way.map(Found::Good));
        }
    }
}

/// Credentials, permissions, and what the authority says of this node.
pub async fn authority(
    root: &Root,
    known: &Known,
    host: &mut Host,
    target: &dyn Target,
    checks: &mut Checks,
) {
    let permissions = target.permissions();
    let needs = [permissions.join, permissions.reconcile, permissions.leave];
    if needs.iter().any(|list| !list.is_empty()) {
        let began = clock::instant();
        let found = host.credentials().await.map(|(source, end)| {
            let end = end.map(|end| format!(", until {}", crate::text::time(end)));
            Found::Good(format!("{source}{}", end.unwrap_or_else(|| ", without an end".to_owned())))
        });
        if !checks.note("credentials", began, found) {
            return;
        }
    }
    let mut tried = Vec::new();
    for request in target.trials() {
        let (began, action) = (clock::instant(), request.call().action());
        match host.perform(Effect::Call(request)).await {
            Event::Failed(fault) => {
                checks.note("permissions", began, Err(fault));
                return;
            }
            _ => tried.push(action),
        }
    }
    checks.run("permissions", || {
        let is_tried =
            |action: &str| tried.iter().any(|tried| action.ends_with(&format!(":{tried}")));
        let all: BTreeSet<&str> = needs.into_iter().flatten().copied().collect();
        let untried: Vec<&str> = all.into_iter().filter(|action| !is_tried(action)).collect();
        let tried = if tried.is_empty() { "none".to_owned() } else { tried.join(", ") };
        let rest = if untried.is_empty() {
            String::new()
        } else {
            format!(
                "; not tried, because they change something or need a membership: {}",
                untried.join(", ")
            )
        };
        Ok(Found::Good(format!("granted: {tried}{rest}")))
    });
    let began = clock::instant();
    let is_member = super::engine::is_member(root, known.id);
    let asked = standing::ask(root, known).await;
    checks.note("authority", began, asked.and_then(|standing| found(standing, target, is_member)));
}

fn found(standing: Standing, target: &dyn Target, is_member: bool) -> Result<Found, Fault> {
    match standing {
        Standing::Present(what) => Ok(Found::Good(format!("it has this node: {what}"))),
        Standing::Reachable if is_member => Ok(Found::Good(report::NOT_SAID.to_owned())),
        Standing::Reachable => Ok(Found::Good(format!("{} is ready", target.authority_name()))),
        Standing::NotAsked => Ok(Found::Skipped("there is nothing to ask it now".to_owned())),
        Standing::Absent { what, todo } => {
            Err(Fault::new(Kind::Rejected, what, target.authority_name(), todo))
        }
    }
}
