//! The guard of the metadata service: what is read of its answers.

use aws_smithy_runtime_api::client::orchestrator::HttpResponse;

use crate::host::limited_body::{BodyRejected, Check, checked, json, limited};

/// The largest answer, in bytes: an identity document or a signature takes 2 KiB, a role's
/// credentials take 4.
const LARGEST: usize = 64 * 1024;

/// The longest life of a token, in seconds (EC2 user guide, "Use IMDSv2"). The SDK adds the life
/// to the current time and panics when the sum is out of range.
const LONGEST_LIFE: u64 = 21_600;
const LIFE: &str = "x-aws-ec2-metadata-token-ttl-seconds";

/// Limits the size of an answer. A token (the answer to PUT) must be one that the SDK can use.
pub fn guard(method: &str, mut answer: HttpResponse) -> HttpResponse {
    // The identity document and credentials are JSON.
    if method != "PUT" {
        return json(answer, LARGEST);
    }
    if let Some(life) = answer.headers().get(LIFE) {
        let life = usable_life(life).to_string();
        answer.headers_mut().insert(LIFE, life);
    }
    checked(limited(answer, LARGEST), Token)
}

fn usable_life(text: &str) -> u64 {
    text.trim().parse().unwrap_or(LONGEST_LIFE).min(LONGEST_LIFE)
}

/// The SDK sends the token back in a header, and panics when the header can't hold it.
struct Token;

impl Check for Token {
    fn part(&mut self, bytes: &[u8]) -> Result<(), BodyRejected> {
        if bytes.is_ascii() {
            return Ok(());
        }
        Err(BodyRejected("it is not a metadata token: it is not ASCII".to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::{LIFE, guard, usable_life};
    use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
    use aws_smithy_types::body::SdkBody;
    use http_body_util::BodyExt;

    fn answer(body: &'static str, life: &'static str) -> HttpResponse {
        let mut answer = HttpResponse::new(200.try_into().unwrap(), SdkBody::from(body));
        answer.headers_mut().insert(LIFE, life);
        answer
    }

    #[tokio::test]
    async fn only_a_put_is_checked_as_a_token() {
        for (method, body, is_read) in
            [("PUT", "t0ken==", true), ("PUT", "t\u{f6}ken", false), ("GET", "t\u{f6}ken", true)]
        {
            let read = guard(method, answer(body, "60")).into_body().collect().await;
            assert_eq!(read.is_ok(), is_read, "{method} {body}");
        }
    }

    #[test]
    fn a_tokens_life_is_one_that_the_sdk_can_add() {
        for (text, life) in
            [("60", 60), (" 60 ", 60), ("21601", 21_600), ("18446744073709551616", 21_600)]
        {
            assert_eq!(usable_life(text), life, "{text}");
            let kept = guard("PUT", answer("t", text));
            assert_eq!(kept.headers().get(LIFE), Some(life.to_string().as_str()));
        }
    }
}
