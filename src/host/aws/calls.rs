//! From requests to the SDK's calls, and from its outputs to answers: one arm a call.

use aws_sdk_opsworks::types as stacks;
use aws_sdk_opsworkscm::types as cm;
use aws_sdk_ssm::primitives::DateTime;
use aws_sdk_ssm::types as ssm;

use super::Client;
use super::fingerprints::Fingerprints;
use crate::fault::Fault;
use crate::secret::Secret;
use crate::targets::api::{
    Activation, Answer, Instance, NewActivation, Registration, Request, Server, Stack,
};

/// As many as one page may hold (DescribeActivations, DescribeInstanceInformation).
const PAGE: i32 = 50;

impl Client {
    pub(super) async fn perform(&self, request: Request) -> Result<Answer, Fault> {
        match request {
            Request::DescribeServers { .. }
            | Request::AssociateNode { .. }
            | Request::DisassociateNode { .. }
            | Request::DescribeNodeAssociationStatus { .. } => self.call_opsworkscm(request).await,
            Request::DescribeStacks { .. }
            | Request::RegisterInstance(_)
            | Request::DescribeInstances { .. }
            | Request::DeregisterInstance { .. } => self.call_opsworks(request).await,
            _ => self.call_ssm(request).await,
        }
    }

    async fn call_opsworkscm(&self, request: Request) -> Result<Answer, Fault> {
        let (action, on) = (request.action(), request.on());
        match request {
            Request::DescribeServers { server } => {
                let call = self.opsworkscm.describe_servers().server_name(server);
                self.answer(call.send().await, action, on, |output| {
                    Answer::Servers(
                        output.servers.unwrap_or_default().into_iter().map(server_of).collect(),
                    )
                })
            }
            Request::AssociateNode { server, node, attributes } => {
                let call = self.opsworkscm.associate_node().server_name(server).node_name(node);
                let call = call.set_engine_attributes(Some(
                    attributes.into_iter().map(attribute_of).collect(),
                ));
                self.answer(call.send().await, action, on, |output| Answer::Associated {
                    token: output.node_association_status_token,
                })
            }
            Request::DisassociateNode { server, node, attributes } => {
                let attributes: Vec<_> = attributes.into_iter().map(attribute_of).collect();
                let call = self.opsworkscm.disassociate_node().server_name(server).node_name(node);
                let call =
                    call.set_engine_attributes(Some(attributes).filter(|list| !list.is_empty()));
                self.answer(call.send().await, action, on, |output| Answer::Associated {
                    token: output.node_association_status_token,
                })
            }
            Request::DescribeNodeAssociationStatus { server, token } => {
                let call = self.opsworkscm.describe_node_association_status().server_name(server);
                self.answer(
                    call.node_association_status_token(token).send().await,
                    action,
                    on,
                    |output| {
                        let status =
                            output.node_association_status.map(|status| status.as_str().to_owned());
                        Answer::AssociationStatus {
                            status,
                            attributes: pairs(output.engine_attributes),
                        }
                    },
                )
            }
            _ => Err(crate::targets::invariant("this is no call of OpsWorks CM")),
        }
    }

    async fn call_opsworks(&self, request: Request) -> Result<Answer, Fault> {
        let (action, on) = (request.action(), request.on());
        match request {
            Request::DescribeStacks { stack } => {
                let call = self.opsworks.describe_stacks().stack_ids(stack);
                self.answer(call.send().await, action, on, |output| {
                    Answer::Stacks(
                        output.stacks.unwrap_or_default().into_iter().map(stack_of).collect(),
                    )
                })
            }
            Request::RegisterInstance(new) => {
                self.answer(self.register(*new).send().await, action, on, |output| {
                    Answer::Registered { instance: output.instance_id }
                })
            }
            Request::DescribeInstances { stack } => {
                let keys = Fingerprints::default();
                let call = self.opsworks.describe_instances().stack_id(stack).customize();
                let answered = call.interceptor(keys.clone()).send().await;
                self.answer(answered, action, on, |output| {
                    let list = output.instances.unwrap_or_default().into_iter();
                    Answer::Instances(list.map(|one| instance_of(one, &keys)).collect())
                })
            }
            Request::DeregisterInstance { instance } => {
                let call = self.opsworks.deregister_instance().instance_id(instance);
                self.answer(call.send().await, action, on, |_| Answer::Done)
            }
            _ => Err(crate::targets::invariant("this is no call of OpsWorks Stacks")),
        }
    }

    fn register(
        &self,
        new: Registration,
    ) -> aws_sdk_opsworks::operation::register_instance::builders::RegisterInstanceFluentBuilder
    {
        let identity = new.identity.map(|identity| {
            stacks::InstanceIdentity::builder()
                .document(identity.document)
                .set_signature(identity.signature)
                .build()
        });
        self.opsworks
            .register_instance()
            .stack_id(new.stack)
            .hostname(new.hostname)
            .set_private_ip(new.private_ip)
            .set_public_ip(new.public_ip)
            .rsa_public_key(new.public_key)
            .rsa_public_key_fingerprint(new.fingerprint)
            .set_instance_identity(identity)
    }

