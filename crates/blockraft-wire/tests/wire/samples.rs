//! Messages of every kind: fixed ones for the golden files, random ones for the properties.

use std::net::SocketAddr;

use blockraft_blocks::{Block, HashCode, Multihash};
use blockraft_types::message::{
    AppendEntries, AppendEntriesReply, AppendVerdict, Ballot, CampaignId, CampaignReason, ConflictHint, Heartbeat,
    HeartbeatReply, InstallSnapshot, InstallSnapshotReply, ReadRound, RequestVote, RequestVoteReply, StreamEpoch,
    TimeoutNow, VoteVerdict,
};
use blockraft_types::{
    BodyDigest, BootNonce, ChainDigest, ChangeRefusal, ClusterId, EntryHead, EntryKind, GroupId, Incarnation, LogIndex,
    LostTail, Membership, MembershipChange, Message, NodeId, Position, RemoteTicket, Role, Sequence, SessionId, Term,
    Turn,
};
use blockraft_wire::client::{
    Answer, ChangeMembersOutcome, Connection, Consistency, Cursor, DeleteOutcome, Found, GiveUpReason, GroupStatus,
    LeaderHint, ListedBlock, MemberKind, MemberStatus, NodeStatus, Operation, Presence, PutOutcome, Refusal, Request,
    Reserve, Response, RetryElsewhereReason, RetryLaterReason, UnverifiedBlock,
};
use blockraft_wire::node::{
    ChangeMembers, ChangeMembersReply, ChangeMembersResult, Forward, ForwardReply, ForwardResult, NodeMessage,
    NotProposed, ReadIndex, ReadIndexReply, ReadIndexResult, Recall, RecallReply,
};
use blockraft_wire::raft::RaftMessage;
use blockraft_wire::{DecodeError, EncodeError, Kind, node, raft};
use bytes::Bytes;

/// A frame's content, whatever its kind.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Sample {
    Raft(Vec<RaftMessage>),
    Node(NodeMessage),
    Request(Request),
    Response(Response),
}

impl Sample {
    pub(crate) fn kind(&self) -> Kind {
        match self {
            Self::Raft(_) => Kind::Raft,
            Self::Node(_) => Kind::Node,
            Self::Request(_) => Kind::ClientRequest,
            Self::Response(_) => Kind::ClientResponse,
        }
    }

    pub(crate) fn encode(&self) -> Result<Bytes, EncodeError> {
        match self {
            Self::Raft(messages) => raft::encode(messages),
            Self::Node(message) => node::encode(message),
            Self::Request(request) => request.encode().map(blockraft_wire::Frame::into_contiguous),
            Self::Response(response) => response.encode().map(blockraft_wire::Frame::into_contiguous),
        }
    }

    /// Reads a frame of `kind`, which is not [`Kind::Exchange`].
    pub(crate) fn decode(kind: Kind, frame: Bytes) -> Result<Self, DecodeError> {
        match kind {
            Kind::Raft => raft::decode(frame).map(Self::Raft),
            Kind::Node => node::decode(frame).map(Self::Node),
            Kind::ClientRequest => Request::decode(frame).map(Self::Request),
            Kind::ClientResponse | Kind::Exchange => Response::decode(frame).map(Self::Response),
        }
    }
}

