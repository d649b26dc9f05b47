//! Finds settings that `chef-client` reads after enlist's and that override them.
//!
//! `chef-client` reads `client.rb`, then every `client.d/*.rb` in the order of their names (Chef's
//! source, `application/client.rb`). The last value counts. These files are Ruby, and are not run
//! here: each line that sets one of enlist's settings to anything but the plain same value is
//! reported.

use super::block;

/// Settings that enlist does not set, and that would change which server or key Chef uses.
const OTHERS: [(&str, Value<'static>); 3] = [
    ("client_key_contents", Value::Other),
    ("local_mode", Value::Word("false")),
    ("solo", Value::Word("false")),
];

/// A file and its text. The path is without the `--root` prefix.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Source {
    pub path: String,
    pub text: String,
}

/// The value that a line gives a setting.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Value<'a> {
    Text(String),
    /// `true`, `false`.
    Word(&'a str),
    /// Any other Ruby expression.
    Other,
}

/// The directory whose files are read after `client.rb`.
#[must_use]
pub fn directory(client_rb: &Source) -> String {
    if let Some((_, Value::Text(path))) = assignments(&client_rb.text, "client_d_dir").pop() {
        return path;
    }
    let parent = client_rb.path.rsplit_once('/').map_or("", |(parent, _)| parent);
    format!("{parent}/client.d")
}

/// The names of the files that Chef reads, in its order.
#[must_use]
pub fn read_in_order(mut names: Vec<String>) -> Vec<String> {
    // As Ruby's `Dir` does: case-sensitive, without hidden files.
    names.retain(|name| name.strip_suffix(".rb").is_some() && !name.starts_with('.'));
    names.sort();
    names
}

/// Each line after enlist's block that sets another value than the block's `content`. `client_rb` is
/// the present file, with or without the block.
#[must_use]
pub fn conflicts(client_rb: &Source, later: &[Source], content: &str) -> Vec<String> {
    let ours: Vec<(&str, Value<'_>)> =
        content.lines().filter_map(statement).chain(OTHERS).collect();
    // The block overrides the lines before it.
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

/// Name and value of a line of enlist's block.
fn statement(line: &str) -> Option<(&str, Value<'_>)> {
    let (name, rest) = line.split_once(' ')?;
    Some((name, value(rest)))
}

/// The lines that set `name`, each with its value.
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

/// The value that this line gives `name`, if it sets it.
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

/// The text after `=` or `||=`, but not after `==`, `=~` or `=>`.
fn assigned_by_sign(after: &str) -> Option<&str> {
    let rest = after.trim_start();
    let rest = rest.strip_prefix("||=").or_else(|| rest.strip_prefix('='))?;
    (!rest.starts_with(['=', '~', '>'])).then_some(rest)
}

/// An argument without brackets: text that begins a value.
fn argument(after: &str) -> Option<&str> {
    let rest = after.strip_prefix([' ', '\t'])?.trim_start();
    let begins = |c: char| c.is_alphanumeric() || "'\"%:@$[_<(".contains(c);
    let is_word = |word: &str| {
        rest.strip_prefix(word).is_some_and(|rest| !rest.starts_with(|c: char| c.is_alphanumeric()))
    };
    let joins = ["if", "unless", "and", "or", "then", "do", "end"].iter().any(|word| is_word(word));
    (rest.starts_with(begins) && !joins).then_some(rest)
}

/// Parses a string without interpolation, or a word, if only a comment follows it.
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

/// The text up to the closing quote, and what follows it. In single quotes, `\\` and `\'` are one
/// character (Ruby's documentation, "Literals").
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
            // Escapes in double quotes are kept, and the caller does not take such a text as plain.
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
    fn later_lines_with_another_value_are_reported() {
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
    fn lines_without_effect_are_not_reported() {
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
    fn in_client_rb_only_lines_after_the_block_count() {
        let text = block::set("node_name 'before'\n", OURS) + "\nnode_name 'behind'\n";
        let found = conflicts(&source("/etc/chef/client.rb", &text), &[], OURS);
        assert_eq!(found, ["/etc/chef/client.rb, line 10: node_name \"behind\""]);
        // A new block is put at the end, after these lines.
        let without = source("/etc/chef/client.rb", "node_name 'before'\n");
        assert!(conflicts(&without, &[], OURS).is_empty());
    }

    #[test]
    fn the_directory_and_the_order_of_later_files() {
        assert_eq!(directory(&source("/etc/chef/client.rb", "")), "/etc/chef/client.d");
        assert_eq!(directory(&source("/etc/chef/client.rb", "client_d_dir '/x'\n")), "/x");
        let names = ["b.rb", "a.rb", ".c.rb", "d.txt"].map(str::to_owned).to_vec();
        assert_eq!(read_in_order(names), ["a.rb", "b.rb"]);
    }
}
