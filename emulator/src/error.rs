//! The errors of the API, with the names and statuses its reference gives them.

use serde_json::json;

use crate::control::Family;
use crate::http::{AMZ_JSON, Response};

/// The errors that only Systems Manager has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SsmError {
    /// A parameter is missing, or has a value that is not allowed.
    InvalidParameters,
    /// The activation ID isn't valid.
    InvalidActivationId,
    /// The activation might have been deleted, or the ID and the code don't match.
    InvalidActivation,
    /// The activation's time is over.
    ActivationExpired,
    /// The activation has been used as often as it may be.
    RegistrationLimitExceeded,
    /// The public key is none that the service takes.
    InvalidPublicKey,
    /// This machine is registered already.
    InstanceAlreadyRegistered,
    /// The filter name isn't valid (activations).
    InvalidFilter,
    /// The specified key isn't valid (instances).
    InvalidFilterKey,
    /// The specified filter value isn't valid.
    InvalidInstanceInformationFilterValue,
    /// There is no such managed node.
    InvalidInstanceId,
    /// The specified token isn't valid.
    InvalidNextToken,
    /// The parameter couldn't be found.
    ParameterNotFound,
    /// The specified parameter version wasn't found.
    ParameterVersionNotFound,
}

impl SsmError {
    /// The name, as in `__type`.
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::InvalidParameters => "InvalidParameters",
            Self::InvalidActivationId => "InvalidActivationId",
            Self::InvalidActivation => "InvalidActivation",
            Self::ActivationExpired => "ActivationExpired",
            Self::RegistrationLimitExceeded => "RegistrationLimitExceeded",
            Self::InvalidPublicKey => "InvalidPublicKey",
            Self::InstanceAlreadyRegistered => "InstanceAlreadyRegistered",
            Self::InvalidFilter => "InvalidFilter",
            Self::InvalidFilterKey => "InvalidFilterKey",
            Self::InvalidInstanceInformationFilterValue => "InvalidInstanceInformationFilterValue",
            Self::InvalidInstanceId => "InvalidInstanceId",
            Self::InvalidNextToken => "InvalidNextToken",
            Self::ParameterNotFound => "ParameterNotFound",
            Self::ParameterVersionNotFound => "ParameterVersionNotFound",
        }
    }

    /// The same with a message.
    pub(crate) fn because(self, message: impl Into<String>) -> ApiError {
        ApiError::SystemsManager(self, message.into())
    }
}

/// An error as the API reports it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ApiError {
    /// One or more of the provided request parameters are not valid.
    #[error("{0}")]
    Validation(String),
    /// The resource is in a state that does not allow you to perform a specified action.
    #[error("{0}")]
    InvalidState(String),
    /// The requested resource does not exist, or access was denied.
    #[error("{0}")]
    ResourceNotFound(String),
    /// The provided nextToken is not valid.
    #[error("{0}")]
    InvalidNextToken(String),
    /// One of Systems Manager's own errors.
    #[error("{1}")]
    SystemsManager(SsmError, String),
    /// The body is not JSON, or a member has another type.
    #[error("{0}")]
    Serialization(String),
    /// The action is not known.
    #[error("The operation {0} is not known.")]
    UnknownOperation(String),
    /// More requests than the account may send.
    #[error("Rate exceeded")]
    Throttling,
    /// IAM does not allow the action.
    #[error("User: {user} is not authorized to perform: {action}")]
    AccessDenied {
        /// Who asked: the access key's ARN.
        user: String,
        /// What for: `opsworks-cm:AssociateNode`.
        action: String,
    },
    /// The request is not signed.
    #[error("Missing Authentication Token")]
    MissingAuthenticationToken,
    /// The Authorization header is not what Signature Version 4 prescribes.
    #[error("{0}")]
    IncompleteSignature(String),
    /// The signature is wrong, or too old.
    #[error("{0}")]
    InvalidSignature(String),
    /// The access key or the session token is not known.
    #[error("The security token included in the request is invalid.")]
    UnrecognizedClient,
    /// The request processing has failed because of an unknown error.
    #[error("{0}")]
    InternalFailure(String),
    /// The request has failed due to a temporary failure of the server.
    #[error("The service is temporarily unavailable.")]
    ServiceUnavailable,
    /// The body is longer than the service reads.
    #[error("Request size exceeded 1048576 bytes")]
    RequestEntityTooLarge,
    /// The body did not come in time.
    #[error("The request did not come in time.")]
    RequestTimeout,
    /// The request is for another host.
    #[error("'{0}' is not a name of this emulator; allow it with --allow-host NAME")]
    Misdirected(String),
    /// The emulator keeps no more of this kind.
    #[error("The emulator keeps at most {most} {what}.")]
    Full {
        /// Of what.
        what: &'static str,
        /// How many.
        most: usize,
    },
    /// The limit of servers or backups has been reached.
    #[error("{0}")]
    LimitExceeded(String),
    /// The resource exists already.
    #[error("{0}")]
    AlreadyExists(String),
    /// There is nothing at this path.
    #[error("There is nothing at {0}")]
    NotFound(String),
    /// The protocol has one method: POST.
    #[error("The method {0} is not supported; the protocol is JSON over POST")]
    MethodNotAllowed(String),
}

