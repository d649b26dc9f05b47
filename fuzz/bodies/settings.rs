//! Settings: TOML, and lines `%env NAME=VALUE` and `%set TABLE.KEY=VALUE` between its lines.

use std::time::Duration;

use enlist::config::{ConfigError, Input, Settings, Value, fragments};
use enlist::fault::{Fault, Kind};
use enlist::pki::private_key;
use enlist::targets::Question;
use enlist::targets::opsworks_cm::OpsworksCm;
use enlist::targets::ssm::Ssm;

use super::world::{CA, facts, observed};

pub fn run(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let outcome = read(text);
    assert_eq!(read(text).map(|(_, settings)| settings), outcome.clone().map(|(_, s)| s));
    match outcome {
        Ok((input, settings)) => {
            sound(&settings);
            written_again(&input, &settings);
        }
        Err(error) => explained(&Fault::from(error)),
    }
}

fn read(text: &str) -> Result<(Vec<(String, Value)>, Settings), ConfigError> {
    let (mut toml, mut environment, mut arguments) = (String::new(), Vec::new(), Vec::new());
    for line in text.split_inclusive('\n') {
        if let Some(pair) = line.strip_prefix("%env ") {
            let (name, value) = pair.trim_end().split_once('=').unwrap_or((pair.trim_end(), ""));
            environment.push((name.to_owned(), value.to_owned()));
        } else if let Some(argument) = line.strip_prefix("%set ") {
            arguments.push(argument.trim_end().to_owned());
        } else {
            toml.push_str(line);
        }
    }
    let mut input = Input::looked_for_in("/etc/enlist".to_owned());
    fragments::add_text(&mut input, &toml, "/etc/enlist/enlist.toml")?;
    input.add_environment(environment.into_iter())?;
    for argument in &arguments {
        input.add_argument(argument)?;
    }
    let settings = Settings::parse(&input, &read_file)?;
    let listing = input.listing().into_iter();
    let listing = listing.map(|(key, entry)| (format!("{}.{}", key.table, key.name), entry.value));
    Ok((listing.collect(), settings))
}

fn read_file(path: &str) -> Result<String, String> {
    if path == "/ca.pem" { Ok(CA.to_owned()) } else { Err("No such file".to_owned()) }
}

/// Accepted settings are valid in every part.
fn sound(settings: &Settings) {
    assert!(settings.budget >= Duration::from_secs(1));
    assert!(settings.budget <= Duration::from_hours(7 * 24));
    assert!(!settings.target_ids().is_empty());
    if let Some(cm) = settings.of::<OpsworksCm>() {
        if let Some(endpoint) = &cm.endpoint {
            one_word(endpoint);
        }
        one_word(&cm.server);
    }
    let (puppet, chef) = (&settings.engines.puppet, &settings.engines.chef);
    assert!(private_key::SIZES.contains(&puppet.key_bits));
    assert!(private_key::SIZES.contains(&chef.key_bits));
    let places = [&puppet.confdir, &puppet.ssldir, &puppet.statedir];
    for path in places.into_iter().chain([&chef.confdir]).flatten() {
        assert!(path.starts_with('/') && !path.split('/').any(|part| part == ".."), "{path:?}");
        assert!(!path.contains(char::is_control), "{path:?}");
    }
    if let Some(ssm) = settings.of::<Ssm>() {
        assert!((1..=1000).contains(&ssm.registration_limit));
        assert!(ssm.description.chars().count() <= 230 && ssm.tags.len() <= 1000);
        assert!(ssm.given.is_some() || ssm.iam_role.is_some());
    }
    for target in settings.targets() {
        let facts = facts();
        let name = settings.name.as_ref().map_or(Ok("n".to_owned()), |name| name.render(&facts));
        if let Ok(name) = name {
            explained_if(target.check(&facts, &name));
            for id in target.engines() {
                explained_if(settings.engines.get(id).check(&observed(), &name));
            }
        }
        if let Ok(Question::Ask(request)) = target.discover(&facts, &[]) {
            assert!(!request.call().on().contains(char::is_control), "{}", request.call().on());
        }
        assert!(!target.authority_name().contains(char::is_control));
        assert!(!target.permissions().resource.is_empty());
    }
}

fn one_word(text: &str) {
    let plain = |c: char| c.is_ascii_alphanumeric() || ".:-".contains(c);
    assert!(!text.is_empty() && text.chars().all(plain), "{text:?}");
}

/// The list of `enlist check`, written as one file, gives the same settings.
fn written_again(listing: &[(String, Value)], settings: &Settings) {
    let mut file = toml::Table::new();
    for id in settings.target_ids() {
        file.insert(id.to_owned(), toml::Table::new().into());
    }
    for (key, value) in listing {
        let (table, name) = key.split_once('.').unwrap();
        let value = match value {
            Value::Text(text) => toml::Value::from(text.as_str()),
            Value::Integer(number) => (*number).into(),
            Value::Boolean(truth) => (*truth).into(),
            Value::List(list) => list.clone().into(),
            Value::Map(map) => toml::Value::Table(
                map.iter().map(|(k, v)| (k.clone(), v.as_str().into())).collect(),
            ),
        };
        let table = file.entry(table).or_insert_with(|| toml::Table::new().into());
        table.as_table_mut().unwrap().insert(name.to_owned(), value);
    }
    let text = toml::to_string(&file).unwrap();
    let mut input = Input::looked_for_in("here".to_owned());
    fragments::add_text(&mut input, &text, "f").unwrap();
    assert_eq!(Settings::parse(&input, &read_file).as_ref(), Ok(settings), "{text}");
}

fn explained_if(result: Result<(), Fault>) {
    if let Err(fault) = result {
        assert!(matches!(fault.kind, Kind::Config | Kind::Host), "{fault:?}");
        assert!(!fault.todo.is_empty());
    }
}

/// The fault has all of its parts. They are short and without control characters.
fn explained(fault: &Fault) {
    assert_eq!(fault.kind, Kind::Config);
    for part in [&fault.what, &fault.on, &fault.todo] {
        assert!(!part.is_empty());
    }
    assert!(fault.what.chars().count() < 400, "{}", fault.what);
    assert!(!fault.what.contains(|c: char| c.is_control()), "{:?}", fault.what);
    assert!(!fault.todo.contains(|c: char| c.is_control()), "{:?}", fault.todo);
}
