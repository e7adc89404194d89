//! The table of open imports: while there is one, nothing is collected.
//!
//! It is part of the state. An import is open until a command ends it, and how long nobody kept it is for nodes to find: the
//! catalog has no clock. Whoever proposes that one expires names what it saw of it, so that a proposal that comes late ends no
//! import that was kept meanwhile.

use std::collections::BTreeMap;

use blockraft_types::{ImportId, LogIndex};

use crate::keys::{Keys, Kind};
use crate::outcome::Outcome;
use crate::record::{DecodeRecordError, LoadError, decode, encode};
use crate::table::{Change, KeyRange, Pair, View};

/// The imports that are open at one moment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Imports {
    /// With the entry that opened each or kept it last.
    open: BTreeMap<ImportId, LogIndex>,
}

/// How many imports may be open. All replicas allow as many, from the first entry on: this number is part of what commands
/// mean.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ImportLimits {
    /// The most imports.
    pub imports_max: usize,
}

impl Imports {
    /// The entry that opened an import or kept it last; none if it isn't open.
    #[must_use]
    pub fn last_kept(&self, id: &ImportId) -> Option<LogIndex> {
        self.open.get(id).copied()
    }

    /// Whether none is open.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.open.is_empty()
    }

    /// How many are open.
    #[must_use]
    pub fn len(&self) -> usize {
        self.open.len()
    }

    /// All of them, each with the entry that opened it or kept it last.
    pub fn iter(&self) -> impl Iterator<Item = (ImportId, LogIndex)> {
        self.open.iter().map(|(id, last_kept)| (*id, *last_kept))
    }

    /// What `view` shows of them.
    pub(crate) fn load(view: &dyn View, keys: Keys) -> Result<Self, LoadError> {
        let range = KeyRange { first: &keys.first(Kind::Imports), end: &keys.end(Kind::Imports) };
        let pairs = view.scan(range, IMPORTS_MAX + 1).map_err(LoadError::Table)?;
        let import = |(key, record): Pair| Ok((keys.import_id(&key)?, decode(&record)?));
        let open = pairs.into_iter().map(import).collect::<Result<_, _>>().map_err(LoadError::Record)?;
        Self::of(open).map_err(LoadError::Record)
    }

    /// The table in numbers, as it travels.
    pub(crate) fn list(&self) -> Vec<(ImportId, LogIndex)> {
        self.iter().collect()
    }

    /// Takes what [`list`](Self::list) gave, or a peer says that it did.
    pub(crate) fn of_list(list: Vec<(ImportId, LogIndex)>) -> Result<Self, DecodeRecordError> {
        let count = list.len();
        let imports = Self::of(list.into_iter().collect())?;
        if imports.len() < count { Err(DecodeRecordError::Import) } else { Ok(imports) }
    }

    /// What is to be written to an empty table.
    pub(crate) fn changes(&self, keys: Keys) -> impl Iterator<Item = Change> {
        self.open.iter().map(move |(id, last_kept)| Change::Set { key: keys.import(id), value: encode(last_kept) })
    }

    /// Takes over what a run changed.
    pub(crate) fn take(&mut self, changed: ChangedImports) {
        for (id, last_kept) in changed.0 {
            match last_kept {
                Some(last_kept) => drop(self.open.insert(id, last_kept)),
                None => drop(self.open.remove(&id)),
            }
        }
    }

    fn of(open: BTreeMap<ImportId, LogIndex>) -> Result<Self, DecodeRecordError> {
        if IMPORTS_MAX < open.len() { Err(DecodeRecordError::Import) } else { Ok(Self { open }) }
    }
}

impl ImportLimits {
    /// What all releases allow: [`IMPORTS_MAX`].
    pub const FORMAT: Self = Self { imports_max: IMPORTS_MAX };
}

/// The table under construction while entries are applied.
#[derive(Debug)]
pub(crate) struct ImportsRun<'a> {
    before: &'a Imports,
    limits: ImportLimits,
    changed: BTreeMap<ImportId, Option<LogIndex>>,
    /// How many are open.
    count: usize,
}

/// What a run changed: `None` for an import that is over.
#[derive(Debug)]
pub(crate) struct ChangedImports(BTreeMap<ImportId, Option<LogIndex>>);

impl<'a> ImportsRun<'a> {
    pub(crate) fn on(before: &'a Imports, limits: ImportLimits) -> Self {
        Self { before, limits, changed: BTreeMap::new(), count: before.len() }
    }

    pub(crate) const fn is_any_open(&self) -> bool {
        0 < self.count
    }

    pub(crate) fn open(&mut self, id: ImportId) -> Outcome {
        if self.limits.imports_max <= self.count {
            return Outcome::ImportsFull;
        }
        self.count += 1;
        self.changed.insert(id, Some(id.opened));
        Outcome::ImportOpened
    }

    /// The entry at `index` keeps an import.
    pub(crate) fn keep(&mut self, id: ImportId, index: LogIndex) -> Outcome {
        if self.last_kept(&id).is_none() {
            return Outcome::ImportExpired;
        }
        self.changed.insert(id, Some(index));
        Outcome::ImportKept
    }

    pub(crate) fn end(&mut self, id: ImportId) -> Outcome {
        if self.last_kept(&id).is_none() {
            return Outcome::ImportExpired;
        }
        self.count -= 1;
        self.changed.insert(id, None);
        Outcome::ImportEnded
    }

    /// Ends an import that nobody has kept since the entry at `last_kept`.
    pub(crate) fn expire(&mut self, id: ImportId, last_kept: LogIndex) -> Outcome {
        match self.last_kept(&id) {
            Some(kept) if kept != last_kept => Outcome::ImportKept,
            Some(_) | None => self.end(id),
        }
    }

    pub(crate) fn finish(self) -> ChangedImports {
        ChangedImports(self.changed)
    }

    fn last_kept(&self, id: &ImportId) -> Option<LogIndex> {
        self.changed.get(id).copied().unwrap_or_else(|| self.before.last_kept(id))
    }
}

impl ChangedImports {
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// What is to be written to the table.
    pub(crate) fn changes(&self, keys: Keys) -> impl Iterator<Item = Change> {
        self.0.iter().map(move |(id, last_kept)| {
            let key = keys.import(id);
            match last_kept {
                Some(last_kept) => Change::Set { key, value: encode(last_kept) },
                None => Change::Remove { key },
            }
        })
    }
}

/// The most imports that are open at once.
pub const IMPORTS_MAX: usize = 1_024;
