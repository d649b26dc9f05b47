//! OpenSSL's command line: it makes requests and judges certificates.

use std::error::Error;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};

/// Runs `openssl` in `directory`; its standard output, or its error text.
pub fn run(directory: &Path, arguments: &[&str], input: &str) -> Result<String, Box<dyn Error>> {
    let mut child = Command::new("openssl")
        .args(arguments)
        .current_dir(directory)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()?;
    if let Some(mut stdin) = child.stdin.take() {
        // It may have refused before it read.
        let _ = stdin.write_all(input.as_bytes());
    }
    let output = child.wait_with_output()?;
    let text = String::from_utf8(output.stdout)?;
    if output.status.success() {
        return Ok(text);
    }
    Err(format!("openssl {arguments:?}: {text}{}", String::from_utf8_lossy(&output.stderr)).into())
}

/// A directory of a test, deleted with it.
pub struct Scratch(PathBuf);

impl Scratch {
    pub fn new() -> std::io::Result<Self> {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let name = format!("{}-{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
        let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
        std::fs::create_dir_all(&path)?;
        Ok(Self(path))
    }

    pub fn path(&self) -> &Path {
        &self.0
    }

    pub fn write(&self, name: &str, text: &str) -> std::io::Result<String> {
        let path = self.0.join(name);
        std::fs::write(&path, text)?;
        Ok(path.display().to_string())
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// One of two RSA keys in PEM, made once for all tests.
pub fn key(number: usize) -> &'static str {
    static KEYS: [OnceLock<String>; 2] = [OnceLock::new(), OnceLock::new()];
    KEYS[number].get_or_init(|| {
        let made = run(Path::new("/"), &["genrsa", "2048"], "");
        made.expect("openssl makes a key")
    })
}

/// A request for `name`, signed by key 0, with more arguments for `openssl req`.
pub fn request(name: &str, more: &[&str]) -> Result<String, Box<dyn Error>> {
    request_by(key(0), name, more)
}

/// A request for `name`, signed by `key`.
pub fn request_by(key: &str, name: &str, more: &[&str]) -> Result<String, Box<dyn Error>> {
    let subject = format!("/CN={name}");
    let arguments = ["req", "-new", "-key", "/dev/stdin", "-utf8", "-subj", &subject];
    run(Path::new("/"), &[&arguments, more].concat(), key)
}

/// A PEM's public key, in PEM; `kind` is `req`, `x509` or `rsa`.
pub fn public_key(kind: &str, pem: &str) -> Result<String, Box<dyn Error>> {
    let out = if kind == "rsa" { "-pubout" } else { "-pubkey" };
    let arguments = [kind, out, "-noout"];
    run(Path::new("/"), if kind == "rsa" { &arguments[..2] } else { &arguments }, pem)
}

/// `openssl x509 -text` of a certificate.
pub fn text(certificate: &str) -> Result<String, Box<dyn Error>> {
    run(Path::new("/"), &["x509", "-noout", "-text", "-nameopt", "RFC2253,show_type"], certificate)
}

/// What `openssl verify` says of a certificate under a bundle.
pub fn verify(bundle: &str, certificate: &str) -> Result<String, Box<dyn Error>> {
    let scratch = Scratch::new()?;
    let bundle = scratch.write("bundle.pem", bundle)?;
    run(scratch.path(), &["verify", "-purpose", "sslclient", "-CAfile", &bundle], certificate)
}
