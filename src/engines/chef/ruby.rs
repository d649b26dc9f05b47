//! Tells code from text and comments in a Ruby file, without running it.
//!
//! This is not a parser. It knows what decides whether Ruby reaches a line as a statement: comments,
//! literals, here-documents, `__END__`, and what is opened and closed. What Ruby refuses for one of
//! these reasons is a problem, with its line. Source: Ruby's documentation, "Literals", "Comments"
//! and "Control expressions"; `tests/real/engine.sh` compares with Ruby itself.

mod encoding;
mod literals;
#[cfg(test)]
mod tests;
mod words;

/// What a byte belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    Code,
    /// The inside of a literal, with its quotes.
    Text,
    Comment,
    /// After `__END__`.
    Data,
}

const GOES_ON: &str = "the statement does not end with this line, and enlist's lines follow it";

/// Where and why Ruby does not read on: an offset, and the reason.
type Stop = (usize, String);

/// What was found in a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reading {
    parts: Vec<Part>,
    /// The offsets of lines at which a new statement begins, outside of everything that is open.
    starts: Vec<usize>,
    /// The end of the program: that of the file, or the line `__END__`.
    pub end: usize,
    /// Statements that end the file's run, or chef-client itself: offset and word.
    pub leaves: Vec<(usize, &'static str)>,
    /// Why Ruby would not read this file.
    pub problem: Option<Stop>,
}

impl Reading {
    #[must_use]
    pub fn part(&self, at: usize) -> Option<Part> {
        self.parts.get(at).copied()
    }

    /// Whether a statement that is put here is one of the program's own.
    #[must_use]
    pub fn is_start(&self, at: usize) -> bool {
        self.starts.binary_search(&at).is_ok()
    }
}

/// Reads the bytes of a file.
#[must_use]
pub fn read(text: &[u8]) -> Reading {
    let mut reader = Reader::new(text);
    let stop = reader.program().err();
    let problem = encoding::problem(text, &reader.parts).into_iter().chain(stop).min();
    let Reader { parts, starts, end, leaves, .. } = reader;
    Reading { parts, starts, end, leaves, problem }
}

/// What the next token may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// A statement.
    Begin,
    /// A value: an operator came before. A line's end means nothing.
    Operand,
    /// An operator, or the first argument of a command: a name came before.
    Argument,
    /// An operator: a value came before.
    End,
}

/// What is open.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Open {
    Bracket(u8),
    /// Ends with `end`.
    Block,
    /// `while`, `until` or `for` before its `do`.
    Loop,
    Method,
}

struct HereDocument {
    at: usize,
    end: Vec<u8>,
    is_indented: bool,
}

struct Reader<'a> {
    text: &'a [u8],
    at: usize,
    parts: Vec<Part>,
    state: State,
    /// Whether a method's name comes next: a `.` or `::` came before.
    is_dotted: bool,
    open: Vec<(Open, usize)>,
    waiting: Vec<HereDocument>,
    /// How many interpolations this is in.
    depth: usize,
    /// The offset of the last token.
    last: usize,
    starts: Vec<usize>,
    end: usize,
    leaves: Vec<(usize, &'static str)>,
    /// A `raise` that nothing makes conditional so far.
    raise: Option<usize>,
}

impl<'a> Reader<'a> {
    fn new(text: &'a [u8]) -> Self {
        Self {
            text,
            // Ruby skips a byte-order mark.
            at: if text.starts_with(b"\xef\xbb\xbf") { 3 } else { 0 },
            parts: vec![Part::Code; text.len()],
            state: State::Begin,
            is_dotted: false,
            open: Vec::new(),
            waiting: Vec::new(),
            depth: 0,
            last: 0,
            starts: Vec::new(),
            end: text.len(),
            leaves: Vec::new(),
            raise: None,
        }
    }

    fn byte(&self, at: usize) -> Option<u8> {
        self.text.get(at).copied()
    }

