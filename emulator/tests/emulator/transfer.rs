//! Exporting the account and importing it, over the admin API.

use base64::prelude::{BASE64_STANDARD, Engine as _};
use enlist_emulator::{CaSource, Emulator, Options};
use serde_json::{Value, json};

use super::client::{Reply, send, variable};
use super::openssl::Scratch;
use super::state::{account, fill};
use super::{Outcome, shared_ca};

const EXPORT: &str = "/_emulator/v1/export";
const IMPORT: &str = "/_emulator/v1/import";

fn emulator() -> Result<Emulator, enlist_emulator::StartError> {
    Emulator::start(Options { ca: CaSource::Own, throttle: None, ..shared_ca() })
}

/// The headers of a request that shows the emulator's keys.
fn keys(emulator: &Emulator) -> Vec<(String, String)> {
    let [access, secret] =
        ["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"].map(|name| variable(emulator, name));
    let word = BASE64_STANDARD.encode(format!("{access}:{secret}"));
    let json = ("content-type".to_owned(), "application/json".to_owned());
    vec![("authorization".to_owned(), format!("Basic {word}")), json]
}

fn export(emulator: &Emulator) -> std::io::Result<Reply> {
    send(emulator.api_url(), "GET", EXPORT, &keys(emulator), "")
}

fn import(emulator: &Emulator, body: &str) -> std::io::Result<Reply> {
    send(emulator.api_url(), "POST", IMPORT, &keys(emulator), body)
}

#[test]
fn an_export_makes_the_same_account_elsewhere() -> Outcome {
    let first = emulator()?;
    fill(&first)?;
    let exported = export(&first)?;
    assert_eq!(exported.status, 200);
    let scratch = Scratch::new()?;
    let state = Some(scratch.path().join("state"));
    let options =
        || Options { ca: CaSource::Own, throttle: None, state: state.clone(), ..shared_ca() };
    let second = Emulator::start(options())?;
    assert_ne!(second.ca_bundle(), first.ca_bundle());
    let done = import(&second, &exported.body)?;
    assert_eq!(done.status, 200, "{}", done.body);
    assert_eq!(account(&second), account(&first));
    assert_eq!(second.ca_bundle(), first.ca_bundle());
    assert_eq!(export(&second)?.body, exported.body);
    // What was imported is kept like all else.
    drop(second);
    let again = Emulator::start(options())?;
    assert_eq!(account(&again), account(&first));
    assert_eq!(again.ca_bundle(), first.ca_bundle());
    Ok(())
}

/// The CA's key and activation codes are in it: whoever asks shows the emulator's own keys.
#[test]
fn an_export_takes_the_emulators_keys() -> Outcome {
    let (emulator, other) = (emulator()?, emulator()?);
    let json = [("content-type".to_owned(), "application/json".to_owned())];
    for headers in [&json[..], &keys(&other)] {
        let refused = send(emulator.api_url(), "GET", EXPORT, headers, "")?;
        assert_eq!(refused.status, 401);
        assert!(refused.body.contains("curl -u"), "{}", refused.body);
        assert_eq!(send(emulator.api_url(), "POST", IMPORT, headers, "{}")?.status, 401);
    }
    let keys = &keys(&emulator)[..1];
    assert_eq!(send(emulator.api_url(), "POST", IMPORT, keys, "{}")?.status, 403, "no JSON");
    Ok(())
}

#[test]
fn what_is_no_export_changes_nothing() -> Outcome {
    let emulator = emulator()?;
    fill(&emulator)?;
    let before = account(&emulator);
    let whole: Value = serde_json::from_str(&export(&emulator)?.body)?;
    let changed = |change: &dyn Fn(&mut Value)| {
        let mut body = whole.clone();
        change(&mut body);
        body.to_string()
    };
    for (body, part) in [
        ("no JSON".to_owned(), "expected"),
        (json!({}).to_string(), "missing field"),
        (changed(&|it| it["version"] = json!(2)), "no export of version 1"),
        (changed(&|it| it["rows"][1][0] = json!("planets")), "there is no such table"),
        (changed(&|it| it["rows"][1][2] = json!({})), "cannot be read: missing field"),
        (changed(&|it| it["rows"][1][2]["status"] = json!("FINE")), "the word 'FINE'"),
        (changed(&|it| it["rows"][0][2]["key"] = json!("none")), "CA key"),
    ] {
        let refused = import(&emulator, &body)?;
        assert_eq!(refused.status, 400, "{}", refused.body);
        assert!(refused.body.contains(part), "{part}: {}", refused.body);
        assert_eq!(account(&emulator), before, "{part}");
    }
    Ok(())
}

/// The key of a CA that is given as files has one place: the file.
#[test]
fn the_key_of_a_ca_of_files_is_not_exported() -> Outcome {
    let scratch = Scratch::new()?;
    let own: Value = serde_json::from_str(&export(&emulator()?)?.body)?;
    let ca = &own["rows"][0][2];
    let text = |name: &str| ca[name].as_str().unwrap_or_default().to_owned();
    let certificates = scratch.write("ca.pem", &text("certificates"))?.into();
    let key = scratch.write("ca.key", &text("key"))?.into();
    let state = scratch.path().join("state");
    let ca = CaSource::Files { certificates, key };
    let emulator = Emulator::start(Options { ca, state: Some(state.clone()), ..shared_ca() })?;
    let exported = export(&emulator)?;
    assert_eq!(exported.status, 200);
    let kept = std::fs::read_to_string(state)?;
    for text in [exported.body, kept] {
        assert!(text.contains("servers") && !text.contains("PRIVATE KEY"), "{text}");
    }
    let refused = import(&emulator, &own.to_string())?;
    assert_eq!(refused.status, 400);
    assert!(refused.body.contains("the export has another"), "{}", refused.body);
    Ok(())
}
