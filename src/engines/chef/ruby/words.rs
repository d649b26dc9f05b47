//! Names and keywords.

use super::literals::operator_name;
use super::{Open, Reader, State, Stop, is_word};

impl Reader<'_> {
    pub(super) fn word(&mut self) -> Result<(), Stop> {
        let rest = self.rest(self.at);
        let mut length = rest.iter().take_while(|byte| is_word(**byte)).count();
        let next = |at: usize| rest.get(at).copied();
        // `name?`, `name!`, but not the operator in `name!=`.
        if matches!(next(length), Some(b'?' | b'!'))
            && (next(length + 1) != Some(b'=') || next(length + 2) == Some(b'='))
        {
            length += 1;
        }
        let word = rest.get(..length).unwrap_or_default();
        let word = std::str::from_utf8(word).unwrap_or_default();
        if next(length) == Some(b':') && next(length + 1) != Some(b':') && !self.is_dotted {
            // `name: value`
            self.take(length + 1, State::Operand);
            return Ok(());
        }
        if self.is_dotted {
            self.leave(word);
            self.take(length, State::Argument);
            return Ok(());
        }
        self.keyword(word, length)
    }

    fn keyword(&mut self, word: &str, length: usize) -> Result<(), Stop> {
        let begins = matches!(self.state, State::Begin | State::Operand);
        match word {
            "if" | "unless" if begins => self.opens(Open::Block, length, State::Operand),
            "while" | "until" if begins => self.opens(Open::Loop, length, State::Operand),
            // After a statement they make it conditional.
            "if" | "unless" | "while" | "until" => {
                self.raise = None;
                self.take(length, State::Operand);
            }
            "for" => self.opens(Open::Loop, length, State::Operand),
            "begin" => self.opens(Open::Block, length, State::Begin),
            "case" | "module" => self.opens(Open::Block, length, State::Operand),
            "class" => {
                self.opens(Open::Block, length, State::Operand);
                self.skip_blanks();
                if self.rest(self.at).starts_with(b"<<") {
                    self.take(2, State::Operand);
                }
            }
            "def" => return self.define(length),
            "do" => {
                match self.open.last_mut() {
                    Some((open @ Open::Loop, _)) => *open = Open::Block,
                    _ => self.open.push((Open::Block, self.at)),
                }
                self.take(length, State::Begin);
            }
            "end" => match self.open.pop() {
                Some((Open::Block | Open::Loop | Open::Method, _)) => {
                    self.take(length, State::End);
                }
                Some((open, at)) => return Err((at, open.unclosed())),
                None => {
                    let what = "nothing is open that this `end` closes";
                    return Err((self.at, what.to_owned()));
                }
            },
            "then" | "else" | "ensure" => self.take(length, State::Begin),
            "elsif" | "when" | "in" | "and" | "or" | "not" => self.take(length, State::Operand),
            "nil" | "true" | "false" | "self" | "__FILE__" | "__LINE__" => {
                self.take(length, State::End);
            }
            _ => {
                self.leave(word);
                let is_constant = word.starts_with(|first: char| first.is_ascii_uppercase());
                self.take(length, if is_constant { State::End } else { State::Argument });
            }
        }
        Ok(())
    }

    fn opens(&mut self, open: Open, length: usize, then: State) {
        self.open.push((open, self.at));
        self.take(length, then);
    }

    fn skip_blanks(&mut self) {
        while matches!(self.byte(self.at), Some(b' ' | b'\t')) {
            self.at += 1;
        }
    }

    /// Notes a word that ends the file's run, or chef-client itself. In a method it does nothing until
    /// the method is called.
    fn leave(&mut self, word: &str) {
        let words = ["return", "throw", "exit", "exit!", "abort", "exec"];
        if self.open.iter().any(|(open, _)| *open == Open::Method) {
            return;
        }
        if let Some(word) = words.iter().find(|known| **known == word) {
            self.leaves.push((self.at, word));
        }
        let is_alone = self.open.is_empty() && self.depth == 0 && self.state == State::Begin;
        if is_alone && matches!(word, "raise" | "fail") {
            self.raise = Some(self.at);
        }
    }

    /// `def name(parameters)`, with its `end`, or `def name(parameters) = value` without.
    fn define(&mut self, length: usize) -> Result<(), Stop> {
        let from = self.at;
        self.take(length, State::Operand);
        self.skip_blanks();
        let is_name = |byte: &&u8| is_word(**byte) || b".?!".contains(byte);
        let name = self.rest(self.at).iter().take_while(is_name).count();
        self.at += name;
        if name == 0 || self.byte(self.at - 1) == Some(b'.') {
            self.at += operator_name(self.rest(self.at)).unwrap_or_default();
        } else if self.byte(self.at) == Some(b'=') {
            // `name=(value)`
            self.at += 1;
        }
        let opened = self.open.len();
        if self.byte(self.at) == Some(b'(') {
            self.token()?;
            while self.open.len() > opened && self.at < self.text.len() {
                self.token()?;
            }
        }
        self.skip_blanks();
        let rest = self.rest(self.at);
        if rest.starts_with(b"=") && !rest.starts_with(b"==") {
            return Ok(());
        }
        self.open.insert(opened.min(self.open.len()), (Open::Method, from));
        self.state = State::Argument;
        Ok(())
    }
}
