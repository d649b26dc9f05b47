//! Request bodies: read to their end, within a length, a time, and a share of the memory.

use std::sync::Arc;
use std::time::Duration;

use http_body_util::{BodyExt, Limited};
use hyper::body::Incoming;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::error::ApiError;

/// The longest body that is read, in bytes.
pub const LIMIT: usize = 1024 * 1024;
/// How much all bodies together may take while they are read and answered, in KiB.
const SHARE: usize = 16 * 1024;

/// The memory for bodies. Who sends more than there is room for waits for its turn.
#[derive(Debug)]
pub struct Room(Arc<Semaphore>);

impl Default for Room {
    fn default() -> Self {
        Self(Arc::new(Semaphore::new(SHARE)))
    }
}

/// A body, and the memory it takes until it is dropped.
#[derive(Debug, Default)]
pub struct Whole {
    bytes: Vec<u8>,
    room: Option<OwnedSemaphorePermit>,
}

impl Whole {
    /// The bytes, and their room, to be kept as long as they are.
    pub fn into_parts(self) -> (Vec<u8>, Option<OwnedSemaphorePermit>) {
        (self.bytes, self.room)
    }
}

impl Room {
    /// Reads a body.
    ///
    /// # Errors
    /// When it is too long, or does not come within `time`. A connection that breaks off reads like
    /// a body that does not come: nobody is there to see the answer.
    pub async fn read(&self, body: Incoming, time: Duration) -> Result<Whole, ApiError> {
        let read = tokio::time::timeout(time, self.collect(body)).await;
        read.unwrap_or(Err(ApiError::RequestTimeout))
    }

    /// Reads a body of up to `limit` bytes beside all others: that of an import, whose sender has
    /// the emulator's keys.
    ///
    /// # Errors
    /// The same.
    pub async fn read_large(
        body: Incoming,
        limit: usize,
        time: Duration,
    ) -> Result<Whole, ApiError> {
        let read = tokio::time::timeout(time, Limited::new(body, limit).collect()).await;
        let whole = read.map_err(|_| ApiError::RequestTimeout)?;
        let whole = whole.map_err(|_| ApiError::RequestEntityTooLarge)?;
        Ok(Whole { bytes: whole.to_bytes().to_vec(), room: None })
    }

    async fn collect(&self, mut body: Incoming) -> Result<Whole, ApiError> {
        let mut whole = Whole::default();
        while let Some(frame) = body.frame().await {
            let Ok(frame) = frame.map_err(|_| ApiError::RequestTimeout)?.into_data() else {
                continue;
            };
            if whole.bytes.len().saturating_add(frame.len()) > LIMIT {
                return Err(ApiError::RequestEntityTooLarge);
            }
            let kibibytes = u32::try_from(frame.len().div_ceil(1024)).unwrap_or(u32::MAX);
            let more = Arc::clone(&self.0).acquire_many_owned(kibibytes).await;
            let more = more.map_err(|_| ApiError::RequestTimeout)?;
            match &mut whole.room {
                Some(room) => room.merge(more),
                None => whole.room = Some(more),
            }
            whole.bytes.extend_from_slice(&frame);
        }
        Ok(whole)
    }
}