/// One of each message and variant, by the name of its golden file.
pub(crate) fn fixed() -> Vec<(String, Sample)> {
    let mut samples = Vec::new();
    let mut raft = |name: &str, message: Message, bodies: Vec<Bytes>| {
        samples.push((format!("raft-{name}"), Sample::Raft(vec![RaftMessage { group: GroupId(3), message, bodies }])));
    };
    let position = position(7, 300);
    raft(
        "request-vote",
        Message::RequestVote(RequestVote {
            term: Term(8),
            ballot: Ballot::PreVote,
            campaign: CampaignId(2),
            reason: CampaignReason::Transfer,
            last: position,
        }),
        vec![],
    );
    raft(
        "request-vote-reply",
        Message::RequestVoteReply(RequestVoteReply {
            term: Term(8),
            ballot: Ballot::Vote,
            campaign: CampaignId(2),
            verdict: VoteVerdict::Refused,
        }),
        vec![],
    );
    let (append, bodies) = append_entries(vec![
        (EntryKind::Blank, Bytes::new()),
        (EntryKind::Command, Bytes::from_static(b"a command")),
        (EntryKind::Membership(Box::new(membership())), Bytes::new()),
        (EntryKind::Command, Bytes::from_static(b"another one")),
    ]);
    raft("append-entries", append, bodies);
    let (probe, bodies) = append_entries(vec![]);
    raft("append-entries-probe", probe, bodies);
    let reply =
        |verdict| Message::AppendEntriesReply(AppendEntriesReply { term: Term(8), stream: StreamEpoch(4), verdict });
    raft("append-entries-reply-matched", reply(AppendVerdict::Matched { match_index: LogIndex(304) }), vec![]);
    let hint = ConflictHint { term: Some(Term(5)), first_index: LogIndex(250), last: position };
    raft("append-entries-reply-conflict", reply(AppendVerdict::Conflict { prev_index: LogIndex(300), hint }), vec![]);
    raft(
        "heartbeat",
        Message::Heartbeat(Heartbeat {
            term: Term(8),
            round: ReadRound(17),
            commit: LogIndex(299),
            held_by_all: LogIndex(250),
        }),
        vec![],
    );
    raft(
        "heartbeat-reply",
        Message::HeartbeatReply(HeartbeatReply {
            term: Term(8),
            round: ReadRound(17),
            waiting_for: Some(LogIndex(301)),
            last_durable: LogIndex(300),
        }),
        vec![],
    );
    raft("timeout-now", Message::TimeoutNow(TimeoutNow { term: Term(8), last: position }), vec![]);
    let (term, stream) = (Term(8), StreamEpoch(4));
    let offer = InstallSnapshot { term, stream, least: position, least_chain: ChainDigest::from_bytes([6; 16]) };
    raft("install-snapshot", Message::InstallSnapshot(offer), vec![]);
    let reply = InstallSnapshotReply { term, stream, last: position };
    raft("install-snapshot-reply", Message::InstallSnapshotReply(reply), vec![]);

    let mut node = |name: &str, message| samples.push((format!("node-{name}"), Sample::Node(message)));
    let (group, ticket) = (GroupId(3), ticket());
    let commands = Bytes::from_static(b"commands");
    node("forward", NodeMessage::Forward(Forward { group, ticket, term: Term(8), commands }));
    let forward_reply = |result| NodeMessage::ForwardReply(ForwardReply { group, ticket, result });
    let outcomes = Bytes::from_static(b"outcomes");
    node("forward-reply-committed", forward_reply(ForwardResult::Committed { position, outcomes }));
    let refused = |reason, leader| forward_reply(ForwardResult::NotProposed { reason, leader });
    node("forward-reply-not-leader", refused(NotProposed::NotLeader, Some(NodeId(2))));
    node("forward-reply-other-term", refused(NotProposed::OtherTerm { term: Term(9) }, None));
    node("forward-reply-transferring", refused(NotProposed::Transferring, None));
    node("forward-reply-overloaded", refused(NotProposed::Overloaded, None));
    node("forward-reply-disk-full", refused(NotProposed::DiskFull, None));
    node("forward-reply-stopping", refused(NotProposed::Stopping, None));
    node("forward-reply-invalid", refused(NotProposed::Invalid, None));
    node("forward-reply-unknown", forward_reply(ForwardResult::Unknown));
    node("read-index", NodeMessage::ReadIndex(ReadIndex { group, ticket }));
    let read_reply = |result| NodeMessage::ReadIndexReply(ReadIndexReply { group, ticket, result });
    node("read-index-reply-index", read_reply(ReadIndexResult::Index { position }));
    node("read-index-reply-no-quorum", read_reply(ReadIndexResult::NoQuorum));
    node("read-index-reply-not-leader", read_reply(ReadIndexResult::NotLeader { leader: Some(NodeId(1)) }));
    node("read-index-reply-overloaded", read_reply(ReadIndexResult::Overloaded));

    let incarnation = Incarnation::from_bytes([4; 16]);
    let mut change =
        |name: &str, change| node(name, NodeMessage::ChangeMembers(ChangeMembers { group, ticket, change }));
    let add = |address| MembershipChange::AddLearner { node: NodeId(4), incarnation, address };
    change("change-members-add", add(Some("10.0.0.4:4001".to_owned())));
    change("change-members-add-nowhere", add(None));
    let (promote, remove) = ([NodeId(4)].into(), [NodeId(1), NodeId(2)].into());
    change("change-members-reconfigure", MembershipChange::Reconfigure { promote, remove });
    change("change-members-revert", MembershipChange::Revert);
    let mut reply = |name: &str, result| {
        let reply = NodeMessage::ChangeMembersReply(ChangeMembersReply { group, ticket, result });
        node(&format!("change-members-reply-{name}"), reply);
    };
    reply("already-so", ChangeMembersResult::AlreadySo);
    reply("begun", ChangeMembersResult::Begun { position });
    reply("unknown", ChangeMembersResult::Unknown);
    let id = NodeId(4);
    for (name, refusal) in [
        ("not-leader", ChangeRefusal::NotLeader { leader: Some(id) }),
        ("transferring", ChangeRefusal::Transferring { to: id }),
        ("term-not-settled", ChangeRefusal::TermNotSettled),
        ("in-progress", ChangeRefusal::InProgress { index: LogIndex(301) }),
        ("other-incarnation", ChangeRefusal::OtherIncarnation { node: id }),
        ("id-used", ChangeRefusal::IdUsed { node: id, next: NodeId(9) }),
        ("address-too-long", ChangeRefusal::AddressTooLong { node: id }),
        ("not-a-member", ChangeRefusal::NotAMember { node: id }),
        ("contradiction", ChangeRefusal::Contradiction { node: id }),
        ("not-caught-up", ChangeRefusal::NotCaughtUp { node: id, match_index: LogIndex(7), needed: LogIndex(300) }),
        ("no-voters", ChangeRefusal::NoVoters),
        ("too-many", ChangeRefusal::TooManyMembers),
        ("quorum-silent", ChangeRefusal::QuorumSilent),
        ("nothing-to-revert", ChangeRefusal::NothingToRevert),
    ] {
        reply(name, ChangeMembersResult::Refused(refusal));
    }
    node("recall", NodeMessage::Recall(Recall { group, ticket }));
    let Position { term, index } = position;
    let recalled = RecallReply { group, ticket, term, voted_for: Some(NodeId(3)), index };
    node("recall-reply", NodeMessage::RecallReply(recalled));

    let mut request = |name: &str, operation| {
        samples.push((format!("request-{name}"), Sample::Request(Request { position, operation })));
    };
    let multihashes: Vec<Multihash> = HASHES.into_iter().map(|hash| Multihash::of(hash, b"a block")).collect();
    let blocks = ["one", "", "three"].map(|text| UnverifiedBlock::from(Block::hash(HashCode::Sha2_256, text)));
    request("put", Operation::Put { blocks: blocks.to_vec() });
    for (name, consistency) in CONSISTENCIES {
        request(&format!("get-{name}"), Operation::Get { multihashes: multihashes.clone(), consistency });
    }
    let consistency = Consistency::Confirmed;
    request("stat", Operation::Stat { multihashes: multihashes.clone(), consistency });
    request("delete", Operation::Delete { multihashes: multihashes.clone() });
    let multihash = Multihash::of(HashCode::Blake3, b"a block");
    let cursor = Some(Cursor { after: multihash, position });
    request("list", Operation::List { cursor, limit: 1000, consistency });
    request("status", Operation::Status);
    request("change-members", Operation::ChangeMembers(add(Some("10.0.0.4:4001".to_owned()))));
    let session = SessionId { opened: LogIndex(300), number: 2 };
    let turn = Turn { session, sequence: Sequence(301), first_unanswered: Sequence(299) };
    request("open-session", Operation::OpenSession);
    request("put-in-session", Operation::PutInSession { turn, blocks: blocks.to_vec() });
    request("delete-in-session", Operation::DeleteInSession { turn, multihashes: multihashes.clone() });

    let mut answer = |name: &str, answer| {
        samples.push((format!("response-{name}"), Sample::Response(Response::Answered { position, answer })));
    };
    answer("put", Answer::Put { outcomes: vec![PutOutcome::Created, PutOutcome::AlreadyPresent] });
    let present = Found::Present(Bytes::from_static(b"a block"));
    answer(
        "get",
        Answer::Get { blocks: vec![present.clone(), Found::Absent, Found::Unreadable, present, Found::LeftOut] },
    );
    answer("stat", Answer::Stat { presences: vec![Presence::Present { length: 7 }, Presence::Absent] });
    answer("delete", Answer::Delete { outcomes: vec![DeleteOutcome::Deleted, DeleteOutcome::Absent] });
    answer("list", Answer::List { blocks: vec![ListedBlock { multihash, length: 7 }], next: cursor });
    answer("status", Answer::Status(status()));
    answer("session-opened", Answer::SessionOpened { session });
    let refusal = ChangeRefusal::NotCaughtUp { node: id, match_index: LogIndex(7), needed: LogIndex(300) };
    for (name, outcome) in [
        ("already-so", ChangeMembersOutcome::AlreadySo),
        ("changed", ChangeMembersOutcome::Changed),
        ("not-yet", ChangeMembersOutcome::NotYet { refusal: Some(refusal) }),
        ("refused", ChangeMembersOutcome::Refused { refusal: ChangeRefusal::NoVoters }),
    ] {
        answer(&format!("change-members-{name}"), Answer::ChangeMembers { outcome });
    }

    let mut refuse =
        |name: &str, refusal| samples.push((format!("refusal-{name}"), Sample::Response(Response::Refused(refusal))));
    let leader = Some(LeaderHint { node: NodeId(2), address: Some(address()) });
    for (name, reason) in ELSEWHERE {
        refuse(&format!("elsewhere-{name}"), Refusal::RetryElsewhere { reason, leader });
    }
    for (name, reason) in LATER {
        refuse(&format!("later-{name}"), Refusal::RetryLater { reason });
    }
    refuse("outcome-unknown", Refusal::OutcomeUnknown);
    for (name, reason) in GIVE_UP {
        refuse(&format!("give-up-{name}"), Refusal::GiveUp { reason });
    }
    samples
}

