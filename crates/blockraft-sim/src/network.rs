//! The network: which way is open, which connection stands, and how long things take.

use crate::chance::Chance;
use crate::weather::Weather;

/// The ways between nodes, by place.
#[derive(Debug)]
pub(crate) struct Network {
    nodes: usize,
    /// Whether nothing passes from one to another, `from * nodes + to`.
    cut: Vec<bool>,
    /// Connections, by the lower and the higher place.
    sessions: Vec<Option<u64>>,
    /// Which connection each node believes to have with another.
    believed: Vec<Option<u64>>,
    /// Until when the bulk lane is busy, each way, in microseconds.
    bulk_busy_until: Vec<u64>,
    /// Bytes that were sent to each node over the bulk lane.
    bulk_bytes: Vec<u64>,
    chance: Chance,
    newest: u64,
    /// How many messages were late.
    stragglers: u64,
}

/// What a message meets on its way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Way {
    /// It comes after so many microseconds.
    Through(u64),
    /// It is lost on the way, and nobody says so.
    Lost,
    /// Nothing passes, likewise.
    Cut,
}

impl Network {
    pub(crate) fn new(nodes: usize, chance: Chance) -> Self {
        Self {
            nodes,
            cut: vec![false; nodes * nodes],
            sessions: vec![None; nodes * nodes],
            believed: vec![None; nodes * nodes],
            bulk_busy_until: vec![0; nodes * nodes],
            bulk_bytes: vec![0; nodes],
            chance,
            newest: 0,
            stragglers: 0,
        }
    }

    const fn way(&self, from: usize, to: usize) -> usize {
        from * self.nodes + to
    }

    const fn pair(&self, a: usize, b: usize) -> usize {
        if a < b { self.way(a, b) } else { self.way(b, a) }
    }

    pub(crate) fn set_cut(&mut self, from: usize, to: usize, cut: bool) {
        let way = self.way(from, to);
        self.cut[way] = cut;
    }

    pub(crate) fn is_cut(&self, from: usize, to: usize) -> bool {
        self.cut[self.way(from, to)]
    }

    /// The number of the connection of two nodes, if they have one. What was sent on one never comes out of another.
    pub(crate) fn session(&self, a: usize, b: usize) -> Option<u64> {
        self.sessions[self.pair(a, b)]
    }

    /// Connects two nodes anew.
    pub(crate) fn connect(&mut self, a: usize, b: usize) {
        self.newest += 1;
        let pair = self.pair(a, b);
        self.sessions[pair] = Some(self.newest);
    }

    pub(crate) fn disconnect(&mut self, a: usize, b: usize) {
        let pair = self.pair(a, b);
        self.sessions[pair] = None;
    }

    /// A node learns of its connection with another as it is now. Gives what it believed before and what it learns.
    pub(crate) fn learn(&mut self, node: usize, other: usize) -> (Option<u64>, Option<u64>) {
        let (way, session) = (self.way(node, other), self.session(node, other));
        (core::mem::replace(&mut self.believed[way], session), session)
    }

    /// A node is gone, with all its connections and all it knew of them.
    pub(crate) fn forget(&mut self, node: usize) {
        for other in (0..self.nodes).filter(|other| *other != node) {
            self.disconnect(node, other);
            let way = self.way(node, other);
            self.believed[way] = None;
        }
    }

    /// What a message on the control lane meets.
    pub(crate) fn control(&mut self, weather: &Weather, from: usize, to: usize) -> Way {
        if self.is_cut(from, to) {
            return Way::Cut;
        }
        if self.chance.permille(weather.loss_permille) {
            return Way::Lost;
        }
        Way::Through(self.delay(weather))
    }

    /// How late the second copy of a message of consensus comes, if there is one.
    pub(crate) fn repeats(&mut self, weather: &Weather) -> Option<u64> {
        self.chance.permille(weather.duplication_permille).then(|| self.delay(weather))
    }

    /// How many messages were late.
    pub(crate) const fn stragglers(&self) -> u64 {
        self.stragglers
    }

    /// What `bytes` on the bulk lane meet, at a moment in microseconds.
    pub(crate) fn bulk(&mut self, weather: &Weather, now: u64, from: usize, to: usize, bytes: u64) -> Way {
        if self.is_cut(from, to) {
            return Way::Cut;
        }
        if self.chance.permille(weather.bulk_loss_permille) {
            return Way::Lost;
        }
        let way = self.way(from, to);
        let free = self.bulk_busy_until[way].max(now) + bytes * weather.bulk_byte;
        self.bulk_busy_until[way] = free;
        self.bulk_bytes[to] += bytes;
        Way::Through(free - now + self.delay(weather))
    }

    /// Bytes that were sent to a node over the bulk lane.
    pub(crate) fn bulk_bytes(&self, to: usize) -> u64 {
        self.bulk_bytes[to]
    }

    /// Whether a bit of a payload flips on its way.
    pub(crate) fn garbles(&mut self, weather: &Weather) -> bool {
        self.chance.permille(weather.garbling_permille)
    }

    fn delay(&mut self, weather: &Weather) -> u64 {
        let mut micros = weather.latency.draw(&mut self.chance);
        if self.chance.permille(weather.straggling_permille) {
            self.stragglers += 1;
            micros += weather.straggling.draw(&mut self.chance);
        }
        micros
    }
}
