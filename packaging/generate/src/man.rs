//! The man pages: enlist(1), one for each command, and enlist.toml(5).

use std::fs;
use std::path::Path;

use clap::CommandFactory as _;
use clap_mangen::Man;
use clap_mangen::roff::{Roff, bold, roman};
use enlist::cli::Cli;
use enlist::cli::autosign::{PROGRAM, Program, SETTINGS};
use enlist::config::schema::{self, variable};
use enlist::config::settings::target_ids;

use crate::Outcome;
use crate::defaults::form;

const MANUAL: &str = "enlist";

const README: &str = include_str!("../../../README.md");

/// In the order in which they are merged.
const SETTINGS_FILES: [(&str, &str); 4] = [
    ("/usr/lib/enlist/config.d/*.toml", "settings of the distribution or the image"),
    ("/run/enlist/config.d/*.toml", "settings of this boot"),
    ("/etc/enlist/enlist.toml", "the admin's settings"),
    ("/etc/enlist/config.d/*.toml", "more of the admin's settings, in the order of their names"),
];

const FILES: [(&str, &str); 3] = [
    (
        "/var/lib/enlist",
        "for each target: its record, backups of replaced files, evidence of refused answers",
    ),
    (
        "/etc/default/enlist, /etc/sysconfig/enlist",
        "environment variables for the services, such as HTTPS_PROXY",
    ),
    (
        "/etc/credstore/enlist.ssm-activation-code",
        "an activation code, for activation_code_file = \"enlist.ssm-activation-code\"",
    ),
];

pub fn write(out: &Path, date: &str) -> Outcome {
    let mut top = Cli::command().disable_help_subcommand(true);
    top.build();
    let version = top.get_version().unwrap_or_default().to_owned();
    let source = format!("enlist {version}");
    // `enlist autosign` has the page of its program.
    let is_own = |command: &&clap::Command| command.get_name() != "autosign";
    let commands = top.get_subcommands().filter(|command| !command.is_hide_set());
    for command in commands.filter(is_own) {
        let title = format!("enlist-{}", command.get_name());
        let page = page(Man::new(command.clone()), &title, date, &source);
        let mut text = body(&page)?;
        section(&mut text, "SEE ALSO", |roff| {
            roff.text([bold("enlist"), roman("(1), "), bold("enlist.toml"), roman("(5)")]);
        });
        fs::write(out.join(format!("{title}.1")), text)?;
    }
    fs::write(out.join("enlist-autosign.1"), autosign_page(date, &source)?)?;
    fs::write(out.join("enlist.1"), top_page(&top, date, &source)?)?;
    fs::write(out.join("enlist.toml.5"), settings_page(date, &source))?;
    Ok(())
}

fn page(man: Man, title: &str, date: &str, source: &str) -> Man {
    man.title(title).date(date).source(source).manual(MANUAL)
}

/// The page without the text after the help, which repeats the exit codes, and without the version.
fn body(man: &Man) -> Outcome<String> {
    let mut out = Vec::new();
    man.render_title(&mut out)?;
    man.render_name_section(&mut out)?;
    man.render_synopsis_section(&mut out)?;
    man.render_description_section(&mut out)?;
    man.render_options_section(&mut out)?;
    Ok(String::from_utf8(out)?)
}

fn top_page(top: &clap::Command, date: &str, source: &str) -> Outcome<String> {
    let man = page(Man::new(top.clone()), "enlist", date, source);
    let mut text = body(&man)?;
    let commands: Vec<(String, String)> = top
        .get_subcommands()
        .filter(|command| !command.is_hide_set())
        .map(|command| {
            let about = command.get_about().map(ToString::to_string).unwrap_or_default();
            (format!("enlist-{}(1)", command.get_name()), about)
        })
        .collect();
    list(&mut text, "COMMANDS", &commands);
    list(&mut text, "EXIT STATUS", &exit_codes()?);
    let files: Vec<(String, String)> = SETTINGS_FILES.iter().chain(&FILES).map(owned).collect();
    list(&mut text, "FILES", &files);
    section(&mut text, "ENVIRONMENT", |roff| {
        roff.text([roman(
            "ENLIST_TABLE_KEY overrides a setting, such as ENLIST_NODE_BUDGET for node.budget. The AWS variables (AWS_REGION and others) and those for proxies have the same meaning as for the AWS SDK.",
        )]);
    });
    section(&mut text, "SEE ALSO", |roff| {
        roff.text([bold("enlist.toml"), roman("(5), "), bold("systemctl"), roman("(1)")]);
    });
    Ok(text)
}

