//! What `chef-client` will read after our settings, and whether it leads elsewhere.
//!
//! `chef-client` reads `client.rb`, then every `client.d/*.rb` in the order of their names (Chef's
//! source, `application/client.rb`); what is set last counts. These files are Ruby. They are not run
//! here: a line that sets one of our settings to anything but our value, plainly written, is in the
//! way.

use super::block;

/// What changes where Chef goes, beside what we set ourselves.
const OTHERS: [(&str, Value<'static>); 3] = [
    ("client_key_contents", Value::Other),
    ("local_mode", Value::Word("false")),
    ("solo", Value::Word("false")),
];

/// A file of the node's, without the `--root` prefix.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Source {
    pub path: String,
    pub text: String,
}

/// What a line gives a setting.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Value<'a> {
    Text(String),
    /// `true`, `false`.
    Word(&'a str),
    /// Anything else that Ruby makes of it.
    Other,
}

/// Where the settings are read from after `client.rb`.
#[must_use]
pub fn directory(client_rb: &Source) -> String {
    if let Some((_, Value::Text(path))) = assignments(&client_rb.text, "client_d_dir").pop() {
        return path;
    }
    let parent = client_rb.path.rsplit_once('/').map_or("", |(parent, _)| parent);
    format!("{parent}/client.d")
}

/// The names of those that are read, in the order in which they are.
#[must_use]
pub fn read_in_order(mut names: Vec<String>) -> Vec<String> {
    // As Ruby's Dir does: letters' case counts, and hidden files are none.
    names.retain(|name| name.strip_suffix(".rb").is_some() && !name.starts_with('.'));
    names.sort();
    names
}

/// Each line that sets something else than our block (`content`) does, after it. `client_rb` is as
/// it stands, with the block or still without.
#[must_use]
pub fn conflicts(client_rb: &Source, later: &[Source], content: &str) -> Vec<String> {
    let ours: Vec<(&str, Value<'_>)> =
        content.lines().filter_map(statement).chain(OTHERS).collect();
    // What stands before the block is overridden by it.
    let after = block::after(&client_rb.text);
    let skipped = client_rb.text.len() - after.len();
    let first = client_rb.text.get(..skipped).map_or(0, |before| before.matches('\n').count());
    let own = found(&client_rb.path, after, first, &ours);
    let later = later.iter().flat_map(|file| found(&file.path, &file.text, 0, &ours));
    own.into_iter().chain(later).collect()
}

fn found(path: &str, text: &str, first: usize, ours: &[(&str, Value<'_>)]) -> Vec<String> {
    let mut all: Vec<(usize, String)> = Vec::new();
    for (name, wanted) in ours {
        let others = assignments(text, name).into_iter().filter(|(_, value)| value != wanted);
        all.extend(others.map(|(line, value)| {
            let shown = match value {
                Value::Text(text) => format!("{name} {text:?}"),
                Value::Word(word) => format!("{name} {word}"),
                Value::Other => format!("{name} is set"),
            };
            (line, format!("{path}, line {}: {shown}", first + line))
        }));
    }
    all.sort();
    all.into_iter().map(|(_, problem)| problem).collect()
}

/// `name value` of a line of our own block.
fn statement(line: &str) -> Option<(&str, Value<'_>)> {
    let (name, rest) = line.split_once(' ')?;
    Some((name, value(rest)))
}

/// Each line that sets `name`, with what it sets it to.
fn assignments<'a>(text: &'a str, name: &str) -> Vec<(usize, Value<'a>)> {
    let mut found = Vec::new();
    let mut is_comment = false;
    for (index, line) in text.lines().enumerate() {
        match line.trim_end() {
            "__END__" => break,
            _ if line.starts_with("=begin") => is_comment = true,
            _ if line.starts_with("=end") => is_comment = false,
            _ if is_comment => {}
            _ => found.extend(assigned(line, name).map(|value| (index + 1, value))),
        }
    }
    found
}

/// What this line sets it to, if it does.
fn assigned<'a>(line: &'a str, name: &str) -> Option<Value<'a>> {
    let code = line.trim_start();
    if code.starts_with('#') {
        return None;
    }
    for (at, _) in line.match_indices(name) {
        let (before, after) = (line.get(..at)?, line.get(at + name.len()..)?);
        let is_part = |c: char| c.is_alphanumeric() || c == '_';
        if before.ends_with(is_part) || after.starts_with(is_part) {
            continue;
        }
        // Chef::Config[:name] = value, Chef::Config["name"] = value
        let index = after.trim_start_matches(['"', '\'']).strip_prefix(']');
        if let Some(rest) = index.filter(|_| before.ends_with(['"', '\'', ':'])) {
            match assigned_by_sign(rest) {
                Some(rest) => return Some(value(rest)),
                None => continue,
            }
        }
        // Chef::Config.name = value, self.name(value)
        if before.ends_with('.') {
            let rest = assigned_by_sign(after).or_else(|| after.strip_prefix('('));
            match rest.or_else(|| argument(after)) {
                Some(rest) => return Some(value(rest)),
                None => continue,
            }
        }
        // name value, name(value); `name = value` is a variable of the file's, and sets nothing.
        if begins_statement(before) && assigned_by_sign(after).is_none() {
            let given = after.strip_prefix('(').or_else(|| argument(after));
            if let Some(rest) = given {
                return Some(value(rest));
            }
        }
    }
    None
}

