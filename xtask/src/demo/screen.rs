//! The demo's output: titles, facts in two columns, and one line that moves while something takes long.

use std::io::{self, IsTerminal, Write};

use crate::live::words;

/// A terminal, or a file that gets no moving lines.
#[derive(Debug)]
pub(crate) struct Screen {
    is_terminal: bool,
}

impl Screen {
    pub(crate) fn new() -> Self {
        Self { is_terminal: io::stdout().is_terminal() }
    }

    pub(crate) fn title(&self, text: &str) {
        if self.is_terminal { println!("\n\x1b[1m{text}\x1b[0m") } else { println!("\n{text}") }
    }

    /// One fact: what happened in a word, and the rest.
    pub(crate) fn fact(&self, word: &str, text: &str) {
        if self.is_terminal {
            println!("\r\x1b[K  {word:<10} {text}");
        } else {
            println!("  {word:<10} {text}");
        }
    }

    /// Redraws the moving line.
    pub(crate) fn progress(&self, word: &str, blocks: u64, bytes: u64, bytes_all: u64) {
        if !self.is_terminal {
            return;
        }
        let share = bytes.min(bytes_all) * BAR_CELLS / bytes_all.max(1);
        let bar: String = (0..BAR_CELLS).map(|cell| if cell < share { '━' } else { '─' }).collect();
        print!(
            "\r\x1b[K  {word:<10} {bar} {} blocks, {} of {}",
            words::count(blocks),
            words::bytes(bytes),
            words::bytes(bytes_all)
        );
        // A line that is not drawn is no loss.
        let _ = io::stdout().flush();
    }
}

const BAR_CELLS: u64 = 30;
