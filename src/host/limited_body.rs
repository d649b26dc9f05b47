//! Limits on what is read of an answer. Each transport has a guard of its own, made of these parts:
//! a limit on the size for every answer, and a check of the bytes where the service has a rule.

mod json;

use std::error::Error;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use aws_smithy_types::body::{self, SdkBody};
use bytes::Bytes;
use http_body::{Body, Frame};
use http_body_util::{BodyExt, LengthLimitError, Limited};

use crate::fault::{chain, deepest};

pub use json::json;

/// A transport's guard: limits and checks an answer's body before anything reads it. It gets the
/// request's method and the answer.
pub type Guard = fn(method: &str, answer: HttpResponse) -> HttpResponse;

/// Why a guard stopped reading an answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct BodyRejected(pub String);

/// The connection ended before the answer did.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the connection ended in the middle of the answer ({0})")]
pub struct CutShort(pub String);

/// Whether a call failed because the connection ended in the middle of the answer.
#[must_use]
pub fn is_cut_short(error: &(dyn Error + 'static)) -> bool {
    chain(error).any(<dyn Error>::is::<CutShort>)
}

/// Whether a call failed because a guard stopped reading the answer.
#[must_use]
pub fn is_body_rejected(error: &(dyn Error + 'static)) -> bool {
    chain(error).any(<dyn Error>::is::<BodyRejected>)
}

/// Limits an answer to so many bytes. They are counted: its `Content-Length` is not trusted.
#[must_use]
pub fn limited(answer: HttpResponse, limit: usize) -> HttpResponse {
    answer.map(|body| {
        let body = body.map_err(|error| CutShort(deepest(&*error)));
        let body = Limited::new(body, limit).map_err(move |error| -> body::Error {
            if error.is::<LengthLimitError>() {
                let what = format!("it is larger than {limit} bytes, and the rest was not read");
                BodyRejected(what).into()
            } else {
                error
            }
        });
        SdkBody::from_body_1_x(body)
    })
}

/// Has each part of an answer's body checked as it arrives.
#[must_use]
pub fn checked(mut answer: HttpResponse, check: impl Check) -> HttpResponse {
    let inner = answer.take_body();
    *answer.body_mut() = SdkBody::from_body_1_x(Checked { inner, check });
    answer
}

/// A check of a body's bytes.
pub trait Check: Send + Sync + Unpin + 'static {
    /// Checks the next bytes.
    fn part(&mut self, bytes: &[u8]) -> Result<(), BodyRejected>;

    /// Checks whether the body may end here.
    fn end(&self) -> Result<(), CutShort> {
        Ok(())
    }
}

struct Checked<C> {
    inner: SdkBody,
    check: C,
}

impl<C: Check> Body for Checked<C> {
    type Data = Bytes;
    type Error = body::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, body::Error>>> {
        let checked = match ready!(Pin::new(&mut self.inner).poll_frame(cx)) {
            Some(Ok(frame)) => {
                let checked = frame.data_ref().map_or(Ok(()), |bytes| self.check.part(bytes));
                Some(checked.map(|()| frame).map_err(Into::into))
            }
            Some(Err(error)) => Some(Err(error)),
            None => self.check.end().err().map(|error| Err(error.into())),
        };
        Poll::Ready(checked)
    }
}

#[cfg(test)]
mod tests {
    use super::{BodyRejected, CutShort, HttpResponse, is_body_rejected, is_cut_short, limited};
    use aws_smithy_types::body::SdkBody;
    use http_body_util::BodyExt;

    async fn read(body: SdkBody, limit: usize) -> Result<Vec<u8>, String> {
        let status = 200.try_into().unwrap();
        let read = limited(HttpResponse::new(status, body), limit).into_body().collect().await;
        read.map(|read| read.to_bytes().to_vec()).map_err(|error| {
            assert_eq!(is_body_rejected(&*error), error.is::<BodyRejected>());
            assert_eq!(is_cut_short(&*error), error.is::<CutShort>());
            error.to_string()
        })
    }

    #[tokio::test]
    async fn an_answer_is_read_up_to_its_limit_and_no_further() {
        assert_eq!(read(SdkBody::from("abcd"), 4).await, Ok(b"abcd".to_vec()));
        let error = read(SdkBody::from("abcde"), 4).await.unwrap_err();
        assert_eq!(error, "it is larger than 4 bytes, and the rest was not read");
    }

    #[tokio::test]
    async fn an_answer_that_ends_in_an_error_is_cut_short() {
        let error = read(SdkBody::taken(), 4).await.unwrap_err();
        assert!(error.starts_with("the connection ended in the middle of the answer"), "{error}");
    }
}
