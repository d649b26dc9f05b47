//! Text that must not be shown: it says so by its type, and is wiped when dropped.

use std::fmt;

use zeroize::Zeroizing;

/// A secret. It is never serialised, and its debug form shows nothing of it. It has no `Display`.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Secret(Zeroizing<String>);

impl Secret {
    #[must_use]
    pub fn new(text: String) -> Self {
        Self(Zeroizing::new(text))
    }

    /// The secret text. To be called only where the text itself is needed.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }
}

/// Where a secret of the settings is. The settings never hold the text itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SecretSource {
    /// A file, by its absolute path.
    File(String),
    /// A credential that systemd hands over (systemd.exec(5), `LoadCredential=`), by its name.
    Credential(String),
    /// A parameter of Systems Manager's Parameter Store, by its name or ARN. It is decrypted there.
    Parameter(String),
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(..)")
    }
}