impl ApiError {
    /// The name, as in `__type`.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Validation(_) => "ValidationException",
            Self::InvalidState(_) => "InvalidStateException",
            Self::ResourceNotFound(_) => "ResourceNotFoundException",
            Self::InvalidNextToken(_) => "InvalidNextTokenException",
            Self::SystemsManager(error, _) => error.code(),
            Self::Serialization(_) => "SerializationException",
            Self::UnknownOperation(_) => "UnknownOperationException",
            Self::Throttling => "ThrottlingException",
            Self::AccessDenied { .. } => "AccessDeniedException",
            Self::MissingAuthenticationToken => "MissingAuthenticationTokenException",
            Self::IncompleteSignature(_) => "IncompleteSignatureException",
            Self::InvalidSignature(_) => "InvalidSignatureException",
            Self::UnrecognizedClient => "UnrecognizedClientException",
            Self::InternalFailure(_) => "InternalFailure",
            Self::ServiceUnavailable | Self::Full { .. } => "ServiceUnavailable",
            Self::RequestEntityTooLarge => "RequestEntityTooLargeException",
            Self::RequestTimeout => "RequestTimeoutException",
            Self::Misdirected(_) => "MisdirectedRequestException",
            Self::LimitExceeded(_) => "LimitExceededException",
            Self::AlreadyExists(_) => "ResourceAlreadyExistsException",
            Self::NotFound(_) => "NotFoundException",
            Self::MethodNotAllowed(_) => "MethodNotAllowedException",
        }
    }

    /// The HTTP status. The JSON services answer 400 where the reference's list of common errors,
    /// written for the query services, has 403.
    #[must_use]
    pub const fn status(&self) -> u16 {
        match self {
            Self::InternalFailure(_) => 500,
            Self::ServiceUnavailable | Self::Full { .. } => 503,
            Self::RequestTimeout => 408,
            Self::Misdirected(_) => 421,
            Self::RequestEntityTooLarge => 413,
            Self::NotFound(_) => 404,
            Self::MethodNotAllowed(_) => 405,
            _ => 400,
        }
    }

    /// The error as a response of OpsWorks CM, or of a family that is not known.
    #[must_use]
    pub fn response(&self) -> Response {
        self.response_of(Family::OpsWorksCm)
    }

    /// The error as a response of `family`.
    #[must_use]
    pub fn response_of(&self, family: Family) -> Response {
        let member = self.message_member(family);
        let body = json!({ "__type": self.code(), member: self.to_string() });
        let mut response = Response::new(self.status(), AMZ_JSON, body.to_string());
        response.error = Some(self.code().to_owned());
        response.with_header("x-amzn-errortype", self.code())
    }

    /// Each service's model names the member; its framework's errors have `message`.
    const fn message_member(&self, family: Family) -> &'static str {
        let modelled = matches!(
            self,
            Self::Validation(_)
                | Self::InvalidState(_)
                | Self::ResourceNotFound(_)
                | Self::InvalidNextToken(_)
                | Self::LimitExceeded(_)
                | Self::AlreadyExists(_)
        );
        match (family, self) {
            (_, Self::SystemsManager(SsmError::InvalidInstanceInformationFilterValue, _)) => {
                "message"
            }
            (_, Self::SystemsManager(..)) => "Message",
            (Family::OpsWorksCm, _) if modelled => "Message",
            _ => "message",
        }
    }
}
