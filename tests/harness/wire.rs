//! Converts requests to the APIs' JSON, and answers back. Written from the API references, independently
//! of the SDK, so that a wrong member is noticed.

use enlist::fault::{Fault, Kind};
use enlist::secret::Secret;
use enlist::targets::opsworks::api as stacks;
use enlist::targets::opsworks_cm::api as cm;
use enlist::targets::ssm::api as ssm;
use enlist::targets::{Answer, Request};
use enlist_emulator::http;
use enlist_emulator::http::Delivery;
use serde_json::{Value, json};

const OPSWORKS_CM: &str = "OpsWorksCM_V2016_11_01";
const OPSWORKS: &str = "OpsWorks_20130218";
const SSM: &str = "AmazonSSM";

/// The HTTP request of a call, unsigned.
pub fn call(request: &Request) -> http::Request {
    let (family, body) = body(request);
    http::Request::call(&format!("{family}.{}", request.call().action()), &without_nulls(body))
}

/// The HTTP request of the SSM agent.
pub fn register_managed_instance(id: &str, code: &str, public_key: &str) -> http::Request {
    let body = json!({
        "ActivationId": id,
        "ActivationCode": code,
        "PublicKey": public_key,
        "PublicKeyType": "Rsa",
        "Fingerprint": "0f0e0d0c-0b0a-4908-8706-050403020100",
    });
    http::Request::call(&format!("{SSM}.RegisterManagedInstance"), &body)
}

fn body(request: &Request) -> (&'static str, Value) {
    match request {
        Request::OpsworksCm(request) => (OPSWORKS_CM, cm_body(request)),
        Request::OpsworksStacks(request) => (OPSWORKS, stacks_body(request)),
        Request::SystemsManager(request) => (SSM, ssm_body(request)),
        Request::PuppetCa(_) | Request::ChefServer(_) => no_case(),
    }
}

/// Puppet CAs and Chef servers have no AWS API: the harness translates their requests in
/// `puppet_ca.rs` and `chef_server.rs`.
fn no_case() -> ! {
    panic!("this request does not go to AWS")
}

fn cm_body(request: &cm::Request) -> Value {
    match request {
        cm::Request::DescribeServers { server } => json!({ "ServerName": server }),
        cm::Request::AssociateNode { server, node, attributes } => {
            let attributes = engine_attributes(attributes);
            json!({ "ServerName": server, "NodeName": node, "EngineAttributes": attributes })
        }
        cm::Request::DisassociateNode { server, node, attributes } => {
            let attributes = Some(engine_attributes(attributes)).filter(|_| !attributes.is_empty());
            json!({ "ServerName": server, "NodeName": node, "EngineAttributes": attributes })
        }
        cm::Request::DescribeNodeAssociationStatus { server, token } => {
            json!({ "ServerName": server, "NodeAssociationStatusToken": token })
        }
    }
}

fn stacks_body(request: &stacks::Request) -> Value {
    match request {
        stacks::Request::DescribeStacks { stack } => json!({ "StackIds": [stack] }),
        stacks::Request::RegisterInstance(new) => {
            let identity = new.identity.as_ref();
            json!({
                "StackId": new.stack,
                "Hostname": new.hostname,
                "PrivateIp": new.private_ip,
                "PublicIp": new.public_ip,
                "RsaPublicKey": new.public_key,
                "RsaPublicKeyFingerprint": new.fingerprint,
                "InstanceIdentity": identity.map(|identity| json!({
                    "Document": identity.document,
                    "Signature": identity.signature,
                })),
            })
        }
        stacks::Request::DescribeInstances { stack } => json!({ "StackId": stack }),
        stacks::Request::DeregisterInstance { instance } => json!({ "InstanceId": instance }),
    }
}

