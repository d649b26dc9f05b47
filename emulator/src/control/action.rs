//! The actions that are served, and what a fault can do to each.

use super::fault::FaultKind;
use super::service::{Family, SERVICES, Service};
use crate::imds;

/// What an action has that a kind of fault needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Traits {
    /// What it starts can end badly (`failed`).
    fails: bool,
    /// It makes a certificate (`cert:...`).
    signs: bool,
    /// Its reference lists `InvalidStateException`.
    has_state: bool,
}

const PLAIN: Traits = Traits { fails: false, signs: false, has_state: false };
const STATE: Traits = Traits { has_state: true, ..PLAIN };
const STARTS: Traits = Traits { fails: true, ..STATE };

pub(super) const OPSWORKS_CM: [(&str, Traits); 19] = [
    ("AssociateNode", Traits { signs: true, ..STARTS }),
    ("CreateBackup", STARTS),
    ("CreateServer", Traits { fails: true, ..PLAIN }),
    ("DeleteBackup", STARTS),
    ("DeleteServer", STARTS),
    ("DescribeAccountAttributes", PLAIN),
    ("DescribeBackups", PLAIN),
    ("DescribeEvents", PLAIN),
    ("DescribeNodeAssociationStatus", PLAIN),
    ("DescribeServers", PLAIN),
    ("DisassociateNode", STARTS),
    ("ExportServerEngineAttribute", STATE),
    ("ListTagsForResource", PLAIN),
    ("RestoreServer", STARTS),
    ("StartMaintenance", STARTS),
    ("TagResource", STATE),
    ("UntagResource", STATE),
    ("UpdateServer", STATE),
    ("UpdateServerEngineAttributes", STARTS),
];

pub(super) const OPSWORKS: [(&str, Traits); 8] = [
    ("AssignInstance", Traits { fails: true, ..PLAIN }),
    ("DeregisterInstance", PLAIN),
    ("DescribeInstances", PLAIN),
    ("DescribeLayers", PLAIN),
    ("DescribeStackProvisioningParameters", PLAIN),
    ("DescribeStacks", PLAIN),
    ("RegisterInstance", Traits { fails: true, ..PLAIN }),
    ("UnassignInstance", PLAIN),
];

pub(super) const SSM: [(&str, Traits); 7] = [
    ("CreateActivation", PLAIN),
    ("DeleteActivation", PLAIN),
    ("DeregisterManagedInstance", PLAIN),
    ("DescribeActivations", PLAIN),
    ("DescribeInstanceInformation", PLAIN),
    ("GetParameter", PLAIN),
    ("RegisterManagedInstance", PLAIN),
];

pub(super) const STS: [(&str, Traits); 1] = [("GetCallerIdentity", PLAIN)];

/// What a certificate or its absence follows from.
const SIGNS: Traits = Traits { fails: true, signs: true, has_state: false };

pub(super) const PUPPET_CA: [(&str, Traits); 15] = [
    ("Clean", PLAIN),
    ("DeleteCertificateRequest", PLAIN),
    ("DeleteCertificateStatus", PLAIN),
    ("GetCertificate", PLAIN),
    ("GetCertificateRequest", PLAIN),
    ("GetCertificateRevocationList", PLAIN),
    ("GetCertificateStatus", PLAIN),
    ("GetCertificateStatuses", PLAIN),
    ("GetExpirations", PLAIN),
    ("GetStatus", PLAIN),
    ("PostCertificateRenewal", Traits { fails: false, ..SIGNS }),
    ("PutCertificateRequest", SIGNS),
    ("PutCertificateStatus", Traits { fails: false, ..SIGNS }),
    ("Sign", Traits { fails: false, ..SIGNS }),
    ("SignAll", Traits { fails: false, ..SIGNS }),
];

pub(super) const CHEF: [(&str, Traits); 15] = [
    ("CreateClient", PLAIN),
    ("CreateNode", PLAIN),
    ("DeleteClient", PLAIN),
    ("DeleteNode", PLAIN),
    ("GetClient", PLAIN),
    ("GetClientKey", PLAIN),
    ("GetNode", PLAIN),
    ("GetServerApiVersion", PLAIN),
    ("GetStatus", PLAIN),
    ("ListClientKeys", PLAIN),
    ("ListClients", PLAIN),
    ("ListNodes", PLAIN),
    ("UpdateClient", PLAIN),
    ("UpdateClientKey", PLAIN),
    ("UpdateNode", PLAIN),
];

