//! OpsWorks Stacks, through its SDK.

use std::rc::Rc;

use aws_sdk_opsworks::types as sdk;

use super::ServiceId;
use super::fingerprints::Fingerprints;
use crate::fault::Fault;
use crate::host::aws::Session;
use crate::host::sanitize::clean;
use crate::targets::opsworks::api::{Answer, Instance, Registration, Request, Stack};

pub struct OpsworksStacks {
    session: Rc<Session>,
    client: aws_sdk_opsworks::Client,
}

impl OpsworksStacks {
    pub fn new(session: Rc<Session>) -> Self {
        let client = aws_sdk_opsworks::Client::new(&session.config(ServiceId::OpsworksStacks));
        Self { session, client }
    }

    /// Makes one call.
    ///
    /// # Errors
    /// As for [`crate::host::aws::SessionCall::answer`].
    pub async fn call(&self, request: Request) -> Result<Answer, Fault> {
        let call = self.session.of(&request, Answer::NotFound);
        match request {
            Request::DescribeStacks { stack } => {
                let sent = self.client.describe_stacks().stack_ids(stack);
                call.answer(sent.send(), |output| {
                    let stacks = output.stacks.unwrap_or_default();
                    Answer::Stacks(stacks.into_iter().map(stack_of).collect())
                })
                .await
            }
            Request::RegisterInstance(new) => {
                call.answer(self.register(*new).send(), |output| {
                    let mut instance = output.instance_id;
                    clean([&mut instance]);
                    Answer::Registered { instance }
                })
                .await
            }
            Request::DescribeInstances { stack } => {
                let keys = Fingerprints::default();
                let sent = self.client.describe_instances().stack_id(stack).customize();
                call.answer(sent.interceptor(keys.clone()).send(), |output| {
                    let list = output.instances.unwrap_or_default().into_iter();
                    Answer::Instances(list.map(|one| instance_of(one, &keys)).collect())
                })
                .await
            }
            Request::DeregisterInstance { instance } => {
                let sent = self.client.deregister_instance().instance_id(instance);
                call.answer(sent.send(), |_| Answer::Deregistered).await
            }
        }
    }

    fn register(
        &self,
        new: Registration,
    ) -> aws_sdk_opsworks::operation::register_instance::builders::RegisterInstanceFluentBuilder
    {
        let identity = new.identity.map(|identity| {
            sdk::InstanceIdentity::builder()
                .document(identity.document)
                .set_signature(identity.signature)
                .build()
        });
        self.client
            .register_instance()
            .stack_id(new.stack)
            .hostname(new.hostname)
            .set_private_ip(new.private_ip)
            .set_public_ip(new.public_ip)
            .rsa_public_key(new.public_key)
            .rsa_public_key_fingerprint(new.fingerprint)
            .set_instance_identity(identity)
    }
}

fn stack_of(stack: sdk::Stack) -> Stack {
    let mut stack = Stack { id: stack.stack_id, name: stack.name, region: stack.region };
    clean([&mut stack.id, &mut stack.name, &mut stack.region]);
    stack
}

fn instance_of(instance: sdk::Instance, keys: &Fingerprints) -> Instance {
    let mut instance = Instance {
        fingerprint: instance.instance_id.as_deref().and_then(|id| keys.of(id)),
        id: instance.instance_id,
        ec2_instance_id: instance.ec2_instance_id.filter(|id| !id.is_empty()),
        hostname: instance.hostname,
        private_ip: instance.private_ip,
        public_ip: instance.public_ip,
        infrastructure: instance.infrastructure_class,
        created_at: instance.created_at,
    };
    clean([
        &mut instance.id,
        &mut instance.ec2_instance_id,
        &mut instance.hostname,
        &mut instance.private_ip,
        &mut instance.public_ip,
        &mut instance.infrastructure,
        &mut instance.created_at,
        &mut instance.fingerprint,
    ]);
    instance
}
