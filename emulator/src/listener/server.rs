//! Requests at the endpoints of servers of the account.

use hyper::body::Incoming;

use super::payload::{Broken, Payload, deliver};
use super::{call, request_of, written};
use crate::control::Family;
use crate::http::{Connection, Response};
use crate::shared::Shared;

/// Answers one request.
pub async fn answer(
    request: hyper::Request<Incoming>,
    family: Family,
    connection: &Connection,
    shared: &Shared,
) -> Result<hyper::Response<Payload>, Broken> {
    let (head, body) = request.into_parts();
    let mut request = request_of(&head);
    // The body's share of the memory is given back when it has been answered.
    let (bytes, _room) = match shared.room.read(body, shared.read_timeout).await {
        Ok(whole) => whole.into_parts(),
        Err(error) => {
            let refused = Response::new(error.status(), "text/plain", error.to_string());
            return deliver(refused.with_header("connection", "close"), shared.now()).await;
        }
    };
    request.body = bytes;
    let (response, receipt) =
        call(shared, |control, now| control.handle_at(now, family, connection, &request));
    deliver(written(receipt, response).await, shared.now()).await
}
