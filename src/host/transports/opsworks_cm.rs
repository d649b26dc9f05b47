//! OpsWorks CM, through its SDK.

use std::rc::Rc;

use aws_sdk_opsworkscm::types as sdk;

use super::ServiceId;
use crate::fault::Fault;
use crate::host::aws::Session;
use crate::host::sanitize::clean;
use crate::targets::opsworks_cm::api::{Answer, Request, Server};

pub struct OpsworksCm {
    session: Rc<Session>,
    client: aws_sdk_opsworkscm::Client,
}

impl OpsworksCm {
    pub fn new(session: Rc<Session>) -> Self {
        let client = aws_sdk_opsworkscm::Client::new(&session.config(ServiceId::OpsworksCm));
        Self { session, client }
    }

    /// Makes one call.
    ///
    /// # Errors
    /// As for [`crate::host::aws::SessionCall::answer`].
    pub async fn call(&self, request: Request) -> Result<Answer, Fault> {
        let call = self.session.of(&request, Answer::NotFound);
        match request {
            Request::DescribeServers { server } => {
                let sent = self.client.describe_servers().server_name(server);
                call.answer(sent.send(), |output| {
                    let servers = output.servers.unwrap_or_default();
                    Answer::Servers(servers.into_iter().map(server_of).collect())
                })
                .await
            }
            Request::AssociateNode { server, node, attributes } => {
                let attributes = attributes.into_iter().map(attribute_of).collect();
                let sent = self.client.associate_node().server_name(server).node_name(node);
                let sent = sent.set_engine_attributes(Some(attributes));
                call.answer(sent.send(), |output| associated(output.node_association_status_token))
                    .await
            }
            Request::DisassociateNode { server, node, attributes } => {
                let attributes: Vec<_> = attributes.into_iter().map(attribute_of).collect();
                let attributes = Some(attributes).filter(|list| !list.is_empty());
                let sent = self.client.disassociate_node().server_name(server).node_name(node);
                let sent = sent.set_engine_attributes(attributes);
                call.answer(sent.send(), |output| associated(output.node_association_status_token))
                    .await
            }
            Request::DescribeNodeAssociationStatus { server, token } => {
                let sent = self.client.describe_node_association_status().server_name(server);
                let sent = sent.node_association_status_token(token);
                call.answer(sent.send(), |output| {
                    let status = output.node_association_status;
                    let mut status = status.map(|status| status.as_str().to_owned());
                    clean([&mut status]);
                    let attributes = pairs(output.engine_attributes);
                    Answer::AssociationStatus { status, attributes }
                })
                .await
            }
        }
    }
}

fn associated(mut token: Option<String>) -> Answer {
    clean([&mut token]);
    Answer::Associated { token }
}

/// Converts a server. Its attributes are not sanitized: they contain certificates, which are parsed and
/// checked as a whole.
fn server_of(server: sdk::Server) -> Server {
    let mut server = Server {
        name: server.server_name,
        status: server.status.map(|status| status.as_str().to_owned()),
        status_reason: server.status_reason,
        endpoint: server.endpoint,
        engine: server.engine,
        attributes: pairs(server.engine_attributes),
    };
    clean([
        &mut server.name,
        &mut server.status,
        &mut server.status_reason,
        &mut server.endpoint,
        &mut server.engine,
    ]);
    server
}

fn attribute_of((name, value): (String, String)) -> sdk::EngineAttribute {
    sdk::EngineAttribute::builder().name(name).value(value).build()
}

fn pairs(attributes: Option<Vec<sdk::EngineAttribute>>) -> Vec<(String, String)> {
    let attributes = attributes.unwrap_or_default().into_iter();
    attributes
        .filter_map(|attribute| Some((attribute.name?, attribute.value.unwrap_or_default())))
        .collect()
}
