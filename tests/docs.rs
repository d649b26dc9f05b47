//! The documentation agrees with the program.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::string_slice)]
#![allow(clippy::indexing_slicing, clippy::disallowed_methods)]

#[path = "docs/messages.rs"]
mod messages;

use std::fmt::Write as _;
use std::fs;
use std::path::PathBuf;

use enlist::config::schema::{Form, SETTINGS};
use enlist::config::settings::target_ids;
use enlist::fault::Kind;
use enlist::host::aws::variables;
use strum::VariantArray as _;

/// The part about the environment. It is written by hand, because the order matters.
const ENVIRONMENT: &str = r"
## The environment and AWS profiles

Variables and profiles have the meaning that they have for the AWS tools. Settings come first. Every value is parsed once, before
the first call. A variable that is set and empty counts as unset. A malformed one ends the command
with exit code 78 and its name, or the file and the profile. `enlist check` shows those that are
in force, each with its source, and `(set)` for a secret.

| what | where it comes from, in this order |
|---|---|
| profile files | `AWS_CONFIG_FILE`, else `~/.aws/config`; `AWS_SHARED_CREDENTIALS_FILE`, else `~/.aws/credentials`, whose values come first |
| profile | `aws.profile`, `AWS_PROFILE`, `default`; one that is named and does not exist is an error |
| region | `aws.region`, `AWS_REGION`, `AWS_DEFAULT_REGION`, the profile's `region`, the EC2 instance's |
| endpoint of an API | `aws.endpoint_url`, `AWS_ENDPOINT_URL_OPSWORKSCM`, `AWS_ENDPOINT_URL_OPSWORKS` or `AWS_ENDPOINT_URL_SSM`, `AWS_ENDPOINT_URL`, the profile's `services` section, the profile's `endpoint_url`; `AWS_IGNORE_CONFIGURED_ENDPOINT_URLS` or `ignore_configured_endpoint_urls` turns off all of them but the setting |
| endpoint of STS | `AWS_ENDPOINT_URL_STS`, then as above, without the setting |
| kind of endpoint | `AWS_USE_FIPS_ENDPOINT` or `use_fips_endpoint`, `AWS_USE_DUALSTACK_ENDPOINT` or `use_dualstack_endpoint`; not together with an endpoint's URL |
| credentials | `AWS_ACCESS_KEY_ID` with `AWS_SECRET_ACCESS_KEY` and `AWS_SESSION_TOKEN` (not with `aws.profile`); the profile: `role_arn` with `source_profile`, `credential_source` or `web_identity_token_file`, keys, `credential_process`; `AWS_WEB_IDENTITY_TOKEN_FILE` with `AWS_ROLE_ARN` and `AWS_ROLE_SESSION_NAME`; `AWS_CONTAINER_CREDENTIALS_RELATIVE_URI` or `AWS_CONTAINER_CREDENTIALS_FULL_URI` with `AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE` or `AWS_CONTAINER_AUTHORIZATION_TOKEN`; the EC2 instance's role |
| instance metadata | `AWS_EC2_METADATA_DISABLED`; `AWS_EC2_METADATA_SERVICE_ENDPOINT` or `ec2_metadata_service_endpoint`; `AWS_EC2_METADATA_SERVICE_ENDPOINT_MODE` or `ec2_metadata_service_endpoint_mode` |
| trusted CAs | `AWS_CA_BUNDLE`, the profile's `ca_bundle`, `SSL_CERT_FILE`, `SSL_CERT_DIR`, the distribution's file; only the first of these is used, and it is read at the first TLS connection |
| proxies | `HTTPS_PROXY` for https, `HTTP_PROXY` for http, `ALL_PROXY` for both, except for `NO_PROXY` (`*`, `x.example`, `.x.example`, `*.x.example`, addresses, networks as `10.0.0.0/8`, each name and address with or without a port), all in upper or lower case; if both are set and differ, lower case counts; never for this machine itself or instance metadata |
| user agent | `AWS_EXECUTION_ENV` |

An `http://` endpoint is allowed on this machine only (`localhost`, 127.0.0.0/8, `::1`), because anybody on the way to another
machine could read the session token. `aws.allow_http = true` allows it elsewhere. For a container's
credentials the rule is another one: `http://` to this machine, 169.254.170.2, 169.254.170.23 and
fd00:ec2::23.

`credential_process` is how IAM Roles Anywhere gives credentials to machines outside AWS. `/bin/sh` runs it,
for at most a minute, without enlist's own credentials in its environment. If it fails, the command ends
with exit code 77 and the last line of its stderr; whatever looks like a secret in that line is hidden.
Profiles that log in through a browser (`sso_session`, `sso_start_url`, `login_session`) or ask for an MFA
code need a person, and are refused with exit code 78.

The files are those of the user and machine that run enlist. `--root` does not change their paths.
";

