//! A process that applies, and takes snapshots in between, is killed at random moments; what is left is a replay up to some
//! entry, and neither a flush nor an installation is lost.
//!
//! The child is this test binary, started again. `BLOCKRAFT_CRASH_ROUNDS` raises the number of kills.

use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Command as Process, Stdio};

use blockraft_blocks::{Codec, HashCode, Multihash};
use blockraft_catalog::table::{Change, FlushError, Table, View, WriteBatch, WriteError};
use blockraft_catalog::{
    BatchLimits, Catalog, CatalogState, Command, ExportRow, Importer, Imports, Links, MemoryTable, PinMode, Request,
    Sessions, Vertex, batch,
};
use blockraft_types::{
    BodyDigest, ChainDigest, Entry, EntryHead, EntryKind, GroupId, ImportId, LogIndex, Position, Sequence, SessionId,
    Term, Turn,
};

use crate::{RocksTable, RocksTableOptions};

/// Small, so that RocksDB writes memtables out on its own between the flushes.
const OPTIONS: RocksTableOptions = RocksTableOptions { memtable_bytes: 64 << 10, cache_bytes: 1 << 20 };

const GENESIS: ChainDigest = ChainDigest::from_bytes([7; 16]);
const GROUP: GroupId = GroupId(0);
const ENTRIES: u64 = 100_000;
/// Each so many entries open a session.
const SESSION_EVERY: u64 = 50;
const FOLDER: &str = "BLOCKRAFT_CATALOG_CRASH_FOLDER";
const CONDUCT: &str = "BLOCKRAFT_CATALOG_CRASH_CONDUCT";
const ROUNDS: &str = "BLOCKRAFT_CRASH_ROUNDS";

/// What the child's table does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Conduct {
    Honest,
    /// A negative control: it is never flushed, and says so of nothing.
    FlushesNothing,
    /// Another one: a snapshot is put together in the place of the state instead of beside it.
    MixesSlots,
}

/// The table on disk, as its conduct is.
#[derive(Debug)]
struct Disk {
    table: RocksTable,
    conduct: Conduct,
}

impl Table for Disk {
    fn view(&self) -> Box<dyn View + '_> {
        self.table.view()
    }

    fn write(&self, mut batch: WriteBatch) -> Result<(), WriteError> {
        if self.conduct == Conduct::MixesSlots {
            for change in &mut batch.changes {
                match change {
                    Change::Set { key, .. } | Change::Remove { key } => into_first_slot(key),
                    // Its end is the first key behind the slot.
                    Change::RemoveRange { .. } => {}
                }
            }
        }
        self.table.write(batch)
    }

    fn flush(&self) -> Result<(), FlushError> {
        if self.conduct == Conduct::FlushesNothing { Ok(()) } else { self.table.flush() }
    }
}

/// A key is the group in four bytes, then the kind of what it names.
fn into_first_slot(key: &mut [u8]) {
    if let Some(kind) = key.get_mut(4).filter(|kind| **kind == b'R') {
        *kind = b'r';
    }
}

/// The log, the same in every process: entry after entry.
struct Log {
    position: Position,
    chain: ChainDigest,
}

impl Log {
    fn new() -> Self {
        Self { position: Position { term: Term(1), index: LogIndex::ZERO }, chain: GENESIS }
    }