fn begins_statement(before: &str) -> bool {
    let before = before.trim_end();
    before.is_empty()
        || before.ends_with([';', '{', '|', '(', '&'])
        || before.ends_with(" then")
        || before.ends_with(" do")
        || matches!(before, "then" | "else" | "begin")
        || before.ends_with("; else")
}

/// What comes behind `=`, and not behind `==`, `=~` or `=>`.
fn assigned_by_sign(after: &str) -> Option<&str> {
    let rest = after.trim_start();
    let rest = rest.strip_prefix("||=").or_else(|| rest.strip_prefix('='))?;
    (!rest.starts_with(['=', '~', '>'])).then_some(rest)
}

/// An argument without brackets: something that begins a value.
fn argument(after: &str) -> Option<&str> {
    let rest = after.strip_prefix([' ', '\t'])?.trim_start();
    let begins = |c: char| c.is_alphanumeric() || "'\"%:@$[_<(".contains(c);
    let is_word = |word: &str| {
        rest.strip_prefix(word).is_some_and(|rest| !rest.starts_with(|c: char| c.is_alphanumeric()))
    };
    let joins = ["if", "unless", "and", "or", "then", "do", "end"].iter().any(|word| is_word(word));
    (rest.starts_with(begins) && !joins).then_some(rest)
}

/// A text in quotes without interpolation, or a word, with nothing more behind it than a comment.
fn value(rest: &str) -> Value<'_> {
    let rest = rest.trim_start();
    let rest = rest.strip_prefix('(').unwrap_or(rest).trim_start();
    if let Some(text) = rest.strip_prefix('\'') {
        return quoted(text, '\'')
            .filter(|(_, rest)| ends(rest))
            .map_or(Value::Other, |(text, _)| Value::Text(text));
    }
    if let Some(text) = rest.strip_prefix('"') {
        let plain =
            quoted(text, '"').filter(|(text, rest)| ends(rest) && !text.contains(['\\', '#']));
        return plain.map_or(Value::Other, |(text, _)| Value::Text(text));
    }
    let end = rest.find(|c: char| !(c.is_alphanumeric() || c == '_')).unwrap_or(rest.len());
    let (word, rest) = rest.split_at(end);
    if matches!(word, "true" | "false") && ends(rest) { Value::Word(word) } else { Value::Other }
}

fn ends(rest: &str) -> bool {
    let rest = rest.trim_start().trim_start_matches([')', ';']).trim_start();
    rest.is_empty() || rest.starts_with('#')
}

