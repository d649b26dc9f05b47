//! Events of servers: "Events are always related to a server."

use serde::{Deserialize, Serialize};
use std::collections::VecDeque;

use serde_json::{Map, Value, json};

use super::OpsWorksCm;
use super::page;
use super::server::spec::SERVER_NAME;
use crate::control::timestamp;
use crate::control::validate::{Members, Text};
use crate::error::ApiError;
use crate::now::Now;

/// How many events of a server are kept.
const KEPT: usize = 1000;

/// A server's events.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(super) struct Events {
    /// Newest last.
    kept: VecDeque<Event>,
    count: u64,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
struct Event {
    number: u64,
    at: Now,
    message: String,
    log_url: Option<String>,
}

impl Events {
    pub fn add(&mut self, at: Now, message: impl Into<String>) {
        self.push(at, message.into(), None);
    }

    /// An event that has a log.
    pub fn add_logged(&mut self, at: Now, message: impl Into<String>, log_url: String) {
        self.push(at, message.into(), Some(log_url));
    }

    fn push(&mut self, at: Now, message: String, log_url: Option<String>) {
        if self.kept.len() == KEPT {
            self.kept.pop_front();
        }
        self.count = self.count.saturating_add(1);
        self.kept.push_back(Event { number: self.count, at, message, log_url });
    }
}

impl Event {
    fn describe(&self, server: &str) -> Value {
        let mut members = Map::new();
        members.insert("CreatedAt".to_owned(), timestamp(self.at));
        members.insert("Message".to_owned(), json!(self.message));
        members.insert("ServerName".to_owned(), json!(server));
        if let Some(url) = &self.log_url {
            members.insert("LogUrl".to_owned(), json!(url));
        }
        Value::Object(members)
    }
}

/// Where the logs of a server are said to be.
pub(super) fn log_url(region: &str, server: &str, file: &str) -> String {
    let bucket = format!("aws-opsworks-cm-{}", server.to_ascii_lowercase());
    format!("https://s3.{region}.amazonaws.com/{bucket}/{file}")
}

impl OpsWorksCm {
    /// "Results are ordered by time, with newest events first."
    pub(super) fn describe_events(&self, mut members: Members<'_>) -> Result<Value, ApiError> {
        let name = members.text("ServerName", &SERVER_NAME)?;
        let size = members.optional_integer("MaxResults", 1)?;
        let token = members.optional_text("NextToken", &Text::ANY)?;
        members.finish()?;

        let server = self.server(name)?;
        let before = token.map(|token| page::position(&server.arn, token)).transpose()?;
        let before = before.map(|text| text.parse::<u64>().map_err(|_| page::invalid()));
        let before = before.transpose()?.unwrap_or(u64::MAX);
        let size = size.and_then(|size| usize::try_from(size).ok()).unwrap_or(usize::MAX);
        let mut rest = server.events.kept.iter().rev().filter(|event| event.number < before);
        let rows: Vec<_> = rest.by_ref().take(size).collect();
        let last = rows.last().filter(|_| rest.next().is_some());
        let next = last.map(|last| page::token(&server.arn, &last.number.to_string()));
        let rows: Vec<_> = rows.iter().map(|event| event.describe(name)).collect();
        Ok(json!({ "ServerEvents": rows, "NextToken": next }))
    }
}
