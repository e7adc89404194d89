//! One thing, measured several times.

/// The measurements.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Samples(Vec<f64>);

/// What they say together.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Spread {
    pub(crate) median: f64,
    pub(crate) min: f64,
    pub(crate) max: f64,
}

impl Samples {
    pub(crate) fn push(&mut self, value: f64) {
        let place = self.0.partition_point(|sample| *sample < value);
        self.0.insert(place, value);
    }

    pub(crate) fn extend(&mut self, others: Self) {
        others.0.into_iter().for_each(|value| self.push(value));
    }

    /// `None` when nothing was measured. Of an even number, the median is the mean of the two in the middle.
    pub(crate) fn spread(&self) -> Option<Spread> {
        let (Some(min), Some(max)) = (self.0.first(), self.0.last()) else { return None };
        let middle = self.0.len() / 2;
        let upper = *self.0.get(middle)?;
        let lower = if self.0.len().is_multiple_of(2) { *self.0.get(middle - 1)? } else { upper };
        Some(Spread { median: f64::midpoint(lower, upper), min: *min, max: *max })
    }
}

impl FromIterator<f64> for Samples {
    fn from_iter<I: IntoIterator<Item = f64>>(values: I) -> Self {
        let mut samples = Self::default();
        values.into_iter().for_each(|value| samples.push(value));
        samples
    }
}

#[cfg(test)]
mod tests {
    use super::{Samples, Spread};

    #[test]
    fn the_median_stands_between_the_extremes() {
        let spread = |values: &[f64]| values.iter().copied().collect::<Samples>().spread();
        assert_eq!(spread(&[300.0, 100.0, 900.0]), Some(Spread { median: 300.0, min: 100.0, max: 900.0 }));
        assert_eq!(spread(&[4.0, 1.0]), Some(Spread { median: 2.5, min: 1.0, max: 4.0 }));
        assert_eq!(spread(&[]), None);
    }
}
