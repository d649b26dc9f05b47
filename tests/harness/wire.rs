//! From requests to the APIs' JSON and back, written from the API references for this harness
//! alone: a member that the agent misspells is one that nobody answers.

use enlist::fault::{Fault, Kind};
use enlist::secret::Secret;
use enlist::targets::api::{Activation, Instance, Stack};
use enlist::targets::{Answer, Request, Server};
use enlist_emulator::http;
use enlist_emulator::http::Delivery;
use serde_json::{Value, json};

const OPSWORKS_CM: &str = "OpsWorksCM_V2016_11_01";
const OPSWORKS: &str = "OpsWorks_20130218";
const SSM: &str = "AmazonSSM";

/// The call that a request is, unsigned.
pub fn call(request: &Request) -> http::Request {
    let (family, body) = body(request);
    http::Request::call(&format!("{family}.{}", request.action()), &without_nulls(body))
}

/// A call of the agent's own.
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
        Request::DescribeServers { server } => (OPSWORKS_CM, json!({ "ServerName": server })),
        Request::AssociateNode { server, node, attributes } => {
            let attributes = engine_attributes(attributes);
            let body =
                json!({ "ServerName": server, "NodeName": node, "EngineAttributes": attributes });
            (OPSWORKS_CM, body)
        }
        Request::DisassociateNode { server, node, attributes } => {
            let attributes = Some(engine_attributes(attributes)).filter(|_| !attributes.is_empty());
            let body =
                json!({ "ServerName": server, "NodeName": node, "EngineAttributes": attributes });
            (OPSWORKS_CM, body)
        }
        Request::DescribeNodeAssociationStatus { server, token } => {
            let body = json!({ "ServerName": server, "NodeAssociationStatusToken": token });
            (OPSWORKS_CM, body)
        }
        Request::DescribeStacks { stack } => (OPSWORKS, json!({ "StackIds": [stack] })),
        Request::RegisterInstance(new) => {
            let identity = new.identity.as_ref();
            let body = json!({
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
            });
            (OPSWORKS, body)
        }
        Request::DescribeInstances { stack } => (OPSWORKS, json!({ "StackId": stack })),
        Request::DeregisterInstance { instance } => (OPSWORKS, json!({ "InstanceId": instance })),
        other => (SSM, ssm_body(other)),
    }
}

fn ssm_body(request: &Request) -> Value {
    match request {
        Request::CreateActivation(new) => {
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
        Request::DescribeActivations { name, next } => json!({
            "Filters": [{ "FilterKey": "DefaultInstanceName", "FilterValues": [name] }],
            "MaxResults": 50,
            "NextToken": next,
        }),
        Request::DeleteActivation { activation } => json!({ "ActivationId": activation }),
        Request::DescribeInstanceInformation { activation } => json!({
            "Filters": [{ "Key": "ActivationIds", "Values": [activation] }],
            "MaxResults": 50,
        }),
        Request::DeregisterManagedInstance { instance } => json!({ "InstanceId": instance }),
        other => panic!("{} has no translation", other.action()),
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

/// What a response means; classified as the services' references have it.
pub fn answer(request: &Request, response: &http::Response) -> Result<Answer, Fault> {
    match response.delivery {
        Delivery::Dropped => return Err(fault(Kind::Transient, "no answer came").in_doubt()),
        Delivery::Late(_) => return Err(fault(Kind::Transient, "no answer in time").in_doubt()),
        Delivery::Truncated => return Err(fault(Kind::Protocol, "half an answer").in_doubt()),
        Delivery::Whole => {}
    }
    if response.status == 200 {
        let body = if response.body.is_empty() { b"{}" } else { response.body.as_slice() };
        return match serde_json::from_slice(body) {
            Ok(body) => Ok(success(request, &body)),
            Err(_) => Err(fault(Kind::Protocol, "the answer is no JSON").in_doubt()),
        };
    }
    let body: Value = serde_json::from_slice(&response.body).unwrap_or_default();
    let code = text(&body, "__type").unwrap_or_default();
    let message = text(&body, "message").or_else(|| text(&body, "Message")).unwrap_or_default();
    let said = format!("{}: {code}: {message}", request.action());
    match (code.as_str(), response.status) {
        (
            "ResourceNotFoundException"
            | "InvalidActivation"
            | "InvalidActivationId"
            | "InvalidInstanceId",
            _,
        ) => Ok(Answer::NotFound(message)),
        ("ThrottlingException", _) => Err(fault(Kind::Transient, &said).throttled()),
        ("InvalidStateException", _) => Err(fault(Kind::Transient, &said)),
        ("AccessDeniedException", _) => Err(fault(Kind::Denied, &said)),
        (_, 500..) => Err(fault(Kind::Transient, &said).in_doubt()),
        ("", _) => Err(fault(Kind::Protocol, &said)),
        _ => Err(fault(Kind::Rejected, &said)),
    }
}

fn success(request: &Request, body: &Value) -> Answer {
    match request {
        Request::DescribeServers { .. } => Answer::Servers(list(body, "Servers", server)),
        Request::AssociateNode { .. } | Request::DisassociateNode { .. } => {
            Answer::Associated { token: text(body, "NodeAssociationStatusToken") }
        }
        Request::DescribeNodeAssociationStatus { .. } => Answer::AssociationStatus {
            status: text(body, "NodeAssociationStatus"),
            attributes: list(body, "EngineAttributes", pair),
        },
        Request::DescribeStacks { .. } => Answer::Stacks(list(body, "Stacks", |row| Stack {
            id: text(row, "StackId"),
            name: text(row, "Name"),
            region: text(row, "Region"),
        })),
        Request::RegisterInstance(_) => Answer::Registered { instance: text(body, "InstanceId") },
        Request::DescribeInstances { .. } => {
            Answer::Instances(list(body, "Instances", |row| Instance {
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
        Request::CreateActivation(_) => Answer::Activation {
            id: text(body, "ActivationId"),
            code: text(body, "ActivationCode").map(Secret::new),
        },
        Request::DescribeActivations { .. } => Answer::Activations {
            list: list(body, "ActivationList", |row| Activation {
                id: text(row, "ActivationId"),
                description: text(row, "Description"),
                registrations: i32::try_from(row["RegistrationsCount"].as_i64().unwrap()).unwrap(),
            }),
            next: text(body, "NextToken"),
        },
        Request::DescribeInstanceInformation { .. } => {
            Answer::Managed(list(body, "InstanceInformationList", |row| {
                text(row, "InstanceId").unwrap()
            }))
        }
        Request::DeregisterInstance { .. }
        | Request::DeleteActivation { .. }
        | Request::DeregisterManagedInstance { .. } => Answer::Done,
    }
}

fn server(row: &Value) -> Server {
    Server {
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
