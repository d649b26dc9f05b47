//! The API families by their `X-Amz-Target`: a new one is a row here and a folder beside this file.

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

/// Family and prefix of `X-Amz-Target`.
const FAMILIES: [(Family, &str); 3] = [
    (Family::OpsWorksCm, "OpsWorksCM_V2016_11_01"),
    (Family::OpsWorks, "OpsWorks_20130218"),
    (Family::Ssm, "AmazonSSM"),
];

impl Family {
    /// The service name that a signature is made out to.
    #[must_use]
    pub const fn signing_name(self) -> &'static str {
        match self {
            Self::OpsWorksCm => "opsworks-cm",
            Self::OpsWorks => "opsworks",
            Self::Ssm => "ssm",
        }
    }
}

/// What a request asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Operation<'a> {
    /// The family.
    pub family: Family,
    /// The action's name, known or not.
    pub action: &'a str,
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
        let known = FAMILIES.into_iter().find(|(_, known)| *known == prefix);
        let (family, _) = known.ok_or_else(unknown)?;
        Ok(Self { family, action })
    }

    /// Whether the action is called without credentials: the SSM Agent has none before it is
    /// registered; it shows an activation code instead.
    #[must_use]
    pub fn is_anonymous(&self) -> bool {
        self.family == Family::Ssm && self.action == "RegisterManagedInstance"
    }
}

/// The action's name in a target, for the log; `-` without one.
pub fn action_name(request: &Request) -> &str {
    let target = request.header("x-amz-target");
    target.and_then(|target| target.split_once('.')).map_or("-", |(_, action)| action)
}
