//! Where Puppet's packages have its directories.

use crate::engines::puppet::{PuppetSite, PuppetWanted};
use crate::host::files;
use crate::host::root::Root;

/// Debian's layout where its directory exists and the vendor's does not, else the vendor's.
pub fn packaged(root: &Root) -> PuppetSite {
    let is_debian =
        files::is_directory(root, "/etc/puppet") && !files::is_directory(root, "/etc/puppetlabs");
    let (confdir, ssldir, statedir, said_by) = if is_debian {
        ("/etc/puppet", "/var/lib/puppet/ssl", "/var/cache/puppet/state", "Debian's layout")
    } else {
        (
            "/etc/puppetlabs/puppet",
            "/etc/puppetlabs/puppet/ssl",
            "/opt/puppetlabs/puppet/cache/state",
            "the vendor's layout",
        )
    };
    PuppetSite {
        confdir: confdir.to_owned(),
        ssldir: ssldir.to_owned(),
        statedir: statedir.to_owned(),
        said_by: said_by.to_owned(),
        ..PuppetSite::default()
    }
}

/// The directories by the settings and the packages' layouts. Puppet is not asked, because code that it
/// runs to answer must stay inside the sandbox.
pub fn likely_site(root: &Root, wanted: PuppetWanted) -> PuppetSite {
    let packaged = packaged(root);
    PuppetSite {
        confdir: wanted.confdir.unwrap_or(packaged.confdir),
        ssldir: wanted.ssldir.unwrap_or(packaged.ssldir),
        statedir: wanted.statedir.unwrap_or(packaged.statedir),
        ..packaged
    }
}
