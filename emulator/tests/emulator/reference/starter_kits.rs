//! Starter kits, unzipped by Info-ZIP and used by what they are for.

use std::path::Path;
use std::process::Command;

use base64::prelude::{BASE64_STANDARD, Engine};
use serde_json::json;

use super::*;
use crate::openssl::{self, Scratch};
use crate::{Outcome, aws_cli};

/// Creates a server and unpacks its starter kit.
fn kit(engine: &str, given: &Value) -> Result<(Scratch, Value), Box<dyn std::error::Error>> {
    let mut plane = signing_plane()?;
    let members = json!({ "Engine": engine, "EngineAttributes": given });
    let made = ok(&mut plane, 0, "CreateServer", &with(&new_server("web"), &members));
    let made = made["Server"].clone();
    let name = format!("{}_STARTER_KIT", engine.to_uppercase());
    let kit = attribute(&made["EngineAttributes"], &name).ok_or("no starter kit")?;
    assert!(kit.len() <= 10_000, "a value has at most 10,000 characters: {}", kit.len());
    let scratch = Scratch::new()?;
    std::fs::write(scratch.path().join("kit.zip"), BASE64_STANDARD.decode(kit)?)?;
    let unzip = |arguments: &[&str]| {
        Command::new("unzip").args(arguments).arg("kit.zip").current_dir(scratch.path()).output()
    };
    let tested = unzip(&["-t"])?;
    let said = String::from_utf8_lossy(&tested.stdout).into_owned();
    assert!(tested.status.success() && said.contains("No errors detected"), "{said}");
    assert!(unzip(&["-q"])?.status.success());
    Ok((scratch, made))
}

fn read(directory: &Path, file: &str) -> Result<String, Box<dyn std::error::Error>> {
    Ok(std::fs::read_to_string(directory.join(file)).map_err(|error| format!("{file}: {error}"))?)
}

fn mode(directory: &Path, file: &str) -> std::io::Result<u32> {
    use std::os::unix::fs::PermissionsExt;
    Ok(std::fs::metadata(directory.join(file))?.permissions().mode() & 0o777)
}

#[test]
fn a_chef_starter_kit_includes_a_readme_a_configuration_file_and_the_private_key() -> Outcome {
    let (scratch, made) = kit("Chef", &json!([]))?;
    let directory = scratch.path();
    assert!(read(directory, "README.md")?.contains("Chef server web"));
    let knife = read(directory, ".chef/knife.rb")?;
    let endpoint = made["Endpoint"].as_str().unwrap_or_default();
    let url = format!("chef_server_url 'https://{endpoint}/organizations/default'");
    assert!(knife.contains(&url), "{knife}");
    let key = attribute(&made["EngineAttributes"], "CHEF_PIVOTAL_KEY").ok_or("no key")?;
    let key = String::from_utf8(BASE64_STANDARD.decode(key)?)?;
    assert_eq!(read(directory, ".chef/private.pem")?, key);
    assert_eq!(mode(directory, ".chef/private.pem")?, 0o600);
    assert_eq!(mode(directory, ".chef/knife.rb")?, 0o644);
    assert!(read(directory, ".chef/ca_certs/ca.pem")?.contains("BEGIN CERTIFICATE"));
    Ok(())
}

/// Ruby reads `knife.rb` as Chef does: each line is a call of its configuration.
#[test]
fn the_configuration_of_a_chef_starter_kit_names_files_that_are_there() -> Outcome {
    let (scratch, _) = kit("Chef", &json!([]))?;
    let script = "config = {}; reader = Object.new; \
        reader.define_singleton_method(:method_missing) { |name, value| config[name] = value }; \
        file = File.expand_path('.chef/knife.rb'); reader.instance_eval(File.read(file), file); \
        require 'openssl'; key = OpenSSL::PKey::RSA.new(File.read(config[:client_key])); \
        OpenSSL::X509::Certificate.new(File.read(config[:ssl_ca_file])); \
        puts [config[:node_name], key.private?, key.n.num_bits].join(' ')";
    let ruby = Command::new("ruby").args(["-e", script]).current_dir(scratch.path()).output();
    let Ok(ruby) = ruby else {
        eprintln!("SKIPPED: no ruby here");
        return Ok(());
    };
    assert_eq!(aws_cli::result(&ruby), Ok("pivotal true 2048".to_owned()));
    Ok(())
}

/// Only the administrator has the private key then.
#[test]
fn a_starter_kit_for_a_given_key_says_where_the_private_key_belongs() -> Outcome {
    let public = openssl::public_key("rsa", openssl::key(0))?;
    let (scratch, _) = kit("Chef", &one("CHEF_PIVOTAL_KEY", &public))?;
    assert!(read(scratch.path(), "README.md")?.contains(".chef/private.pem"));
    assert!(!scratch.path().join(".chef/private.pem").exists());
    Ok(())
}

#[test]
fn a_puppet_starter_kit_includes_a_readme_and_a_required_private_key() -> Outcome {
    let (scratch, made) = kit("Puppet", &json!([]))?;
    let directory = scratch.path();
    assert!(read(directory, "README.md")?.contains("Puppet server web"));
    let endpoint = made["Endpoint"].as_str().unwrap_or_default();
    assert!(read(directory, "puppet.conf")?.contains(&format!("server = {endpoint}\n")));
    let key = read(directory, "ssl/private_keys/starter-kit.pem")?;
    let certificate = read(directory, "ssl/certs/starter-kit.pem")?;
    assert_eq!(openssl::public_key("rsa", &key)?, openssl::public_key("x509", &certificate)?);
    assert!(openssl::verify(&read(directory, "ssl/certs/ca.pem")?, &certificate)?.contains("OK"));
    assert_eq!(mode(directory, "ssl/private_keys/starter-kit.pem")?, 0o600);
    Ok(())
}
