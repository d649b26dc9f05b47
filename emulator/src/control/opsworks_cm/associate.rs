//! Associating and disassociating nodes, and asking how far that is.

use std::sync::Arc;

use serde_json::{Value, json};

use super::OpsWorksCm;
use super::applicant::{self, Applicant};
use super::association::{Association, Outcome, Ticket};
use super::server::SERVER_NAME;
use crate::ca::{Order, WrongCertificate};
use crate::control::Context;
use crate::control::fault::FaultKind;
use crate::control::validate::{Members, Pattern, Text};
use crate::error::ApiError;
use crate::now::Now;

/// `NodeName`.
const NODE_NAME: Text = Text {
    pattern: Some(Pattern { text: r"^[\-\p{Alnum}_:.]+$", fits: is_node_name }),
    ..Text::ANY
};

fn is_node_name(text: &str) -> bool {
    !text.is_empty()
        && text.chars().all(|letter| letter.is_ascii_alphanumeric() || "-_:.".contains(letter))
}

/// "By default only one organization named `default` can exist", the reference says. The service
/// takes another name, and finds out when it asks the Chef server: the association fails.
const ORGANIZATION: &str = "default";

impl OpsWorksCm {
    pub(super) fn associate_node(
        &mut self,
        context: &mut Context<'_>,
        mut members: Members<'_>,
    ) -> Result<Value, ApiError> {
        let server_name = members.text("ServerName", &SERVER_NAME)?;
        let node_name = members.text("NodeName", &NODE_NAME)?;
        let attributes = members.attributes("EngineAttributes", true)?;
        members.finish()?;

        let engine = self.healthy_server(server_name, context.now)?.engine;
        let applicant = Applicant::of(engine, &attributes, context.authority)?;
        let key = (server_name.to_owned(), node_name.to_owned());
        let earlier = self.associations.get(&key);
        let holder = earlier.filter(|earlier| earlier.holds(context.now));
        if holder.is_some_and(|holder| holder.public_key != applicant.public_key) {
            return Err(ApiError::Validation(format!(
                "A node named '{node_name}' with another key is already associated."
            )));
        }
        // The same node once more is the same association, under one more token.
        let association = match holder {
            Some(same) if !context.ails_association() && !self.is_old(same, context.now) => {
                Association { calls: same.calls.saturating_add(1), ..same.clone() }
            }
            _ => Association {
                outcome: Arc::new(self.outcome(context, node_name, &applicant)),
                issued_at: context.now,
                public_key: applicant.public_key,
                csr: applicant.csr.map(|(text, _)| text),
                organization: applicant.organization,
                resolves_at: context.now.plus(self.settings.association_time),
                calls: earlier.map_or(0, |earlier| earlier.calls).saturating_add(1),
            },
        };
        let token = self.issue(context, server_name, &association.outcome, association.resolves_at);
        self.associations.insert(key, association);
        Ok(token)
    }

    pub(super) fn disassociate_node(
        &mut self,
        context: &mut Context<'_>,
        mut members: Members<'_>,
    ) -> Result<Value, ApiError> {
        let server_name = members.text("ServerName", &SERVER_NAME)?;
        let node_name = members.text("NodeName", &NODE_NAME)?;
        let attributes = members.attributes("EngineAttributes", false)?;
        members.finish()?;

        let engine = self.healthy_server(server_name, context.now)?.engine;
        let organization = applicant::leaving(engine, &attributes)?;
        let key = (server_name.to_owned(), node_name.to_owned());
        let known = self.associations.get(&key).filter(|known| known.holds(context.now));
        let unknown = || {
            ApiError::ResourceNotFound(format!(
                "No node named '{node_name}' is associated with the server '{server_name}'."
            ))
        };
        let member_of = known.ok_or_else(unknown)?.organization.as_deref();
        let outcome = match context.fault {
            Some(FaultKind::Failed) => failed("injected"),
            _ if organization != member_of => failed("the node is of another organization"),
            _ => Outcome::Left,
        };
        if outcome == Outcome::Left {
            self.associations.remove(&key);
        }
        let resolves_at = context.now.plus(self.settings.disassociation_time);
        Ok(self.issue(context, server_name, &Arc::new(outcome), resolves_at))
    }

    pub(super) fn describe_status(
        &self,
        context: &Context<'_>,
        mut members: Members<'_>,
    ) -> Result<Value, ApiError> {
        let token = members.text("NodeAssociationStatusToken", &Text::ANY)?;
        let server_name = members.text("ServerName", &SERVER_NAME)?;
        members.finish()?;

        let now = context.now;
        let server = self.server(server_name)?;
        let ticket = self.tickets.get(token).filter(|ticket| {
            ticket.server == server.name && ticket.is_recent(now, self.settings.token_lifetime)
        });
        let unknown = || {
            ApiError::ResourceNotFound(
                "No recent association or disassociation request with this token.".to_owned(),
            )
        };
        Ok(ticket.ok_or_else(unknown)?.describe(now, context.authority.bundle()))
    }

    /// Whether the certificate of this association is in the second half of its life.
    fn is_old(&self, association: &Association, now: Now) -> bool {
        now >= association.issued_at.plus(self.settings.certificate_lifetime / 2)
    }

    /// Decides how a new association ends, and signs the certificate.
    fn outcome(
        &self,
        context: &mut Context<'_>,
        node_name: &str,
        applicant: &Applicant,
    ) -> Outcome {
        let wrong = match context.fault {
            Some(FaultKind::Failed) => return failed("injected"),
            Some(FaultKind::Certificate(wrong)) => Some(wrong),
            _ => None,
        };
        if applicant.organization.as_deref().is_some_and(|name| name != ORGANIZATION) {
            return failed("the Chef server has no organization of this name");
        }
        let csr = applicant.csr.as_ref().filter(|_| wrong != Some(WrongCertificate::None));
        let Some((_, csr)) = csr else {
            return Outcome::Joined { certificate: None };
        };
        // RFC 5280 wants a positive serial; a random one does not meet those the CA gave out before.
        let serial = (context.random.next_u64() >> 1) | 1 << 62;
        let lifetime = self.settings.certificate_lifetime;
        let order = Order { csr, node_name, serial, lifetime, wrong };
        match context.authority.sign(context.now, &order) {
            Ok(certificate) => Outcome::Joined { certificate: Some(certificate) },
            Err(refusal) => Outcome::Failed { reason: refusal.to_string() },
        }
    }

    /// Gives out a token, and makes the response that carries it.
    fn issue(
        &mut self,
        context: &mut Context<'_>,
        server_name: &str,
        outcome: &Arc<Outcome>,
        resolves_at: Now,
    ) -> Value {
        let token = context.random.uuid();
        let ticket = Ticket {
            server: server_name.to_owned(),
            issued_at: context.now,
            resolves_at,
            outcome: Arc::clone(outcome),
        };
        self.tickets.insert(token.clone(), ticket);
        json!({ "NodeAssociationStatusToken": token })
    }
}

fn failed(reason: &str) -> Outcome {
    Outcome::Failed { reason: reason.to_owned() }
}
