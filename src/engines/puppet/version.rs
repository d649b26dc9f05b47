//! What the version of the agent means for a join.

use super::PuppetSite;

impl PuppetSite {
    /// Whether the agent asks for a certificate although it is disabled: up to 6.27, and 7.0 to 7.16
    /// (Puppet's release notes, PUP-11428).
    #[must_use]
    pub fn ignores_lock(&self) -> bool {
        let mut parts = self.version.as_deref().unwrap_or_default().split('.');
        let mut number = || parts.next().and_then(|part| part.parse::<u32>().ok());
        match (number(), number()) {
            (Some(major @ 6..=7), Some(minor)) => minor < if major == 6 { 28 } else { 17 },
            (Some(major), Some(_)) => major < 6,
            _ => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::PuppetSite;

    #[test]
    fn agents_up_to_6_27_and_7_16_ignore_the_lock() {
        let ignores = |version: Option<&str>| {
            let version = version.map(str::to_owned);
            PuppetSite { version, ..PuppetSite::default() }.ignores_lock()
        };
        for old in ["4.10.12", "5.5.22", "6.0.0", "6.27.1", "7.0.0", "7.16.0"] {
            assert!(ignores(Some(old)), "{old}");
        }
        for new in
            ["6.28.0", "6.29.0", "7.17.0", "7.23.0", "8.0.0", "8.10.0", "9.0.0-beta2", "", "x"]
        {
            assert!(!ignores(Some(new)), "{new}");
        }
        assert!(!ignores(None));
    }
}
