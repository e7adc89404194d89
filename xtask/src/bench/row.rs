//! One measured number, beside what the machine can do.

use std::fmt::Write as _;

use serde::Serialize;

use crate::live::event::Event;

/// A number with a name in plain words.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(crate) struct Row {
    pub(crate) name: String,
    pub(crate) value: f64,
    pub(crate) unit: String,
    /// What the machine does without a cluster, in the same unit and run.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) floor: Option<f64>,
    /// `value` divided by `floor`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) ratio: Option<f64>,
}

impl Row {
    pub(crate) fn new(name: String, value: f64, unit: &str) -> Self {
        Self { name, value, unit: unit.to_owned(), floor: None, ratio: None }
    }

    /// The same beside its floor.
    pub(crate) fn beside(self, floor: f64) -> Self {
        if floor <= 0.0 {
            return self;
        }
        Self { floor: Some(floor), ratio: Some(self.value / floor), ..self }
    }

    /// A floor as a row of its own.
    pub(crate) fn of_event(event: &Event) -> Option<Self> {
        let Event::Measured { name, value, unit } = event else { return None };
        Some(Self::new(name.clone(), *value, unit))
    }
}

/// The rows for people.
pub(crate) fn table(rows: &[Row]) -> String {
    let width = rows.iter().map(|row| row.name.len()).max().unwrap_or(0);
    let mut text = String::new();
    for Row { name, value, unit, floor, ratio } in rows {
        let beside = match (floor, ratio) {
            (Some(floor), Some(ratio)) => format!("  {ratio:.2} of {floor:.1}"),
            _ => String::new(),
        };
        writeln!(text, "{name:<width$}  {value:>10.2} {unit:<9}{beside}").expect("a string takes any text");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::{Row, table};

    #[test]
    fn a_row_has_floor_and_ratio_together_or_neither() {
        let bare = Row::new("a".to_owned(), 3.0, "ms");
        assert_eq!(serde_json::to_string(&bare).unwrap(), r#"{"name":"a","value":3.0,"unit":"ms"}"#);
        assert_eq!(bare.clone().beside(0.0), bare);
        let beside = bare.beside(2.0);
        assert_eq!(
            serde_json::to_string(&beside).unwrap(),
            r#"{"name":"a","value":3.0,"unit":"ms","floor":2.0,"ratio":1.5}"#
        );
        assert!(table(&[beside]).contains("1.50 of 2.0"));
    }
}
