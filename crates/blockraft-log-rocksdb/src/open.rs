//! Making and opening a log directory, and the questions it must answer before anything in it is believed.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use blockraft_log::{Cause, LogState};
use blockraft_types::{GroupId, HardState, LogIndex, LostTail, Position};
use thiserror::Error;

use crate::audit::{AuditError, audit, records};
use crate::config::RocksLogConfig;
use crate::directory::{self, Directory, Format, LockError};
use crate::engine;
use crate::mistake::Mistake;
use crate::reader::Shared;
use crate::record::GroupRecord;
use crate::watermark::{self, Mark, Stage, Testimony, Watermark};

/// Why a directory wasn't made a log.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum FormatError {
    /// It is a log already, or was one.
    #[error("{path} already holds a log")]
    Formatted {
        /// The directory.
        path: PathBuf,
    },
    /// Another process is at work in it.
    #[error("another process is using the log in {path}")]
    Locked {
        /// The directory.
        path: PathBuf,
    },
    /// The file system refused.
    #[error("{path} can't be made a log")]
    Io {
        /// The directory.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The database refused.
    #[error("the database in {path} can't be made")]
    Database {
        /// The directory.
        path: PathBuf,
        /// What the database said.
        source: Cause,
    },
}

/// Why a log wasn't opened.
///
/// `Foreign…`, `Lost…`, `Watermark…` and `Damaged` mean that this node can't prove any more what it promised: it must not
/// vote or acknowledge with this directory. The files are as they were found, for whoever wants to look.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum OpenError {
    /// There is no log: the directory was never formatted, or was wiped.
    #[error("there is no log in {path}")]
    Missing {
        /// The directory.
        path: PathBuf,
    },
    /// The version record isn't one.
    #[error("{path} isn't a log of blockraft, or its version record is damaged")]
    NotALog {
        /// The directory.
        path: PathBuf,
    },
    /// A later version of the program wrote it.
    #[error("the log in {path} has format {found}, this program knows formats up to {known}")]
    Newer {
        /// The directory.
        path: PathBuf,
        /// The version found.
        found: u32,
        /// The latest version that this program reads.
        known: u32,
    },
    /// Two processes on one directory.
    #[error("another process is using the log in {path}: two must never share one directory")]
    Locked {
        /// The directory.
        path: PathBuf,
    },
    /// Acknowledged entries are gone at the end, and nobody vouched for a way to get them back.
    #[error("group {group} acknowledged its log up to at least {}, but only {left} is left of it", lost.index)]
    LostTail {
        /// The group.
        group: GroupId,
        /// What is gone.
        lost: LostTail,
        /// Where the log that was found ends.
        left: Position,
        /// Why that can't be made good.
        source: Cause,
    },
    /// The log has an entry of a later term where it acknowledged one.
    #[error("group {group} acknowledged entry {acknowledged}, but holds another one at that index")]
    ForeignAcknowledged {
        /// The group.
        group: GroupId,
        /// The last position that the watermark remembers.
        acknowledged: Position,
    },
    /// The log has another vote than the one that was given.
    #[error("group {group} answered with {acknowledged:?}, but holds {found:?}")]
    ForeignVote {
        /// The group.
        group: GroupId,
        /// What the watermark remembers.
        acknowledged: HardState,
        /// What was found.
        found: HardState,
    },
    /// A whole group is gone.
    #[error("group {group} acknowledged its log up to {acknowledged}, but nothing is left of it")]
    LostGroup {
        /// The group.
        group: GroupId,
        /// The last position that the watermark remembers.
        acknowledged: Position,
    },
    /// The witness of a group is gone.
    #[error("the watermark of group {group} is missing, so nothing vouches for its log")]
    WatermarkMissing {
        /// The group.
        group: GroupId,
    },
    /// Neither slot of the witness of a group verifies.
    #[error("the watermark of group {group} is damaged, so nothing vouches for its log")]
    WatermarkDamaged {
        /// The group.
        group: GroupId,
    },
    /// Something inside the log isn't what was written.
    #[error("the log of group {group} is damaged at {index}: {what}")]
    Damaged {
        /// The group.
        group: GroupId,
        /// The place of the damage; zero is the group's record.
        index: LogIndex,
        /// What is wrong there.
        what: &'static str,
    },
    /// The database holds something that no log has, or changed between two looks.
    #[error("the database in {path} isn't that of a log: {what}")]
    ForeignDatabase {
        /// The directory.
        path: PathBuf,
        /// What is wrong with it.
        what: &'static str,
    },
    /// The database refused, for instance because a file of it is missing or damaged.
    #[error("the database in {path} can't be opened")]
    Database {
        /// The directory.
        path: PathBuf,
        /// What the database said.
        source: Cause,
    },
    /// The file system refused.
    #[error("the log in {path} can't be read")]
    Io {
        /// The directory.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
}

