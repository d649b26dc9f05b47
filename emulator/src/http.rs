//! Requests and responses as plain data, so that what answers them needs no socket.

use std::time::Duration;

/// A request, whole: the body has been read, header names are in lower case.
#[derive(Clone, Debug, Default)]
pub struct Request {
    /// `GET`, `POST`, `PUT`...
    pub method: String,
    /// The path as sent, still percent-encoded, without the query.
    pub path: String,
    /// What follows the `?`, as sent; empty when there is none.
    pub query: String,
    /// Names in lower case, in the order received.
    pub headers: Vec<(String, String)>,
    /// The body's bytes.
    pub body: Vec<u8>,
}

impl Request {
    /// An unsigned API call: what a simulation sends. `target` is the `X-Amz-Target`, such as
    /// `OpsWorksCM_V2016_11_01.AssociateNode`.
    #[must_use]
    pub fn call(target: &str, body: &serde_json::Value) -> Self {
        Self {
            method: "POST".to_owned(),
            path: "/".to_owned(),
            query: String::new(),
            headers: vec![
                ("content-type".to_owned(), AMZ_JSON.to_owned()),
                ("x-amz-target".to_owned(), target.to_owned()),
            ],
            body: body.to_string().into_bytes(),
        }
    }

    /// The first header called `name` (in lower case).
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        let found = self.headers.iter().find(|(known, _)| known == name);
        found.map(|(_, value)| value.as_str())
    }
}

/// The connection that a request came by, where it tells something.
#[derive(Clone, Debug, Default)]
pub struct Connection {
    /// The server that is meant, by its name in the account.
    pub server: String,
    /// The client's certificate, in DER.
    pub certificate: Option<Vec<u8>>,
    /// Whether that certificate is of the server's own CA.
    pub is_of_this_ca: bool,
}

/// How a response reaches the client, when it does.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub enum Delivery {
    /// At once and whole.
    #[default]
    Whole,
    /// Whole, after a wait.
    Late(Duration),
    /// The headers and half the body, then the connection breaks.
    Truncated,
    /// The connection breaks before the first byte.
    Dropped,
}

/// A response, and what to do with it.
#[derive(Clone, Debug)]
pub struct Response {
    /// The HTTP status.
    pub status: u16,
    /// Headers beside those the HTTP layer adds.
    pub headers: Vec<(String, String)>,
    /// The body's bytes.
    pub body: Vec<u8>,
    /// The API error's name, when it is one: `ValidationException`.
    pub error: Option<String>,
    /// How to deliver it.
    pub delivery: Delivery,
}

/// The content type of the JSON 1.1 protocol.
pub const AMZ_JSON: &str = "application/x-amz-json-1.1";

/// What a captive portal or a proxy answers in place of the service.
pub const HTML_PAGE: &str = "<!DOCTYPE html>\n<html><head><title>Welcome</title></head>\
    <body><h1>Welcome</h1><p>Please sign in to use this network.</p></body></html>\n";

impl Response {
    /// A response of `status` with a body of `content_type`.
    pub fn new(status: u16, content_type: &str, body: impl Into<Vec<u8>>) -> Self {
        Self {
            status,
            headers: vec![("content-type".to_owned(), content_type.to_owned())],
            body: body.into(),
            error: None,
            delivery: Delivery::Whole,
        }
    }

    /// The page of a proxy that is in the way.
    #[must_use]
    pub fn html(status: u16) -> Self {
        Self::new(status, "text/html", HTML_PAGE)
    }

    /// No response: the connection breaks.
    #[must_use]
    pub fn dropped() -> Self {
        Self { delivery: Delivery::Dropped, ..Self::new(0, "", "") }
    }

    /// Adds a header.
    #[must_use]
    pub fn with_header(mut self, name: &str, value: impl Into<String>) -> Self {
        self.headers.push((name.to_owned(), value.into()));
        self
    }
}