fn ssm_body(request: &ssm::Request) -> Value {
    match request {
        ssm::Request::CreateActivation(new) => {
            let tags = new.tags.iter().map(|(key, value)| json!({ "Key": key, "Value": value }));
            json!({
                "IamRole": new.iam_role,
                "DefaultInstanceName": new.default_instance_name,
                "Description": new.description,
                "ExpirationDate": new.expires_at,
                "RegistrationLimit": new.registration_limit,
                "Tags": tags.collect::<Vec<_>>(),
            })
        }
        ssm::Request::DescribeActivations { name, next } => json!({
            "Filters": [{ "FilterKey": "DefaultInstanceName", "FilterValues": [name] }],
            "MaxResults": 50,
            "NextToken": next,
        }),
        ssm::Request::DeleteActivation { activation } => json!({ "ActivationId": activation }),
        ssm::Request::DescribeInstanceInformation { activation, next } => json!({
            "Filters": [{ "Key": "ActivationIds", "Values": [activation] }],
            "MaxResults": 50,
            "NextToken": next,
        }),
        ssm::Request::DeregisterManagedInstance { instance } => json!({ "InstanceId": instance }),
    }
}

fn engine_attributes(attributes: &[(String, String)]) -> Vec<Value> {
    attributes.iter().map(|(name, value)| json!({ "Name": name, "Value": value })).collect()
}

fn without_nulls(body: Value) -> Value {
    match body {
        Value::Object(members) => {
            let kept = members.into_iter().filter(|(_, value)| !value.is_null());
            Value::Object(kept.map(|(name, value)| (name, without_nulls(value))).collect())
        }
        other => other,
    }
}

/// The answer in a response, or its fault, classified as in the API references.
pub fn answer(request: &Request, response: &http::Response) -> Result<Answer, Fault> {
    match response.delivery {
        Delivery::Dropped => return Err(fault(Kind::Transient, "no answer came").in_doubt()),
        Delivery::Late(_) => return Err(fault(Kind::Transient, "no answer in time").in_doubt()),
        Delivery::Truncated => return Err(fault(Kind::Protocol, "an incomplete answer").in_doubt()),
        Delivery::Whole => {}
    }
    if response.status == 200 {
        let body = if response.body.is_empty() { b"{}" } else { response.body.as_slice() };
        return match serde_json::from_slice(body) {
            Ok(body) => Ok(success(request, &body)),
            Err(_) => Err(fault(Kind::Protocol, "the answer is not JSON").in_doubt()),
        };
    }
    let body: Value = serde_json::from_slice(&response.body).unwrap_or_default();
    let code = text(&body, "__type").unwrap_or_default();
    let message = text(&body, "message").or_else(|| text(&body, "Message")).unwrap_or_default();
    let said = format!("{}: {code}: {message}", request.call().action());
    match (code.as_str(), response.status) {
        (
            "ResourceNotFoundException"
            | "InvalidActivation"
            | "InvalidActivationId"
            | "InvalidInstanceId",
            _,
        ) => Ok(not_found(request, message)),
        ("ThrottlingException", _) => Err(fault(Kind::Transient, &said).throttled()),
        ("InvalidStateException", _) => Err(fault(Kind::Transient, &said)),
        ("AccessDeniedException", _) => Err(fault(Kind::Denied, &said)),
        (_, 500..) => Err(fault(Kind::Transient, &said).in_doubt()),
        ("", _) => Err(fault(Kind::Protocol, &said)),
        _ => Err(fault(Kind::Rejected, &said)),
    }
}

fn not_found(request: &Request, message: String) -> Answer {
    match request {
        Request::OpsworksCm(_) => cm::Answer::NotFound(message).into(),
        Request::OpsworksStacks(_) => stacks::Answer::NotFound(message).into(),
        Request::SystemsManager(_) => ssm::Answer::NotFound(message).into(),
        Request::PuppetCa(_) | Request::ChefServer(_) => no_case(),
    }
}

fn success(request: &Request, body: &Value) -> Answer {
    match request {
        Request::OpsworksCm(request) => cm_success(request, body).into(),
        Request::OpsworksStacks(request) => stacks_success(request, body).into(),
        Request::SystemsManager(request) => ssm_success(request, body).into(),
        Request::PuppetCa(_) | Request::ChefServer(_) => no_case(),
    }
}

