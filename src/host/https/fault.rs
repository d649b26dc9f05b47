//! What it means that there is no answer, or that a server has too much to do.

use std::time::Duration;

use aws_smithy_types::DateTime;
use aws_smithy_types::date_time::Format;
use bytes::Bytes;
use hyper::Response;

use super::HttpsError;
use crate::fault::{Fault, Kind};
use crate::host::net::proxy;
use crate::host::tls;

/// The longest wait that a server can ask for.
const LONGEST_RETRY_AFTER: Duration = Duration::from_hours(1);

/// What was asked, for the fault of a request that got no answer.
#[derive(Clone, Copy, Debug)]
pub struct Asked<'a> {
    /// The API's name of the action.
    pub action: &'a str,
    /// The object of the request, for messages.
    pub on: &'a str,
    /// Scheme, host and port.
    pub url: &'a str,
    /// What should answer: `a CA`.
    pub service: &'a str,
    /// The settings to check: `server and port in [table]`.
    pub settings: &'a str,
    /// What to do if the server's certificate is not accepted.
    pub if_untrusted: &'a str,
}

impl HttpsError {
    /// Whether the server may have got the request.
    #[must_use]
    pub fn was_sent(&self) -> bool {
        match self {
            Self::NoConnection(_)
            | Self::NoProxy(..)
            | Self::Proxy(_)
            | Self::NoTls(_)
            | Self::NoRoots(_)
            | Self::Redirect(..) => false,
            Self::TimedOut(_) | Self::CutShort(_) | Self::TooLarge(_) | Self::NotHttp(_) => true,
        }
    }

    /// The fault for it. It is not marked as in doubt: only the caller knows whether the request has an
    /// effect.
    #[must_use]
    pub fn fault(&self, asked: &Asked<'_>) -> Fault {
        let Asked { action, on, url, service, settings, if_untrusted } = *asked;
        let cause = format!("{url}: {self}");
        match self {
            Self::NoProxy(proxy, _) => proxy::unreached(action, on, proxy, cause),
            Self::NoConnection(_) => {
                asked.passing(format!("{action} could not be sent")).cause(cause).unsent()
            }
            Self::Proxy(refused) => refused.fault(action, on, url),
            Self::NoTls(reason) => tls::fault(reason, action, on.to_owned(), url, if_untrusted),
            Self::NoRoots(fault) => fault.clone().so_that(&format!("{action} could not be sent")),
            Self::TimedOut(_) => {
                asked.passing(format!("{action} got no answer in time")).cause(cause)
            }
            Self::CutShort(_) => {
                asked.passing(format!("{action} was sent, and no whole answer came")).cause(cause)
            }
            Self::TooLarge(_) | Self::NotHttp(_) => {
                let what = format!("what answered {action} is not {service}");
                Fault::new(Kind::Protocol, what, on, format!("check {settings}")).cause(cause)
            }
            Self::Redirect(..) => {
                let what = format!("{action} was redirected, and nothing was sent there");
                let todo = format!("name the server that answers itself: check {settings}");
                Fault::new(Kind::Protocol, what, on, todo).cause(cause)
            }
        }
    }
}

impl Asked<'_> {
    /// A fault that may pass by itself.
    #[must_use]
    pub fn passing(&self, what: String) -> Fault {
        let settings = self.settings;
        let todo = format!("wait; if it lasts, check {settings}, the network and the server's log");
        Fault::new(Kind::Transient, what, self.on, todo)
    }
}

/// How long the server asks to wait (RFC 9110, 10.2.3): seconds, or a date, which is compared with that
/// of the answer. At most an hour.
#[must_use]
pub fn retry_after(answer: &Response<Bytes>) -> Option<Duration> {
    let header = |name| answer.headers().get(name).and_then(|value| value.to_str().ok());
    let date = |text: &str| DateTime::from_str(text, Format::HttpDate).ok().map(|it| it.secs());
    let asked = header("retry-after")?.trim();
    let seconds = match asked.parse::<u64>() {
        Ok(seconds) => seconds,
        Err(_) => u64::try_from(date(asked)?.checked_sub(date(header("date")?)?)?).unwrap_or(0),
    };
    Some(Duration::from_secs(seconds).min(LONGEST_RETRY_AFTER))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use bytes::Bytes;
    use hyper::Response;

    use super::retry_after;

    #[test]
    fn a_wait_is_given_in_seconds_or_as_a_date() {
        const DATE: &str = "Thu, 26 Nov 2026 05:00:00 GMT";
        let asked = |text: &str| {
            let answer = Response::builder().header("date", DATE).header("retry-after", text);
            retry_after(&answer.body(Bytes::new()).unwrap()).map(|wait| wait.as_secs())
        };
        assert_eq!(asked("7"), Some(7));
        assert_eq!(asked("Thu, 26 Nov 2026 05:01:30 GMT"), Some(90));
        assert_eq!(asked("Thu, 26 Nov 2026 04:00:00 GMT"), Some(0));
        assert_eq!(asked("999999999"), Some(3600));
        assert_eq!(asked("soon"), None);
        assert_eq!(asked("-1"), None);
        assert_eq!(retry_after(&Response::new(Bytes::new())), None::<Duration>);
    }
}
