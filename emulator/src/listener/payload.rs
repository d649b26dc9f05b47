//! Response bodies, and the ways in which they do not arrive.

use std::pin::Pin;
use std::task::{Context, Poll};

use hyper::body::{Body, Bytes, Frame, SizeHint};

use crate::http::{Delivery, Response};

/// The connection is to break without, or within, a response.
#[derive(Debug, thiserror::Error)]
#[error("the connection is broken on request")]
pub struct Broken;

/// Makes the response that goes out, when its time has come.
///
/// # Errors
/// When the connection is to break.
pub async fn deliver(response: Response) -> Result<hyper::Response<Payload>, Broken> {
    match response.delivery {
        Delivery::Dropped => return Err(Broken),
        Delivery::Late(wait) => tokio::time::sleep(wait).await,
        Delivery::Whole | Delivery::Truncated => {}
    }
    let truncated = response.delivery == Delivery::Truncated;
    let length = response.body.len();
    let mut bytes = Bytes::from(response.body);
    if truncated {
        bytes.truncate(length / 2);
    }
    let mut built = hyper::Response::builder().status(response.status);
    for (name, value) in &response.headers {
        built = built.header(name, value);
    }
    let payload = Payload { bytes: Some(bytes), length, truncated, flushed: false };
    built.body(payload).map_err(|_| Broken)
}

/// A body that may break off: the length is announced whole, half of it comes.
pub struct Payload {
    bytes: Option<Bytes>,
    length: usize,
    truncated: bool,
    /// Whether the half has been given time to go out; hyper drops what it has not yet written.
    flushed: bool,
}

impl Body for Payload {
    type Data = Bytes;
    type Error = Broken;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Broken>>> {
        match self.bytes.take() {
            Some(bytes) => Poll::Ready(Some(Ok(Frame::data(bytes)))),
            None if self.truncated && !self.flushed => {
                self.flushed = true;
                context.waker().wake_by_ref();
                Poll::Pending
            }
            None if self.truncated => Poll::Ready(Some(Err(Broken))),
            None => Poll::Ready(None),
        }
    }

    fn is_end_stream(&self) -> bool {
        self.bytes.is_none() && !self.truncated
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(u64::try_from(self.length).unwrap_or(u64::MAX))
    }
}
