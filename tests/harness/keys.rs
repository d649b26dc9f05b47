//! Keys made beforehand: a crash harness that waited for RSA would not be run.

use std::sync::OnceLock;

use enlist::pki::PrivateKey;

/// More than one run may rightly make (one for each join), and then some to notice a wrong one.
const POOL: usize = 4;

/// The nth key that is made in a run: another one each time, so that a second one shows.
pub fn nth(index: usize) -> &'static str {
    static KEYS: OnceLock<Vec<String>> = OnceLock::new();
    let make = || PrivateKey::generate(2048).unwrap().to_pem().to_string();
    let keys = KEYS.get_or_init(|| (0..POOL).map(|_| make()).collect());
    &keys[index % POOL]
}

/// A public key (SPKI DER in base64) such as an agent makes for every try; no two are the same,
/// and nobody has the private half.
pub fn throw_away(counter: usize) -> String {
    let key = PrivateKey::from_pem(nth(0).as_bytes()).unwrap();
    let pem = key.public().to_pem();
    let mut text: String = pem.lines().filter(|line| !line.starts_with('-')).collect();
    // In the middle of the modulus: it stays a number of the same length.
    text.replace_range(200..208, &format!("{counter:08}"));
    text
}
