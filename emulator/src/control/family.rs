//! The API families by their `X-Amz-Target`: a new one is a row here and a file beside this one.

use crate::error::ApiError;
use crate::http::Request;

/// An API family that this control plane serves.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Family {
    /// OpsWorks for Configuration Management, API version 2016-11-01.
    OpsWorksCm,
    /// OpsWorks Stacks, API version 2013-02-18.
    OpsWorks,
    /// Systems Manager, API version 2014-11-06.
    Ssm,
}

/// Family, prefix of `X-Amz-Target`, signing name.
const FAMILIES: [(Family, &str, &str); 3] = [
    (Family::OpsWorksCm, "OpsWorksCM_V2016_11_01", "opsworks-cm"),
    (Family::OpsWorks, "OpsWorks_20130218", "opsworks"),
    (Family::Ssm, "AmazonSSM", "ssm"),
];

/// What a request asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Operation<'a> {
    /// The family.
    pub family: Family,
    /// The action's name, known or not.
    pub action: &'a str,
    /// The service name that the signature must be made out to.
    pub signing_name: &'static str,
}

impl<'a> Operation<'a> {
    /// Reads `X-Amz-Target`.
    ///
    /// # Errors
    /// When the request is no `POST /`, or names no family.
    pub fn of(request: &'a Request) -> Result<Self, ApiError> {
        if request.path != "/" {
            return Err(ApiError::NotFound(request.path.clone()));
        }
        if request.method != "POST" {
            return Err(ApiError::MethodNotAllowed(request.method.clone()));
        }
        let target = request.header("x-amz-target").unwrap_or_default();
        let unknown = || ApiError::UnknownOperation(format!("'{target}'"));
        let (prefix, action) = target.split_once('.').ok_or_else(unknown)?;
        let known = FAMILIES.into_iter().find(|(_, known, _)| *known == prefix);
        let (family, _, signing_name) = known.ok_or_else(unknown)?;
        Ok(Self { family, action, signing_name })
    }

    /// Whether the action is called without credentials: the SSM Agent has none before it is
    /// registered; it shows an activation code instead.
    #[must_use]
    pub fn is_anonymous(&self) -> bool {
        self.family == Family::Ssm && self.action == "RegisterManagedInstance"
    }
}

/// The action's name in a target, for the log and for faults; `-` without one.
pub fn action_name(request: &Request) -> &str {
    let target = request.header("x-amz-target");
    target.and_then(|target| target.split_once('.')).map_or("-", |(_, action)| action)
}