/// `docs/settings.md` is generated from the list of settings; `UPDATE_DOCS=1` writes it.
#[test]
fn every_setting_is_documented() {
    let mut text = String::from(
        "# Settings\n\nGenerated from `src/config/setting_table.rs` with `UPDATE_DOCS=1 cargo test --test docs`.\n\n\
         In the environment, `table.key` is `ENLIST_TABLE_KEY`, with `_` for `-`. In the environment and after `--set`,\n\
         a table of texts is written `name=value,name=value`, and a list `a,b`.\n\n\
         A later file overrides an earlier one setting by setting. A table of texts, such as `extension_requests`, and a list are one setting:\n\
         a later file replaces the whole of it, and its entries are not merged.\n",
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
    for (name, _) in variables() {
        let is_said = ENVIRONMENT.contains(&format!("`{name}`")) || name.ends_with("_proxy");
        assert!(is_said || name == "HOME", "{name} is read and not documented");
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

/// The registry of targets is the list that pages and examples go by.
#[test]
fn every_target_is_documented() {
    let readme = fs::read_to_string("README.md").unwrap();
    let directory = |path: &str| -> Vec<String> {
        let entries = fs::read_dir(path).unwrap();
        entries.map(|entry| fs::read_to_string(entry.unwrap().path()).unwrap()).collect()
    };
    let (examples, user_data) = (directory("examples"), directory("packaging/user-data"));
    for id in target_ids() {
        let table = format!("[{id}]");
        assert!(readme.contains(&format!("| `{table}` |")), "{id}: README.md");
        for (place, texts) in [("examples", &examples), ("packaging/user-data", &user_data)] {
            let is_there = |text: &String| text.lines().any(|line| line.trim() == table);
            assert!(texts.iter().any(is_there), "{id}: {place}");
        }
    }
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

/// People search the journal by these ids.
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

/// A recipe of the justfile runs one stage of CI; there is one for each, in the same order.
#[test]
fn the_justfile_has_the_stages_of_ci() {
    let script = fs::read_to_string(".ci/run").unwrap();
    let calls = script.lines().filter_map(|line| line.strip_prefix("  stage "));
    let stages: Vec<&str> = calls.filter_map(|call| call.split(' ').next()).collect();
    assert!(stages.len() > 10, "{stages:?}");
    let justfile = fs::read_to_string("justfile").unwrap();
    let mut recipes = justfile.split("\n\n").skip(3);
    for stage in stages {
        let recipe = recipes.next().unwrap_or_else(|| panic!("no recipe for {stage}"));
        let lines: Vec<&str> = recipe.trim_end().lines().collect();
        let [comment, name, command] = lines.as_slice() else { panic!("{recipe}") };
        assert!(comment.starts_with("# "), "{recipe}");
        assert_eq!(*name, format!("{stage}:"));
        assert_eq!(*command, format!("    .ci/run {stage}"));
    }
    assert_eq!(recipes.next(), None);
}

/// A link to a file of this repository leads to one.
#[test]
fn every_link_of_a_page_leads_to_a_file() {
    let pages = |directory: &str| -> Vec<PathBuf> {
        let paths = fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path());
        paths.filter(|path| path.extension().is_some_and(|it| it == "md")).collect()
    };
    let mut links = 0;
    for page in [".", "docs", "docs/decisions"].into_iter().flat_map(pages) {
        let text = fs::read_to_string(&page).unwrap();
        for link in text.split("](").skip(1).filter_map(|rest| rest.split(')').next()) {
            let file = link.split('#').next().unwrap();
            if file.is_empty() || file.contains("://") {
                continue;
            }
            assert!(page.with_file_name(file).exists(), "{}: {link}", page.display());
            links += 1;
        }
    }
    assert!(links > 50, "{links}");
}

/// The README has a row for each command and each exit code. The man page has the same commands from the program, and the exit
/// codes from the README.
#[test]
fn the_readme_has_every_command_and_every_exit_code() {
    let readme = fs::read_to_string("README.md").unwrap();
    let run = std::process::Command::new(env!("CARGO_BIN_EXE_enlist")).arg("--help").output();
    let help = String::from_utf8(run.unwrap().stdout).unwrap();
    let (_, commands) = help.split_once("\nCommands:\n").unwrap();
    let commands = commands.lines().take_while(|line| !line.is_empty());
    // A long description goes on in the next line.
    let commands = commands.filter(|line| !line.starts_with("   "));
    let names: Vec<&str> = commands.filter_map(|line| line.split_whitespace().next()).collect();
    assert!(names.len() > 12, "{names:?}");
    for name in names.iter().filter(|name| **name != "help") {
        assert!(readme.contains(&format!("\n| `enlist {name}")), "{name} is not in README.md");
    }
    for kind in Kind::VARIANTS {
        let row = format!("\n| {} | {} | ", kind.exit_code(), kind.word());
        assert!(readme.contains(&row), "{row} is not in README.md");
        assert!(help.contains(&format!("{} ", kind.exit_code())), "{row} is not in the help");
    }
}

/// Decisions are cited by their number, so each has one of its own, the same in its name and its title.
#[test]
fn every_decision_has_a_number_of_its_own() {
    let files = fs::read_dir("docs/decisions").unwrap().map(|entry| entry.unwrap());
    let mut names: Vec<_> = files.map(|file| file.file_name().into_string().unwrap()).collect();
    names.sort();
    for (index, name) in names.iter().enumerate() {
        let number = format!("{:04}", index + 1);
        assert!(name.starts_with(&number), "{name}: expected number {number}");
        let text = fs::read_to_string(format!("docs/decisions/{name}")).unwrap();
        assert!(text.starts_with(&format!("# {number}: ")), "the title of {name}");
    }
}