/// One group of an open log: what it holds and its witness.
#[derive(Debug)]
pub(crate) struct Member {
    pub(crate) state: LogState,
    pub(crate) watermark: Watermark,
}

/// An open log, all of it verified.
#[derive(Debug)]
pub(crate) struct Opened {
    pub(crate) shared: Shared,
    pub(crate) members: BTreeMap<GroupId, Member>,
}

/// Makes the directory at `path` an empty log. Durable when it returns; made anew if an earlier attempt was cut short.
pub(crate) fn format(path: &Path) -> Result<(), FormatError> {
    let io = |source| FormatError::Io { path: path.to_path_buf(), source };
    let database = |source: rocksdb::Error| FormatError::Database { path: path.to_path_buf(), source: source.into() };
    fs::create_dir_all(path).map_err(io)?;
    let directory = Directory::lock(path).map_err(|error| match error {
        LockError::Held => FormatError::Locked { path: path.to_path_buf() },
        LockError::Io(source) => io(source),
    })?;
    let formatted = FormatError::Formatted { path: path.to_path_buf() };
    if directory::read_format(path).map_err(io)? != Format::Missing {
        return Err(formatted);
    }
    let db = engine::create(&directory.database(), RocksLogConfig::default()).map_err(database)?;
    let is_empty = db.iterator(rocksdb::IteratorMode::Start).next().is_none();
    // A log whose version record went missing must not be taken for an unfinished one.
    if !is_empty || !directory.witnesses().map_err(io)?.is_empty() {
        return Err(formatted);
    }
    drop(db);
    directory.write_format().map_err(io)?;
    path.parent().map_or(Ok(()), |parent| File::open(named(parent)).and_then(|parent| parent.sync_all())).map_err(io)
}

/// Says of a group of whose log only the beginning is left whether, and if not why, it may go on with that.
pub(crate) type JudgeOfLoss<'a> = &'a mut dyn FnMut(GroupId, &LogState) -> Result<(), Cause>;

/// Opens the log at `path`: everything is read and held against the witnesses before RocksDB may change a file.
pub(crate) fn open(path: &Path, config: RocksLogConfig, may_go_on: JudgeOfLoss<'_>) -> Result<Opened, OpenError> {
    let io = |source| OpenError::Io { path: path.to_path_buf(), source };
    match directory::read_format(path).map_err(io)? {
        Format::Ours => {}
        Format::Missing => return Err(OpenError::Missing { path: path.to_path_buf() }),
        Format::Foreign => return Err(OpenError::NotALog { path: path.to_path_buf() }),
        Format::Newer(found) => return Err(newer(path, found)),
    }
    let directory = Directory::lock(path).map_err(|error| match error {
        LockError::Held => OpenError::Locked { path: path.to_path_buf() },
        LockError::Io(source) => io(source),
    })?;
    let database = |source: rocksdb::Error| OpenError::Database { path: path.to_path_buf(), source: source.into() };

    let untouched = engine::open_untouched(&directory.database()).map_err(database)?;
    let mut states = audit(&untouched).map_err(|error| unsound(path, error))?;
    drop(untouched);
    let found: BTreeMap<GroupId, GroupRecord> = states.iter().map(record_of).collect();
    let marks = testimonies(&directory)?;
    confront(&mut states, &marks)?;
    for (&group, state) in &states {
        if let Some(lost) = state.lost_tail {
            let left = state.last.position;
            may_go_on(group, state).map_err(|source| OpenError::LostTail { group, lost, left, source })?;
        }
    }

    let db = engine::open(&directory.database(), config).map_err(database)?;
    let replayed = records(&db).map_err(|error| unsound(path, error))?;
    if replayed != found {
        let what = "replaying it gave something else than reading it";
        return Err(OpenError::ForeignDatabase { path: path.to_path_buf(), what });
    }
    let mut members = BTreeMap::new();
    for (group, state) in states {
        let seen = seen(&state);
        let watermark = Watermark::open(directory.path(), group, seen).map_err(io)?;
        members.insert(group, Member { state, watermark });
    }
    Ok(Opened { shared: Shared::new(db, directory), members })
}