/// Which calls a fault or a refusal is for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Target {
    /// `*`: every action of every service.
    Every,
    /// `SERVICE:*`: every action of one service.
    Service(Family),
    /// `ACTION` or `SERVICE:ACTION`: one action of one service.
    Action(Family, &'static str),
    /// `IMDS`: the metadata service.
    Metadata,
}

/// A name that stands for no call.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("'{name}' is not an action; it is {list}", list = everything())]
pub struct UnknownAction {
    name: String,
}

impl Target {
    /// Reads `ACTION`, `SERVICE:ACTION`, `SERVICE:*`, `*` or `IMDS`. A service is its name:
    /// `opsworks-cm`, `opsworks`, `ssm`, `sts`, `puppet-ca`, `chef`.
    ///
    /// # Errors
    /// When there is no such action.
    pub fn parse(text: &str) -> Result<Self, UnknownAction> {
        let unknown = || UnknownAction { name: text.to_owned() };
        if text == "*" {
            return Ok(Self::Every);
        }
        if text == imds::ACTION {
            return Ok(Self::Metadata);
        }
        let Some((service, name)) = text.split_once(':') else {
            let mut found = SERVICES.iter().filter_map(|row| known(row.family, text));
            // A name that two services had would need its service.
            return found.next().filter(|_| found.next().is_none()).ok_or_else(unknown);
        };
        let family = SERVICES.iter().find(|row| row.name == service).map(|row| row.family);
        match (family, name) {
            (Some(family), "*") => Ok(Self::Service(family)),
            (Some(family), name) => known(family, name).ok_or_else(unknown),
            (None, _) => Err(unknown()),
        }
    }

    /// Whether a call of `action` is meant.
    #[must_use]
    pub fn covers(&self, family: Family, action: &str) -> bool {
        match self {
            Self::Every => true,
            Self::Service(service) => *service == family,
            Self::Action(service, name) => *service == family && *name == action,
            Self::Metadata => false,
        }
    }

    /// Whether it means calls that IAM permits or refuses.
    #[must_use]
    pub fn is_permitted_by_iam(&self) -> bool {
        match self {
            Self::Every => true,
            Self::Service(family) | Self::Action(family, _) => family.is_aws(),
            Self::Metadata => false,
        }
    }

    /// Whether a fault of `kind` can strike any call that is meant.
    #[must_use]
    pub fn can_have(&self, kind: FaultKind) -> bool {
        match self {
            Self::Metadata => strikes(kind, PLAIN),
            _ => all().any(|(family, name, _)| {
                self.covers(family, name) && can_strike(kind, family, name)
            }),
        }
    }
}

impl std::fmt::Display for Target {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Every => formatter.write_str("*"),
            Self::Service(family) => write!(formatter, "{}:*", family.name()),
            Self::Action(family, name) => write!(formatter, "{}:{name}", family.name()),
            Self::Metadata => formatter.write_str(imds::ACTION),
        }
    }
}

/// Whether a fault of `kind` can strike this action.
#[must_use]
pub fn can_strike(kind: FaultKind, family: Family, action: &str) -> bool {
    let mut found = all().filter(|(known, name, _)| *known == family && *name == action);
    found.next().is_some_and(|(_, _, traits)| strikes(kind, traits))
}

/// The actions that a fault of `kind` can strike, for messages.
pub fn struck_by(kind: FaultKind) -> String {
    let names = all().filter(|(_, _, traits)| strikes(kind, *traits)).map(|(_, name, _)| name);
    names.collect::<Vec<_>>().join(", ")
}

fn strikes(kind: FaultKind, traits: Traits) -> bool {
    match kind {
        FaultKind::Failed => traits.fails,
        FaultKind::Certificate(_) => traits.signs,
        FaultKind::InvalidState => traits.has_state,
        _ => true,
    }
}

fn known(family: Family, name: &str) -> Option<Target> {
    let found = all().find(|(service, known, _)| *service == family && *known == name);
    found.map(|(family, name, _)| Target::Action(family, name))
}

fn all() -> impl Iterator<Item = (Family, &'static str, Traits)> {
    let service =
        |row: &'static Service| row.actions.iter().map(|(name, it)| (row.family, *name, *it));
    SERVICES.iter().flat_map(service)
}

/// Everything that can be named, in a sentence.
fn everything() -> String {
    let one = |row: &Service| {
        let names: Vec<_> = row.actions.iter().map(|(name, _)| *name).collect();
        format!("of {}: {}", row.name, names.join(", "))
    };
    let services = SERVICES.iter().map(one).collect::<Vec<_>>().join("; ");
    format!(
        "{services}; a service may stand before it, as in opsworks-cm:DescribeServers or \
         opsworks-cm:*; * is every action, {} the metadata service",
        imds::ACTION
    )
}
