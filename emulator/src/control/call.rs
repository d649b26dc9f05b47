//! The record of what was asked and answered: the newest calls, as text of a bounded size.

use std::collections::VecDeque;
use std::sync::{Arc, Weak};
use std::time::Duration;

use serde::Serialize;
use serde_json::Value;

use super::Family;
use super::fault::FaultKind;
use crate::http::{Delivery, Response};
use crate::now::Now;

/// One API call.
#[derive(Clone, Debug, Serialize)]
pub struct Call {
    /// Its number, from 1.
    pub number: u64,
    /// When it came, in milliseconds since 1970.
    pub at_ms: u64,
    /// How long the answer took, in microseconds; zero in virtual time.
    pub micros: u64,
    /// The service's signing name; none when the request named none that is served.
    pub service: Option<&'static str>,
    /// The action, or `-` when the request named none.
    pub action: String,
    /// `x-amzn-RequestId` of the answer.
    pub request_id: String,
    /// The HTTP status; none when the connection was broken instead.
    pub status: Option<u16>,
    /// The API error's name, when it was one. A reply that was lost is recorded as it would have
    /// been.
    pub error: Option<String>,
    /// The fault that was injected.
    pub fault: Option<String>,
    /// The length of the request's body, in bytes.
    pub request_bytes: usize,
    /// The request's body. Null when it was not JSON, was longer than 16 KiB, or the request was not
    /// authenticated. Secrets are left out.
    pub request: Value,
    /// The answer's body, as text when it is not JSON. Null when it was longer than 16 KiB. Secrets
    /// are left out.
    pub answer: Value,
}

impl Call {
    /// The call in one line, for a log.
    #[must_use]
    pub fn line(&self) -> String {
        line(self.at_ms, &self.action, self.status, self.error.as_deref(), self.fault.as_deref())
    }
}

fn line(
    at_ms: u64,
    action: &str,
    status: Option<u16>,
    error: Option<&str>,
    fault: Option<&str>,
) -> String {
    let at = Now::from_unix_ms(at_ms).rfc3339();
    let status = status.map_or_else(|| "lost".to_owned(), |status| status.to_string());
    let fault = fault.map(|fault| format!(" (fault {fault})")).unwrap_or_default();
    // What a client sends as its action is not trusted to be a word.
    let action: String = action.chars().filter(|letter| !letter.is_control()).collect();
    format!("{at} {action} {status} {}{fault}", error.unwrap_or("-"))
}

/// What is known of a call when it has been answered.
pub(super) struct Answered<'a> {
    pub now: Now,
    pub family: Option<Family>,
    pub action: &'a str,
    pub request_id: String,
    pub request_bytes: usize,
    /// Without secrets.
    pub request: Option<String>,
    /// In place of the response's body, where that has secrets.
    pub answer: Option<String>,
    pub fault: Option<FaultKind>,
    pub response: &'a Response,
}

/// A call as it is kept: text, so that its size is known.
#[derive(Clone, Debug)]
struct Kept {
    number: u64,
    at: Now,
    micros: u64,
    family: Option<Family>,
    action: Box<str>,
    request_id: Box<str>,
    status: Option<u16>,
    error: Option<Box<str>>,
    fault: Option<FaultKind>,
    request_bytes: usize,
    request: Option<Box<str>>,
    answer: Option<Box<str>>,
}

/// The longest body that is kept, in bytes.
const LONGEST_BODY: usize = 16 * 1024;
/// The longest name of an action that is kept: the longest real one has 29 letters.
const LONGEST_ACTION: usize = 64;
/// How much all kept calls may take, in bytes.
const BUDGET: usize = 16 * 1024 * 1024;

/// The newest calls.
#[derive(Clone, Debug, Default)]
pub struct Calls {
    kept: VecDeque<Arc<Kept>>,
    bytes: usize,
    total: u64,
}

impl Calls {
    pub(super) fn push(&mut self, answered: Answered<'_>) {
        self.total = self.total.saturating_add(1);
        let Answered { response, .. } = answered;
        let short = |text: &String| text.len() <= LONGEST_BODY;
        let text = || std::str::from_utf8(&response.body).ok().map(str::to_owned);
        let whole = response.body.len() <= LONGEST_BODY;
        let answer = answered.answer.or_else(|| if whole { text() } else { None });
        let kept = Kept {
            number: self.total,
            at: answered.now,
            micros: 0,
            family: answered.family,
            action: answered.action.chars().take(LONGEST_ACTION).collect::<String>().into(),
            request_id: answered.request_id.into(),
            status: Some(response.status).filter(|_| response.delivery != Delivery::Dropped),
            error: response.error.as_deref().map(Box::from),
            fault: answered.fault,
            request_bytes: answered.request_bytes,
            request: answered.request.filter(short).map(Box::from),
            answer: answer.filter(short).map(Box::from),
        };
        self.bytes = self.bytes.saturating_add(kept.bytes());
        self.kept.push_back(Arc::new(kept));
        while self.bytes > BUDGET {
            let Some(oldest) = self.kept.pop_front() else { break };
            self.bytes = self.bytes.saturating_sub(oldest.bytes());
        }
    }

