//! Tables of what the account holds. A table notes which of its rows have changed, so that a change
//! can be written down without the rest.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Deref;

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use serde_json::value::RawValue;

/// A change of a table: a row that is there now, or no longer.
#[derive(Clone, Debug)]
pub struct Change {
    /// The table's name.
    pub table: &'static str,
    /// The row's key, as JSON.
    pub key: String,
    /// The row, as JSON; none when it was removed.
    pub row: Option<String>,
}

/// A row that cannot be read.
#[derive(Debug, thiserror::Error)]
#[error("a row of the table '{table}' cannot be read: {reason}")]
pub struct RowError {
    /// The table's name.
    pub table: String,
    /// What is wrong with it.
    pub reason: String,
}

/// A map that notes which keys have changed.
#[derive(Clone, Debug)]
pub(crate) struct Table<K, V> {
    rows: BTreeMap<K, V>,
    /// None when nobody asks for changes.
    changed: Option<BTreeSet<K>>,
}

impl<K, V> Default for Table<K, V> {
    fn default() -> Self {
        Self { rows: BTreeMap::new(), changed: None }
    }
}

impl<K: Ord, V> FromIterator<(K, V)> for Table<K, V> {
    fn from_iter<I: IntoIterator<Item = (K, V)>>(rows: I) -> Self {
        Self { rows: rows.into_iter().collect(), changed: None }
    }
}

impl<K, V> Deref for Table<K, V> {
    type Target = BTreeMap<K, V>;

    fn deref(&self) -> &BTreeMap<K, V> {
        &self.rows
    }
}

impl<K: Clone + Ord, V> Table<K, V> {
    pub fn insert(&mut self, key: K, row: V) -> Option<V> {
        self.note(&key);
        self.rows.insert(key, row)
    }

    pub fn remove<Q>(&mut self, key: &Q) -> Option<V>
    where
        K: std::borrow::Borrow<Q>,
        Q: Ord + ?Sized,
    {
        let (key, row) = self.rows.remove_entry(key)?;
        self.note(&key);
        Some(row)
    }

    /// A row to be changed: it counts as changed.
    pub fn get_mut<Q>(&mut self, key: &Q) -> Option<&mut V>
    where
        K: std::borrow::Borrow<Q>,
        Q: Ord + ?Sized,
    {
        if let Some(changed) = &mut self.changed
            && let Some((key, _)) = self.rows.get_key_value(key)
        {
            changed.insert(key.clone());
        }
        self.rows.get_mut(key)
    }

    /// The first row that fits, to be changed.
    pub fn find_mut(&mut self, fits: impl Fn(&V) -> bool) -> Option<&mut V> {
        let key = self.rows.iter().find(|(_, row)| fits(row)).map(|(key, _)| key.clone())?;
        self.get_mut(&key)
    }

    /// Removes the rows that do not fit.
    pub fn retain(&mut self, fits: impl Fn(&K, &V) -> bool) {
        let gone: Vec<_> = self.rows.extract_if(.., |key, row| !fits(key, row)).collect();
        for (key, _) in gone {
            self.note(&key);
        }
    }

    fn note(&mut self, key: &K) {
        if let Some(changed) = &mut self.changed {
            changed.insert(key.clone());
        }
    }
}

