//! The guard of the AWS APIs: what is read of their answers.

use aws_smithy_runtime_api::client::orchestrator::HttpResponse;

use crate::host::limited_body::json;

/// The largest answer, in bytes. A server with its attributes, or a page of 50 instances, takes
/// some tens of KiB.
const LARGEST: usize = 1024 * 1024;

/// Limits the size of an answer and the depth of its JSON.
pub fn guard(_method: &str, answer: HttpResponse) -> HttpResponse {
    json(answer, LARGEST)
}