    fn next(&mut self) -> Entry {
        self.position.index = self.position.index.next();
        let number = self.position.index.0;
        let requests = (0..chance(number, 0) % 5).map(|command| {
            let choice = chance(number, 1 + command);
            let multihash = named(choice % 500);
            let vertex = |block: u64| Vertex { multihash: named(block), codec: Codec::DAG_CBOR };
            let root = vertex(choice % 500);
            let mode = if choice.is_multiple_of(5) { PinMode::Direct } else { PinMode::Recursive };
            let command = match choice % 11 {
                0 | 1 => Command::Delete { multihash },
                2 => Command::Collect { multihash },
                3 | 4 => {
                    let links = (0..choice % 3).map(|link| vertex((choice + link * 7) % 500));
                    Command::Link { parent: root, links: Links::new(links).unwrap() }
                }
                5 => Command::Pin { root, mode },
                6 if choice.is_multiple_of(4) => Command::Unpin { root, mode },
                6 if number.is_multiple_of(40) => Command::OpenImport,
                6 => Command::EndImport {
                    import: ImportId { opened: LogIndex(number / 40 * 40), number: command as u32 },
                },
                _ => Command::Put { multihash, length: (choice % 1000) as u32, inline: None },
            };
            Request { turn: choice.is_multiple_of(2).then(|| turn(number, choice)), command }
        });
        let opens = number.is_multiple_of(SESSION_EVERY).then(|| Command::OpenSession.into());
        let body = batch::encode(opens.into_iter().chain(requests), BatchLimits::default()).unwrap();
        let digest = BodyDigest::of(&body);
        let head = EntryHead::chained(self.chain, self.position, EntryKind::Command, body.len() as u32, digest);
        self.chain = head.chain;
        Entry { head, body }
    }

    fn up_to(&mut self, index: LogIndex) -> Vec<Entry> {
        let missing = index.since(self.position.index);
        (0..missing).map(|_| self.next()).collect()
    }
}

fn named(block: u64) -> Multihash {
    Multihash::of(HashCode::Blake3, &block.to_le_bytes())
}

/// A turn in the entry of that number: of one of the latest sessions, and often not the first one of its kind.
fn turn(number: u64, choice: u64) -> Turn {
    let opened = LogIndex((number / SESSION_EVERY - choice % 3 % (number / SESSION_EVERY + 1)) * SESSION_EVERY);
    let sequence = number % SESSION_EVERY;
    let first_unanswered = Sequence(sequence.saturating_sub(choice % 20));
    Turn { session: SessionId { opened, number: 0 }, sequence: Sequence(sequence), first_unanswered }
}

#[test]
fn a_killed_catalog_is_a_replay_of_the_log_up_to_the_position_that_it_names() {
    let rounds = std::env::var(ROUNDS).ok().and_then(|rounds| rounds.parse().ok()).unwrap_or(20);
    let place = formatted();
    let (mut log, mut replay) = (Log::new(), Catalog::open(MemoryTable::new(), GROUP, GENESIS).unwrap());
    let (mut between_flushes, mut installations, mut installed_last) = (0, 0, 0);
    for round in 0..rounds {
        let heard = live_and_die(&folder(&place), Conduct::Honest, round);
        let killed = reopen(&folder(&place), Conduct::Honest);
        let position = killed.state().position;
        let durable = heard.durable;
        assert!(durable <= position.index, "round {round}: entry {durable} was durable, and {position} is left");
        between_flushes += u64::from(durable < position.index);
        installations += heard.installations;
        installed_last += u64::from(killed.is_installed());
        assert!(replay.state().position <= position, "round {round}: what was on disk once is gone");
        let before = image(&killed);
        if replay.state().position < position {
            assert_ne!(image(&replay), before, "round {round}: a replay that ends earlier must not pass");
        }
        replay.apply_many(&log.up_to(position.index)).unwrap();
        assert_eq!(before, image(&replay), "round {round}");
    }
    assert!(0 < replay.state().position.index.0, "no child came to apply anything");
    assert!(rounds < 20 || 0 < installations, "no child came to install a snapshot");
    println!(
        "{rounds} kills up to entry {}; {between_flushes} of them between two flushes; {installations} snapshots \
         installed, {installed_last} times just before the kill",
        replay.state().position
    );
}

#[test]
fn a_table_that_flushes_nothing_is_found() {
    let place = formatted();
    let lost = (0..50).any(|round| {
        let heard = live_and_die(&folder(&place), Conduct::FlushesNothing, round);
        reopen(&folder(&place), Conduct::Honest).state().position.index < heard.durable
    });
    assert!(lost, "50 kills lost nothing that was never flushed: the kill finds nothing");
}

