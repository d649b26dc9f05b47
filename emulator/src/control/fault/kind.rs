//! The kinds of faults, and what each does to an answer.

use std::time::Duration;

use crate::ca::WrongCertificate;
use crate::error::ApiError;
use crate::http::{AMZ_JSON, Delivery, Response};

/// What goes wrong.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum FaultKind {
    /// `ThrottlingException`, 400.
    Throttle,
    /// `InternalFailure`, 500.
    InternalFailure,
    /// `ServiceUnavailable`, 503.
    Unavailable,
    /// `AccessDeniedException`, 400, as when IAM refuses.
    Denied,
    /// The connection breaks before the request has any effect.
    LostBefore,
    /// The request has its effect; the connection breaks before the reply.
    LostReply,
    /// A proxy's page, 200.
    Html,
    /// A proxy's page, 403.
    HtmlForbidden,
    /// 200 and a body that is not JSON.
    Garbage,
    /// The request has its effect; half the reply arrives.
    Truncated,
    /// The request has its effect; the reply takes this long.
    Slow(Duration),
    /// A redirect to another host, 301.
    Redirect,
    /// `InvalidStateException`, 400, whatever the resource's status.
    InvalidState,
    /// What the action starts ends badly: an association or a backup FAILED, a server FAILED or
    /// UNHEALTHY, an instance of a stack `setup_failed`.
    Failed,
    /// The association succeeds with a wrong certificate.
    Certificate(WrongCertificate),
}

const KINDS: [(&str, FaultKind); 21] = [
    ("throttle", FaultKind::Throttle),
    ("500", FaultKind::InternalFailure),
    ("503", FaultKind::Unavailable),
    ("denied", FaultKind::Denied),
    ("lost-before", FaultKind::LostBefore),
    ("lost-reply", FaultKind::LostReply),
    ("html", FaultKind::Html),
    ("html-403", FaultKind::HtmlForbidden),
    ("garbage", FaultKind::Garbage),
    ("truncated", FaultKind::Truncated),
    ("redirect", FaultKind::Redirect),
    ("invalid-state", FaultKind::InvalidState),
    ("failed", FaultKind::Failed),
    ("cert:other-key", FaultKind::Certificate(WrongCertificate::OtherKey)),
    ("cert:other-name", FaultKind::Certificate(WrongCertificate::OtherName)),
    ("cert:other-ca", FaultKind::Certificate(WrongCertificate::OtherCa)),
    ("cert:expired", FaultKind::Certificate(WrongCertificate::Expired)),
    ("cert:not-yet", FaultKind::Certificate(WrongCertificate::NotYet)),
    ("cert:two", FaultKind::Certificate(WrongCertificate::Two)),
    ("cert:not-pem", FaultKind::Certificate(WrongCertificate::NotPem)),
    ("cert:none", FaultKind::Certificate(WrongCertificate::None)),
];

impl FaultKind {
    /// The answer given in place of the API's, when the request is to have no effect. `denied` is
    /// what IAM says when it refuses this request.
    #[must_use]
    pub fn instead(self, denied: &ApiError) -> Option<Response> {
        let response = match self {
            Self::Throttle => ApiError::Throttling.response(),
            Self::InternalFailure => internal_failure().response(),
            Self::Unavailable => ApiError::ServiceUnavailable.response(),
            Self::Denied => denied.response(),
            Self::LostBefore => Response::dropped(),
            Self::Html => Response::html(200),
            Self::HtmlForbidden => Response::html(403),
            Self::Garbage => Response::new(200, AMZ_JSON, "\u{7f}ELF{\"NodeAssociation"),
            Self::Redirect => Response::new(301, AMZ_JSON, "")
                .with_header("location", "https://opsworks-cm.invalid/"),
            Self::InvalidState => invalid_state().response(),
            _ => return None,
        };
        Some(response)
    }

    /// The error that it has the API answer with, whatever the service.
    #[must_use]
    pub const fn error(self) -> Option<ApiError> {
        match self {
            Self::Throttle => Some(ApiError::Throttling),
            Self::Unavailable => Some(ApiError::ServiceUnavailable),
            _ => None,
        }
    }

    /// How the API's own answer is delivered.
    #[must_use]
    pub const fn delivery(self) -> Delivery {
        match self {
            Self::LostReply => Delivery::Dropped,
            Self::Truncated => Delivery::Truncated,
            Self::Slow(wait) => Delivery::Late(wait),
            _ => Delivery::Whole,
        }
    }

    /// How often it happens when no count is given: what ails an association stays, all else
    /// happens once.
    pub(super) const fn default_count(self) -> Option<u32> {
        match self {
            Self::Failed | Self::Certificate(_) => None,
            _ => Some(1),
        }
    }

    /// The kind as it is written on the command line.
    #[must_use]
    pub fn name(self) -> String {
        match (self, KINDS.into_iter().find(|(_, kind)| *kind == self)) {
            (Self::Slow(wait), _) => format!("slow:{}", wait.as_secs_f64()),
            (_, Some((name, _))) => name.to_owned(),
            (other, None) => format!("{other:?}"),
        }
    }

    pub(super) fn parse(text: &str) -> Option<Self> {
        if let Some(seconds) = text.strip_prefix("slow:") {
            let seconds: f64 = seconds.parse().ok()?;
            return Duration::try_from_secs_f64(seconds).ok().map(Self::Slow);
        }
        KINDS.into_iter().find(|(name, _)| *name == text).map(|(_, kind)| kind)
    }
}

fn internal_failure() -> ApiError {
    ApiError::InternalFailure(
        "The request processing has failed because of an unknown error.".into(),
    )
}

fn invalid_state() -> ApiError {
    ApiError::InvalidState("The server is not in a state that allows the action.".into())
}

/// The names of all kinds but `slow`, for messages.
pub(super) fn kinds() -> String {
    KINDS.map(|(name, _)| name).join(", ")
}