    async fn call_ssm(&self, request: Request) -> Result<Answer, Fault> {
        let (action, on) = (request.action(), request.on());
        match request {
            Request::CreateActivation(new) => {
                self.answer(self.activate(*new)?.send().await, action, on, |output| {
                    Answer::Activation {
                        id: output.activation_id,
                        code: output.activation_code.map(Secret::new),
                    }
                })
            }
            Request::DescribeActivations { name, next } => {
                let result = self.activations(name, next).send().await;
                self.answer(result, action, on, |output| {
                    let list = output.activation_list.unwrap_or_default().into_iter();
                    let list = list.map(activation_of).collect();
                    let next = output.next_token.filter(|next| !next.is_empty());
                    Answer::Activations { list, next }
                })
            }
            Request::DeleteActivation { activation } => {
                let call = self.ssm.delete_activation().activation_id(activation);
                self.answer(call.send().await, action, on, |_| Answer::Done)
            }
            Request::DescribeInstanceInformation { activation } => {
                let filter = ssm::InstanceInformationStringFilter::builder()
                    .key("ActivationIds")
                    .values(activation)
                    .build()
                    .map_err(|error| {
                        crate::targets::invariant("the filter can't be made").because(&error)
                    })?;
                let call =
                    self.ssm.describe_instance_information().filters(filter).max_results(PAGE);
                self.answer(call.send().await, action, on, |output| {
                    let list = output.instance_information_list.unwrap_or_default().into_iter();
                    Answer::Managed(list.filter_map(|known| known.instance_id).collect())
                })
            }
            Request::DeregisterManagedInstance { instance } => {
                let call = self.ssm.deregister_managed_instance().instance_id(instance);
                self.answer(call.send().await, action, on, |_| Answer::Done)
            }
            _ => Err(crate::targets::invariant("this is no call of Systems Manager")),
        }
    }

    fn activations(
        &self,
        name: String,
        next: Option<String>,
    ) -> aws_sdk_ssm::operation::describe_activations::builders::DescribeActivationsFluentBuilder
    {
        let filter = ssm::DescribeActivationsFilter::builder()
            .filter_key(ssm::DescribeActivationsFilterKeys::DefaultInstanceName)
            .filter_values(name)
            .build();
        let call = self.ssm.describe_activations().filters(filter);
        call.max_results(PAGE).set_next_token(next)
    }

    fn activate(
        &self,
        new: NewActivation,
    ) -> Result<
        aws_sdk_ssm::operation::create_activation::builders::CreateActivationFluentBuilder,
        Fault,
    > {
        let tag = |(key, value)| ssm::Tag::builder().key(key).value(value).build();
        let tags: Result<Vec<_>, _> = new.tags.into_iter().map(tag).collect();
        let tags =
            tags.map_err(|error| crate::targets::invariant("a tag can't be made").because(&error))?;
        Ok(self
            .ssm
            .create_activation()
            .iam_role(new.iam_role)
            .default_instance_name(new.default_instance_name)
            .description(new.description)
            .expiration_date(DateTime::from_secs(new.expires_at))
            .registration_limit(new.registration_limit)
            .set_tags(Some(tags).filter(|tags| !tags.is_empty())))
    }
}

fn server_of(server: cm::Server) -> Server {
    Server {
        name: server.server_name,
        status: server.status.map(|status| status.as_str().to_owned()),
        status_reason: server.status_reason,
        endpoint: server.endpoint,
        engine: server.engine,
        attributes: pairs(server.engine_attributes),
    }
}

fn stack_of(stack: stacks::Stack) -> Stack {
    Stack { id: stack.stack_id, name: stack.name, region: stack.region }
}

fn instance_of(instance: stacks::Instance, keys: &Fingerprints) -> Instance {
    Instance {
        fingerprint: instance.instance_id.as_deref().and_then(|id| keys.of(id)),
        id: instance.instance_id,
        ec2_instance_id: instance.ec2_instance_id.filter(|id| !id.is_empty()),
        hostname: instance.hostname,
        private_ip: instance.private_ip,
        public_ip: instance.public_ip,
        infrastructure: instance.infrastructure_class,
        created_at: instance.created_at,
    }
}

fn activation_of(activation: ssm::Activation) -> Activation {
    Activation {
        id: activation.activation_id,
        description: activation.description,
        registrations: activation.registrations_count.unwrap_or_default(),
    }
}

fn attribute_of((name, value): (String, String)) -> cm::EngineAttribute {
    cm::EngineAttribute::builder().name(name).value(value).build()
}

fn pairs(attributes: Option<Vec<cm::EngineAttribute>>) -> Vec<(String, String)> {
    let attributes = attributes.unwrap_or_default().into_iter();
    attributes
        .filter_map(|attribute| Some((attribute.name?, attribute.value.unwrap_or_default())))
        .collect()
}
