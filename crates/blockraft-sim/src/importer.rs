//! A client that takes in graphs of blocks and keeps them by pins, and clears away what nothing holds.

use blockraft_blocks::{Block, Codec, Multihash};
use blockraft_catalog::{Command, Links, Outcome, PinMode, Settled, Vertex};
use blockraft_types::ImportId;

use crate::chance::Chance;
use crate::desk::Wanted;
use crate::oracle::Oracle;
use crate::stage::End;

/// What such a client is about. It has one import open at a time.
#[derive(Clone, Debug, Default)]
pub(crate) struct Importer {
    step: Step,
    /// Whether the request that is under way is one of its own.
    is_asking: bool,
    import: Option<ImportId>,
    /// What the import brings: the root comes last.
    blocks: Vec<Block>,
    /// What the root links to.
    leaves: Vec<Vertex>,
    /// How often the present step came to nothing.
    failures: u32,
    /// The pins that it was told of.
    pinned: Vec<Vertex>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Step {
    #[default]
    Begin,
    /// The block at this place comes next.
    Put(usize),
    Link,
    Pin,
    End,
    /// Something else, once.
    Garden,
}

impl Importer {
    /// Whether it is going to need blocks for a new import.
    pub(crate) fn wants_blocks(&self) -> bool {
        self.step == Step::Begin && self.blocks.is_empty()
    }

    /// Blocks for the next import: the root is new.
    pub(crate) fn bring(&mut self, chance: &mut Chance, leaves: Vec<Block>, root: Block) {
        let known = self.pinned.clone();
        let vertex = |block: &Block| {
            // What it pinned as a root is linked to as one: graphs get deeper.
            let as_root = known.iter().find(|root| root.multihash == *block.multihash());
            as_root.copied().unwrap_or(Vertex { multihash: *block.multihash(), codec: Codec::RAW })
        };
        self.leaves = leaves.iter().map(vertex).collect();
        if let Some(deeper) = chance.pick(&self.pinned).filter(|_| chance.permille(300)) {
            self.leaves.push(deeper);
        }
        self.blocks = leaves;
        self.blocks.push(root);
    }

    /// What it asks for next. `known` is the name of a block that somebody put.
    pub(crate) fn ask(&mut self, chance: &mut Chance, oracle: &Oracle, known: Option<Multihash>) -> Wanted {
        self.is_asking = true;
        if chance.permille(60) {
            // It goes away and leaves its import open.
            self.reset();
        }
        if let Some(import) = self.import.filter(|_| chance.permille(100)) {
            return Wanted::Command(Command::KeepImport { import });
        }
        match self.step {
            Step::Begin | Step::Garden if self.blocks.is_empty() || chance.permille(500) => {
                self.step = Step::Garden;
                Wanted::Command(self.garden(chance, oracle, known))
            }
            Step::Begin | Step::Garden => {
                self.step = Step::Begin;
                Wanted::Command(Command::OpenImport)
            }
            Step::Put(place) => match self.blocks.get(place) {
                Some(block) => Wanted::Put(block.clone(), None),
                None => Wanted::Command(Command::Noop),
            },
            Step::Link => {
                let links = Links::new(self.leaves.iter().copied()).unwrap_or_default();
                self.root()
                    .map_or(Wanted::Command(Command::Noop), |parent| Wanted::Command(Command::Link { parent, links }))
            }
            Step::Pin => self.root().map_or(Wanted::Command(Command::Noop), |root| {
                Wanted::Command(Command::Pin { root, mode: PinMode::Recursive })
            }),
            Step::End => self
                .import
                .map_or(Wanted::Command(Command::Noop), |import| Wanted::Command(Command::EndImport { import })),
        }
    }

    /// Clears away: a pin of its own, an import that nobody may keep any more, or a block that nothing may hold.
    fn garden(&mut self, chance: &mut Chance, oracle: &Oracle, known: Option<Multihash>) -> Command {
        if (PINS_MAX < self.pinned.len() || chance.permille(150))
            && let Some(root) = chance.pick(&self.pinned)
        {
            self.pinned.retain(|pinned| *pinned != root);
            return Command::Unpin { root, mode: PinMode::Recursive };
        }
        if let Some((import, last_kept)) = oracle.oldest_import().filter(|_| chance.permille(350)) {
            // Some saw it longer ago than it was kept last.
            let last_kept = if chance.permille(700) { last_kept } else { import.opened };
            return Command::ExpireImport { import, last_kept };
        }
        known.map_or(Command::Noop, |multihash| Command::Collect { multihash })
    }

    fn root(&self) -> Option<Vertex> {
        self.blocks.last().map(|block| Vertex { multihash: *block.multihash(), codec: Codec::DAG_PB })
    }

    fn reset(&mut self) {
        let pinned = core::mem::take(&mut self.pinned);
        *self = Self { pinned, is_asking: self.is_asking, ..Self::default() };
    }

    /// It couldn't ask.
    pub(crate) const fn stand_by(&mut self) {
        self.is_asking = false;
    }

    /// Hears how a request ended, and says whether it was its own.
    pub(crate) fn hear(&mut self, end: End) -> bool {
        let was_asking = core::mem::take(&mut self.is_asking);
        if was_asking {
            self.go_on(end);
        }
        was_asking
    }

    fn go_on(&mut self, end: End) {
        let outcome = match end {
            End::Written(Settled { outcome, .. }) => Some(outcome),
            _ => None,
        };
        match (self.step, outcome, end) {
            (_, Some(Outcome::ImportKept), _) => {}
            (_, Some(Outcome::ImportExpired), _) if self.step != Step::Garden => self.reset(),
            (Step::Begin, Some(Outcome::ImportOpened), End::Written(Settled { position, .. })) => {
                // It is the first command of its entry.
                self.import = Some(ImportId { opened: position.index, number: 0 });
                self.go_to(Step::Put(0));
            }
            (Step::Garden, _, _) => self.go_to(Step::Begin),
            (Step::Put(place), _, End::Answered(_) | End::Written(_)) => {
                let next = if place + 1 < self.blocks.len() { Step::Put(place + 1) } else { Step::Link };
                self.go_to(next);
            }
            (Step::Link, Some(_), _) => self.go_to(Step::Pin),
            (Step::Pin, Some(Outcome::Pinned | Outcome::AlreadyPinned), _) => {
                self.pinned.extend(self.root());
                self.go_to(Step::End);
            }
            (Step::Pin, Some(_), _) => {
                // Somebody deleted what it had brought: it brings it again, a few times.
                let failures = self.failures + 1;
                self.go_to(if failures < FAILURES_MAX { Step::Put(0) } else { Step::End });
                self.failures = failures;
            }
            (Step::End, Some(_), _) => self.reset(),
            _ => {
                self.failures += 1;
                if FAILURES_MAX < self.failures {
                    self.reset();
                }
            }
        }
    }

    fn go_to(&mut self, step: Step) {
        self.step = step;
        self.failures = 0;
    }
}

/// How many pins it has at most before it takes one away.
const PINS_MAX: usize = 3;

/// How often it tries a step before it gives the import up.
const FAILURES_MAX: u32 = 4;
