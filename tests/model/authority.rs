//! The reference model of the authorities and of the agent that registers itself: only as much
//! as the rules need.

use enlist::engines::ssm_agent::{Code, HandOver};
use enlist::engines::{Action, Bundle};
use enlist::targets::opsworks::api as stacks;
use enlist::targets::opsworks_cm::api as cm;
use enlist::targets::ssm::api as ssm;
use enlist::targets::{Answer, Request};

use super::Fate;
use super::chef_server::ChefServer;
use super::puppet_ca::PuppetCa;
use super::world::{CA, GOOD, KEY, NAME, STACK};
use super::{CHEF, CHEF_SERVER, GOIARDI, ON_PREMISES, PUPPET_SERVER};
use enlist::secret::Secret;

pub const CODE: &str = "ABCDEFGHIJKLMNOPQRST";

const GIVEN: &str = "11111111-2222-3333-4444-555555555555";

/// An older instance of another host with the same name and address.
const OTHER_HOST: &str = "00000000-0000-0000-0000-ffffffffffff";

pub struct Authority {
    which: usize,
    /// Whether any further call is a mistake.
    pub is_closed: bool,
    ids: u32,
    tokens: Vec<String>,
    refused: Vec<String>,
    instances: Vec<String>,
    activations: Vec<(String, String, i32)>,
    managed: Vec<(String, String)>,
    puppet_ca: PuppetCa,
    chef_server: ChefServer,
    /// The registration in the agent's vault.
    pub vault: Option<String>,
    /// The activation in the file of a hand-over to a file.
    pub handed_over: Option<String>,
}

impl Authority {
    pub fn new(which: usize) -> Self {
        Self {
            which,
            is_closed: false,
            ids: 0,
            tokens: Vec::new(),
            refused: Vec::new(),
            instances: Vec::new(),
            activations: Vec::new(),
            managed: Vec::new(),
            puppet_ca: PuppetCa::default(),
            chef_server: ChefServer::new(which == GOIARDI),
            vault: None,
            handed_over: None,
        }
    }

    fn id(&mut self) -> String {
        self.ids += 1;
        format!("00000000-0000-0000-0000-{:012x}", self.ids)
    }

    pub fn answer(&mut self, request: Request, fate: Fate) -> Answer {
        assert!(!self.is_closed, "{request:?} by a node that has joined");
        match request {
            Request::OpsworksCm(request) => self.opsworks_cm(request, fate).into(),
            Request::OpsworksStacks(request) => self.stacks(request).into(),
            Request::SystemsManager(request) => self.systems_manager(request).into(),
            Request::ChefServer(request) => self.chef_server.answer(&request, fate).into(),
            Request::PuppetCa(request) => self.puppet_ca.answer(&request, fate).into(),
        }
    }

    fn opsworks_cm(&mut self, request: cm::Request, fate: Fate) -> cm::Answer {
        match request {
            cm::Request::DescribeServers { .. } => self.servers(fate),
            cm::Request::AssociateNode { .. } => {
                let token = self.id();
                self.tokens.push(token.clone());
                cm::Answer::Associated { token: Some(token) }
            }
            cm::Request::DescribeNodeAssociationStatus { token, .. } => self.status(&token, fate),
            other @ cm::Request::DisassociateNode { .. } => panic!("{other:?} in a join"),
        }
    }

    fn stacks(&mut self, request: stacks::Request) -> stacks::Answer {
        match request {
            stacks::Request::DescribeStacks { .. } => stacks::Answer::Stacks(vec![stacks::Stack {
                id: Some(STACK.to_owned()),
                name: Some("s".to_owned()),
                region: None,
            }]),
            stacks::Request::RegisterInstance(_) => {
                let id = self.id();
                self.instances.push(id.clone());
                stacks::Answer::Registered { instance: Some(id) }
            }
            stacks::Request::DescribeInstances { .. } => {
                let ours = |id: &String| stacks::Instance {
                    id: Some(id.clone()),
                    ec2_instance_id: Some(NAME.to_owned()),
                    ..stacks::Instance::default()
                };
                let on_premises = |id: &str, key: &str| stacks::Instance {
                    id: Some(id.to_owned()),
                    hostname: Some("web1".to_owned()),
                    private_ip: Some("10.0.0.1".to_owned()),
                    fingerprint: Some(key.to_owned()),
                    ..stacks::Instance::default()
                };
                let list = self.instances.iter();
                stacks::Answer::Instances(match self.which {
                    ON_PREMISES => std::iter::once(on_premises(OTHER_HOST, "0123"))
                        .chain(list.map(|id| on_premises(id, &KEY.sha1_fingerprint())))
                        .collect(),
                    _ => list.map(ours).collect(),
                })
            }
            other @ stacks::Request::DeregisterInstance { .. } => panic!("{other:?} in a join"),
        }
    }