fn autosign_page(date: &str, source: &str) -> Outcome<String> {
    let mut program = Program::command();
    program.build();
    let mut text = body(&page(Man::new(program), PROGRAM, date, source))?;
    section(&mut text, "SERVER", |roff| {
        roff.text([
            roman("In [server] of puppet.conf: "),
            bold("autosign = /usr/bin/enlist-autosign"),
            roman(". It is exactly this path: under another name, a copy or a link is the program enlist, whose help ends with 0, which signs. The server runs it as its own user, and writes its line to its log."),
        ]);
    });
    let codes = [
        ("0", "the server signs the request"),
        ("64", "bad arguments"),
        ("65", "no certificate request, or one that contradicts itself"),
        ("69", "no rule allows it, or its proof is not accepted"),
        ("74", "the audit line can't be written, or the request does not end in 10 s"),
        ("75", "STS can't be reached, or has a problem"),
        ("76", "what answered is not STS"),
        ("78", "settings that can't be used, or that others may write"),
    ];
    list(&mut text, "EXIT STATUS", &codes.map(|pair| owned(&pair)));
    let files = [
        (SETTINGS, "the rules; only root and the server's user may be able to write it"),
        ("/usr/share/doc/enlist/examples/autosign.toml", "an example, with each setting"),
    ];
    list(&mut text, "FILES", &files.map(|pair| owned(&pair)));
    section(&mut text, "SEE ALSO", |roff| {
        roff.text([bold("enlist"), roman("(1), "), bold("enlist.toml"), roman("(5)")]);
    });
    Ok(text)
}

/// The table of the README, so that both say the same.
fn exit_codes() -> Outcome<Vec<(String, String)>> {
    let (_, table) = README.split_once("\n## Exit codes\n").ok_or("README.md has no exit codes")?;
    let rows = table.lines().skip_while(|line| line.is_empty());
    let rows = rows.take_while(|line| line.starts_with('|')).skip(2);
    let cells = |row: &str| -> Option<(String, String)> {
        let mut cells = row.trim_matches('|').split(" | ").map(|cell| cell.trim().to_owned());
        Some((cells.next()?, cells.nth(1)?))
    };
    let codes: Vec<_> = rows.filter_map(cells).collect();
    if codes.len() < 11 { Err("exit codes are missing in README.md".into()) } else { Ok(codes) }
}

fn settings_page(date: &str, source: &str) -> String {
    let mut roff = Roff::new();
    roff.control("TH", ["enlist.toml", "5", date, source, MANUAL]);
    roff.control("SH", ["NAME"]);
    roff.text([roman("enlist.toml - settings of enlist")]);
    roff.control("SH", ["DESCRIPTION"]);
    let targets: Vec<String> = target_ids().map(|id| format!("[{id}]")).collect();
    roff.text([roman(format!(
        "TOML files, merged in the order below: a later file overrides an earlier one, the \
         environment overrides the files, and --set overrides everything. An unknown setting is an \
         error. The table of a target turns the target on: {}.",
        targets.join(", ")
    ))]);
    let mut text = roff.to_roff();
    list(&mut text, "FILES", &SETTINGS_FILES.map(|pair| owned(&pair)));
    let mut table = "";
    for key in schema::SETTINGS {
        if key.table != table {
            table = key.table;
            let mut heading = Roff::new();
            heading.control("SH", [format!("[{table}]").as_str()]);
            text.push_str(&heading.to_roff());
        }
        let default = match key.default {
            "" => String::new(),
            default => format!(" Default: {default}."),
        };
        let what = format!("{}{default} In the environment {}.", key.help, variable(key));
        text.push_str(&item(&format!("{} ({})", key.name, form(key)), &what));
    }
    section(&mut text, "SEE ALSO", |roff| {
        roff.text([bold("enlist"), roman("(1), "), bold("enlist-check"), roman("(1)")]);
    });
    text
}

fn owned((name, what): &(&str, &str)) -> (String, String) {
    ((*name).to_owned(), (*what).to_owned())
}

fn section(text: &mut String, heading: &str, fill: impl FnOnce(&mut Roff)) {
    let mut roff = Roff::new();
    roff.control("SH", [heading]);
    fill(&mut roff);
    text.push_str(&roff.to_roff());
}

fn list(text: &mut String, heading: &str, items: &[(String, String)]) {
    section(text, heading, |_| {});
    for (name, what) in items {
        text.push_str(&item(name, what));
    }
}

fn item(name: &str, what: &str) -> String {
    let mut roff = Roff::new();
    roff.control("TP", []);
    roff.text([bold(name)]);
    roff.text([roman(what)]);
    roff.to_roff()
}
