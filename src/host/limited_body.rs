//! The body of an answer, watched while it arrives: nothing is read without a bound.

use std::error::Error;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use aws_smithy_types::body::{self, SdkBody};
use bytes::Bytes;
use http_body::{Body, Frame};

use crate::fault::chain;

/// How deep JSON may be nested. The APIs' own answers are less than ten deep; the SDK's parser
/// takes a part of the stack for each level, and ends the process where there is none left.
const DEEPEST: usize = 64;

/// Why an answer was not read to its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BodyRejected {
    #[error("it is larger than {0} bytes, and was not read any further")]
    TooLarge(usize),
    #[error("it is nested more than {DEEPEST} deep")]
    TooDeep,
    #[error("it holds what no token does")]
    NoToken,
}

/// That the connection ended before the answer did: what arrived is not what was said.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the connection ended in the middle of the answer ({0})")]
pub struct CutShort(String);

/// Whether this is why something failed.
#[must_use]
pub fn is_cut_short(error: &(dyn Error + 'static)) -> bool {
    chain(error).any(<dyn Error>::is::<CutShort>)
}

/// Whether this is why something failed.
#[must_use]
pub fn is_body_rejected(error: &(dyn Error + 'static)) -> bool {
    chain(error).any(<dyn Error>::is::<BodyRejected>)
}

/// A body that ends in an error where it is not fit to be read. What it says of its own length
/// is not believed: it is counted.
pub struct LimitedBody {
    inner: SdkBody,
    limit: usize,
    read: usize,
    nesting: Nesting,
    is_token: bool,
    /// Whether the answer says where it ends.
    has_end: bool,
}

impl LimitedBody {
    #[must_use]
    pub fn new(inner: SdkBody, limit: usize) -> Self {
        Self { inner, limit, read: 0, nesting: Nesting::default(), is_token: false, has_end: true }
    }

    /// One that is to be a token: the SDK sends it back in a header, and ends the process where it
    /// does not fit there.
    #[must_use]
    pub fn token(inner: SdkBody, limit: usize) -> Self {
        Self { is_token: true, ..Self::new(inner, limit) }
    }

    /// An answer that does not say where it ends is whole where its JSON is.
    #[must_use]
    pub fn whole_if(self, has_end: bool) -> Self {
        Self { has_end, ..self }
    }

    fn look_at(&mut self, bytes: &[u8]) -> Result<(), BodyRejected> {
        self.read = self.read.saturating_add(bytes.len());
        if self.read > self.limit {
            return Err(BodyRejected::TooLarge(self.limit));
        }
        if self.is_token && !bytes.is_ascii() {
            return Err(BodyRejected::NoToken);
        }
        if self.nesting.deepest_after(bytes) > DEEPEST {
            Err(BodyRejected::TooDeep)
        } else {
            Ok(())
        }
    }
}

impl Body for LimitedBody {
    type Data = Bytes;
    type Error = body::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, body::Error>>> {
        let frame = match ready!(Pin::new(&mut self.inner).poll_frame(cx)) {
            Some(Ok(frame)) => frame,
            Some(Err(error)) => {
                let deepest = chain(&*error).last().map(ToString::to_string);
                let reason = CutShort(deepest.unwrap_or_default());
                return Poll::Ready(Some(Err(reason.into())));
            }
            None if !self.has_end && self.nesting.is_open() => {
                let reason = CutShort("its JSON has no end".to_owned());
                return Poll::Ready(Some(Err(reason.into())));
            }
            None => return Poll::Ready(None),
        };
        let fit = frame.data_ref().map_or(Ok(()), |bytes| self.look_at(bytes));
        Poll::Ready(Some(fit.map(|()| frame).map_err(Into::into)))
    }
}

/// How deep the brackets of a JSON text are nested, as far as it was seen. A text that does not
/// begin as JSON does is no concern of the parser's.
#[derive(Default)]
struct Nesting {
    began: Option<bool>,
    depth: usize,
    in_text: bool,
    is_escaped: bool,
}

impl Nesting {
    /// Takes in more of the text, and says how deep it went in that.
    fn deepest_after(&mut self, bytes: &[u8]) -> usize {
        let mut deepest = 0;
        for byte in bytes {
            if self.began.is_none() && !byte.is_ascii_whitespace() {
                self.began = Some(matches!(byte, b'{' | b'['));
            }
            if self.began == Some(true) {
                self.step(*byte);
                deepest = deepest.max(self.depth);
            }
        }
        deepest
    }

    /// Whether a bracket is still to be closed.
    fn is_open(&self) -> bool {
        self.depth > 0
    }

    fn step(&mut self, byte: u8) {
        match byte {
            _ if self.is_escaped => self.is_escaped = false,
            b'\\' if self.in_text => self.is_escaped = true,
            b'"' => self.in_text = !self.in_text,
            b'{' | b'[' if !self.in_text => self.depth = self.depth.saturating_add(1),
            b'}' | b']' if !self.in_text => self.depth = self.depth.saturating_sub(1),
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{BodyRejected, DEEPEST, LimitedBody};
    use aws_smithy_types::body::SdkBody;

    fn look(limit: usize, parts: &[&str]) -> Result<(), BodyRejected> {
        let mut body = LimitedBody::new(SdkBody::empty(), limit);
        parts.iter().try_for_each(|part| body.look_at(part.as_bytes()))
    }

    #[test]
    fn as_much_as_the_limit_and_no_byte_more_in_whatever_parts() {
        assert_eq!(look(4, &["ab", "cd"]), Ok(()));
        assert_eq!(look(4, &["ab", "cde"]), Err(BodyRejected::TooLarge(4)));
    }

    #[test]
    fn as_deep_as_the_limit_and_no_level_more() {
        let open = "[".repeat(DEEPEST);
        assert_eq!(look(1000, &[&open]), Ok(()));
        assert_eq!(look(1000, &[" ", &open, "{"]), Err(BodyRejected::TooDeep));
        // Side by side is not deep, nor is what stands in a text; and a page is no JSON.
        assert_eq!(look(10_000, &[&"[]".repeat(200), "\""]), Ok(()));
        assert_eq!(look(1000, &["[\"\\\"", &open, &open, "\"]"]), Ok(()));
        assert_eq!(look(1000, &["<", &open, &open]), Ok(()));
    }
}
