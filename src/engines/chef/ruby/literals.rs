//! Literals: strings, patterns, here-documents, characters, symbols.

use super::{HereDocument, Open, Part, Reader, State, Stop, is_word};

/// Interpolations within each other; nobody writes more.
const DEEPEST: usize = 32;

/// How a literal ends, and whether it has interpolations.
#[derive(Clone, Copy)]
struct Form {
    open: Option<u8>,
    close: u8,
    has_code: bool,
}

/// The operators that can be the name of a method, the longer first (Ruby's documentation, "Methods").
const OPERATORS: [&[u8]; 30] = [
    b"[]=", b"<=>", b"===", b"[]", b"==", b"=~", b"!=", b"!~", b"<<", b">>", b"<=", b">=", b"**",
    b"+@", b"-@", b"!@", b"~@", b"+", b"-", b"*", b"/", b"%", b"<", b">", b"!", b"~", b"&", b"|",
    b"^", b"`",
];

/// The length of the operator that begins here.
pub(super) fn operator_name(text: &[u8]) -> Option<usize> {
    OPERATORS.iter().find(|operator| text.starts_with(operator)).map(|operator| operator.len())
}

impl Reader<'_> {
    pub(super) fn quoted(&mut self, quote: u8) -> Result<(), Stop> {
        self.literal(1, Form { open: None, close: quote, has_code: quote != b'\'' })
    }

    pub(super) fn pattern(&mut self) -> Result<(), Stop> {
        self.literal(1, Form { open: None, close: b'/', has_code: true })
    }

    /// `%w(..)`, `%(..)` and the like, or the operator.
    pub(super) fn percent(&mut self) -> Result<(), Stop> {
        let kind = self.byte(self.at + 1).filter(u8::is_ascii_alphabetic);
        let length = 1 + usize::from(kind.is_some());
        let delimiter = self.byte(self.at + length);
        let is_known = kind.is_none_or(|kind| b"wWiIqQrsx".contains(&kind));
        let Some(open) = delimiter.filter(|byte| is_known && byte.is_ascii() && !is_word(*byte))
        else {
            self.operator(b'%');
            return Ok(());
        };
        let close = match open {
            b'(' => b')',
            b'[' => b']',
            b'{' => b'}',
            b'<' => b'>',
            other => other,
        };
        let has_code = kind.is_none_or(|kind| b"WIQrx".contains(&kind));
        let form = Form { open: (open != close).then_some(open), close, has_code };
        self.literal(length + 1, form)
    }

    /// Reads a literal whose opening has this length.
    fn literal(&mut self, opening: usize, form: Form) -> Result<(), Stop> {
        let from = self.at;
        self.take(opening, State::End);
        let (mut nested, mut begin) = (0_usize, from);
        while let Some(byte) = self.byte(self.at) {
            if byte == b'\\' {
                self.at += 2;
            } else if form.has_code && self.rest(self.at).starts_with(b"#{") {
                self.mark(begin, self.at, Part::Text);
                self.interpolation()?;
                begin = self.at;
            } else if Some(byte) == form.open {
                nested += 1;
                self.at += 1;
            } else if byte == form.close {
                self.at += 1;
                if nested == 0 {
                    self.mark(begin, self.at, Part::Text);
                    // The options of a pattern.
                    while self.byte(self.at).is_some_and(|byte| form.close == b'/' && is_word(byte))
                    {
                        self.at += 1;
                    }
                    self.state = State::End;
                    self.last = from;
                    return Ok(());
                }
                nested -= 1;
            } else {
                self.at += 1;
            }
        }
        self.mark(begin, self.text.len(), Part::Text);
        Err((from, "the text that begins in this line is not closed".to_owned()))
    }

    /// The code between `#{` and `}`.
    fn interpolation(&mut self) -> Result<(), Stop> {
        let from = self.at;
        if self.depth >= DEEPEST {
            return Err((from, "too many interpolations are within each other".to_owned()));
        }
        self.depth += 1;
        let outside = std::mem::take(&mut self.open);
        self.open.push((Open::Bracket(b'{'), from));
        self.take(2, State::Begin);
        while !self.open.is_empty() {
            if self.at >= self.text.len() {
                return Err((from, "this `#{` is not closed".to_owned()));
            }
            self.token()?;
        }
        self.open = outside;
        self.depth -= 1;
        Ok(())
    }

    /// `<<NAME`, `<<~'NAME'` and the like, or the operator.
    pub(super) fn here_document(&mut self) {
        let rest = self.rest(self.at + 2);
        let is_indented = matches!(rest.first(), Some(b'~' | b'-'));
        let name = rest.get(usize::from(is_indented)..).unwrap_or_default();
        let quote = name.first().copied().filter(|byte| b"\"'`".contains(byte));
        let (end, length): (&[u8], usize) = if let Some(quote) = quote {
            let inside = name.get(1..).unwrap_or_default();
            let end = inside.iter().position(|byte| *byte == quote).unwrap_or_default();
            (inside.get(..end).unwrap_or_default(), end + 2)
        } else {
            let end = name.iter().take_while(|byte| is_word(**byte)).count();
            (name.get(..end).unwrap_or_default(), end)
        };
        let is_name = end.first().is_some_and(|byte| quote.is_some() || !byte.is_ascii_digit());
        // After a name it is more likely the operator, unless it has the form of a here-document.
        let is_clear = quote.is_some()
            || is_indented
            || end.first().is_some_and(u8::is_ascii_uppercase)
            || self.state != State::Argument;
        if !(is_name && is_clear && self.begins_literal()) {
            self.take(2, State::Operand);
            return;
        }
        let at = self.at;
        self.waiting.push(HereDocument { at, end: end.to_vec(), is_indented });
        let length = 2 + usize::from(is_indented) + length;
        self.mark(at, at + length, Part::Text);
        self.take(length, State::End);
    }

    /// Skips the lines of a here-document.
    pub(super) fn skip_document(&mut self, document: &HereDocument) -> Result<(), Stop> {
        let from = self.at;
        for line in self.rest(from).split_inclusive(|byte| *byte == b'\n') {
            self.at += line.len();
            let line = line.strip_suffix(b"\n").unwrap_or(line);
            let line = line.strip_suffix(b"\r").unwrap_or(line);
            let line = if document.is_indented { line.trim_ascii_start() } else { line };
            if line == document.end {
                self.mark(from, self.at, Part::Text);
                return Ok(());
            }
        }
        self.mark(from, self.at, Part::Text);
        Err((document.at, "the here-document that begins in this line has no end".to_owned()))
    }

    /// `?a`, or the operator.
    pub(super) fn character(&mut self) {
        let next = self.byte(self.at + 1);
        let length = match next {
            Some(b'\\') => 3,
            Some(byte) if byte >= 0x80 => {
                1 + self.rest(self.at + 1).iter().take_while(|byte| **byte >= 0x80).count()
            }
            _ => 2,
        };
        let is_blank = next.is_none_or(|byte| byte.is_ascii_whitespace());
        if is_blank || self.byte(self.at + length).is_some_and(is_word) {
            return self.take(1, State::Operand);
        }
        self.mark(self.at, self.at + length, Part::Text);
        self.take(length, State::End);
    }

    /// `::`, a symbol, or the operator.
    pub(super) fn colon(&mut self) -> Result<(), Stop> {
        match self.byte(self.at + 1) {
            Some(b':') => {
                self.take(2, State::Operand);
                self.is_dotted = true;
            }
            Some(quote @ (b'"' | b'\'')) => {
                self.at += 1;
                return self.quoted(quote);
            }
            Some(byte) if is_word(byte) && !byte.is_ascii_digit() => {
                let rest = self.rest(self.at + 1);
                let mut length = rest.iter().take_while(|byte| is_word(**byte)).count();
                let is_setter = rest.get(length) == Some(&b'=')
                    && !rest.get(length + 1).is_some_and(|byte| b"=~>".contains(byte));
                let is_part = is_setter || matches!(rest.get(length), Some(b'?' | b'!'));
                length += usize::from(is_part);
                self.take(1 + length, State::End);
            }
            // The name of an operator, as in `:[]` and `:<<`.
            _ => match operator_name(self.rest(self.at + 1)) {
                Some(length) if self.begins_literal() => self.take(1 + length, State::End),
                _ => self.take(1, State::Operand),
            },
        }
        Ok(())
    }

    pub(super) fn number(&mut self) {
        let rest = self.rest(self.at);
        let is_part = |at: usize, byte: u8| {
            is_word(byte) || (byte == b'.' && rest.get(at + 1).is_some_and(u8::is_ascii_digit))
        };
        let length = rest.iter().enumerate().take_while(|(at, byte)| is_part(*at, **byte)).count();
        self.take(length, State::End);
    }

    /// `$name`, `$'` and the like, `@name`.
    pub(super) fn variable(&mut self, sign: u8) {
        let rest = self.rest(self.at);
        let signs = rest.iter().take_while(|byte| **byte == sign).count().min(2);
        let name = rest.get(signs..).unwrap_or_default();
        let length = name.iter().take_while(|byte| is_word(**byte)).count();
        // `$"`, `$/`: one sign; `$-w`: two.
        let special = match (sign, name.first()) {
            (b'$', Some(b'-')) if length == 0 => 2,
            (b'$', Some(_)) if length == 0 => 1,
            _ => length,
        };
        let signs = if sign == b'$' { 1 } else { signs };
        self.take(signs + special, State::End);
    }
}