/// What can be written down and read again.
pub(crate) trait Kept {
    /// Notes changes from here on.
    fn note_changes(&mut self);
    /// Hands the changes over that were noted.
    fn take_changes(&mut self, name: &'static str, changes: &mut Vec<Change>);
    /// Every row.
    fn all(&self, name: &'static str, changes: &mut Vec<Change>);
    /// Sets a row as it was written down, or removes it.
    fn restore(&mut self, key: &RawValue, row: Option<&RawValue>) -> serde_json::Result<()>;
    /// Removes every row.
    fn clear(&mut self);
}

impl<K, V> Kept for Table<K, V>
where
    K: Clone + Ord + Serialize + DeserializeOwned,
    V: Serialize + DeserializeOwned,
{
    fn note_changes(&mut self) {
        self.changed.get_or_insert_default();
    }

    fn take_changes(&mut self, name: &'static str, changes: &mut Vec<Change>) {
        let Some(noted) = &mut self.changed else { return };
        for key in std::mem::take(noted) {
            changes.push(change(name, &key, self.rows.get(&key)));
        }
    }

    fn all(&self, name: &'static str, changes: &mut Vec<Change>) {
        changes.extend(self.rows.iter().map(|(key, row)| change(name, key, Some(row))));
    }

    fn restore(&mut self, key: &RawValue, row: Option<&RawValue>) -> serde_json::Result<()> {
        let key: K = serde_json::from_str(key.get())?;
        match row {
            Some(row) => drop(self.insert(key, serde_json::from_str(row.get())?)),
            None => drop(self.remove(&key)),
        }
        Ok(())
    }

    fn clear(&mut self) {
        for key in std::mem::take(&mut self.rows).into_keys() {
            self.note(&key);
        }
    }
}

/// Rows are numbers, texts, lists and structures with members: JSON has all of them.
fn change<K: Serialize, V: Serialize>(table: &'static str, key: &K, row: Option<&V>) -> Change {
    let json = |text: serde_json::Result<String>| text.unwrap_or_else(|_| Value::Null.to_string());
    let row = row.map(|row| json(serde_json::to_string(row)));
    Change { table, key: json(serde_json::to_string(key)), row }
}

/// Bytes, in base64.
pub(crate) mod bytes {
    use base64::prelude::{BASE64_STANDARD, Engine as _};
    use serde::de::Error as _;
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    pub fn serialize<S: Serializer>(bytes: &[u8], serializer: S) -> Result<S::Ok, S::Error> {
        BASE64_STANDARD.encode(bytes).serialize(serializer)
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<u8>, D::Error> {
        let text = String::deserialize(deserializer)?;
        BASE64_STANDARD.decode(text).map_err(D::Error::custom)
    }

    /// The same of bytes that may be absent.
    pub mod optional {
        use super::{BASE64_STANDARD, Deserialize, Deserializer, Serialize, Serializer};
        use base64::prelude::Engine as _;
        use serde::de::Error as _;

        #[expect(clippy::ref_option, reason = "the form that serde calls")]
        pub fn serialize<S: Serializer>(
            bytes: &Option<Vec<u8>>,
            serializer: S,
        ) -> Result<S::Ok, S::Error> {
            bytes.as_ref().map(|bytes| BASE64_STANDARD.encode(bytes)).serialize(serializer)
        }

        pub fn deserialize<'de, D: Deserializer<'de>>(
            deserializer: D,
        ) -> Result<Option<Vec<u8>>, D::Error> {
            let text = Option::<String>::deserialize(deserializer)?;
            text.map(|text| BASE64_STANDARD.decode(text).map_err(D::Error::custom)).transpose()
        }
    }
}

/// One of the words below. serde would take a reference for text that it may borrow.
pub(crate) type Word = &'static str;

/// Words that stand in the program, such as states.
pub(crate) mod word {
    use serde::de::Error as _;
    use serde::{Deserialize, Deserializer};

    use crate::control::opsworks::LAYER_TYPES;
    use crate::control::opsworks_cm::STATUSES;
    use crate::control::ssm::PING_STATUSES;

    /// Those that no list elsewhere has: of backups and maintenance, of engines, of registered
    /// instances.
    const OTHERS: [&str; 14] = [
        "IN_PROGRESS",
        "OK",
        "SUCCESS",
        "Chef",
        "ChefAutomate",
        "Puppet",
        "Monolithic",
        "Single",
        "registering",
        "registered",
        "running_setup",
        "online",
        "unassigning",
        "setup_failed",
    ];

    pub fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<&'static str, D::Error> {
        let text = String::deserialize(deserializer)?;
        known(&text).ok_or_else(|| D::Error::custom(format!("the word '{text}' is not known")))
    }

    fn known(text: &str) -> Option<&'static str> {
        let all = STATUSES.into_iter().chain(PING_STATUSES).chain(LAYER_TYPES).chain(OTHERS);
        all.into_iter().find(|word| *word == text)
    }

    /// The same of a word that may be absent.
    pub mod optional {
        use serde::de::Error as _;

        use super::{Deserialize, Deserializer, known};

        pub fn deserialize<'de, D: Deserializer<'de>>(
            deserializer: D,
        ) -> Result<Option<&'static str>, D::Error> {
            let text = Option::<String>::deserialize(deserializer)?;
            let word = |text: String| {
                known(&text)
                    .ok_or_else(|| D::Error::custom(format!("the word '{text}' is not known")))
            };
            text.map(word).transpose()
        }
    }
}