/// What every witness in the directory says.
fn testimonies(directory: &Directory) -> Result<BTreeMap<GroupId, Mark>, OpenError> {
    let path = directory.path();
    let io = |source| OpenError::Io { path: path.to_path_buf(), source };
    let mut marks = BTreeMap::new();
    for group in directory.witnesses().map_err(io)? {
        match watermark::read(path, group).map_err(io)? {
            Testimony::Mark(mark) => marks.insert(group, mark),
            Testimony::Newer(found) => return Err(newer(path, found)),
            Testimony::Damaged => return Err(OpenError::WatermarkDamaged { group }),
        };
    }
    Ok(marks)
}

/// Holds what the database has against what was acknowledged, and lets each state say what is gone.
fn confront(states: &mut BTreeMap<GroupId, LogState>, marks: &BTreeMap<GroupId, Mark>) -> Result<(), OpenError> {
    for group in states.keys() {
        if !marks.contains_key(group) {
            return Err(OpenError::WatermarkMissing { group: *group });
        }
    }
    for (&group, mark) in marks {
        match states.get_mut(&group) {
            Some(state) => confront_one(group, state, mark)?,
            None if mark.stage == Stage::Creating => {}
            None => return Err(OpenError::LostGroup { group, acknowledged: mark.position }),
        }
    }
    Ok(())
}

/// The database is as it was once, or as it is now: its replay may end early, and never skips anything. Term and vote are in
/// the witness before they are answered with, so none that counts can be lost with the end of the log.
fn confront_one(group: GroupId, state: &mut LogState, mark: &Mark) -> Result<(), OpenError> {
    if Mistake::ReplayTrusted.is_made() {
        return Ok(());
    }
    let (acknowledged, found) = (mark.hard_state, state.hard_state);
    let is_older = found.term < acknowledged.term || found == HardState { voted_for: None, ..acknowledged };
    let mut is_cut = is_older && found != acknowledged;
    if is_older {
        state.hard_state = acknowledged;
    } else if found.term == acknowledged.term
        && acknowledged.voted_for.is_some_and(|vote| found.voted_for != Some(vote))
    {
        return Err(OpenError::ForeignVote { group, acknowledged, found });
    }
    let acknowledged = mark.position;
    match state.term_at(acknowledged.index) {
        Some(term) if acknowledged.term < term => {
            return Err(OpenError::ForeignAcknowledged { group, acknowledged });
        }
        // The log from before a truncation.
        Some(term) if term < acknowledged.term => is_cut = true,
        // Compacted away, hence committed, unless it lies beyond the end.
        Some(_) | None => is_cut |= state.last.position.index < acknowledged.index,
    }
    state.lost_tail = mark.lost_tail.filter(|lost| !lost.is_made_good_by(state.last.position.term));
    if is_cut {
        state.lose_tail(acknowledged.index);
    }
    Ok(())
}

/// What a witness is to say of a group that is open.
pub(crate) fn seen(state: &LogState) -> Mark {
    let LogState { hard_state, lost_tail, last, .. } = *state;
    Mark { stage: Stage::Live, hard_state, position: last.position, lost_tail }
}

fn record_of((group, state): (&GroupId, &LogState)) -> (GroupId, GroupRecord) {
    (*group, GroupRecord { hard_state: state.hard_state, anchor: state.anchor, last: state.last })
}

fn unsound(path: &Path, error: AuditError) -> OpenError {
    match error {
        AuditError::Damaged { group, index, what } => OpenError::Damaged { group, index, what },
        AuditError::ForeignKey => {
            OpenError::ForeignDatabase { path: path.to_path_buf(), what: "a key that no log has" }
        }
        AuditError::Failed(source) => OpenError::Database { path: path.to_path_buf(), source },
    }
}

fn newer(path: &Path, found: u32) -> OpenError {
    OpenError::Newer { path: path.to_path_buf(), found, known: directory::VERSION }
}

/// The parent of a relative path without a folder is the empty path, which can't be opened.
fn named(parent: &Path) -> &Path {
    if parent.as_os_str().is_empty() { Path::new(".") } else { parent }
}
