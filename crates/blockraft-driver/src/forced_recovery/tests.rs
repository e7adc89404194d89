//! A survivor of three goes on alone with all that its log holds.

use std::collections::BTreeSet;

use blockraft_core::{Config, Input, LogPoint, Raft, RestoreError};
use blockraft_log::{Anchor, Batch, LogStore, MemoryDisk, MemoryLog, Syncs};
use blockraft_types::message::{Ballot, CampaignId, CampaignReason, Heartbeat, ReadRound, RequestVote, VoteVerdict};
use blockraft_types::{
    BodyDigest, ChainDigest, ClusterId, Entry, EntryHead, EntryKind, GroupId, HardState, Incarnation, LogIndex,
    LostTail, Membership, Message, NodeId, PersistNumber, PersistTicket, Position, Role, Term,
};
use bytes::Bytes;

use super::{Plan, RecoveryRefusal, Remnant, Succession, TERMS_AHEAD, append};
use crate::restore::{Remains, restore};

const GROUP: GroupId = GroupId(0);
const SURVIVOR: NodeId = NodeId(1);

#[test]
fn the_survivor_alone_votes_in_a_term_of_its_own_and_all_others_are_removed() {
    let log = Log::of(voters([1, 2, 3])).holding([blank(4), blank(5)]);
    let Succession { hard_state, entry, removed } = log.succession([2, 3]);
    let term = Term(5 + TERMS_AHEAD);
    assert_eq!(entry.head.position, Position { term, index: LogIndex(3) });
    assert_eq!(hard_state, HardState { term, voted_for: Some(SURVIVOR) });
    assert_eq!(removed, nodes([2, 3]));
    let alone = Membership { removed_through: Some(NodeId(3)), ..voters([1]) };
    assert_eq!(entry.head.kind, EntryKind::Membership(Box::new(alone)));
    assert!(entry.head.follows(log.remnant().chain));
}

#[test]
fn a_vote_in_a_later_term_than_the_last_entry_counts_as_seen() {
    let mut log = Log::of(voters([1, 2, 3])).holding([blank(4)]);
    log.persist(Some(HardState { term: Term(9), voted_for: Some(NodeId(2)) }), Vec::new());
    assert_eq!(log.succession([2, 3]).hard_state.term, Term(9 + TERMS_AHEAD));
}

/// Nobody knows which of its entries were acknowledged, so all of them stay.
#[test]
fn it_leads_after_its_next_start_and_commits_the_whole_log_before_it() {
    let mut log = Log::of(voters([1, 2, 3])).holding([blank(4), blank(5), blank(5)]);
    log.recover([2, 3]);
    let mut raft = log.start();
    let told = log.run_until_it_leads(&mut raft);
    assert_eq!(raft.commit_index(), LogIndex(5), "three entries, the configuration, and what the leader begins with");
    assert!(told.is_empty(), "there is nobody to tell: {told:?}");
}

#[test]
fn before_that_it_would_never_lead() {
    let log = Log::of(voters([1, 2, 3])).holding([blank(4)]);
    let mut raft = log.start();
    (0..1_000).for_each(|_| raft.step(Input::Tick));
    assert_ne!(raft.status().role, Role::Leader);
}

#[test]
fn a_lost_member_that_comes_back_gets_no_vote_and_is_not_listened_to() {
    let mut log = Log::of(voters([1, 2, 3])).holding([blank(4)]);
    log.recover([2, 3]);
    let mut raft = log.start();
    log.run_until_it_leads(&mut raft);
    let (term, committed) = (raft.status().hard_state.term, raft.commit_index());
    let last = Position { term: Term(700), index: LogIndex(800) };
    let (campaign, reason) = (CampaignId(1), CampaignReason::Timeout);
    let ask = |ballot| Message::RequestVote(RequestVote { term: last.term, ballot, campaign, reason, last });
    let (round, commit) = (ReadRound(1), LogIndex(1));
    let lead = Message::Heartbeat(Heartbeat { term: last.term, round, commit, held_by_all: LogIndex::ZERO });
    for message in [ask(Ballot::PreVote), ask(Ballot::Vote), lead] {
        raft.step(Input::Message { from: NodeId(2), message });
        let answers = log.perform(&mut raft);
        let granted = |answer: &Message| matches!(answer, Message::RequestVoteReply(reply) if reply.verdict == VoteVerdict::Granted);
        assert!(!answers.iter().any(granted), "{answers:?}");
    }
    assert_eq!(
        (raft.status().role, raft.status().hard_state.term, raft.commit_index()),
        (Role::Leader, term, committed)
    );
}

