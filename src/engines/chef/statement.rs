//! One line of a Ruby file: what it sets, and with which value.

/// The value that a line gives a setting.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Value<'a> {
    Text(String),
    /// `true`, `false`, `nil`.
    Word(&'a str),
    /// Any other Ruby expression.
    Other,
}

/// Name and value of a line of enlist's block.
pub fn of_line(line: &str) -> Option<(&str, Value<'_>)> {
    let (name, rest) = line.split_once(' ')?;
    Some((name, value(rest)))
}

/// The values that this line gives `name`, with the places of the name. The functions tell which bytes
/// of the line are code, and which are inside of a literal.
pub fn assignments<'a>(
    line: &'a str,
    name: &str,
    is_code: &dyn Fn(usize) -> bool,
    is_text: &dyn Fn(usize) -> bool,
) -> Vec<(usize, Value<'a>)> {
    let found = words(line, name).into_iter().filter_map(|at| {
        let (before, after) = (line.get(..at)?, line.get(at + name.len()..)?);
        let value = if is_text(at) {
            // The text ends behind the name: `[\"name\"]`, `send 'name'`.
            let quoted = before.ends_with(['"', '\'']);
            let rest = after.strip_prefix('=').unwrap_or(after).strip_prefix(['"', '\'']);
            of_symbol(before, rest.filter(|_| quoted)?)?
        } else if !is_code(at) {
            return None;
        } else if before.ends_with(':') && !before.ends_with("::") {
            of_symbol(before, after)?
        } else {
            of_name(before, after)?
        };
        Some((at, value))
    });
    found.collect()
}

/// The places of the whole word in this line.
fn words(line: &str, word: &str) -> Vec<usize> {
    let is_part = |c: char| c.is_alphanumeric() || c == '_';
    let is_whole = |at: &usize| {
        let before = line.get(..*at).unwrap_or_default();
        let after = line.get(at + word.len()..).unwrap_or_default();
        !before.ends_with(is_part) && !before.ends_with(['@', '$']) && !after.starts_with(is_part)
    };
    line.match_indices(word).map(|(at, _)| at).filter(is_whole).collect()
}

/// `Chef::Config[:name] = value`, `send(:name, value)`.
fn of_symbol<'a>(before: &str, after: &'a str) -> Option<Value<'a>> {
    let opening = before.trim_end_matches([':', '"', '\'']).trim_end();
    let rest = after.trim_start_matches(".to_sym").trim_start();
    if let Some(rest) = rest.strip_prefix(']').filter(|_| opening.ends_with('[')) {
        return assigned_by_sign(rest).map(value).or_else(|| changed(rest));
    }
    let opening = opening.strip_suffix('(').unwrap_or(opening).trim_end();
    let sends = ["send", "__send__", "public_send", "define_singleton_method", "define_method"];
    let is_sent = sends.iter().any(|word| opening.ends_with(word));
    let is_stored = opening.ends_with(".[]=") || opening.ends_with("internal_set");
    (is_stored || (is_sent && !rest.is_empty() && !rest.starts_with(')'))).then_some(Value::Other)
}

/// `Chef::Config.name = value`, `name value`, `name(value)`. `name = value` without a receiver is a
/// variable of the file's, and sets nothing.
fn of_name<'a>(before: &str, after: &'a str) -> Option<Value<'a>> {
    let has_receiver = before.ends_with(['.', ':']);
    // A method of that name is reported otherwise.
    if before.trim_end_matches("self.").trim_end().ends_with("def") {
        return None;
    }
    if let Some(rest) = assigned_by_sign(after) {
        return has_receiver.then(|| value(rest));
    }
    let given = after.strip_prefix('(').filter(|rest| !rest.trim_start().starts_with(')'));
    if let Some(rest) = given.or_else(|| argument(after)) {
        return Some(value(rest));
    }
    changed(after)
}

/// Whether the text after a value changes that value in its place.
fn changed(after: &str) -> Option<Value<'static>> {
    if after.trim_start().starts_with("<<") {
        return Some(Value::Other);
    }
    let rest = after.strip_prefix('.').or_else(|| after.strip_prefix("&."))?;
    let end = rest.find(|c: char| !(c.is_alphanumeric() || c == '_')).unwrap_or(rest.len());
    let (method, rest) = rest.split_at(end);
    let known = ["replace", "concat", "insert", "prepend", "clear", "setbyte", "append_as_bytes"];
    let is_change = known.contains(&method) || (rest.starts_with('!') && !rest.starts_with("!="));
    is_change.then_some(Value::Other)
}

/// The places where this method is called: with Chef's configuration as its receiver, or without one.
pub fn calls(line: &str, method: &str) -> Vec<usize> {
    let is_call = |at: &usize| {
        let before = line.get(..*at).unwrap_or_default();
        let after = line.get(at + method.len()..).unwrap_or_default();
        let is_named = before.ends_with("def ") || before.ends_with(['\'', '"']);
        let is_key = after.starts_with(':') && !after.starts_with("::");
        if is_named || is_key {
            return false;
        }
        let Some(receiver) = before.strip_suffix('.').or_else(|| before.strip_suffix("::")) else {
            let is_symbol = before.ends_with(':');
            let has_argument = after.starts_with(['(', '{', '[', '.']) || argument(after).is_some();
            return !is_symbol && has_argument;
        };
        ["Config", "self", "Kernel"].iter().any(|known| receiver.ends_with(known))
    };
    words(line, method).into_iter().filter(is_call).collect()
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
    let begins = |c: char| c.is_alphanumeric() || "'\"%:@$[_<(`\\".contains(c);
    // A sign with nothing behind it belongs to the value: `*list`, `-1`, `->{ }`, `!value`.
    let mut letters = rest.chars();
    let is_signed = letters.next().is_some_and(|c| "*-!~+&".contains(c))
        && letters.next().is_some_and(|c| !c.is_whitespace() && !"=~&".contains(c));
    let is_word = |word: &str| {
        rest.strip_prefix(word).is_some_and(|rest| !rest.starts_with(|c: char| c.is_alphanumeric()))
    };
    let joins = ["if", "unless", "and", "or", "then", "do", "end"].iter().any(|word| is_word(word));
    // `name % 2`, `name < 2`, `name << "x"`, `name [0]` with a blank behind the sign.
    let is_operator = rest.starts_with("% ")
        || rest.starts_with("< ")
        || rest.starts_with("<=")
        || rest.starts_with("<< ")
        || rest.starts_with(": ");
    ((rest.starts_with(begins) || is_signed) && !joins && !is_operator).then_some(rest)
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
    if matches!(word, "true" | "false" | "nil") && ends(rest) {
        Value::Word(word)
    } else {
        Value::Other
    }
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
