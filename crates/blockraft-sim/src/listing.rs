//! A client's listing, page by page, from whichever nodes: it holds once what was there all the while, and nothing that
//! never was.

use blockraft_blocks::Multihash;
use blockraft_catalog::RowPage;
use blockraft_types::Position;

use crate::law::{Law, Verdict, demand};
use crate::oracle::{Oracle, Presence};

/// A listing that isn't at its end.
#[derive(Clone, Debug, Default)]
pub(crate) struct Listing {
    /// Where the first page stands, and the last one so far.
    span: Option<(Position, Position)>,
    after: Option<Multihash>,
    names: Vec<Multihash>,
}

/// Whether a listing goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Course {
    GoesOn,
    /// It is at its end, and nothing changed meanwhile.
    Over,
    /// It is at its end, and blocks came or went between its pages.
    OverAmidChanges,
}

impl Listing {
    /// Behind which block the next page begins.
    pub(crate) const fn after(&self) -> Option<Multihash> {
        self.after
    }

    /// What the next page must not be older than.
    pub(crate) fn at_least(&self) -> Position {
        self.span.map_or(Position::ZERO, |(_, last)| last)
    }

    /// The next page, as of `position`.
    pub(crate) fn take(&mut self, page: RowPage, position: Position) -> Course {
        let first = self.span.map_or(position, |(first, _)| first);
        self.span = Some((first, position));
        self.names.extend(page.rows.into_iter().map(|(name, _)| name));
        self.after = page.next;
        match self.after {
            Some(_) => Course::GoesOn,
            None if first == position => Course::Over,
            None => Course::OverAmidChanges,
        }
    }

    /// Judges a listing that is at its end.
    pub(crate) fn judge(&self, oracle: &Oracle) -> Verdict {
        let Some((first, last)) = self.span else { return Ok(()) };
        demand(self.names.is_sorted_by(|one, next| one < next), Law::ReadsAreTrue, || {
            "a listing names a block twice, or out of order".to_owned()
        })?;
        for (name, presence) in oracle.unchanged(first.index, last.index) {
            let is_told = self.names.binary_search(&name).is_ok();
            demand(is_told == (presence == Presence::Present), Law::ReadsAreTrue, || {
                format!("a listing from {first} to {last} is wrong about {name}, which was {presence:?} all the while")
            })?;
        }
        Ok(())
    }
}
