//! `credential_process`: a program that prints credentials, such as the helper of IAM Roles
//! Anywhere.

use std::io::ErrorKind;
use std::time::Duration;

use aws_credential_types::Credentials;

use super::credential_json;
use crate::fault::{Fault, Kind};
use crate::host::clock;
use crate::host::process::{self, Network, Output};
use crate::secret::Secret;
use crate::text;

/// How long the program may run. IAM Roles Anywhere answers in a second; other programs are slower.
const LIMIT: Duration = Duration::from_mins(1);

/// How much of the program's output a message shows, in characters.
const SHOWN: usize = 200;

/// Runs the program and parses what it prints.
///
/// # Errors
/// `Denied`, and not retried: the program would fail again. Quotes the last line of its stderr.
pub async fn run(command: &Secret, on: &str) -> Result<Credentials, Fault> {
    let program = command.expose().split_whitespace().next().unwrap_or_default().to_owned();
    let failed = |what: &str| {
        let todo = format!(
            "run {program} as the user that enlist runs as, with the same arguments, and check that it prints credentials"
        );
        Fault::new(Kind::Denied, format!("credential_process {what}"), on, todo)
    };
    let ended = process::run("/bin/sh", &["-c", command.expose()], LIMIT, Network::Used).await;
    let Output { code, stdout, stderr } = match ended {
        Ok(output) => output,
        // It waits for something, which may come.
        Err(error) if error.kind() == ErrorKind::TimedOut => {
            return Err(failed("was stopped").because(&error));
        }
        Err(error) => return Err(failed("could not be run").because(&error).finally()),
    };
    let failed = |what: &str| failed(what).finally();
    if code != Some(0) {
        let how = code.map_or("was ended by a signal".to_owned(), |code| {
            format!("ended with exit code {code}")
        });
        let last = last_line(&stderr, command.expose());
        let fault = failed(&how);
        return Err(if last.is_empty() { fault } else { fault.cause(last) });
    }
    let found = credential_json::parse(&stdout, true)
        .map_err(|reason| failed("printed no usable credentials").because(&reason))?;
    let is_expired = found.expiry().is_some_and(|end| end <= clock::system_now());
    if is_expired {
        return Err(failed("printed credentials that have expired"));
    }
    Ok(found)
}

/// The last line that is not empty. Hides what looks like a secret, and the arguments of the
/// command, which may be secrets.
fn last_line(stderr: &str, command: &str) -> String {
    let line = stderr.lines().rev().map(str::trim).find(|line| !line.is_empty());
    let given: Vec<&str> = command
        .split_whitespace()
        .skip(1)
        .flat_map(|word| word.split(['=', '\'', '"']))
        .filter(|word| word.len() >= 4 && !word.starts_with(['-', '/']))
        .collect();
    let mut text: String =
        line.unwrap_or_default().chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    for word in given {
        text = text.replace(word, "(hidden)");
    }
    text = text::without_named_secrets(&text::without_logins(&text, "(hidden)"), "(hidden)");
    let is_part = |c: char| c.is_ascii_alphanumeric() || "+/=_-".contains(c);
    let mut shown = String::new();
    for run in text.split_inclusive(|c: char| !is_part(c)) {
        let word = run.trim_end_matches(|c: char| !is_part(c));
        let rest = run.get(word.len()..).unwrap_or_default();
        shown.push_str(if looks_secret(word) { "(hidden)" } else { word });
        shown.push_str(rest);
    }
    shown.chars().take(SHOWN).collect()
}

/// Whether it looks like a key or token of AWS: long, with digits, upper case and lower case.
/// Paths and the names of errors do not.
fn looks_secret(word: &str) -> bool {
    let has = |is: fn(&char) -> bool| word.chars().any(|c| is(&c));
    word.len() >= 20
        && has(char::is_ascii_digit)
        && has(char::is_ascii_uppercase)
        && has(char::is_ascii_lowercase)
}

#[cfg(test)]
mod tests {
    use super::last_line;

    #[test]
    fn the_last_line_is_shown_without_secrets() {
        let said =
            |stderr: &str| last_line(stderr, "/usr/bin/helper --pin s3cret --key=/etc/k.pem");
        assert_eq!(said("first\nsecond\n\n"), "second");
        assert_eq!(said("can't read /etc/k.pem\n"), "can't read /etc/k.pem");
        assert_eq!(said("wrong pin s3cret\n"), "wrong pin (hidden)");
        let key = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY";
        assert_eq!(
            said(&format!("{{\"SecretAccessKey\":\"{key}\"}}")),
            "{\"SecretAccessKey (hidden)"
        );
        assert_eq!(
            said("AccessDeniedException: no trust anchor\u{1b}[0m"),
            "AccessDeniedException: no trust anchor [0m"
        );
        for line in [
            "password: Tr0ub4dor&3",
            "password=Tr0ub4dor&3",
            "PASSWORD = Tr0ub4dor&3",
            "{\"password\":\"Tr0ub4dor&3\"}",
            "https://u:Tr0ub4dor&3@h/ failed",
            "Authorization: Bearer Tr0ub4dor&3",
            "used --password Tr0ub4dor&3",
            "the passphrase \"Tr0ub4dor&3\" is wrong",
            "secret_key=Tr0ub4dor&3",
            "session_token 'Tr0ub4dor&3'",
            "bearer Tr0ub4dor&3",
        ] {
            let shown = said(line);
            assert!(!shown.contains("Tr0ub") && shown.contains("(hidden)"), "{line}: {shown}");
        }
        assert_eq!(said("https://u:p@h/ failed"), "https://(hidden)@h/ failed");
        for line in ["the token has expired", "no password was given", "wrong secret"] {
            assert_eq!(said(line), line);
        }
        assert_eq!(said(""), "");
    }
}