/// A random message; every value of `seed` gives another one.
pub(crate) fn random(seed: u64) -> Sample {
    let mut dice = Dice(seed);
    match dice.below(4) {
        0 => {
            let messages = (0..dice.below(4)).map(|_| random_raft(&mut dice)).collect();
            Sample::Raft(messages)
        }
        1 => Sample::Node(random_node(&mut dice)),
        2 => Sample::Request(random_request(&mut dice)),
        _ => Sample::Response(random_response(&mut dice)),
    }
}

/// A small generator of numbers.
pub(crate) struct Dice(pub(crate) u64);

impl Dice {
    pub(crate) fn any(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    pub(crate) fn below(&mut self, bound: u64) -> u64 {
        self.any() % bound
    }

    /// Of any magnitude.
    fn number(&mut self) -> u64 {
        let shift = self.below(64);
        self.any() >> shift
    }

    fn bytes(&mut self, length_bound: u64) -> Bytes {
        (0..self.below(length_bound)).map(|_| self.any() as u8).collect()
    }

    fn maybe<T>(&mut self, value: impl FnOnce(&mut Self) -> T) -> Option<T> {
        (self.below(2) == 0).then(|| value(self))
    }

    fn position(&mut self) -> Position {
        position(self.number(), self.number())
    }

    fn multihash(&mut self) -> Multihash {
        let hash = self.one_of(&HASHES);
        Multihash::of(hash, &self.any().to_le_bytes())
    }

    fn one_of<T: Copy>(&mut self, choices: &[T]) -> T {
        choices[self.below(choices.len() as u64) as usize]
    }
}

fn random_raft(dice: &mut Dice) -> RaftMessage {
    let (_, sample) = dice_pick(dice, "raft-");
    let Sample::Raft(messages) = sample else { unreachable!("chosen by its name") };
    let mut message = messages.into_iter().next().expect("each sample is one message");
    message.group = GroupId(dice.number() as u32);
    if let Message::AppendEntries(_) = message.message {
        let entries = (0..dice.below(5)).map(|_| match dice.below(3) {
            0 => (EntryKind::Blank, Bytes::new()),
            1 => (EntryKind::Membership(Box::new(membership())), Bytes::new()),
            _ => (EntryKind::Command, dice.bytes(200)),
        });
        (message.message, message.bodies) = append_entries(entries.collect());
    }
    message
}

fn random_node(dice: &mut Dice) -> NodeMessage {
    let (_, sample) = dice_pick(dice, "node-");
    let Sample::Node(mut message) = sample else { unreachable!("chosen by its name") };
    match &mut message {
        NodeMessage::Forward(forward) => {
            forward.term = Term(dice.number());
            forward.commands = dice.bytes(200);
        }
        NodeMessage::ForwardReply(reply) => {
            reply.ticket.counter = dice.number();
            if let ForwardResult::Committed { position, outcomes } = &mut reply.result {
                (*position, *outcomes) = (dice.position(), dice.bytes(200));
            }
        }
        NodeMessage::ReadIndex(question) => question.group = GroupId(dice.number() as u32),
        NodeMessage::ReadIndexReply(reply) => reply.ticket.boot = BootNonce(dice.number()),
        NodeMessage::ChangeMembers(question) => question.ticket.counter = dice.number(),
        NodeMessage::ChangeMembersReply(reply) => reply.ticket.counter = dice.number(),
        NodeMessage::Recall(question) => question.ticket.counter = dice.number(),
        NodeMessage::RecallReply(reply) => reply.index = LogIndex(dice.number()),
    }
    message
}

fn random_request(dice: &mut Dice) -> Request {
    let consistency = dice.one_of(&CONSISTENCIES).1;
    let count = dice.below(20);
    let multihashes = (0..count).map(|_| dice.multihash()).collect();
    let session = SessionId { opened: LogIndex(dice.number()), number: dice.number() as u32 };
    let turn = Turn { session, sequence: Sequence(dice.number()), first_unanswered: Sequence(dice.number()) };
    let operation = match dice.below(7) {
        0 | 5 => {
            let block = |_| UnverifiedBlock { multihash: dice.multihash(), bytes: dice.bytes(300) };
            let blocks = (0..count).map(block).collect();
            if dice.below(2) == 0 { Operation::Put { blocks } } else { Operation::PutInSession { turn, blocks } }
        }
        6 => Operation::DeleteInSession { turn, multihashes },
        1 => Operation::Get { multihashes, consistency },
        2 => Operation::Stat { multihashes, consistency },
        3 => Operation::Delete { multihashes },
        _ => {
            let cursor = dice.maybe(|dice| Cursor { after: dice.multihash(), position: dice.position() });
            Operation::List { cursor, limit: dice.number() as u32, consistency }
        }
    };
    Request { position: dice.position(), operation }
}

fn random_response(dice: &mut Dice) -> Response {
    let count = dice.below(20);
    let answer = match dice.below(4) {
        0 => {
            let found = |_| match dice.below(4) {
                0 => Found::Absent,
                1 => Found::Unreadable,
                2 => Found::LeftOut,
                _ => Found::Present(dice.bytes(300)),
            };
            Answer::Get { blocks: (0..count).map(found).collect() }
        }
        1 => {
            let presence = |_| {
                dice.maybe(Dice::number).map_or(Presence::Absent, |length| Presence::Present { length: length as u32 })
            };
            Answer::Stat { presences: (0..count).map(presence).collect() }
        }
        2 => {
            let listed = |_| ListedBlock { multihash: dice.multihash(), length: dice.number() as u32 };
            Answer::List { blocks: (0..count).map(listed).collect(), next: None }
        }
        _ => {
            let (_, Sample::Response(response)) = dice_pick(dice, "re") else {
                return Response::Refused(Refusal::OutcomeUnknown);
            };
            return response;
        }
    };
    Response::Answered { position: dice.position(), answer }
}

fn dice_pick(dice: &mut Dice, prefix: &str) -> (String, Sample) {
    let samples: Vec<_> = fixed().into_iter().filter(|(name, _)| name.starts_with(prefix)).collect();
    let choice = dice.below(samples.len() as u64) as usize;
    samples.into_iter().nth(choice).expect("chosen below the length")
}

fn append_entries(entries: Vec<(EntryKind, Bytes)>) -> (Message, Vec<Bytes>) {
    let prev_chain = ChainDigest::from_bytes([0x11; 16]);
    let (mut chain, mut heads, mut bodies) = (prev_chain, Vec::new(), Vec::new());
    for (number, (kind, body)) in entries.into_iter().enumerate() {
        let place = position(8, 301 + number as u64);
        let head = EntryHead::chained(chain, place, kind, body.len() as u32, BodyDigest::of(&body));
        chain = head.chain;
        heads.push(head);
        bodies.push(body);
    }
    let message = AppendEntries {
        term: Term(8),
        stream: StreamEpoch(4),
        prev: position(7, 300),
        prev_chain,
        heads,
        leader_commit: LogIndex(299),
    };
    (Message::AppendEntries(message), bodies)
}

fn membership() -> Membership {
    let member = |id: u64| (NodeId(id), Incarnation::from_bytes([id as u8; 16]));
    let mut membership = Membership::of_voters((1..=3).map(member));
    membership.outgoing.extend([member(1), member(2)]);
    membership.learners.extend([member(400)]);
    membership.removed_through = Some(NodeId(399));
    membership.addresses.extend([(NodeId(400), "10.0.0.4:4001".to_owned())]);
    membership
}

fn status() -> NodeStatus {
    let member = |node, connection| MemberStatus {
        node: NodeId(node),
        kind: if node < 3 { MemberKind::Voter } else { MemberKind::Learner },
        connection,
        address: Some(address()),
        match_index: Some(LogIndex(300)),
        payload_lag_bytes: (node != 2).then_some(node << 30),
    };
    NodeStatus {
        cluster: ClusterId::from_bytes([0xc1; 16]),
        node: NodeId(1),
        incarnation: Incarnation::from_bytes([1; 16]),
        release: "blockraft 0.1.0".to_owned(),
        uptime_ms: 86_400_000,
        groups: vec![GroupStatus {
            group: GroupId(3),
            role: Role::Leader,
            term: Term(8),
            leader: Some(NodeId(1)),
            log_first: LogIndex(250),
            log_last: position(8, 304),
            lost_tail: Some(LostTail { term: Term(7), index: LogIndex(306) }),
            commit_index: LogIndex(303),
            last_applied: position(8, 302),
            blocks: 12,
            block_bytes: 3_145_728,
            reserve: Some(Reserve::Short { far: vec![NodeId(2)] }),
            members: vec![member(1, Connection::Itself), member(2, Connection::Up), member(3, Connection::Down)],
        }],
    }
}

fn ticket() -> RemoteTicket {
    RemoteTicket { incarnation: Incarnation::from_bytes([5; 16]), boot: BootNonce(0x0123_4567_89ab_cdef), counter: 42 }
}

fn address() -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], 4001))
}

