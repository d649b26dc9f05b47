//! The documentation says what the program does.

#![allow(clippy::unwrap_used, clippy::panic, clippy::disallowed_methods)]

use std::fmt::Write as _;
use std::fs;

use enlist::config::schema::{Form, SETTINGS};
use enlist::host::aws::VARIABLES;

/// What counts beside the settings. Text, since it is about an order and not about names alone.
const ENVIRONMENT: &str = r"
## The environment and AWS profiles

Variables and profiles count as the AWS tools have it, after the settings. Each is parsed once, before
anything is asked. One that is set and empty counts as unset. One that is malformed ends the command
with exit code 78, with its name, or with the file and the profile. `enlist check` shows those that are
in force, each with its source, and `(set)` for a secret.

| what | in this order |
|---|---|
| files of profiles | `AWS_CONFIG_FILE`, else `~/.aws/config`; `AWS_SHARED_CREDENTIALS_FILE`, else `~/.aws/credentials`, whose values come first |
| profile | `aws.profile`, `AWS_PROFILE`, `default`; one that is named and does not exist is an error |
| region | `aws.region`, `AWS_REGION`, `AWS_DEFAULT_REGION`, the profile's `region`, the EC2 instance's |
| endpoint of an API | `aws.endpoint_url`, `AWS_ENDPOINT_URL_OPSWORKSCM`, `AWS_ENDPOINT_URL_OPSWORKS` or `AWS_ENDPOINT_URL_SSM`, `AWS_ENDPOINT_URL`, the profile's `services` section, the profile's `endpoint_url`; `AWS_IGNORE_CONFIGURED_ENDPOINT_URLS` or `ignore_configured_endpoint_urls` turns all but the setting off |
| endpoint of STS | `AWS_ENDPOINT_URL_STS`, then likewise, without the setting |
| kind of endpoint | `AWS_USE_FIPS_ENDPOINT` or `use_fips_endpoint`, `AWS_USE_DUALSTACK_ENDPOINT` or `use_dualstack_endpoint`; not together with an endpoint's URL |
| credentials | `AWS_ACCESS_KEY_ID` with `AWS_SECRET_ACCESS_KEY` and `AWS_SESSION_TOKEN` (not with `aws.profile`); the profile: `role_arn` with `source_profile`, `credential_source` or `web_identity_token_file`, keys, `credential_process`; `AWS_WEB_IDENTITY_TOKEN_FILE` with `AWS_ROLE_ARN` and `AWS_ROLE_SESSION_NAME`; `AWS_CONTAINER_CREDENTIALS_RELATIVE_URI` or `AWS_CONTAINER_CREDENTIALS_FULL_URI` with `AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE` or `AWS_CONTAINER_AUTHORIZATION_TOKEN`; the EC2 instance's role |
| instance metadata | `AWS_EC2_METADATA_DISABLED`; `AWS_EC2_METADATA_SERVICE_ENDPOINT` or `ec2_metadata_service_endpoint`; `AWS_EC2_METADATA_SERVICE_ENDPOINT_MODE` or `ec2_metadata_service_endpoint_mode` |
| trusted authorities | `AWS_CA_BUNDLE`, the profile's `ca_bundle`, `SSL_CERT_FILE`, `SSL_CERT_DIR`, the distribution's file; the first of these alone, read when TLS is first spoken |
| proxies | `HTTPS_PROXY` for https, `HTTP_PROXY` for http, `ALL_PROXY` for both, but for `NO_PROXY`, all in capital or small letters; never for this machine itself or instance metadata |
| user agent | `AWS_EXECUTION_ENV` |

An endpoint with `http://` is allowed on this machine only (`localhost`, 127.0.0.0/8, `::1`): the session
token would be read by whoever is on the way. `aws.allow_http = true` allows it elsewhere. A container's
credentials have a rule of their own: `http://` to this machine, 169.254.170.2, 169.254.170.23 and
fd00:ec2::23.

`credential_process` is how IAM Roles Anywhere gives credentials to machines outside of AWS. It is run by
`/bin/sh`, for a minute at most, without enlist's own credentials in its environment. One that fails ends
the command with exit code 77 and the last line of its stderr, in which what looks like a secret is hidden.
Profiles that log in through a browser (`sso_session`, `sso_start_url`, `login_session`) or ask for an MFA
code need a person, and are refused with exit code 78.

The files are those of the user and machine that run enlist: `--root` does not change where they are.
";

/// `docs/settings.md` is made from the one list of settings; `UPDATE_DOCS=1` writes it.
#[test]
fn every_setting_is_documented() {
    let mut text = String::from(
        "# Settings\n\nMade from the list in `src/config/schema.rs` by `UPDATE_DOCS=1 cargo test --test docs`.\n\
         In the environment, `table.key` is `ENLIST_TABLE_KEY`, with `_` for `-`; a table of texts is\n\
         `name=value,name=value` there and after `--set`, and a list `a,b`.\n",
    );
    let mut table = "";
    for key in SETTINGS {
        if key.table != table {
            table = key.table;
            let _ = write!(
                text,
                "\n## [{table}]\n\n| key | form | default | what |\n|---|---|---|---|\n"
            );
        }
        let form = match key.form {
            Form::Text => "text",
            Form::Duration => "duration",
            Form::Integer => "number",
            Form::Boolean => "true, false",
            Form::List => "list of texts",
            Form::Map => "table of texts",
        };
        let default =
            if key.default.is_empty() { String::new() } else { format!("`{}`", key.default) };
        let _ = writeln!(text, "| `{}` | {form} | {default} | {} |", key.name, key.help);
    }
    text.push_str(ENVIRONMENT);
    for (name, _) in VARIABLES {
        let is_said = ENVIRONMENT.contains(&format!("`{name}`")) || name.ends_with("_proxy");
        assert!(is_said || *name == "HOME", "{name} is heeded and not documented");
    }
    if std::env::var_os("UPDATE_DOCS").is_some() {
        fs::write("docs/settings.md", &text).unwrap();
    }
    assert_eq!(
        fs::read_to_string("docs/settings.md").unwrap(),
        text,
        "run UPDATE_DOCS=1 cargo test --test docs"
    );
}

#[test]
fn the_examples_are_valid_settings() {
    for entry in fs::read_dir("examples").unwrap() {
        let path = entry.unwrap().path();
        let run = std::process::Command::new(env!("CARGO_BIN_EXE_enlist"))
            .args(["check", "--config", path.to_str().unwrap()])
            .output()
            .unwrap();
        assert!(
            run.status.success(),
            "{}: {}",
            path.display(),
            String::from_utf8_lossy(&run.stderr)
        );
    }
}

/// The journal's ids are for people to search by.
#[test]
fn every_message_id_is_documented() {
    let page = fs::read_to_string("docs/daemon.md").unwrap();
    let source = fs::read_to_string("src/driver/milestones.rs").unwrap();
    let ids: Vec<&str> = source.lines().filter_map(|line| line.split('"').nth(1)).collect();
    assert!(ids.len() >= 8, "{ids:?}");
    for id in ids {
        assert!(page.contains(&format!("`{id}`")), "{id}");
    }
}
