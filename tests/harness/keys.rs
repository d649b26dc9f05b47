//! Keys that were made in advance, because making RSA keys in every run would be too slow.

use std::sync::OnceLock;

use enlist::pki::PrivateKey;

/// A run makes one key per join. There are more, to notice a key too many.
const POOL: usize = 4;

/// The nth key of a run. Each is different, so that a second one is noticed.
pub fn nth(index: usize) -> &'static str {
    static KEYS: OnceLock<Vec<String>> = OnceLock::new();
    let make = || PrivateKey::generate(2048).unwrap().to_pem().to_string();
    let keys = KEYS.get_or_init(|| (0..POOL).map(|_| make()).collect());
    &keys[index % POOL]
}

/// The key of a Chef server's validator.
pub fn validator() -> &'static str {
    static KEY: OnceLock<String> = OnceLock::new();
    KEY.get_or_init(|| PrivateKey::generate(2048).unwrap().to_pem().to_string())
}

/// A public key (SPKI DER in base64), as the agent makes one for each registration. Each is different,
/// and has no private half.
pub fn throw_away(counter: usize) -> String {
    let key = PrivateKey::from_pem(nth(0).as_bytes()).unwrap();
    let pem = key.public().to_pem();
    let mut text: String = pem.lines().filter(|line| !line.starts_with('-')).collect();
    // Changes the middle of the modulus, which keeps its length.
    text.replace_range(200..208, &format!("{counter:08}"));
    text
}
