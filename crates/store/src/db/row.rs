//! Reading rows back into typed values. A value that does not parse is an error that names table and column, not the value.

use std::str::FromStr;

use domain::Timestamp;
use serde::Serialize;
use serde::de::DeserializeOwned;
use sqlx::Row as _;
use sqlx::any::AnyRow;

use super::StoreError;
use super::error::bounded;

/// Longest JSON text in a column, in bytes.
pub const JSON_BYTES_MAX: usize = 4 * 1024 * 1024;

/// A row of a table.
pub(crate) struct Fields<'a> {
    row: &'a AnyRow,
    table: &'static str,
}

impl<'a> Fields<'a> {
    pub(crate) const fn new(table: &'static str, row: &'a AnyRow) -> Self {
        Self { row, table }
    }

    fn wrong(&self, column: &str, why: &str) -> StoreError {
        StoreError::Row { table: self.table, detail: format!("column {column}: {why}") }
    }

    pub(crate) fn int(&self, column: &str) -> Result<i64, StoreError> {
        self.row.try_get(column).map_err(|_| self.wrong(column, "not a number"))
    }

    pub(crate) fn int_opt(&self, column: &str) -> Result<Option<i64>, StoreError> {
        self.row.try_get(column).map_err(|_| self.wrong(column, "not a number"))
    }

    pub(crate) fn count(&self, column: &str) -> Result<u64, StoreError> {
        u64::try_from(self.int(column)?).map_err(|_| self.wrong(column, "negative"))
    }

    pub(crate) fn text(&self, column: &str) -> Result<String, StoreError> {
        self.row.try_get(column).map_err(|_| self.wrong(column, "not a text"))
    }

    pub(crate) fn text_opt(&self, column: &str) -> Result<Option<String>, StoreError> {
        self.row.try_get(column).map_err(|_| self.wrong(column, "not a text"))
    }

    pub(crate) fn blob(&self, column: &str) -> Result<Vec<u8>, StoreError> {
        self.row.try_get(column).map_err(|_| self.wrong(column, "not bytes"))
    }

    pub(crate) fn at(&self, column: &str) -> Result<Timestamp, StoreError> {
        self.int(column).map(Timestamp::from_millis)
    }

    pub(crate) fn at_opt(&self, column: &str) -> Result<Option<Timestamp>, StoreError> {
        Ok(self.int_opt(column)?.map(Timestamp::from_millis))
    }

    pub(crate) fn parsed<T: FromStr>(&self, column: &str) -> Result<T, StoreError> {
        self.text(column)?.parse().map_err(|_| self.wrong(column, "not of its form"))
    }

    /// An empty text or NULL is none.
    pub(crate) fn parsed_opt<T: FromStr>(&self, column: &str) -> Result<Option<T>, StoreError> {
        match self.text_opt(column)?.filter(|text| !text.is_empty()) {
            Some(text) => text.parse().map(Some).map_err(|_| self.wrong(column, "not of its form")),
            None => Ok(None),
        }
    }

    pub(crate) fn json<T: DeserializeOwned>(&self, column: &str) -> Result<T, StoreError> {
        serde_json::from_str(&self.text(column)?).map_err(|_| self.wrong(column, "not of its form"))
    }

    /// A value whose JSON is a single word, such as an enum without fields.
    pub(crate) fn word<T: DeserializeOwned>(&self, column: &str) -> Result<T, StoreError> {
        serde_json::from_value(serde_json::Value::String(self.text(column)?))
            .map_err(|_| self.wrong(column, "not a known word"))
    }
}

/// A value as JSON text, bounded.
pub(crate) fn to_json<T: Serialize>(what: &'static str, value: &T) -> Result<String, StoreError> {
    let text = serde_json::to_string(value)
        .map_err(|e| StoreError::Refused(format!("{what} cannot be written as JSON: {e}")))?;
    bounded(what, text.as_bytes(), JSON_BYTES_MAX)?;
    Ok(text)
}

/// The word of an enum without fields.
pub(crate) fn to_word<T: Serialize>(what: &'static str, value: &T) -> Result<String, StoreError> {
    match serde_json::to_value(value) {
        Ok(serde_json::Value::String(word)) => Ok(word),
        _ => Err(StoreError::Refused(format!("{what} has no single word"))),
    }
}

/// A ledger position or count as the database's signed number.
pub(crate) fn to_int(what: &'static str, value: u64) -> Result<i64, StoreError> {
    i64::try_from(value).map_err(|_| StoreError::Refused(format!("{what} does not fit 63 bits")))
}