#[test]
fn repeated_it_is_so_already_and_nothing_is_appended() {
    let mut log = Log::of(voters([1, 2, 3])).holding([blank(4)]);
    log.recover([2, 3]);
    assert_eq!(log.remnant().plan(&nodes([2, 3])), Ok(Plan::AlreadySo));
    assert_eq!(log.remnant().plan(&nodes([3])), Ok(Plan::AlreadySo));
}

#[test]
fn after_a_power_cut_in_the_middle_it_is_done_from_the_same_log_again() {
    let mut log = Log::of(voters([1, 2, 3])).holding([blank(4)]);
    let before = log.succession([2, 3]);
    log.disk.set_syncs(Syncs::Swallowed);
    log.recover([2, 3]);
    log.disk.cut_power();
    log.disk.set_syncs(Syncs::Honoured);
    log.store = log.disk.open();
    assert_eq!(log.succession([2, 3]), before);
    log.recover([2, 3]);
    log.disk.cut_power();
    log.store = log.disk.open();
    assert_eq!(log.remnant().plan(&nodes([2, 3])), Ok(Plan::AlreadySo));
}

#[test]
fn members_that_the_survivor_never_heard_of_are_removed_as_well() {
    let log = Log::of(voters([1, 2, 3])).holding([blank(4)]);
    let Succession { entry, removed, .. } = log.succession([2, 3, 5]);
    assert_eq!(removed, nodes([2, 3, 5]));
    let EntryKind::Membership(alone) = entry.head.kind else { panic!("a configuration") };
    assert_eq!(alone.next_id(), NodeId(6));
    assert!(alone.is_removed(NodeId(4)), "ids are given in order, so this one was given too");
}

#[test]
fn a_joint_configuration_that_was_never_committed_gives_way_and_its_ids_are_used_up() {
    let joint = Membership { outgoing: voters([1, 2, 3]).voters, ..voters([1, 4, 5]) };
    let log = Log::of(voters([1, 2, 3])).holding([blank(4), (4, EntryKind::Membership(Box::new(joint)))]);
    let Succession { entry, removed, .. } = log.succession([2, 3]);
    assert_eq!(removed, nodes([2, 3, 4, 5]));
    assert_eq!(
        entry.head.kind,
        EntryKind::Membership(Box::new(Membership { removed_through: Some(NodeId(5)), ..voters([1]) }))
    );
}

#[test]
fn ids_that_were_removed_long_ago_stay_so_and_only_the_survivors_address_is_kept() {
    let before = Membership {
        removed_through: Some(NodeId(9)),
        addresses: [(SURVIVOR, "a:1".to_owned()), (NodeId(2), "b:1".to_owned())].into(),
        ..voters([1, 2, 3])
    };
    let EntryKind::Membership(alone) = Log::of(before).succession([2, 3]).entry.head.kind else { panic!("it is one") };
    assert_eq!(alone.removed_through, Some(NodeId(9)));
    assert_eq!(alone.addresses, [(SURVIVOR, "a:1".to_owned())].into());
}

#[test]
fn a_learner_may_be_the_survivor() {
    let members = Membership { learners: voters([1]).voters, ..voters([2, 3]) };
    let removed = Log::of(members).succession([2, 3]).removed;
    assert_eq!(removed, nodes([2, 3]));
}

#[test]
fn it_is_refused_as_long_as_those_who_are_left_can_elect_a_leader() {
    let quorum = |left: &[u64]| Err(RecoveryRefusal::QuorumLeft { voters: nodes(left.iter().copied()) });
    assert_eq!(Log::of(voters([1])).remnant().plan(&nodes([])), quorum(&[1]), "healthy and alone");
    assert_eq!(Log::of(voters([1, 2, 3])).remnant().plan(&nodes([])), quorum(&[1, 2, 3]));
    assert_eq!(Log::of(voters([1, 2, 3])).remnant().plan(&nodes([3])), quorum(&[1, 2]));
    assert_eq!(Log::of(voters([1, 2, 3, 4, 5])).remnant().plan(&nodes([3, 4])), quorum(&[1, 2, 5]));
    let joint = Membership { outgoing: voters([1, 2, 3]).voters, ..voters([1, 4, 5]) };
    assert_eq!(Log::of(joint.clone()).remnant().plan(&nodes([3, 5])), quorum(&[1, 2, 4]));
    Log::of(joint).succession([4, 5]);
}

