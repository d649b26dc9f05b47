//! Arbitrary PEM: certificates, CA bundles, keys.

use enlist::pki::certificate::{self, Expectation};
use enlist::pki::{CaBundle, PrivateKey, PublicKey};

use super::world::{BUNDLE, GOOD, KEY, NAME, NOW, is_good};

pub fn run(data: &[u8]) {
    if let Ok(text) = std::str::from_utf8(data) {
        certificate(text);
        bundle(text);
    }
    key(data);
    if let Ok(key) = PublicKey::from_spki(data) {
        assert_eq!(PublicKey::from_spki(key.spki_der()).as_ref(), Ok(&key));
    }
}

/// The CA's keys were deleted, so only the fixtures that it signed can be accepted.
fn certificate(text: &str) {
    let expected = Expectation { key: &KEY, name: NAME, ca: &BUNDLE, now: NOW };
    if let Ok(accepted) = certificate::check(text, &expected) {
        assert!(is_good(&accepted.pem), "accepted: {}", accepted.pem);
        assert_eq!(certificate::check(&accepted.pem, &expected).as_ref(), Ok(&accepted));
        for (name, now) in [("other", NOW), (NAME, 0), (NAME, i64::MAX), (NAME, -1)] {
            let wrong = Expectation { name, now, ..expected };
            assert!(certificate::check(text, &wrong).is_err(), "{name} at {now}");
        }
    }
}

fn bundle(text: &str) {
    let Ok(bundle) = CaBundle::from_pem(text) else { return };
    assert!(!bundle.is_empty());
    assert_eq!(CaBundle::from_pem(&bundle.to_pem()).as_ref(), Ok(&bundle), "the round trip");
    let expected = Expectation { key: &KEY, name: NAME, ca: &bundle, now: NOW };
    for good in GOOD {
        // A bundle does not change the certificate that is checked with it.
        if let Ok(accepted) = certificate::check(good, &expected) {
            assert!(is_good(&accepted.pem));
        }
    }
}

fn key(data: &[u8]) {
    match PrivateKey::from_pem(data) {
        Ok(key) => {
            let again = PrivateKey::from_pem(key.to_pem().as_bytes()).unwrap();
            assert_eq!(again.public(), key.public());
            assert!(key.public().bits() >= 2048);
            assert!(!format!("{key:?}").contains("MII"));
        }
        Err(error) => {
            let shown = error.to_string();
            let text = String::from_utf8_lossy(data);
            let body = text.lines().filter(|line| line.len() > 40 && !line.starts_with('-'));
            for line in body {
                assert!(!shown.contains(line), "an error shows the key: {shown}");
            }
        }
    }
}