fn cm_success(request: &cm::Request, body: &Value) -> cm::Answer {
    match request {
        cm::Request::DescribeServers { .. } => cm::Answer::Servers(list(body, "Servers", server)),
        cm::Request::AssociateNode { .. } | cm::Request::DisassociateNode { .. } => {
            cm::Answer::Associated { token: text(body, "NodeAssociationStatusToken") }
        }
        cm::Request::DescribeNodeAssociationStatus { .. } => cm::Answer::AssociationStatus {
            status: text(body, "NodeAssociationStatus"),
            attributes: list(body, "EngineAttributes", pair),
        },
    }
}

fn stacks_success(request: &stacks::Request, body: &Value) -> stacks::Answer {
    match request {
        stacks::Request::DescribeStacks { .. } => {
            stacks::Answer::Stacks(list(body, "Stacks", |row| stacks::Stack {
                id: text(row, "StackId"),
                name: text(row, "Name"),
                region: text(row, "Region"),
            }))
        }
        stacks::Request::RegisterInstance(_) => {
            stacks::Answer::Registered { instance: text(body, "InstanceId") }
        }
        stacks::Request::DescribeInstances { .. } => {
            stacks::Answer::Instances(list(body, "Instances", |row| stacks::Instance {
                public_ip: text(row, "PublicIp"),
                created_at: text(row, "CreatedAt"),
                fingerprint: text(row, "RsaPublicKeyFingerprint"),
                id: text(row, "InstanceId"),
                ec2_instance_id: text(row, "Ec2InstanceId"),
                hostname: text(row, "Hostname"),
                private_ip: text(row, "PrivateIp"),
                infrastructure: text(row, "InfrastructureClass"),
            }))
        }
        stacks::Request::DeregisterInstance { .. } => stacks::Answer::Deregistered,
    }
}

fn ssm_success(request: &ssm::Request, body: &Value) -> ssm::Answer {
    match request {
        ssm::Request::CreateActivation(_) => ssm::Answer::Created {
            id: text(body, "ActivationId"),
            code: text(body, "ActivationCode").map(Secret::new),
        },
        ssm::Request::DescribeActivations { .. } => ssm::Answer::Activations {
            list: list(body, "ActivationList", |row| ssm::Activation {
                id: text(row, "ActivationId"),
                description: text(row, "Description"),
                registrations: i32::try_from(row["RegistrationsCount"].as_i64().unwrap()).unwrap(),
            }),
            next: text(body, "NextToken"),
        },
        ssm::Request::DescribeInstanceInformation { .. } => ssm::Answer::ManagedInstances {
            ids: list(body, "InstanceInformationList", |row| text(row, "InstanceId").unwrap()),
            next: text(body, "NextToken"),
        },
        ssm::Request::DeleteActivation { .. } | ssm::Request::DeregisterManagedInstance { .. } => {
            ssm::Answer::Removed
        }
    }
}

fn server(row: &Value) -> cm::Server {
    cm::Server {
        name: text(row, "ServerName"),
        status: text(row, "Status"),
        status_reason: text(row, "StatusReason"),
        endpoint: text(row, "Endpoint"),
        engine: text(row, "Engine"),
        attributes: list(row, "EngineAttributes", pair),
    }
}

fn pair(row: &Value) -> (String, String) {
    (text(row, "Name").unwrap_or_default(), text(row, "Value").unwrap_or_default())
}

fn list<T>(body: &Value, name: &str, row: impl FnMut(&Value) -> T) -> Vec<T> {
    body[name].as_array().map(|rows| rows.iter().map(row).collect()).unwrap_or_default()
}

fn text(body: &Value, name: &str) -> Option<String> {
    body[name].as_str().filter(|text| !text.is_empty()).map(str::to_owned)
}

fn fault(kind: Kind, what: &str) -> Fault {
    Fault::new(kind, what, "the authority", "nothing")
}