#[test]
fn ids_that_cannot_be_lost_are_refused_by_name() {
    let refused = |members: Membership, lost: &[u64]| Log::of(members).remnant().plan(&nodes(lost.iter().copied()));
    let node = NodeId(1);
    assert_eq!(refused(voters([1, 2, 3]), &[1, 2]), Err(RecoveryRefusal::SurvivorLost { node }));
    let node = NodeId(3);
    let lacking = Membership { removed_through: Some(node), ..voters([1, 2, 4]) };
    assert_eq!(refused(lacking, &[2, 3, 4]), Err(RecoveryRefusal::UnknownLost { node }));
    let (node, known) = (NodeId(u64::MAX), NodeId(3));
    assert_eq!(refused(voters([1, 2, 3]), &[2, 3, u64::MAX]), Err(RecoveryRefusal::ImplausibleLost { node, known }));
}

#[test]
fn a_log_of_somebody_who_is_no_member_is_nobodys_to_go_on_with() {
    let node = SURVIVOR;
    assert_eq!(
        Log::of(voters([2, 3])).remnant().plan(&nodes([2, 3])),
        Err(RecoveryRefusal::NotAMember { node }),
        "a node that joins and was never told of it"
    );
    let mut copied = Log::of(voters([1, 2, 3])).remnant();
    copied.incarnation = Incarnation::from_bytes([9; 16]);
    assert_eq!(copied.plan(&nodes([2, 3])), Err(RecoveryRefusal::OtherIncarnation { node }));
}

#[test]
fn there_is_an_end_to_terms() {
    let mut log = Log::of(voters([1, 2, 3]));
    let term = Term(u64::MAX - 1);
    log.persist(Some(HardState { term, voted_for: None }), Vec::new());
    assert_eq!(log.remnant().plan(&nodes([2, 3])), Err(RecoveryRefusal::NoTermLeft { term }));
}

/// A group of one or two in which a log lost its end can't start (`RestoreError::Irrecoverable`); this is the way out.
#[test]
fn a_lost_tail_counts_as_a_lost_vote_and_is_made_good() {
    for lost in [&[] as &[u64], &[2]] {
        let mut log = Log::of(voters(1..=1 + lost.len() as u64)).holding([blank(4)]);
        log.disk.remember();
        log = log.holding([blank(6)]);
        log.disk.lose_tail();
        log.store = log.disk.open();
        assert!(matches!(log.try_start(), Err(RestoreError::Irrecoverable { .. })));

        let Plan::Append(succession) = log.remnant().plan(&nodes(lost.iter().copied())).unwrap() else {
            panic!("needed")
        };
        assert_eq!(succession.entry.head.position, Position { term: Term(6 + TERMS_AHEAD), index: LogIndex(2) });
        append(&mut log.store, GROUP, *succession).unwrap();
        let mut raft = log.start();
        assert_eq!(raft.lost_tail(), None);
        log.run_until_it_leads(&mut raft);
    }
}

#[test]
fn of_three_one_that_lost_its_tail_is_mended_by_the_others_and_not_forced() {
    let mut remnant = Log::of(voters([1, 2, 3])).holding([blank(4)]).remnant();
    remnant.lost_tail = Some(LostTail { term: Term(4), index: LogIndex(8) });
    let voters = nodes([2, 3]);
    assert_eq!(remnant.plan(&nodes([])), Err(RecoveryRefusal::QuorumLeft { voters }));
    assert!(matches!(remnant.plan(&nodes([2])), Ok(Plan::Append(_))));
}

/// The survivor's log.
struct Log {
    disk: MemoryDisk,
    store: MemoryLog,
    born: Membership,
}