    /// Sets how long the newest call took.
    pub(super) fn set_duration(&mut self, duration: Duration) {
        if let Some(newest) = self.kept.back_mut().and_then(Arc::get_mut) {
            newest.micros = u64::try_from(duration.as_micros()).unwrap_or(u64::MAX);
        }
    }

    /// How many calls there were, those that are no longer kept among them.
    #[must_use]
    pub const fn total(&self) -> u64 {
        self.total
    }

    /// The kept calls whose number is higher than `number`, oldest first.
    pub fn since(&self, number: u64) -> impl Iterator<Item = Call> {
        self.after(number).map(|kept| kept.call())
    }

    /// At most `limit` of the kept calls after the one of `number`, of a service and an action.
    #[must_use]
    pub fn list(
        &self,
        number: u64,
        limit: usize,
        service: Option<&str>,
        action: Option<&str>,
    ) -> CallList {
        let meant = |kept: &&Arc<Kept>| {
            let known = kept.family.map(Family::name);
            service.is_none_or(|service| known == Some(service))
                && action.is_none_or(|action| *kept.action == *action)
        };
        let kept = self.after(number).filter(meant).take(limit).map(Arc::downgrade).collect();
        CallList { total: self.total, kept }
    }

    fn after(&self, number: u64) -> impl Iterator<Item = &Arc<Kept>> {
        let first = self.kept.front().map_or(0, |oldest| oldest.number);
        let skipped = number.saturating_add(1).saturating_sub(first);
        self.kept.iter().skip(usize::try_from(skipped).unwrap_or(usize::MAX))
    }

    /// The newest call in one line.
    #[must_use]
    pub fn newest_line(&self) -> Option<String> {
        let newest = self.kept.back()?;
        let fault = newest.fault.map(FaultKind::name);
        let (at, error) = (newest.at.unix_ms(), newest.error.as_deref());
        Some(line(at, &newest.action, newest.status, error, fault.as_deref()))
    }
}

/// Some calls, to be made into JSON later, one after the other. A reader who is slow keeps none of
/// them: what is no longer kept when its turn comes is left out.
pub struct CallList {
    total: u64,
    kept: Vec<Weak<Kept>>,
}

impl CallList {
    /// Writes `{"total": N, "calls": [...]}`, or the list alone, in pieces, until `sink` says that
    /// it wants no more.
    pub fn write(&self, alone: bool, mut sink: impl FnMut(String) -> bool) {
        let (head, tail) = if alone {
            ("[".to_owned(), "]")
        } else {
            (format!("{{\"total\":{},\"calls\":[", self.total), "]}")
        };
        if !sink(head) {
            return;
        }
        for (index, kept) in self.kept.iter().filter_map(Weak::upgrade).enumerate() {
            let comma = if index == 0 { "" } else { "," };
            let call = serde_json::to_string(&kept.call()).unwrap_or_else(|_| "null".to_owned());
            if !sink(format!("{comma}{call}")) {
                return;
            }
        }
        sink(tail.to_owned());
    }
}

impl Kept {
    fn bytes(&self) -> usize {
        let text = |text: &Option<Box<str>>| text.as_ref().map_or(0, |text| text.len());
        let texts = [&self.request, &self.answer, &self.error].map(text);
        let names = self.action.len() + self.request_id.len();
        size_of::<Self>() + names + texts.iter().sum::<usize>()
    }

    fn call(&self) -> Call {
        let json = |text: &str| serde_json::from_str(text).ok();
        let request = self.request.as_deref().and_then(json).unwrap_or(Value::Null);
        let shown = |text: &str| json(text).unwrap_or_else(|| Value::from(text));
        Call {
            number: self.number,
            at_ms: self.at.unix_ms(),
            micros: self.micros,
            service: self.family.map(Family::name),
            action: self.action.to_string(),
            request_id: self.request_id.to_string(),
            status: self.status,
            error: self.error.as_deref().map(str::to_owned),
            fault: self.fault.map(FaultKind::name),
            request_bytes: self.request_bytes,
            request,
            answer: self.answer.as_deref().map_or(Value::Null, shown),
        }
    }
}
