//! The account at a moment: cheap to take, for whoever takes it holds everybody else up; made into
//! JSON later, piece by piece.

use std::sync::Arc;

use serde_json::{Map, Value};

use super::opsworks_cm::Association;
use crate::now::Now;

/// The account at a moment.
pub struct Snapshot {
    pub(super) now: Now,
    /// All but the associations, which are the large part.
    pub(super) members: Map<String, Value>,
    pub(super) associations: Vec<((String, String), Arc<Association>)>,
}

/// How long a piece is before it is handed on, in bytes.
const PIECE: usize = 64 * 1024;
const ASSOCIATIONS: &str = "associations";

impl Snapshot {
    fn rows(&self) -> impl Iterator<Item = Value> {
        let describe = |((server, node), association): &((String, String), Arc<Association>)| {
            association.describe(self.now, server, node)
        };
        self.associations.iter().map(describe)
    }

    /// The whole as one value.
    #[must_use]
    pub fn value(self) -> Value {
        let rows = self.rows().collect();
        let mut members = self.members;
        members.insert(ASSOCIATIONS.to_owned(), Value::Array(rows));
        Value::Object(members)
    }

    /// Writes the JSON in pieces, until `sink` says that it wants no more.
    pub fn write(&self, mut sink: impl FnMut(String) -> bool) {
        let members = self.members.iter();
        let members = members.map(|(name, value)| format!("{}:{value},", Value::from(&**name)));
        let mut piece = format!("{{{}\"{ASSOCIATIONS}\":[", members.collect::<String>());
        for (index, row) in self.rows().enumerate() {
            if index > 0 {
                piece.push(',');
            }
            piece += &row.to_string();
            if piece.len() >= PIECE && !sink(std::mem::take(&mut piece)) {
                return;
            }
        }
        piece += "]}";
        sink(piece);
    }
}