#[test]
fn a_snapshot_that_is_put_together_in_the_place_of_the_state_is_found() {
    let place = formatted();
    let mixed = (0..50).any(|round| {
        live_and_die(&folder(&place), Conduct::MixesSlots, round);
        let killed = reopen(&folder(&place), Conduct::Honest);
        let mut replay = Catalog::open(MemoryTable::new(), GROUP, GENESIS).unwrap();
        replay.apply_many(&Log::new().up_to(killed.state().position.index)).unwrap();
        image(&killed) != image(&replay)
    });
    assert!(mixed, "50 kills found no mixture of a state and a snapshot");
}

/// The child of the tests above, when they start it.
#[test]
fn a_child_that_is_not_told_to_apply_does_nothing() {
    let Some(folder) = std::env::var_os(FOLDER) else {
        return;
    };
    let conduct = match std::env::var(CONDUCT).as_deref() {
        Ok("flushes nothing") => Conduct::FlushesNothing,
        Ok("mixes slots") => Conduct::MixesSlots,
        _ => Conduct::Honest,
    };
    let mut child = Child::beginning(Path::new(&folder), conduct);
    while child.log.position.index.0 < ENTRIES {
        match chance(child.log.position.index.0, 8) % 40 {
            0 => child.flush(),
            1 => child.take_snapshot(),
            _ => child.apply_some(),
        }
    }
}

/// Works on the catalog on disk, beside one in memory that gives it snapshots.
struct Child {
    catalog: Catalog<Disk>,
    importer: Importer<Disk>,
    other: Catalog<MemoryTable>,
    log: Log,
}

impl Child {
    fn beginning(folder: &Path, conduct: Conduct) -> Self {
        let catalog = reopen(folder, conduct);
        let importer = catalog.importer();
        let mut other = Catalog::open(MemoryTable::new(), GROUP, GENESIS).unwrap();
        let mut log = Log::new();
        other.apply_many(&log.up_to(catalog.state().position.index)).unwrap();
        Self { catalog, importer, other, log }
    }

    fn apply_some(&mut self) {
        let number = self.log.position.index.0;
        let some: Vec<Entry> = (0..=chance(number, 7) % 8).map(|_| self.log.next()).collect();
        self.other.apply_many(&some).unwrap();
        self.catalog.apply_many(&some).unwrap();
        say("applied", self.catalog.state().position.index);
    }

    fn flush(&mut self) {
        let flushed = self.catalog.flusher().flush().unwrap();
        say("flushed", flushed.index);
        // Otherwise it would flush for ever: what is done hangs on the position.
        self.apply_some();
    }

    /// The other one goes ahead, and its state is taken over while entries before it are still applied here. Some aren't
    /// installed.
    fn take_snapshot(&mut self) {
        let number = self.log.position.index.0;
        let some: Vec<Entry> = (0..20 + chance(number, 10) % 60).map(|_| self.log.next()).collect();
        self.other.apply_many(&some).unwrap();
        let reader = self.other.reader();
        let export = reader.export().unwrap();
        let (mut after, mut meanwhile) = (None, some.iter());
        self.importer.restart();
        loop {
            let page = export.rows(after, ROWS).unwrap();
            let is_last = page.next.is_none();
            self.importer.put(&page.rows, is_last).unwrap();
            say("imported", self.log.position.index);
            after = page.next;
            let before_it: Vec<Entry> = meanwhile.by_ref().take(2).cloned().collect();
            if !meanwhile.as_slice().is_empty() {
                self.catalog.apply_many(&before_it).unwrap();
            }
            if chance(number, 11).is_multiple_of(3) {
                say("flushed", self.catalog.flusher().flush().unwrap().index);
            }
            if is_last {
                break;
            }
        }
        if chance(number, 12).is_multiple_of(4) {
            // The log has come instead.
            self.catalog.apply_many(&self.rest_of(&some)).unwrap();
            return;
        }
        self.importer.put_clients(&export.clients().unwrap()).unwrap();
        self.importer.seal(export.manifest()).unwrap();
        say("sealed", self.log.position.index);
        let state = export.manifest().state;
        self.catalog.install(state.position, state.chain).unwrap();
        say("installed", state.position.index);
        if chance(number, 13).is_multiple_of(2) {
            self.importer.clear().unwrap();
        }
    }

