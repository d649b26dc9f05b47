//! Associating and disassociating nodes, and asking how far that is.

use std::sync::Arc;

use serde_json::{Value, json};

use super::OpsWorksCm;
use super::association::{Association, Outcome, Ticket};
use super::engine_attributes::{self, NodeAttributes};
use super::server::Server;
use super::server::spec::SERVER_NAME;
use crate::ca::{Order, WrongCertificate};
use crate::control::fault::FaultKind;
use crate::control::validate::{Members, Pattern, Text};
use crate::control::{Context, MOST, room_for};
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

        let server = self.healthy_server(server_name)?;
        let engine = server.engine;
        let node = NodeAttributes::of(engine, &attributes, context.authority)?;
        let key = (server_name.to_owned(), node_name.to_owned());
        let earlier = self.associations.get(&key);
        let holder = earlier.filter(|earlier| earlier.holds(context.now));
        if holder.is_some_and(|holder| holder.leaves_at.is_some()) {
            return Err(ApiError::InvalidState(format!(
                "The node '{node_name}' is being disassociated."
            )));
        }
        room_for(self.associations.len(), earlier.is_none(), "associations")?;
        if holder.is_some_and(|holder| holder.public_key != node.public_key) {
            return Err(ApiError::Validation(format!(
                "A node named '{node_name}' with another key is already associated."
            )));
        }
        // The same node once more is the same association, under one more token.
        let association = match holder {
            Some(same) if !context.ails_association() && !self.is_old(same, context.now) => {
                Association { calls: same.calls.saturating_add(1), ..Association::clone(same) }
            }
            _ => Association {
                outcome: Arc::new(self.outcome(context, server, node_name, &node)),
                issued_at: context.now,
                public_key: node.public_key,
                csr: node.csr.map(|(text, _)| text),
                organization: node.organization,
                resolves_at: context.now.plus(self.settings.association_time),
                calls: earlier.map_or(0, |earlier| earlier.calls).saturating_add(1),
                leaves_at: None,
            },
        };
        let token = self.issue(context, server_name, &association.outcome, association.resolves_at);
        self.associations.insert(key, Arc::new(association));
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

        let engine = self.healthy_server(server_name)?.engine;
        let organization = engine_attributes::leaving(engine, &attributes)?;
        let key = (server_name.to_owned(), node_name.to_owned());
        let known = self.associations.get(&key).filter(|known| known.holds(context.now));
        let unknown = || {
            ApiError::ResourceNotFound(format!(
                "No node named '{node_name}' is associated with the server '{server_name}'."
            ))
        };
        let known = known.ok_or_else(unknown)?;
        // The same request once more is the same disassociation, under one more token.
        if let Some(leaves_at) = known.leaves_at {
            return Ok(self.issue(context, server_name, &Arc::new(Outcome::Left), leaves_at));
        }
        let resolves_at = context.now.plus(self.settings.disassociation_time);
        let outcome = match context.fault {
            Some(FaultKind::Failed) => failed("injected"),
            _ if organization != known.organization.as_deref() => {
                failed("the node is of another organization")
            }
            _ => Outcome::Left,
        };
        if outcome == Outcome::Left {
            let leaves_at = Some(resolves_at);
            let association = Association { leaves_at, ..Association::clone(known) };
            self.associations.insert(key.clone(), Arc::new(association));
            self.leaving.insert((resolves_at, key));
        }
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
        server: &Server,
        node_name: &str,
        node: &NodeAttributes,
    ) -> Outcome {
        let wrong = match context.fault {
            Some(FaultKind::Failed) => return failed("injected"),
            Some(FaultKind::Certificate(wrong)) => Some(wrong),
            _ => None,
        };
        let exists = |name: &str| {
            name == ORGANIZATION || server.organizations.iter().any(|known| known == name)
        };
        if node.organization.as_deref().is_some_and(|name| !exists(name)) {
            return failed("the Chef server has no organization of this name");
        }
        let csr = node.csr.as_ref().filter(|_| wrong != Some(WrongCertificate::None));
        let Some((_, csr)) = csr else {
            return Outcome::Joined { certificate: None };
        };
        if let Some(reason) = context.puppet_ca.taken(&server.name, node_name, &node.public_key) {
            return failed(&reason);
        }
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
        self.forget_tickets(context.now);
        self.tickets.insert(token.clone(), ticket);
        self.tokens.push_back(token.clone());
        json!({ "NodeAssociationStatusToken": token })
    }

    /// Forgets the tickets that can no longer be asked for, and the oldest when there are too many.
    fn forget_tickets(&mut self, now: Now) {
        while let Some(oldest) = self.tokens.front() {
            let recent = self
                .tickets
                .get(oldest)
                .is_some_and(|ticket| ticket.is_recent(now, self.settings.token_lifetime));
            if recent && self.tokens.len() < MOST {
                return;
            }
            self.tickets.remove(oldest);
            self.tokens.pop_front();
        }
    }
}

fn failed(reason: &str) -> Outcome {
    Outcome::Failed { reason: reason.to_owned() }
}
