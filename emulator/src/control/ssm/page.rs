//! Lists in pages.

use std::collections::BTreeMap;
use std::ops::Bound;

use base64::prelude::{BASE64_URL_SAFE_NO_PAD, Engine};

use crate::error::{ApiError, SsmError};

/// What is listed; a token of the one is none of the other.
#[derive(Clone, Copy, Debug)]
pub enum Listing {
    /// `DescribeActivations`.
    Activations,
    /// `DescribeInstanceInformation`.
    Instances,
}

impl Listing {
    const fn prefix(self) -> &'static str {
        match self {
            Self::Activations => "activations after ",
            Self::Instances => "instances after ",
        }
    }
}

/// The largest page, and the one of requests that name no size.
const LARGEST: usize = 50;

/// One page of a list. It begins after an identifier, so that nothing is listed twice or left out
/// when the list changes between two requests.
pub struct Page {
    listing: Listing,
    size: usize,
    after: Option<String>,
}

impl Page {
    /// The page that `MaxResults` and `NextToken` ask for.
    ///
    /// # Errors
    /// `InvalidNextToken` for a token that was never given out.
    pub fn of(listing: Listing, size: Option<i32>, token: Option<&str>) -> Result<Self, ApiError> {
        let size = size.and_then(|size| usize::try_from(size).ok()).unwrap_or(LARGEST);
        let after = token.map(|token| after(listing, token)).transpose()?;
        Ok(Self { listing, size, after })
    }

    /// The rows of the page among those that pass, and the next page's token when there is one.
    pub fn cut<T>(
        self,
        rows: &BTreeMap<String, T>,
        passes: impl Fn(&str, &T) -> bool,
    ) -> (Vec<(&String, &T)>, Option<String>) {
        let start = self.after.map_or(Bound::Unbounded, Bound::Excluded);
        let rest = rows.range((start, Bound::Unbounded));
        let mut rest = rest.filter(|(id, row)| passes(id, row)).peekable();
        let page: Vec<_> = rest.by_ref().take(self.size).collect();
        let last = page.last().filter(|_| rest.peek().is_some());
        let next = last
            .map(|(id, _)| BASE64_URL_SAFE_NO_PAD.encode(format!("{}{id}", self.listing.prefix())));
        (page, next)
    }
}

fn after(listing: Listing, token: &str) -> Result<String, ApiError> {
    let bytes = BASE64_URL_SAFE_NO_PAD.decode(token).unwrap_or_default();
    let text = String::from_utf8(bytes).unwrap_or_default();
    let id = text.strip_prefix(listing.prefix()).map(str::to_owned);
    id.ok_or_else(|| SsmError::InvalidNextToken.because("The specified token isn't valid."))
}