impl Log {
    fn of(born: Membership) -> Self {
        let disk = MemoryDisk::new();
        let mut store = disk.open();
        let LogPoint { position, chain } = LogPoint::genesis(ClusterId::from_bytes([9; 16]), GROUP, &born);
        store.create_group(GROUP, Anchor { position, chain }).unwrap();
        Self { disk, store, born }
    }

    fn holding(mut self, entries: impl IntoIterator<Item = (u64, EntryKind)>) -> Self {
        for (term, kind) in entries {
            let last = self.store.load(GROUP).unwrap().unwrap().last;
            let position = Position { term: Term(term), index: last.position.index.next() };
            let entry = entry(last.chain, position, kind);
            self.persist(Some(HardState { term: Term(term), voted_for: None }), vec![entry]);
        }
        self
    }

    fn persist(&mut self, hard_state: Option<HardState>, entries: Vec<Entry>) {
        let ticket = PersistTicket::new(GROUP, PersistNumber(1));
        self.store.persist(vec![Batch { hard_state, entries, ..Batch::new(ticket) }]).unwrap();
    }

    fn remnant(&self) -> Remnant {
        let state = self.store.load(GROUP).unwrap().unwrap();
        Remnant::new((SURVIVOR, incarnation(1)), &state, LogIndex::ZERO, (LogIndex::ZERO, self.born.clone()))
    }

    fn succession<const N: usize>(&self, lost: [u64; N]) -> Succession {
        match self.remnant().plan(&nodes(lost)) {
            Ok(Plan::Append(succession)) => *succession,
            other => panic!("{other:?}"),
        }
    }

    fn recover<const N: usize>(&mut self, lost: [u64; N]) {
        let succession = self.succession(lost);
        append(&mut self.store, GROUP, succession).unwrap();
    }

    fn start(&self) -> Raft {
        self.try_start().unwrap()
    }

    fn try_start(&self) -> Result<Raft, RestoreError> {
        let log = self.store.load(GROUP).unwrap().unwrap();
        let (membership, membership_index, reader) = (self.born.clone(), LogIndex::ZERO, self.store.reader());
        let (applied, node) = (log.anchor, SURVIVOR);
        let remains = Remains { node, group: GROUP, log, applied, membership, membership_index, reader: &*reader };
        Raft::new(Config::default(), 1, restore(remains).unwrap())
    }

    fn run_until_it_leads(&mut self, raft: &mut Raft) -> Vec<Message> {
        let mut told = Vec::new();
        for _ in 0..1_000 {
            raft.step(Input::Tick);
            told.extend(self.perform(raft));
            if raft.status().role == Role::Leader {
                told.extend(self.perform(raft));
                return told;
            }
        }
        panic!("it doesn't lead: {:?}", raft.status());
    }

    /// Performs what the core wants until that is nothing; gives what it says.
    fn perform(&mut self, raft: &mut Raft) -> Vec<Message> {
        let mut told = Vec::new();
        loop {
            let ready = raft.take_ready();
            told.extend(ready.messages.into_iter().map(|outgoing| outgoing.message));
            let Some(persist) = ready.persist else { return told };
            let entries = persist.heads.into_iter().map(|head| Entry { head, body: Bytes::new() }).collect();
            let batch = Batch { hard_state: persist.hard_state, entries, ..Batch::new(persist.ticket) };
            for receipt in self.store.persist(vec![batch]).unwrap() {
                let sealed = ready.sealed.iter().map(|sealed| sealed.clone().open(&receipt));
                told.extend(sealed.filter_map(Result::ok).map(|(_, message)| message));
                raft.step(Input::Persisted(receipt));
            }
        }
    }
}

fn blank(term: u64) -> (u64, EntryKind) {
    (term, EntryKind::Blank)
}

fn entry(previous: ChainDigest, position: Position, kind: EntryKind) -> Entry {
    Entry { head: EntryHead::chained(previous, position, kind, 0, BodyDigest::of(&[])), body: Bytes::new() }
}

fn voters(ids: impl IntoIterator<Item = u64>) -> Membership {
    Membership::of_voters(ids.into_iter().map(|id| (NodeId(id), incarnation(id))))
}

fn incarnation(id: u64) -> Incarnation {
    Incarnation::from_bytes([id as u8; 16])
}

fn nodes(ids: impl IntoIterator<Item = u64>) -> BTreeSet<NodeId> {
    ids.into_iter().map(NodeId).collect()
}