const fn position(term: u64, index: u64) -> Position {
    Position { term: Term(term), index: LogIndex(index) }
}

const HASHES: [HashCode; 5] =
    [HashCode::Sha2_256, HashCode::Sha2_512, HashCode::Blake3, HashCode::Blake2b256, HashCode::Sha3_256];

const CONSISTENCIES: [(&str, Consistency); 3] =
    [("local", Consistency::Local), ("confirmed", Consistency::Confirmed), ("linearizable", Consistency::Linearizable)];

const ELSEWHERE: [(&str, RetryElsewhereReason); 5] = [
    ("no-leader", RetryElsewhereReason::NoLeader),
    ("no-quorum", RetryElsewhereReason::NoQuorum),
    ("behind", RetryElsewhereReason::Behind),
    ("stopping", RetryElsewhereReason::Stopping),
    ("unreadable", RetryElsewhereReason::Unreadable),
];

const LATER: [(&str, RetryLaterReason); 4] = [
    ("overloaded", RetryLaterReason::Overloaded),
    ("no-leader", RetryLaterReason::NoLeader),
    ("disk-full", RetryLaterReason::DiskFull),
    ("not-enough-copies", RetryLaterReason::NotEnoughCopies),
];

const GIVE_UP: [(&str, GiveUpReason); 6] = [
    ("hash-mismatch", GiveUpReason::HashMismatch { number: 2 }),
    ("block-too-long", GiveUpReason::BlockTooLong { number: 2, bytes: 5 << 20, bytes_max: 2 << 20 }),
    ("malformed", GiveUpReason::Malformed),
    ("version", GiveUpReason::Version { supported: 1 }),
    ("forbidden", GiveUpReason::Forbidden),
    ("session-expired", GiveUpReason::SessionExpired),
];
