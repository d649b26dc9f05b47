//! `GetCallerIdentity`: by the AWS CLI, and over TLS by curl, with everything that can be wrong.

use enlist_emulator::{Emulator, Options};

use super::aws_cli::{cli, result, run_service};
use super::client::{Reply, Signing, send};
use super::{Outcome, shared_ca};

const BODY: &str = "Action=GetCallerIdentity&Version=2011-06-15";

fn with_role() -> Options {
    Options { role: Some("web".to_owned()), ..shared_ca() }
}

#[test]
fn the_cli_is_told_who_it_is() -> Outcome {
    let Some(cli) = cli() else { return Ok(()) };
    let words = ["get-caller-identity", "--query", "[Account,Arn]"];
    let ask = |emulator: &Emulator| run_service(cli, emulator, "sts", &words);
    let user = Emulator::start(shared_ca())?;
    let said = result(&ask(&user)?)?;
    assert_eq!(said, "123456789012\tarn:aws:iam::123456789012:user/enlist-emulator");
    // The session of an instance's role is the instance's id.
    let role = Emulator::start(with_role())?;
    let said = result(&ask(&role)?)?;
    let arn = "arn:aws:sts::123456789012:assumed-role/web/i-0123456789abcdef0";
    assert_eq!(said, format!("123456789012\t{arn}"));
    Ok(())
}

/// A signed request with one more header, whose value is then changed.
fn ask(
    emulator: &Emulator,
    secret: &str,
    extra: (&str, &str),
    sent: &str,
) -> std::io::Result<Reply> {
    let signing = Signing { service: "sts".to_owned(), ..Signing::of(emulator) };
    let signing = Signing { secret_key: secret.to_owned(), ..signing };
    let kinds = ("application/json", "application/x-www-form-urlencoded");
    let mut headers = signing.form_headers("sts.us-east-1.amazonaws.com", kinds, extra, BODY);
    for (name, value) in &mut headers {
        if name == extra.0 {
            sent.clone_into(value);
        }
    }
    send(emulator.api_url(), "POST", "/", &headers, BODY)
}

#[test]
fn every_signed_header_counts_known_or_not() -> Outcome {
    let emulator = Emulator::start(shared_ca())?;
    let secret = Signing::of(&emulator).secret_key;
    let extra = ("x-something", "bound");
    let reply = ask(&emulator, &secret, extra, "bound")?;
    assert_eq!(reply.status, 200, "{}", reply.body);
    let result = &reply.json()["GetCallerIdentityResponse"]["GetCallerIdentityResult"];
    assert_eq!(result["Account"], "123456789012");
    for (secret, sent) in [(secret.as_str(), "other"), ("another secret", "bound")] {
        let reply = ask(&emulator, secret, extra, sent)?;
        assert_eq!(
            (reply.status, &reply.json()["Error"]["Code"]),
            (403, &"SignatureDoesNotMatch".into())
        );
    }
    assert_eq!(emulator.calls().len(), 3);
    assert!(emulator.calls().iter().all(|call| call.action == "GetCallerIdentity"));
    Ok(())
}

#[test]
fn faults_are_the_query_protocols() -> Outcome {
    let faults = ["GetCallerIdentity=throttle", "GetCallerIdentity=503", "GetCallerIdentity=html"];
    let faults = faults.iter().map(|fault| fault.parse()).collect::<Result<_, _>>()?;
    let emulator = Emulator::start(Options { faults, ..shared_ca() })?;
    let secret = Signing::of(&emulator).secret_key;
    let mut statuses = Vec::new();
    for _ in 0..4 {
        let reply = ask(&emulator, &secret, ("x-something", "x"), "x")?;
        let code = reply.json()["Error"]["Code"].as_str().unwrap_or_default().to_owned();
        statuses.push((reply.status, code));
    }
    let said = |status: u16, code: &str| (status, code.to_owned());
    let wanted =
        [said(400, "Throttling"), said(503, "ServiceUnavailable"), said(200, ""), said(200, "")];
    assert_eq!(statuses, wanted);
    Ok(())
}
