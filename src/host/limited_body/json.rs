//! The guard of services that answer in JSON.

use aws_smithy_runtime_api::client::orchestrator::HttpResponse;

use super::{BodyRejected, Check, CutShort, checked, limited};

/// How deep JSON may be nested. The answers of the services are less than ten levels deep. The
/// SDK's parser recurses once per level, and a stack overflow ends the process.
const DEEPEST: usize = 64;

/// Limits an answer to so many bytes, and its JSON to a depth that can be parsed safely.
#[must_use]
pub fn json(answer: HttpResponse, limit: usize) -> HttpResponse {
    // Without these headers, the end of the connection is the end of the answer. Then only the
    // JSON itself shows whether the answer is complete.
    let has_end = ["content-length", "transfer-encoding"]
        .iter()
        .any(|name| answer.headers().get(name).is_some());
    checked(limited(answer, limit), Json { nesting: Nesting::default(), has_end })
}

struct Json {
    nesting: Nesting,
    /// Whether the headers say where the answer ends.
    has_end: bool,
}

impl Check for Json {
    fn part(&mut self, bytes: &[u8]) -> Result<(), BodyRejected> {
        if self.nesting.deepest_after(bytes) > DEEPEST {
            return Err(BodyRejected(format!("it is nested more than {DEEPEST} levels deep")));
        }
        Ok(())
    }

    fn end(&self) -> Result<(), CutShort> {
        if !self.has_end && self.nesting.is_open() {
            return Err(CutShort("its JSON is incomplete".to_owned()));
        }
        Ok(())
    }
}

/// How deep the brackets of a JSON text are nested so far. A text that does not begin with a
/// bracket is not counted: the parser rejects it at its first character.
#[derive(Default)]
struct Nesting {
    began: Option<bool>,
    depth: usize,
    in_text: bool,
    is_escaped: bool,
}

impl Nesting {
    /// Counts the next bytes; returns the greatest depth within them.
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

    /// Whether a bracket is not closed yet.
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
    use super::{Check, DEEPEST, Json, Nesting};

    fn json(has_end: bool) -> Json {
        Json { nesting: Nesting::default(), has_end }
    }

    fn is_accepted(parts: &[&str]) -> bool {
        let mut json = json(true);
        parts.iter().all(|part| json.part(part.as_bytes()).is_ok())
    }

    #[test]
    fn json_is_accepted_up_to_the_depth_limit() {
        let open = "[".repeat(DEEPEST);
        assert!(is_accepted(&[&open]));
        assert!(!is_accepted(&[" ", &open, "{"]));
    }

    #[test]
    fn only_open_brackets_of_json_count() {
        let open = "[".repeat(DEEPEST);
        assert!(is_accepted(&[&"[]".repeat(200), "\""]), "closed ones");
        assert!(is_accepted(&["[\"\\\"", &open, &open, "\"]"]), "brackets in a string");
        assert!(is_accepted(&["<", &open, &open]), "a text that is not JSON");
    }

    #[test]
    fn without_a_length_incomplete_json_is_cut_short() {
        for (text, has_end, is_whole) in
            [("{\"a\":", false, false), ("{\"a\":", true, true), ("{}", false, true)]
        {
            let mut json = json(has_end);
            json.part(text.as_bytes()).unwrap();
            assert_eq!(json.end().is_ok(), is_whole, "{text} {has_end}");
        }
    }
}
