//! The bytes that are in logs and tables of the first release, for ever.

use blockraft_blocks::Codec;
use blockraft_types::{ImportId, Incarnation, LogIndex, Membership, NodeId, Position, Term};

use super::history::{GENESIS, Log, delete, image, in_turn, name, open, put, put_inline, vertex};
use crate::batch::{self, BatchLimits};
use crate::bond::CarriedBond;
use crate::clients::Clients;
use crate::command::{Command, Request};
use crate::links::Links;
use crate::memory::MemoryTable;
use crate::pin::PinMode;
use crate::row::{Row, StateRecord};
use crate::sessions::Sessions;
use crate::snapshot::Manifest;
use crate::table::{KeyRange, Table};

#[test]
fn a_batch_of_version_1_is_read_and_written_as_ever() {
    let commands = [put(1), put_inline(b"one"), Command::Noop, delete(1), put_inline(b"three")];
    let golden = include_str!("golden/batch.v1.hex");
    let body = batch::encode(commands.clone(), BatchLimits::default()).unwrap();
    assert_eq!(hex(&body), golden.trim_end());
    assert_eq!(batch::decode(&unhex(golden).into()).unwrap(), commands.map(Request::from));
}

#[test]
fn a_batch_of_version_2_is_read_and_written_as_ever() {
    let requests = [Command::OpenSession.into(), in_turn(300, 7, 2, put_inline(b"one")), put(1).into()];
    let golden = include_str!("golden/batch.v2.hex");
    let body = batch::encode(requests.clone(), BatchLimits::default()).unwrap();
    assert_eq!(hex(&body), golden.trim_end());
    assert_eq!(batch::decode(&unhex(golden).into()).unwrap(), requests);
}

#[test]
fn a_batch_of_version_3_is_read_and_written_as_ever() {
    let import = ImportId { opened: LogIndex(300), number: 7 };
    let root = vertex(1, Codec::DAG_PB);
    let links = Links::new([vertex(2, Codec::RAW), vertex(3, Codec::DAG_JSON)]).unwrap();
    let requests = [
        Command::OpenImport.into(),
        Command::KeepImport { import }.into(),
        Command::EndImport { import }.into(),
        Command::ExpireImport { import, last_kept: LogIndex(400) }.into(),
        in_turn(300, 7, 2, put_inline(b"one")),
        Command::Link { parent: root, links }.into(),
        Command::Pin { root, mode: PinMode::Recursive }.into(),
        Command::Unpin { root, mode: PinMode::Direct }.into(),
        Command::Collect { multihash: name(1) }.into(),
    ];
    let golden = include_str!("golden/batch.v3.hex");
    let body = batch::encode(requests.clone(), BatchLimits::default()).unwrap();
    assert_eq!(hex(&body), golden.trim_end());
    assert_eq!(batch::decode(&unhex(golden).into()).unwrap(), requests);
}

#[test]
fn a_table_with_graphs_and_imports_is_read_and_written_as_ever() {
    let table = MemoryTable::new();
    let (mut catalog, mut log) = (open(&table), Log::new());
    let root = vertex(1, Codec::DAG_PB);
    let links = Links::new([vertex(2, Codec::RAW)]).unwrap();
    let link = Command::Link { parent: root, links };
    let pin = Command::Pin { root, mode: PinMode::Recursive };
    catalog.apply(&log.commands([put(1), put(2), Command::OpenImport, link, pin])).unwrap();
    let golden: Vec<&str> = include_str!("golden/table-with-graphs.v3.hex").lines().collect();
    assert_eq!(lines(&table), golden);
    assert_eq!(image(&open(&table)), image(&catalog));

    let export = catalog.reader().export().map(|export| (export.rows(None, 9), export.clients())).unwrap();
    let (rows, clients) = (export.0.unwrap().rows, export.1.unwrap());
    let golden: Vec<&str> = include_str!("golden/snapshot.v1.hex").lines().collect();
    let bonds: Vec<String> = rows.iter().map(|row| hex(&row.bond)).collect();
    assert_eq!(
        (bonds, hex(&clients.encode())),
        (golden[..2].iter().map(|&line| line.into()).collect(), golden[2].into())
    );
    assert_eq!(Clients::decode(&unhex(golden[2])).unwrap(), clients);
    let carried: Vec<CarriedBond> = golden[..2].iter().map(|bond| CarriedBond::decode(&unhex(bond)).unwrap()).collect();
    assert_eq!(carried, image(&catalog).bonds.into_values().collect::<Vec<_>>());
}

