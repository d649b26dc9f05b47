//! Requests at the endpoints of servers of the account.

use std::time::Instant;

use hyper::body::Incoming;

use super::payload::{Broken, Payload, deliver};
use super::{request_of, written};
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
    let (response, receipt) = {
        let began = Instant::now();
        let mut control = shared.control();
        let response = control.handle_at(shared.now(), family, connection, &request);
        control.set_duration(began.elapsed());
        if let Some(line) = control.record().newest_line().filter(|_| shared.log.is_on()) {
            shared.log.line(line);
        }
        let receipt = shared.commit(&mut control);
        (response, receipt)
    };
    deliver(written(receipt, response).await, shared.now()).await
}