/// Up to the quote that ends it; in single quotes `\\` and `\'` are one letter (Ruby's
/// documentation, "Literals").
fn quoted(text: &str, quote: char) -> Option<(String, &str)> {
    let mut plain = String::new();
    let mut letters = text.char_indices();
    while let Some((at, letter)) = letters.next() {
        match letter {
            _ if letter == quote => return Some((plain, text.get(at + 1..)?)),
            '\\' if quote == '\'' => match letters.next() {
                Some((_, next @ ('\\' | '\''))) => plain.push(next),
                Some((_, next)) => plain.extend(['\\', next]),
                None => return None,
            },
            // In double quotes they mean more than one thing: the caller sees that they are there.
            '\\' => {
                plain.push('\\');
                plain.extend(letters.next().map(|(_, next)| next));
            }
            _ => plain.push(letter),
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    const OURS: &str = "chef_server_url 'https://c.example/organizations/default'\nnode_name 'it\\'s'\nclient_key '/etc/chef/client.pem'\ntrusted_certs_dir '/etc/chef/trusted_certs'\nuse_policyfile true\n";

    fn source(path: &str, text: &str) -> Source {
        Source { path: path.to_owned(), text: text.to_owned() }
    }

    fn later(text: &str) -> Vec<String> {
        let client_rb = source("/etc/chef/client.rb", &block::set("", OURS));
        conflicts(&client_rb, &[source("/etc/chef/client.d/a.rb", text)], OURS)
    }

    #[test]
    fn what_is_set_otherwise_later_is_named() {
        for line in [
            "chef_server_url 'https://other.example/organizations/default'",
            "chef_server_url(\"https://other.example\")",
            "  node_name \"web\"",
            "node_name\t'web'",
            "Chef::Config[:node_name] = 'web'",
            "Chef::Config['client_key'] = '/x'",
            "Chef::Config.node_name = 'web'",
            "Chef::Config.node_name 'web'",
            "self.client_key = '/x'",
            "node_name \"#{ENV['HOSTNAME']}\"",
            "node_name `hostname`.strip if true; node_name 'x'",
            "log_level :info; node_name 'web'",
            "if true then node_name 'web' end",
            "trusted_certs_dir '/x' # ours",
            "client_key File.join('/x', 'y')",
            "client_key_contents 'MII'",
            "local_mode true",
            "use_policyfile false",
            "node_name %q(web)",
            "node_name :web",
            "node_name 'it\\'s'.upcase",
        ] {
            let found = later(&format!("# one\n{line}\n"));
            let [problem] = found.as_slice() else { panic!("{line}: {found:?}") };
            assert!(problem.starts_with("/etc/chef/client.d/a.rb, line 2: "), "{problem}");
        }
    }

    #[test]
    fn what_changes_nothing_is_no_conflict() {
        for line in [
            "# node_name 'web'",
            "node_name 'it\\'s'",
            "node_name(\"it's\") # the same",
            "use_policyfile true",
            "node_name = 'a variable'",
            "log_location \"/var/log/#{node_name}.log\"",
            "node_name_of_old 'web'",
            "old_node_name 'web'",
            "puts 'x' if node_name == 'web'",
            "=begin\nnode_name 'web'\n=end",
            "__END__\nnode_name 'web'",
            "local_mode false",
            "file_cache_path '/var/' + node_name",
            "x = { node_name: 'web' }",
        ] {
            assert_eq!(later(line), Vec::<String>::new(), "{line}");
        }
    }

    #[test]
    fn in_client_rb_only_what_stands_behind_the_block() {
        let text = block::set("node_name 'before'\n", OURS) + "\nnode_name 'behind'\n";
        let found = conflicts(&source("/etc/chef/client.rb", &text), &[], OURS);
        assert_eq!(found, ["/etc/chef/client.rb, line 10: node_name \"behind\""]);
        // The block comes last where there is none yet.
        let without = source("/etc/chef/client.rb", "node_name 'before'\n");
        assert!(conflicts(&without, &[], OURS).is_empty());
    }

    #[test]
    fn where_the_later_files_are() {
        assert_eq!(directory(&source("/etc/chef/client.rb", "")), "/etc/chef/client.d");
        assert_eq!(directory(&source("/etc/chef/client.rb", "client_d_dir '/x'\n")), "/x");
        let names = ["b.rb", "a.rb", ".c.rb", "d.txt"].map(str::to_owned).to_vec();
        assert_eq!(read_in_order(names), ["a.rb", "b.rb"]);
    }
}
