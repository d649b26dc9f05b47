//! Response bodies, and the ways in which they do not arrive.

use std::pin::Pin;
use std::task::{Context, Poll};

use hyper::body::{Body, Bytes, Frame, SizeHint};
use tokio::sync::mpsc;

use crate::admin_api::Pieces;
use crate::http::{Delivery, Response};
use crate::now::Now;

/// The connection is to break without, or within, a response.
#[derive(Debug, thiserror::Error)]
#[error("the connection is broken on request")]
pub struct Broken;

/// Makes the response that goes out, when its time has come.
///
/// # Errors
/// When the connection is to break.
pub async fn deliver(response: Response, now: Now) -> Result<hyper::Response<Payload>, Broken> {
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
    // By the clock that requests are judged by, which may be wrong on purpose.
    built = built.header("date", now.http_date());
    for (name, value) in &response.headers {
        built = built.header(name, value);
    }
    let whole = Whole { bytes: Some(bytes), length, truncated, flushed: false };
    built.body(Payload::Whole(whole)).map_err(|_| Broken)
}

/// Sends pieces as they are made, by a thread of its own, and no faster than it is read.
///
/// # Errors
/// Never; the response is made like the others.
pub fn stream(made: Pieces) -> Result<hyper::Response<Payload>, Broken> {
    let (pieces, received) = mpsc::channel(1);
    tokio::task::spawn_blocking(move || {
        // A client that has gone away wants no more.
        made.write(|piece| pieces.blocking_send(Bytes::from(piece)).is_ok());
    });
    hyper::Response::builder()
        .header("content-type", "application/json")
        .header("cache-control", "no-store")
        .body(Payload::Pieces(received))
        .map_err(|_| Broken)
}

/// A response's body.
pub enum Payload {
    /// One that is there, and may break off: the length is announced whole, half of it comes.
    Whole(Whole),
    /// One that is being made.
    Pieces(mpsc::Receiver<Bytes>),
}

/// A body that is there.
pub struct Whole {
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
        match &mut *self {
            Self::Whole(whole) => whole.poll(context),
            Self::Pieces(pieces) => {
                pieces.poll_recv(context).map(|piece| piece.map(|bytes| Ok(Frame::data(bytes))))
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        matches!(self, Self::Whole(whole) if whole.bytes.is_none() && !whole.truncated)
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Whole(whole) => {
                SizeHint::with_exact(u64::try_from(whole.length).unwrap_or(u64::MAX))
            }
            Self::Pieces(_) => SizeHint::default(),
        }
    }
}

impl Whole {
    fn poll(&mut self, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Broken>>> {
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
}
