//! The errors of the API, with the names and statuses its reference gives them.

use serde_json::json;

use crate::http::{AMZ_JSON, Response};

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
            Self::Serialization(_) => "SerializationException",
            Self::UnknownOperation(_) => "UnknownOperationException",
            Self::Throttling => "ThrottlingException",
            Self::AccessDenied { .. } => "AccessDeniedException",
            Self::MissingAuthenticationToken => "MissingAuthenticationTokenException",
            Self::IncompleteSignature(_) => "IncompleteSignatureException",
            Self::InvalidSignature(_) => "InvalidSignatureException",
            Self::UnrecognizedClient => "UnrecognizedClientException",
            Self::InternalFailure(_) => "InternalFailure",
            Self::ServiceUnavailable => "ServiceUnavailable",
            Self::RequestEntityTooLarge => "RequestEntityTooLargeException",
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
            Self::ServiceUnavailable => 503,
            Self::RequestEntityTooLarge => 413,
            Self::NotFound(_) => 404,
            Self::MethodNotAllowed(_) => 405,
            _ => 400,
        }
    }

    /// Modelled errors carry `Message`, those of the service's framework `message`.
    const fn message_member(&self) -> &'static str {
        match self {
            Self::Validation(_)
            | Self::InvalidState(_)
            | Self::ResourceNotFound(_)
            | Self::InvalidNextToken(_) => "Message",
            _ => "message",
        }
    }

    /// The error as a response.
    #[must_use]
    pub fn response(&self) -> Response {
        let body = json!({ "__type": self.code(), self.message_member(): self.to_string() });
        let mut response = Response::new(self.status(), AMZ_JSON, body.to_string());
        response.error = Some(self.code().to_owned());
        response.with_header("x-amzn-errortype", self.code())
    }
}