/// A release that knows of neither would delete what is pinned.
#[test]
fn an_older_release_refuses_a_table_that_ever_had_a_pin_or_an_import() {
    for command in [Command::OpenImport, Command::Pin { root: vertex(1, Codec::RAW), mode: PinMode::Direct }] {
        let table = MemoryTable::new();
        let (mut catalog, mut log) = (open(&table), Log::new());
        let version = |table: &MemoryTable| table.view().get(&[0, 0, 0, 0, b's']).unwrap().unwrap()[0];
        catalog.apply(&log.commands([put(1)])).unwrap();
        assert_eq!(version(&table), 1);
        catalog.apply(&log.commands([command])).unwrap();
        assert_eq!(version(&table), 3);
        let mut catalog = open(&table);
        let import = ImportId { opened: LogIndex(2), number: 0 };
        let unpin = Command::Unpin { root: vertex(1, Codec::RAW), mode: PinMode::Direct };
        catalog.apply(&log.commands([Command::EndImport { import }, unpin])).unwrap();
        assert_eq!(version(&table), 3, "entries that it can't read may stand in its log");
    }
}

#[test]
fn a_table_with_sessions_is_read_and_written_as_ever() {
    let table = MemoryTable::new();
    let (mut catalog, mut log) = (open(&table), Log::new());
    let second = in_turn(1, 2, 1, put(1));
    catalog.apply(&log.commands([Command::OpenSession, Command::OpenSession, put(1)])).unwrap();
    catalog.apply(&log.commands([in_turn(1, 1, 0, delete(1)), second, in_turn(1, 4, 1, delete(3))])).unwrap();
    catalog.apply(&log.commands([in_turn(1, 5, 2, put(1))])).unwrap();
    let golden: Vec<&str> = include_str!("golden/table-with-sessions.v1.hex").lines().collect();
    assert_eq!(lines(&table), golden);
    assert_eq!(open(&table).sessions(), catalog.sessions());
    let golden = include_str!("golden/sessions.v1.hex");
    assert_eq!(hex(&catalog.sessions().encode()), golden.trim_end());
    assert_eq!(&Sessions::decode(&unhex(golden)).unwrap(), catalog.sessions());
}

#[test]
fn a_table_of_version_1_is_read_and_written_as_ever() {
    let table = MemoryTable::new();
    let (mut catalog, mut log) = (open(&table), Log::new());
    log.position.term = Term(300);
    catalog.apply_many(&[log.commands([put(1), put(3)]), log.blank()]).unwrap();
    let golden: Vec<&str> = include_str!("golden/table.v1.hex").lines().collect();
    assert_eq!(lines(&table), golden);

    let row = Row { length: 101, created: Position { term: Term(300), index: LogIndex(1) } };
    let records: Vec<Vec<u8>> = golden.iter().filter_map(|line| line.split_once(' ')).map(|(_, v)| unhex(v)).collect();
    assert!(records[..2].iter().any(|record| Row::decode(record).unwrap() == row));
    let state = StateRecord::decode(&records[2]).unwrap();
    assert_eq!((state.genesis, state.state), (GENESIS, catalog.state()));
}

#[test]
fn a_table_that_took_a_snapshot_is_read_and_written_as_ever() {
    let table = MemoryTable::new();
    let (mut catalog, mut source, mut log) = (open(&table), open(&MemoryTable::new()), Log::new());
    let first = log.commands([put(1), put(3)]);
    catalog.apply(&first).unwrap();
    source.apply_many(&[first, log.blank()]).unwrap();
    let state = source.state();
    let (position, chain) = (state.position, state.chain);
    let voter = (NodeId(4), Incarnation::from_bytes([4; 16]));
    let membership = Some((LogIndex(1), Membership::of_voters([voter])));
    let manifest = Manifest { state, membership };
    let mut importer = catalog.importer();
    let rows = catalog.reader().export().unwrap().rows(None, 9).unwrap().rows;
    importer.put(&rows, true).unwrap();
    importer.seal(&manifest).unwrap();
    let golden: Vec<&str> = include_str!("golden/table-with-snapshot.v2.hex").lines().collect();
    assert_eq!(lines(&table), golden[..6]);
    catalog.install(position, chain).unwrap();
    importer.clear().unwrap();
    assert_eq!(lines(&table), golden[6..]);
}

fn lines(table: &MemoryTable) -> Vec<String> {
    let everything = KeyRange { first: &[0], end: &[0xff] };
    let pairs = table.view().scan(everything, usize::MAX).unwrap();
    pairs.iter().map(|(key, value)| format!("{} {}", hex(key), hex(value))).collect()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn unhex(text: &str) -> Vec<u8> {
    let digits: Vec<u8> = text.trim_end().bytes().collect();
    digits.chunks(2).map(|pair| u8::from_str_radix(str::from_utf8(pair).unwrap(), 16).unwrap()).collect()
}