    fn rest_of(&self, entries: &[Entry]) -> Vec<Entry> {
        let applied = self.catalog.state().position.index;
        entries.iter().filter(|entry| applied < entry.head.position.index).cloned().collect()
    }
}

/// Rows at a time: a snapshot comes in some ten pieces.
const ROWS: usize = 40;

fn say(word: &str, index: LogIndex) {
    let mut out = std::io::stdout();
    writeln!(out, "{word} {index}").unwrap();
    out.flush().unwrap();
}

/// What a child said before it died.
struct Heard {
    /// The last entry that it said is durable.
    durable: LogIndex,
    installations: u64,
}

/// Starts a child and kills it after a random number of its words.
fn live_and_die(folder: &Path, conduct: Conduct, round: u64) -> Heard {
    let name = match conduct {
        Conduct::Honest => "honest",
        Conduct::FlushesNothing => "flushes nothing",
        Conduct::MixesSlots => "mixes slots",
    };
    let mut child = Process::new(std::env::current_exe().unwrap())
        .args(["--exact", "tests::crash::a_child_that_is_not_told_to_apply_does_nothing", "--nocapture"])
        .env(FOLDER, folder)
        .env(CONDUCT, name)
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let mut heard: Vec<String> = lines.by_ref().take(4 + chance(round, 9) as usize % 200).map(Result::unwrap).collect();
    child.kill().unwrap();
    child.wait().unwrap();
    // What it said before it died stands in the pipe; the last line may be torn.
    let rest: Vec<String> = lines.map_while(Result::ok).collect();
    heard.extend_from_slice(&rest[..rest.len().saturating_sub(1)]);
    let said = |word: &'static str| heard.iter().filter_map(move |line| line.strip_prefix(word)?.trim().parse().ok());
    let durable = said("flushed").chain(said("installed")).max().unwrap_or(0);
    Heard { durable: LogIndex(durable), installations: said("installed").count() as u64 }
}

/// Everything that a catalog holds, in the words of a snapshot.
fn image<T: Table>(catalog: &Catalog<T>) -> (CatalogState, Vec<ExportRow>, Sessions, Imports) {
    let reader = catalog.reader();
    let page = reader.list(None, 1000).unwrap().value;
    assert_eq!(page.next, None, "500 blocks fit on a page");
    // There is nothing to be exported before the first entry.
    let rows = if page.rows.is_empty() { Vec::new() } else { reader.export().unwrap().rows(None, 1000).unwrap().rows };
    (catalog.state(), rows, catalog.sessions().clone(), catalog.imports().clone())
}

fn formatted() -> tempfile::TempDir {
    let place = tempfile::tempdir().unwrap();
    drop(RocksTable::create(&folder(&place), &OPTIONS).unwrap());
    place
}

fn folder(place: &tempfile::TempDir) -> PathBuf {
    place.path().join("catalog")
}

fn reopen(folder: &Path, conduct: Conduct) -> Catalog<Disk> {
    let table = RocksTable::open(folder, &OPTIONS).unwrap();
    Catalog::open(Disk { table, conduct }, GROUP, GENESIS).unwrap()
}

/// A number that hangs on `a` and `b` alone.
fn chance(a: u64, b: u64) -> u64 {
    let mut mixed = a.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ b.wrapping_mul(0xd1b5_4a32_d192_ed03);
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}
