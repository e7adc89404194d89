//! One measured number, beside what the machine can do.

use std::fmt::Write as _;

use serde::Serialize;

use crate::bench::samples::Samples;

/// A number with a name in plain words. What was measured several times tells its median, and how far it spread.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub(crate) struct Row {
    pub(crate) name: String,
    pub(crate) value: f64,
    pub(crate) unit: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) min: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) max: Option<f64>,
    /// What the machine does without a cluster, in the same unit and minute.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) floor: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) floor_min: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) floor_max: Option<f64>,
    /// `value` divided by `floor`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) ratio: Option<f64>,
    /// What the value should stay within.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) limit: Option<f64>,
}

impl Row {
    /// What was measured once.
    pub(crate) fn new(name: impl Into<String>, value: f64, unit: &str) -> Self {
        Self { name: name.into(), value, unit: unit.to_owned(), ..Self::default() }
    }

    /// What was measured several times; `None` if it never was.
    pub(crate) fn of(name: impl Into<String>, samples: &Samples, unit: &str) -> Option<Self> {
        let spread = samples.spread()?;
        Some(Self { min: Some(spread.min), max: Some(spread.max), ..Self::new(name, spread.median, unit) })
    }

    /// The same beside its floor.
    pub(crate) fn beside(self, floor: &Samples) -> Self {
        match floor.spread() {
            Some(floor) if 0.0 < floor.median => Self {
                ratio: Some(self.value / floor.median),
                floor: Some(floor.median),
                floor_min: Some(floor.min),
                floor_max: Some(floor.max),
                ..self
            },
            _ => self,
        }
    }

    /// The same with what it should stay within.
    pub(crate) fn within(self, limit: f64) -> Self {
        Self { limit: Some(limit), ..self }
    }
}

/// The rows for people.
pub(crate) fn table(rows: &[Row]) -> String {
    let width = rows.iter().map(|row| row.name.len()).max().unwrap_or(0);
    let mut text = String::new();
    for Row { name, value, unit, min, max, floor, floor_min, floor_max, ratio, limit } in rows {
        let mut beside = String::new();
        if let (Some(min), Some(max)) = (min, max) {
            beside.push_str(&format!("  {min:.2} to {max:.2}"));
        }
        if let (Some(floor), Some(min), Some(max), Some(ratio)) = (floor, floor_min, floor_max, ratio) {
            beside.push_str(&format!("  {ratio:.3} of {floor:.0} ({min:.0} to {max:.0})"));
        }
        if let Some(limit) = limit {
            let verdict = if value <= limit { "within" } else { "OVER" };
            beside.push_str(&format!("  {verdict} {limit}"));
        }
        writeln!(text, "{name:<width$}  {value:>10.2} {unit:<9}{beside}").expect("a string takes any text");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::{Row, Samples, table};

    #[test]
    fn a_row_has_floor_and_ratio_together_or_neither() {
        let bare = Row::new("a", 3.0, "ms");
        assert_eq!(serde_json::to_string(&bare).unwrap(), r#"{"name":"a","value":3.0,"unit":"ms"}"#);
        assert_eq!(bare.clone().beside(&Samples::default()), bare);
        let beside = bare.beside(&[1.0, 2.0, 4.0].into_iter().collect());
        assert_eq!((beside.floor, beside.ratio), (Some(2.0), Some(1.5)));
        assert!(table(&[beside]).contains("1.500 of 2 (1 to 4)"));
    }

    #[test]
    fn a_row_over_its_limit_says_so() {
        assert!(table(&[Row::new("a", 3.0, "ms").within(2.0)]).contains("OVER 2"));
        assert!(table(&[Row::new("a", 2.0, "ms").within(2.0)]).contains("within 2"));
    }

    #[test]
    fn repeated_measurements_tell_their_median_and_extremes() {
        let row = Row::of("a", &[9.0, 1.0, 3.0].into_iter().collect(), "ms").unwrap();
        assert_eq!((row.value, row.min, row.max), (3.0, Some(1.0), Some(9.0)));
        assert_eq!(Row::of("a", &Samples::default(), "ms"), None);
    }
}
