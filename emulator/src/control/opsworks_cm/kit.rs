//! Starter kits: ZIP files with a README, a configuration and the administrator's private key.

use super::server::Server;
use crate::ca::{Csr, LIFETIME, Order};
use crate::control::Context;
use crate::error::ApiError;
use crate::zip;

/// "The ZIP file contains a Chef starter kit, which includes a README, a configuration file, and the
/// required RSA private key." The key is left out where only the administrator has it.
pub(super) fn chef(server: &Server, private_key: Option<&str>, ca_bundle: &str) -> Vec<u8> {
    let Server { name, endpoint, .. } = server;
    let note = if private_key.is_some() {
        ""
    } else {
        "\nThe server was created with your own public key: put the private key that belongs to it\n\
         into .chef/private.pem.\n"
    };
    let readme = format!(
        "# Starter kit of the Chef server {name}\n\n\
         Unzip this file, change to the directory where you did, and run Knife commands:\n\n    \
         knife client list\n\nKnife reads .chef/knife.rb, which signs as pivotal with \
         .chef/private.pem.\nKeep that key secret: it may do everything on the server.\n{note}"
    );
    let knife = format!(
        "base = File.join(File.dirname(File.expand_path(__FILE__)), '..')\n\
         log_level :info\n\
         log_location STDOUT\n\
         node_name 'pivotal'\n\
         client_key File.join(base, '.chef', 'private.pem')\n\
         chef_server_url 'https://{endpoint}/organizations/default'\n\
         ssl_ca_file File.join(base, '.chef', 'ca_certs', 'ca.pem')\n\
         cookbook_path [File.join(base, 'cookbooks')]\n"
    );
    let mut files = vec![
        ("README.md", readme.as_str(), false),
        (".chef/knife.rb", &knife, false),
        (".chef/ca_certs/ca.pem", ca_bundle, false),
    ];
    if let Some(key) = private_key {
        files.push((".chef/private.pem", key, true));
    }
    zip::archive(&files)
}

/// The name in the certificate of a Puppet starter kit.
const CERTNAME: &str = "starter-kit";

/// "The ZIP file contains a Puppet starter kit, including a README and a required private key." With
/// it goes a certificate of the server's CA for that key.
pub(super) fn puppet(server: &Server, context: &mut Context<'_>) -> Result<Vec<u8>, ApiError> {
    let Server { name, endpoint, .. } = server;
    let failed = |refusal: crate::ca::Refusal| ApiError::InternalFailure(refusal.to_string());
    let made = context.authority.make_key().map_err(failed)?;
    let csr = Csr {
        common_name: Some(CERTNAME.to_owned()),
        public_key: made.public_der,
        extensions: Vec::new(),
        proven: true,
    };
    let serial = context.random.next_u64() >> 1;
    let order = Order { csr: &csr, node_name: CERTNAME, serial, lifetime: LIFETIME, wrong: None };
    let certificate = context.authority.sign(context.now, &order).map_err(failed)?;
    let readme = format!(
        "# Starter kit of the Puppet server {name}\n\n\
         Unzip this file, change to the directory where you did, and run:\n\n    \
         puppet agent --test --confdir \"$PWD\"\n\n\
         puppet.conf names the server; ssl/ holds its CA, and a key and certificate for it.\n\
         Keep ssl/private_keys secret. The password of the console is in PUPPET_ADMIN_PASSWORD.\n"
    );
    let conf = format!(
        "[main]\nserver = {endpoint}\ncertname = {CERTNAME}\nssldir = $confdir/ssl\n\
         vardir = $confdir/var\n"
    );
    Ok(zip::archive(&[
        ("README.md", &readme, false),
        ("puppet.conf", &conf, false),
        ("ssl/certs/ca.pem", context.authority.bundle(), false),
        ("ssl/certs/starter-kit.pem", &certificate, false),
        ("ssl/private_keys/starter-kit.pem", &made.private_pem, true),
    ]))
}
