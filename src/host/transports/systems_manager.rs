//! Systems Manager, through its SDK.

use std::borrow::Cow;
use std::rc::Rc;

use aws_sdk_ssm::operation::create_activation::builders::CreateActivationFluentBuilder;
use aws_sdk_ssm::operation::describe_activations::builders::DescribeActivationsFluentBuilder;
use aws_sdk_ssm::operation::describe_instance_information::builders::DescribeInstanceInformationFluentBuilder;
use aws_sdk_ssm::primitives::DateTime;
use aws_sdk_ssm::types as sdk;

use super::ServiceId;
use crate::fault::{Fault, Kind};
use crate::host::aws::Session;
use crate::host::sanitize::clean;
use crate::secret::Secret;
use crate::targets::ssm::api::{Activation, Answer, NewActivation, Request};
use crate::targets::{Call, invariant};
use crate::text;

/// The largest page size (DescribeActivations, DescribeInstanceInformation).
const PAGE: i32 = 50;

pub struct SystemsManager {
    session: Rc<Session>,
    client: aws_sdk_ssm::Client,
}

impl SystemsManager {
    pub fn new(session: Rc<Session>) -> Self {
        let client = aws_sdk_ssm::Client::new(&session.config(ServiceId::SystemsManager));
        Self { session, client }
    }

    /// Makes one call.
    ///
    /// # Errors
    /// As for [`crate::host::aws::SessionCall::answer`].
    pub async fn call(&self, request: Request) -> Result<Answer, Fault> {
        let call = self.session.of(&request, Answer::NotFound);
        match request {
            Request::CreateActivation(new) => {
                call.answer(self.create(*new)?.send(), |output| {
                    let mut id = output.activation_id;
                    clean([&mut id]);
                    Answer::Created { id, code: output.activation_code.map(Secret::new) }
                })
                .await
            }
            Request::DescribeActivations { name, next } => {
                call.answer(self.activations(name, next).send(), |output| {
                    let list = output.activation_list.unwrap_or_default();
                    let list = list.into_iter().map(activation_of).collect();
                    Answer::Activations { list, next: next_page(output.next_token) }
                })
                .await
            }
            Request::DeleteActivation { activation } => {
                let sent = self.client.delete_activation().activation_id(activation);
                call.answer(sent.send(), |_| Answer::Removed).await
            }
            Request::DescribeInstanceInformation { activation, next } => {
                call.answer(self.instances(activation, next)?.send(), |output| {
                    let list = output.instance_information_list.unwrap_or_default();
                    let ids = list.into_iter().filter_map(|known| known.instance_id);
                    let ids = ids.map(|id| text::line(&id)).collect();
                    Answer::ManagedInstances { ids, next: next_page(output.next_token) }
                })
                .await
            }
            Request::DeregisterManagedInstance { instance } => {
                let sent = self.client.deregister_managed_instance().instance_id(instance);
                call.answer(sent.send(), |_| Answer::Removed).await
            }
        }
    }

    /// A parameter's value, decrypted.
    ///
    /// # Errors
    /// `Config` where there is none of this name; else as for [`Self::call`].
    pub async fn parameter(&self, name: &str) -> Result<Secret, Fault> {
        let request = GetParameter { name };
        let sent = self.client.get_parameter().name(name).with_decryption(true);
        let call = self.session.of(&request, |_| None);
        let found = call
            .answer(sent.send(), |output| output.parameter.and_then(|it| it.value).map(Secret::new))
            .await?;
        found.ok_or_else(|| {
            let todo = format!(
                "create it: `aws ssm put-parameter --type SecureString --name {name} --value file://SECRET`, or correct the setting"
            );
            Fault::new(Kind::Config, "the parameter does not exist", request.on(), todo)
        })
    }

    fn activations(&self, name: String, next: Option<String>) -> DescribeActivationsFluentBuilder {
        let filter = sdk::DescribeActivationsFilter::builder()
            .filter_key(sdk::DescribeActivationsFilterKeys::DefaultInstanceName)
            .filter_values(name)
            .build();
        let call = self.client.describe_activations().filters(filter);
        call.max_results(PAGE).set_next_token(next)
    }

    fn instances(
        &self,
        activation: String,
        next: Option<String>,
    ) -> Result<DescribeInstanceInformationFluentBuilder, Fault> {
        let filter = sdk::InstanceInformationStringFilter::builder()
            .key("ActivationIds")
            .values(activation)
            .build()
            .map_err(|error| invariant("the filter could not be built").because(&error))?;
        let call = self.client.describe_instance_information().filters(filter);
        Ok(call.max_results(PAGE).set_next_token(next))
    }

    fn create(&self, new: NewActivation) -> Result<CreateActivationFluentBuilder, Fault> {
        let tag = |(key, value)| sdk::Tag::builder().key(key).value(value).build();
        let tags: Result<Vec<_>, _> = new.tags.into_iter().map(tag).collect();
        let tags = tags.map_err(|error| invariant("a tag could not be built").because(&error))?;
        Ok(self
            .client
            .create_activation()
            .iam_role(new.iam_role)
            .default_instance_name(new.default_instance_name)
            .description(new.description)
            .expiration_date(DateTime::from_secs(new.expires_at))
            .registration_limit(new.registration_limit)
            .set_tags(Some(tags).filter(|tags| !tags.is_empty())))
    }
}

/// GetParameter, for a secret of the settings.
struct GetParameter<'a> {
    name: &'a str,
}

impl Call for GetParameter<'_> {
    fn action(&self) -> &'static str {
        "GetParameter"
    }

    fn on(&self) -> String {
        format!("parameter {}", self.name)
    }

    fn answer_is_secret(&self) -> bool {
        true
    }

    fn if_refused(&self) -> Cow<'static, str> {
        "allow ssm:GetParameter, and kms:Decrypt with its key, to this node; `enlist policy` prints the statements".into()
    }
}

fn activation_of(activation: sdk::Activation) -> Activation {
    let mut activation = Activation {
        id: activation.activation_id,
        description: activation.description,
        registrations: activation.registrations_count.unwrap_or_default(),
    };
    clean([&mut activation.id, &mut activation.description]);
    activation
}

/// The token of the next page. An empty one means that there is none.
fn next_page(token: Option<String>) -> Option<String> {
    let mut token = token.filter(|token| !token.is_empty());
    clean([&mut token]);
    token
}
