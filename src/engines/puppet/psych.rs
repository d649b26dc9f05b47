//! How Ruby's YAML library reads a value without quotes.
//!
//! Puppet converts the result to text again, so that `00123` becomes `83`. Source: Psych's
//! `scalar_scanner.rb`. tests/real/engine.sh compares this with Ruby.

/// How Ruby reads a plain scalar.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reading {
    Text,
    /// A number or a boolean that becomes the same text again.
    Same,
    /// A value that becomes another text.
    Changed,
    /// Null or empty.
    Nothing,
    /// A date or a time, which Puppet refuses.
    Date,
}

/// How Ruby reads this plain scalar.
#[must_use]
pub fn reading(text: &str) -> Reading {
    if text.is_empty() || text == "~" || text.eq_ignore_ascii_case("null") {
        return Reading::Nothing;
    }
    if is_truth(text) {
        return same_if(matches!(text, "true" | "false"));
    }
    if is_date(text) {
        return Reading::Date;
    }
    let lower = text.to_ascii_lowercase();
    let is_special = matches!(lower.as_str(), ".inf" | "+.inf" | "-.inf" | ".nan");
    let is_symbol = text.starts_with(':') && text.len() > 1;
    if is_special || is_symbol || is_sexagesimal(text) {
        return Reading::Changed;
    }
    if is_float(text) {
        return same_if(is_plain_float(text));
    }
    if is_integer(text) {
        return same_if(is_plain_integer(text));
    }
    Reading::Text
}

fn same_if(is_same: bool) -> Reading {
    if is_same { Reading::Same } else { Reading::Changed }
}

fn is_truth(text: &str) -> bool {
    ["yes", "true", "on", "no", "false", "off"].iter().any(|word| text.eq_ignore_ascii_case(word))
}

/// `2024-01-01`, with or without a time. Day and month may have one digit.
fn is_date(text: &str) -> bool {
    let text = text.strip_prefix('-').unwrap_or(text);
    let (date, time) = match text.find(|c: char| c == 'T' || c == 't' || c.is_whitespace()) {
        Some(at) => (text.get(..at).unwrap_or_default(), text.get(at + 1..)),
        None => (text, None),
    };
    let parts: Vec<&str> = date.split('-').collect();
    let [year, month, day] = parts.as_slice() else { return false };
    let number = |part: &str, longest: usize| {
        let fits = (1..=longest).contains(&part.len()) && part.bytes().all(|b| b.is_ascii_digit());
        part.parse::<u32>().ok().filter(|_| fits)
    };
    let is_year = year.len() == 4 && number(year, 4).is_some();
    let (Some(month), Some(day)) = (number(month, 2), number(day, 2)) else { return false };
    let has_time = |time: &str| {
        let time = time.trim_start();
        time.starts_with(|c: char| c.is_ascii_digit()) && time.matches(':').count() >= 2
    };
    is_year
        && match time {
            None => month <= 12 && day <= 31,
            Some(time) => has_time(time),
        }
}

/// `1:30`, `190:20:30.15`: hours, minutes and seconds.
fn is_sexagesimal(text: &str) -> bool {
    let mut parts = unsigned(text).split(':');
    let first = parts.next().unwrap_or_default();
    let is_first = first.starts_with(|c: char| c.is_ascii_digit())
        && first.chars().all(|c| c.is_ascii_digit() || c == '_');
    let rest: Vec<&str> = parts.collect();
    let Some((last, between)) = rest.split_last() else { return false };
    let (last, fraction) = last.split_once('.').unwrap_or((last, ""));
    let is_sixtieth = |part: &&str| {
        (1..=2).contains(&part.len())
            && part.bytes().all(|b| b.is_ascii_digit())
            && part.parse::<u8>().is_ok_and(|part| part < 60)
    };
    is_first
        && rest.len() <= 2
        && is_sixtieth(&last)
        && between.iter().all(is_sixtieth)
        && fraction.chars().all(|c| c.is_ascii_digit() || c == '_')
}

