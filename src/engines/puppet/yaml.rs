//! A small YAML document that knows the line of each of its parts, for messages.
//!
//! It is built from parser events in a loop, so that deep nesting can't exhaust the stack. An alias is
//! an index, so that aliases of aliases can't exhaust the memory.

use std::collections::BTreeMap;

use yaml_rust2::parser::{Event, Parser, Tag};
use yaml_rust2::scanner::TScalarStyle;

use super::psych::{Reading, reading};

/// The deepest nesting; these files have three levels.
const DEEPEST: usize = 32;
/// The most nodes; a sensible file of 64 KiB has fewer.
const MOST_NODES: usize = 20_000;

/// Why the text is not accepted, and on which line.
pub(super) struct YamlError {
    pub line: usize,
    pub problem: String,
}

#[derive(Clone, Debug)]
pub(super) struct Node {
    pub line: usize,
    pub kind: Kind,
}

#[derive(Clone, Debug)]
pub(super) enum Kind {
    /// `is_plain`: without quotes and without a tag, so that Ruby may read it as a number or a date.
    Scalar { text: String, is_plain: bool },
    /// Indexes of keys and values.
    Map(Vec<(usize, usize)>),
    /// A list, or a value with another tag.
    Other,
}

impl Node {
    pub fn text(&self) -> Option<&str> {
        match &self.kind {
            Kind::Scalar { text, .. } => Some(text),
            _ => None,
        }
    }

    pub fn reading(&self) -> Reading {
        match &self.kind {
            Kind::Scalar { text, is_plain: true } => reading(text),
            _ => Reading::Text,
        }
    }

    pub fn is_nothing(&self) -> bool {
        self.reading() == Reading::Nothing || self.text() == Some("false")
    }

    pub fn is_merge(&self) -> bool {
        matches!(&self.kind, Kind::Scalar { text, is_plain: true } if text == "<<")
    }
}

/// The first document. An alias is the index of its node, so nothing is copied.
pub(super) struct Tree {
    nodes: Vec<Node>,
    root: Option<usize>,
}

/// A map or list that is not closed yet, and the nodes in it so far.
struct Open {
    node: usize,
    anchor: usize,
    held: Vec<usize>,
}

impl Tree {
    pub fn parse(text: &str) -> Result<Self, YamlError> {
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        let mut parser = Parser::new_from_str(text).keep_tags(true);
        let mut tree = Self { nodes: Vec::new(), root: None };
        let mut anchors: BTreeMap<usize, usize> = BTreeMap::new();
        let mut open: Vec<Open> = Vec::new();
        loop {
            let (event, mark) = parser.next_token().map_err(|error| YamlError {
                line: error.marker().line(),
                problem: error.info().to_owned(),
            })?;
            let line = mark.line();
            if open.len() > DEEPEST || tree.nodes.len() > MOST_NODES {
                return Err(too_much(line));
            }
            let (node, anchor) = match event {
                Event::StreamEnd | Event::DocumentEnd => return Ok(tree),
                Event::Alias(anchor) => {
                    // An alias of a node that is still open would contain itself.
                    let node = anchors.get(&anchor).copied();
                    (node.ok_or_else(|| too_much(line))?, 0)
                }
                Event::Scalar(text, style, anchor, tag) => {
                    let kind = scalar(text, style, tag.as_ref());
                    (tree.add(line, kind), anchor)
                }
                Event::SequenceStart(anchor, _) => {
                    open.push(Open { node: tree.add(line, Kind::Other), anchor, held: Vec::new() });
                    continue;
                }
                Event::MappingStart(anchor, tag) => {
                    let kind = if tag.is_none() { Kind::Map(Vec::new()) } else { Kind::Other };
                    open.push(Open { node: tree.add(line, kind), anchor, held: Vec::new() });
                    continue;
                }
                Event::SequenceEnd | Event::MappingEnd => {
                    let Some(closed) = open.pop() else { return Err(too_much(line)) };
                    tree.close(&closed);
                    (closed.node, closed.anchor)
                }
                Event::Nothing | Event::StreamStart | Event::DocumentStart => continue,
            };
            if anchor != 0 {
                anchors.insert(anchor, node);
            }
            match open.last_mut() {
                Some(above) => above.held.push(node),
                None => tree.root = Some(node),
            }
        }
    }

    fn add(&mut self, line: usize, kind: Kind) -> usize {
        self.nodes.push(Node { line, kind });
        self.nodes.len() - 1
    }

    fn close(&mut self, closed: &Open) {
        if let Some(Node { kind: Kind::Map(pairs), .. }) = self.nodes.get_mut(closed.node) {
            let held = closed.held.chunks_exact(2);
            pairs.extend(held.filter_map(|pair| Some((*pair.first()?, *pair.get(1)?))));
        }
    }

    pub fn pairs<'a>(&'a self, pairs: &'a [(usize, usize)]) -> Vec<(&'a Node, &'a Node)> {
        let node = |index: &usize| self.nodes.get(*index);
        pairs.iter().filter_map(|(key, value)| Some((node(key)?, node(value)?))).collect()
    }

    /// The entries of the root, which may be empty. None where the root is not a map.
    pub fn root_map(&self) -> Option<Vec<(&Node, &Node)>> {
        let Some(root) = self.root.and_then(|index| self.nodes.get(index)) else {
            return Some(Vec::new());
        };
        match &root.kind {
            Kind::Map(pairs) => Some(self.pairs(pairs)),
            Kind::Scalar { .. } if root.is_nothing() => Some(Vec::new()),
            _ => None,
        }
    }

    pub fn root_line(&self) -> usize {
        self.root.and_then(|index| self.nodes.get(index)).map_or(1, |root| root.line)
    }
}

fn too_much(line: usize) -> YamlError {
    let problem = "it has too many parts, contains itself, or is nested too deeply".to_owned();
    YamlError { line, problem }
}

fn scalar(text: String, style: TScalarStyle, tag: Option<&Tag>) -> Kind {
    let is_text = |tag: &Tag| format!("{}{}", tag.handle, tag.suffix) == "tag:yaml.org,2002:str";
    match tag {
        Some(tag) if is_text(tag) => Kind::Scalar { text, is_plain: false },
        Some(_) => Kind::Other,
        None => Kind::Scalar { text, is_plain: style == TScalarStyle::Plain },
    }
}
