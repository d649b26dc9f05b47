//! A CA of OpenSSL's, with a person's hands: it signs a request, revokes, and gives out its list.

use std::fs;
use std::path::PathBuf;

use super::{openssl, text};

const CONFIG: &str = "[ca]\ndefault_ca = it\n[it]\ndatabase = DIR/index.txt\nserial = DIR/serial\ncrlnumber = DIR/crlnumber\nnew_certs_dir = DIR\ncertificate = DIR/ca.pem\nprivate_key = DIR/ca.key\ndefault_md = sha256\ndefault_days = 30\ndefault_crl_days = 30\npolicy = any\nunique_subject = no\nx509_extensions = leaf\n[any]\ncommonName = supplied\n[leaf]\nbasicConstraints = critical,CA:FALSE\nkeyUsage = critical,digitalSignature,keyEncipherment\nextendedKeyUsage = serverAuth,clientAuth\n";

pub struct OpensslCa {
    directory: tempfile::TempDir,
}

impl OpensslCa {
    pub fn new(name: &str) -> Self {
        let ca = Self { directory: tempfile::tempdir().unwrap() };
        let place = text(ca.directory.path());
        fs::write(ca.path("ca.cnf"), CONFIG.replace("DIR", place)).unwrap();
        fs::write(ca.path("index.txt"), "").unwrap();
        fs::write(ca.path("serial"), "1001\n").unwrap();
        fs::write(ca.path("crlnumber"), "01\n").unwrap();
        let (key, made, subject) = (ca.path("ca.key"), ca.path("ca.pem"), format!("/CN={name}"));
        let new = ["req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "365"];
        let usage = "keyUsage=critical,keyCertSign,cRLSign";
        let rest =
            ["-subj", &subject, "-addext", usage, "-keyout", text(&key), "-out", text(&made)];
        openssl(&[new.as_slice(), &rest].concat());
        ca
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    fn run(&self, arguments: &[&str]) {
        let config = self.path("ca.cnf");
        openssl(&[&["ca", "-batch", "-notext", "-config", text(&config)], arguments].concat());
    }

    /// The certificate for a request, in PEM.
    pub fn sign(&self, csr: &str) -> String {
        let (request, signed) = (self.path("request.pem"), self.path("signed.pem"));
        fs::write(&request, csr).unwrap();
        self.run(&["-in", text(&request), "-out", text(&signed)]);
        fs::read_to_string(signed).unwrap()
    }

    pub fn revoke(&self, certificate: &str) {
        let path = self.path("revoked.pem");
        fs::write(&path, certificate).unwrap();
        self.run(&["-revoke", text(&path)]);
    }

    pub fn certificate(&self) -> String {
        fs::read_to_string(self.path("ca.pem")).unwrap()
    }

    /// The revocation list as it is now.
    pub fn list(&self) -> String {
        let path = self.path("crl.pem");
        self.run(&["-gencrl", "-out", text(&path)]);
        fs::read_to_string(path).unwrap()
    }

    /// What a person carries to the node: its certificate, the CA and the list.
    pub fn answer(&self, csr: &str) -> String {
        let certificate = self.sign(csr);
        format!("{certificate}{}{}", self.certificate(), self.list())
    }

    /// SHA-256 of the CA's certificate, as OpenSSL prints it.
    pub fn fingerprint(&self) -> String {
        let path = self.path("ca.pem");
        let said = openssl(&["x509", "-noout", "-fingerprint", "-sha256", "-in", text(&path)]);
        said.split('=').nth(1).unwrap().trim().to_owned()
    }
}