/// A number with a point. The exponent needs a sign. A comma separates thousands.
fn is_float(text: &str) -> bool {
    let Some((whole, rest)) = unsigned(text).split_once('.') else { return false };
    let (fraction, exponent) = match rest.find(['e', 'E']) {
        Some(at) => (rest.get(..at).unwrap_or_default(), rest.get(at + 1..)),
        None => (rest, None),
    };
    let digits = |part: &str| part.bytes().all(|b| b.is_ascii_digit());
    let is_whole = whole.is_empty()
        || (whole.starts_with(|c: char| c.is_ascii_digit())
            && whole.chars().all(|c| c.is_ascii_digit() || c == '_' || c == ','));
    let is_exponent = exponent.is_none_or(|exponent| {
        exponent.strip_prefix(['+', '-']).is_some_and(|part| !part.is_empty() && digits(part))
    });
    let is_point = whole.is_empty() && rest.is_empty();
    is_whole && digits(fraction) && is_exponent && !is_point
}

/// Whether Ruby would write the number with the same digits.
fn is_plain_float(text: &str) -> bool {
    let number = text.strip_prefix('-').unwrap_or(text);
    let value: f64 = number.parse().unwrap_or(f64::NAN);
    let is_shown_plainly = value == 0.0 || (1e-4..1e15).contains(&value);
    is_shown_plainly && format!("{value:?}") == number
}

fn is_integer(text: &str) -> bool {
    let number = unsigned(text);
    let all = |part: &str, fits: fn(char) -> bool| {
        !part.is_empty() && part.chars().all(|c| fits(c) || c == '_' || c == ',')
    };
    if let Some(digits) = number.strip_prefix("0x").or_else(|| number.strip_prefix("0X")) {
        return all(digits, |c| c.is_ascii_hexdigit());
    }
    if let Some(digits) = number.strip_prefix("0b") {
        return all(digits, |c| c == '0' || c == '1');
    }
    if let Some(octal) = number.strip_prefix('0') {
        return octal.is_empty() || all(octal, |c| ('0'..='7').contains(&c));
    }
    // One separator between two digits, never two.
    let parts: Vec<&str> = number.split(['_', ',']).collect();
    parts.iter().all(|part| !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit()))
}

fn is_plain_integer(text: &str) -> bool {
    let digits = text.strip_prefix('-').unwrap_or(text);
    let is_zero = digits == "0";
    digits.bytes().all(|b| b.is_ascii_digit())
        && if is_zero { text == "0" } else { !digits.starts_with('0') }
}

fn unsigned(text: &str) -> &str {
    text.strip_prefix(['+', '-']).unwrap_or(text)
}

#[cfg(test)]
mod tests {
    use super::{Reading, reading};

    #[test]
    fn as_ruby_reads_it() {
        for (kind, texts) in [
            (
                Reading::Text,
                "web y n 0o17 089 08 1e3 1.0e3 1.e3 . 1.5e3 1.2.3 10.0.0.1 v1.2 -- -x +x 1a 0x 0xZZ 0b2 1__0 1_ _1 1.2,3 1:2:3:4 52:54:00:12:34:56 1:60 1.5:30 foo:bar a:1 2024-13-45 NaN yesterday offline ~x 1E3 1.5. - i-0abc",
            ),
            (
                Reading::Same,
                "42 0 -5 -1 12345678901234567890123 1.5 1.0 100.0 1.2 0.1 -1.5 0.0001 true false",
            ),
            (
                Reading::Changed,
                "00123 +5 -0 1_000 1,000 1,0,0 0x1F 0b101 017 0777 00 -01 1.50 .5 5. -.5 1.5e+3 1.5E+3 1.E+3 1_0.5 123,456.7 0.10 +1.5 00.5 0.00001 1000000000000000.0 yes no on off True TRUE Yes 1:30 01:30 1:3 0:0 12:34:56 190:20:30.15 20:30:40. :foo :1 .inf -.inf +.inf .nan .NaN",
            ),
            (Reading::Nothing, "~ null Null NULL"),
            (Reading::Date, "2024-01-01 2024-1-1 2024-01-01T10:00:00Z"),
        ] {
            for text in texts.split(' ') {
                assert_eq!(reading(text), kind, "{text}");
            }
        }
        assert_eq!(reading(""), Reading::Nothing);
        assert_eq!(reading("2024-01-01 10:00:00"), Reading::Date);
        assert_eq!(reading("1 2"), Reading::Text);
    }
}