    fn rest(&self, at: usize) -> &'a [u8] {
        self.text.get(at..).unwrap_or_default()
    }

    fn mark(&mut self, from: usize, to: usize, part: Part) {
        let to = to.min(self.text.len());
        self.parts.get_mut(from..to).unwrap_or_default().fill(part);
    }

    /// Moves behind a token.
    fn take(&mut self, length: usize, then: State) {
        self.last = self.at;
        self.at += length;
        self.state = then;
        self.is_dotted = false;
    }

    fn program(&mut self) -> Result<(), Stop> {
        while self.at < self.text.len() {
            let at = self.at;
            if self.is_line_start() && self.line_start()? {
                break;
            }
            if self.at > at {
                continue;
            }
            self.token()?;
        }
        if let Some(document) = self.waiting.first() {
            return Err((document.at, "this here-document has no end".to_owned()));
        }
        if let Some((open, at)) = self.open.last() {
            return Err((*at, open.unclosed()));
        }
        self.end_statement();
        if self.state == State::Operand {
            return Err((self.last, GOES_ON.to_owned()));
        }
        self.starts.push(self.end);
        Ok(())
    }

    fn is_line_start(&self) -> bool {
        let mark = if self.text.starts_with(b"\xef\xbb\xbf") { 3 } else { 0 };
        self.at == mark || (self.at > 0 && self.byte(self.at - 1) == Some(b'\n'))
    }

    /// Handles what has a meaning at the start of a line only. True at the end of the program.
    fn line_start(&mut self) -> Result<bool, Stop> {
        let line = self.rest(self.at).split(|byte| *byte == b'\n').next().unwrap_or_default();
        if line.strip_suffix(b"\r").unwrap_or(line) == b"__END__" {
            self.end = self.at;
            self.mark(self.at, self.text.len(), Part::Data);
            return Ok(true);
        }
        if is_marker(line, b"=begin") {
            self.block_comment()?;
            return Ok(false);
        }
        if self.open.is_empty() && self.state == State::Begin {
            self.starts.push(self.at);
        }
        Ok(false)
    }

    fn block_comment(&mut self) -> Result<(), Stop> {
        let from = self.at;
        for line in self.rest(from).split_inclusive(|byte| *byte == b'\n') {
            self.at += line.len();
            if is_marker(line, b"=end") {
                self.mark(from, self.at, Part::Comment);
                return Ok(());
            }
        }
        self.mark(from, self.at, Part::Comment);
        Err((from, "the comment that begins with =begin has no =end".to_owned()))
    }

    fn token(&mut self) -> Result<(), Stop> {
        let Some(byte) = self.byte(self.at) else { return Ok(()) };
        match byte {
            b'\n' => return self.line_end(),
            b' ' | b'\t' | b'\r' | 0x0b | 0x0c => self.at += 1,
            b'\\' => return self.continuation(),
            b'#' => {
                let line = self.rest(self.at).iter().take_while(|byte| **byte != b'\n').count();
                self.mark(self.at, self.at + line, Part::Comment);
                self.at += line;
            }
            // Ruby's lexer takes NUL, ^D and ^Z for the end of the file.
            0 | 4 | 26 => {
                let what = "the control character in this line ends the program";
                return Err((self.at, what.to_owned()));
            }
            b'"' | b'\'' | b'`' if !(byte == b'`' && self.is_dotted) => return self.quoted(byte),
            b'(' | b'[' | b'{' => {
                self.open.push((Open::Bracket(byte), self.at));
                self.take(1, State::Begin);
            }
            b')' | b']' | b'}' => return self.close(byte),
            b';' => {
                self.take(1, State::End);
                self.end_statement();
            }
            b'0'..=b'9' => self.number(),
            b'$' | b'@' => self.variable(byte),
            _ if is_word(byte) => return self.word(),
            b'/' if self.begins_literal() => return self.pattern(),
            b'%' if self.begins_literal() => return self.percent(),
            b'<' if self.rest(self.at).starts_with(b"<<") => self.here_document(),
            b'?' if self.begins_literal() => self.character(),
            b':' => return self.colon(),
            _ => self.operator(byte),
        }
        Ok(())
    }

    /// A backslash: the statement goes on in the next line.
    fn continuation(&mut self) -> Result<(), Stop> {
        let at = self.at;
        self.at += if self.rest(at).starts_with(b"\\\r\n") { 3 } else { 2 };
        let is_last = self.at >= self.text.len();
        if is_last { Err((at, GOES_ON.to_owned())) } else { Ok(()) }
    }

    fn operator(&mut self, byte: u8) {
        let is_range = byte == b'.' && self.byte(self.at + 1) == Some(b'.');
        if is_range {
            self.take(2, State::Operand);
        } else {
            self.take(1, State::Operand);
            self.is_dotted = byte == b'.';
        }
    }

    /// Whether a literal begins here, and not an operator that looks like it.
    fn begins_literal(&self) -> bool {
        let is_blank = |at: usize| self.byte(at).is_none_or(|byte| byte.is_ascii_whitespace());
        match self.state {
            State::Begin | State::Operand => !self.is_dotted,
            State::Argument => {
                self.at > 0
                    && is_blank(self.at - 1)
                    && !is_blank(self.at + 1)
                    && self.byte(self.at + 1) != Some(b'=')
            }
            State::End => false,
        }
    }

    /// The end of a line: here-documents begin, and a complete statement ends.
    fn line_end(&mut self) -> Result<(), Stop> {
        self.at += 1;
        self.end_statement();
        for document in std::mem::take(&mut self.waiting) {
            self.skip_document(&document)?;
        }
        Ok(())
    }

    fn end_statement(&mut self) {
        if matches!(self.state, State::End | State::Argument) {
            self.state = State::Begin;
            if let Some(at) = self.raise.take() {
                self.leaves.push((at, "raise"));
            }
        }
        if let Some((open @ Open::Loop, _)) = self.open.last_mut() {
            *open = Open::Block;
        }
    }

    fn close(&mut self, byte: u8) -> Result<(), Stop> {
        let opener = match byte {
            b')' => b'(',
            b']' => b'[',
            _ => b'{',
        };
        match self.open.pop() {
            Some((Open::Bracket(open), _)) if open == opener => {
                self.take(1, State::End);
                Ok(())
            }
            Some((open, at)) if open != Open::Bracket(opener) => Err((at, open.unclosed())),
            _ => Err((self.at, format!("nothing is open that this `{}` closes", char::from(byte)))),
        }
    }
}

impl Open {
    fn unclosed(self) -> String {
        match self {
            Self::Bracket(byte) => format!("this `{}` is not closed", char::from(byte)),
            _ => "what begins in this line has no `end`".to_owned(),
        }
    }
}

/// Whether the line is this marker of a comment: the word, then a blank or nothing.
fn is_marker(line: &[u8], marker: &[u8]) -> bool {
    let rest = line.strip_prefix(marker);
    rest.is_some_and(|rest| rest.first().is_none_or(u8::is_ascii_whitespace))
}

/// Whether a name may contain this byte. Every byte that is not ASCII is part of a name.
fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_' || byte >= 0x80
}