    fn servers(&self, fate: Fate) -> cm::Answer {
        let status = if fate == Fate::Slow { "CREATING" } else { "HEALTHY" };
        let engine = if self.which == CHEF { "Chef" } else { "Puppet" };
        cm::Answer::Servers(vec![cm::Server {
            name: Some("p".to_owned()),
            status: Some(status.to_owned()),
            endpoint: Some("puppet.example".to_owned()),
            engine: Some(engine.to_owned()),
            attributes: vec![("PUPPET_API_CA_CERT".to_owned(), CA.to_owned())],
            ..cm::Server::default()
        }])
    }

    fn status(&mut self, token: &str, fate: Fate) -> cm::Answer {
        let answer = |status: &str, attributes| cm::Answer::AssociationStatus {
            status: Some(status.to_owned()),
            attributes,
        };
        if fate == Fate::Forgotten {
            self.tokens.retain(|known| known != token);
        }
        if !self.tokens.iter().any(|known| known == token) {
            return cm::Answer::NotFound("no such token".to_owned());
        }
        // A refused token stays refused.
        if fate == Fate::Refuses {
            self.refused.push(token.to_owned());
        }
        match fate {
            _ if self.refused.iter().any(|refused| refused == token) => {
                answer("FAILED", Vec::new())
            }
            Fate::Slow => answer("IN_PROGRESS", Vec::new()),
            _ => answer("SUCCESS", vec![("PUPPET_NODE_CERT".to_owned(), GOOD[0].to_owned())]),
        }
    }

    fn systems_manager(&mut self, request: ssm::Request) -> ssm::Answer {
        match request {
            ssm::Request::CreateActivation(new) => {
                let id = self.id();
                self.activations.push((id.clone(), new.description, 0));
                ssm::Answer::Created { id: Some(id), code: Some(Secret::new(CODE.to_owned())) }
            }
            // Called to reconcile.
            ssm::Request::DescribeActivations { .. } => {
                let known =
                    |(id, description, registrations): &(String, String, i32)| ssm::Activation {
                        id: Some(id.clone()),
                        description: Some(description.clone()),
                        registrations: *registrations,
                    };
                let list = self.activations.iter().map(known).collect();
                ssm::Answer::Activations { list, next: None }
            }
            ssm::Request::DescribeInstanceInformation { activation, .. } => {
                let with = self.managed.iter().filter(|(_, by)| *by == activation);
                let ids = with.map(|(id, _)| id.clone()).collect();
                ssm::Answer::ManagedInstances { ids, next: None }
            }
            ssm::Request::DeregisterManagedInstance { instance } => {
                self.managed.retain(|(id, _)| *id != instance);
                ssm::Answer::Removed
            }
            ssm::Request::DeleteActivation { activation } => {
                let known = self.activations.len();
                self.activations.retain(|(id, ..)| *id != activation);
                if self.activations.len() == known {
                    return ssm::Answer::NotFound("no such activation".to_owned());
                }
                ssm::Answer::Removed
            }
        }
    }

    /// The agent registers, unless its activation is used up.
    pub fn register(&mut self, wanted: &HandOver) -> Option<String> {
        assert!(!self.is_closed);
        if let Code::Known(code) = &wanted.code {
            assert_eq!(code.expose(), CODE);
            let known = self.activations.iter_mut().find(|(id, ..)| *id == wanted.activation)?;
            if known.2 > 0 {
                return None;
            }
            known.2 += 1;
        }
        self.ids += 1;
        let id = format!("mi-{:017x}", self.ids);
        self.managed.push((id.clone(), wanted.activation.clone()));
        self.vault = Some(id.clone());
        Some(id)
    }

    pub fn install(&mut self, bundle: &Bundle) {
        for action in &bundle.actions {
            if let Action::Secret { content, .. } = action {
                let file: serde_json::Value = serde_json::from_str(content.expose()).unwrap();
                self.handed_over = file["ActivationId"].as_str().map(str::to_owned);
            }
        }
    }

    /// There is one registration, and nothing is left over.
    pub fn has_one_member(&self, which: usize) {
        match which {
            0..=2 => assert!(self.tokens.iter().any(|token| !self.refused.contains(token))),
            3 | ON_PREMISES => assert_eq!(self.instances.len(), 1, "{:?}", self.instances),
            4 => {
                assert_eq!(self.managed.len(), 1, "{:?}", self.managed);
                assert_eq!(self.activations.len(), 1, "{:?}", self.activations);
                assert_eq!(self.vault.as_ref(), Some(&self.managed[0].0));
            }
            5 => {
                assert_eq!(self.activations.len(), 1, "{:?}", self.activations);
                assert_eq!(self.handed_over.as_ref(), Some(&self.activations[0].0));
            }
            CHEF_SERVER | GOIARDI => self.chef_server.has_one_client(),
            PUPPET_SERVER => self.puppet_ca.has_one_certificate(),
            _ => assert!(self.managed.iter().all(|(_, by)| by == GIVEN) && self.vault.is_some()),
        }
    }
}
