//! The registry: a row for each service that the emulator serves. A new one is a row here and a folder
//! beside this file.

use super::action::{self, Traits};
use super::{chef, puppet_ca};
use crate::error::ApiError;
use crate::http::Request;

/// A service, by its row.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Family {
    /// OpsWorks for Configuration Management, API version 2016-11-01.
    OpsWorksCm,
    /// OpsWorks Stacks, API version 2013-02-18.
    OpsWorks,
    /// Systems Manager, API version 2014-11-06.
    Ssm,
    /// The Security Token Service, API version 2011-06-15.
    Sts,
    /// The CA of a Puppet server, at the server's endpoint.
    PuppetCa,
    /// The API of a Chef server, at the server's endpoint.
    Chef,
}

/// How the requests of a service are told from others, and their actions from each other.
#[derive(Clone, Copy, Debug)]
pub(super) enum Entry {
    /// `POST /` at the API's address, with `X-Amz-Target: PREFIX.ACTION`; signed with AWS's
    /// Signature Version 4.
    Target(&'static str),
    /// `POST /` at the API's address, with a form of `Action` and `Version`; signed likewise.
    Query(&'static str),
    /// Methods and paths at an address of the service's own, over TLS; the function names the action
    /// of a request. Who may do what is the service's to say.
    Paths(fn(&Request) -> Option<&'static str>),
}

/// A row of the registry.
#[derive(Debug)]
pub(super) struct Service {
    pub family: Family,
    /// The name that signatures are made out to, and that faults are set by.
    pub name: &'static str,
    pub entry: Entry,
    /// Actions, and what a fault can do to each.
    pub actions: &'static [(&'static str, Traits)],
}

/// The services, in the order of lists for people.
pub(super) const SERVICES: [Service; 6] = [
    Service {
        family: Family::OpsWorksCm,
        name: "opsworks-cm",
        entry: Entry::Target("OpsWorksCM_V2016_11_01"),
        actions: &action::OPSWORKS_CM,
    },
    Service {
        family: Family::OpsWorks,
        name: "opsworks",
        entry: Entry::Target("OpsWorks_20130218"),
        actions: &action::OPSWORKS,
    },
    Service {
        family: Family::Ssm,
        name: "ssm",
        entry: Entry::Target("AmazonSSM"),
        actions: &action::SSM,
    },
    Service {
        family: Family::Sts,
        name: "sts",
        entry: Entry::Query("2011-06-15"),
        actions: &action::STS,
    },
    Service {
        family: Family::PuppetCa,
        name: "puppet-ca",
        entry: Entry::Paths(puppet_ca::action),
        actions: &action::PUPPET_CA,
    },
    Service {
        family: Family::Chef,
        name: "chef",
        entry: Entry::Paths(chef::action),
        actions: &action::CHEF,
    },
];

impl Family {
    fn row(self) -> &'static Service {
        let [first, ..] = &SERVICES;
        SERVICES.iter().find(|row| row.family == self).unwrap_or(first)
    }

    /// The name that a signature is made out to, and that faults are set by.
    #[must_use]
    pub fn name(self) -> &'static str {
        self.row().name
    }

    /// Whether its requests are signed with AWS's keys, and permitted by IAM.
    #[must_use]
    pub fn is_aws(self) -> bool {
        matches!(self.row().entry, Entry::Target(_) | Entry::Query(_))
    }

    /// The action of a request at the service's own address; none for a path that it has not.
    pub(super) fn action(self, request: &Request) -> Option<&'static str> {
        match self.row().entry {
            Entry::Target(_) | Entry::Query(_) => None,
            Entry::Paths(action) => action(request),
        }
    }
}

/// What a request at the API's address asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Operation<'a> {
    /// The service.
    pub family: Family,
    /// The action's name, known or not.
    pub action: &'a str,
}

impl<'a> Operation<'a> {
    /// Reads `X-Amz-Target`, or a form.
    ///
    /// # Errors
    /// When the request is no `POST /`, or names no service.
    pub fn of(request: &'a Request) -> Result<Self, ApiError> {
        if request.path != "/" {
            return Err(ApiError::NotFound(request.path.clone()));
        }
        if request.method != "POST" {
            return Err(ApiError::MethodNotAllowed(request.method.clone()));
        }
        if let Some((action, version)) = form(request) {
            let known = |row: &&Service| matches!(row.entry, Entry::Query(it) if it == version);
            let row = SERVICES.iter().find(known);
            let row = row.ok_or_else(|| ApiError::UnknownOperation(format!("'{action}'")))?;
            return Ok(Self { family: row.family, action });
        }
        let target = request.header("x-amz-target").unwrap_or_default();
        let unknown = || ApiError::UnknownOperation(format!("'{target}'"));
        let (prefix, action) = target.split_once('.').ok_or_else(unknown)?;
        let known = |row: &&Service| matches!(row.entry, Entry::Target(known) if known == prefix);
        let row = SERVICES.iter().find(known).ok_or_else(unknown)?;
        Ok(Self { family: row.family, action })
    }

    /// Whether the action is called without credentials: the SSM Agent has none before it is
    /// registered; it shows an activation code instead.
    #[must_use]
    pub fn is_anonymous(&self) -> bool {
        self.family == Family::Ssm && self.action == "RegisterManagedInstance"
    }
}

/// `Action` and `Version` of a form; none without a form.
fn form(request: &Request) -> Option<(&str, &str)> {
    let kind = request.header("content-type")?;
    if request.header("x-amz-target").is_some()
        || !kind.starts_with("application/x-www-form-urlencoded")
    {
        return None;
    }
    let body = std::str::from_utf8(&request.body).ok()?;
    let value = |name: &str| {
        let pairs = body.split('&').filter_map(|pair| pair.split_once('='));
        pairs.into_iter().find(|(known, _)| *known == name).map(|(_, value)| value)
    };
    Some((value("Action")?, value("Version")?))
}

/// The action's name in a target or a form, for the log; `-` without one.
pub fn action_name(request: &Request) -> &str {
    if let Some((action, _)) = form(request) {
        return action;
    }
    let target = request.header("x-amz-target");
    target.and_then(|target| target.split_once('.')).map_or("-", |(_, action)| action)
}
