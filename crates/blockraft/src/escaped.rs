//! Names that others chose, as they may be shown to people: they can't move the cursor, colour the screen or begin a line.

use std::fmt::{self, Display, Write};

/// A name as people may see it.
pub(crate) const fn escaped<T: Display>(name: T) -> Escaped<T> {
    Escaped(name)
}

/// What [`escaped`] gives.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Escaped<T>(T);

impl<T: Display> Display for Escaped<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(Escaping(f), "{}", self.0)
    }
}

struct Escaping<'a, 'b>(&'a mut fmt::Formatter<'b>);

impl Write for Escaping<'_, '_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        text.chars().try_for_each(|letter| {
            if letter.is_control() || misleads(letter) {
                write!(self.0, "{}", letter.escape_debug())
            } else {
                self.0.write_char(letter)
            }
        })
    }
}

/// Whether a letter that is no control ends the line all the same, or turns the direction of what follows.
const fn misleads(letter: char) -> bool {
    matches!(letter, '\u{2028}' | '\u{2029}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}
