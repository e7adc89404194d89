//! What takes from a node's disks what it has promised: they are gone, go back in time, or lose the end of the log.

use blockraft_catalog::MemoryTable;
use blockraft_log::MemoryDisk;
use blockraft_node::witness::Past;

use crate::block_disk::BlockDisk;
use crate::happening::What;
use crate::marks::Mark;
use crate::member::{BackUp, Disks, Member};
use crate::place::node_at;
use crate::shadow::is_quorum;
use crate::stage::Stage;
use crate::testimony::{Relapse, Trial};

impl Member {
    /// Its disks are gone, with all that it promised.
    pub(crate) fn wipe(&mut self, stage: &mut Stage) {
        self.cut_power(stage);
        self.disks = Disks::Wiped;
        self.blocks = BlockDisk::default();
        self.log = MemoryDisk::new();
        self.table = MemoryTable::new();
        self.back_up = None;
        stage.testimony.forget(self.place);
        stage.shadows.forget_remembered(self.place);
        if stage.testimony.is_on_trial(self.place) {
            stage.testimony.close();
        }
    }

    /// A copy of its disks is made, unless a node with such disks would go on alone: nobody could tell it anything.
    pub(crate) fn back_up(&mut self, stage: &Stage) {
        let (own, members) = stage.shadows.on_disk(self.place);
        // Who has lost the end of its log knows that it lacks something.
        let is_whole = !stage.shadows.is_recovering(self.place);
        if !is_whole || is_quorum(members, |node| node == node_at(self.place)) {
            return;
        }
        let (blocks, log, table) = (self.blocks.copy(), self.log.copy(), self.table.copy());
        self.back_up = Some(BackUp { own, blocks, log, table });
    }

    /// How far the disks had come of which there is a copy.
    pub(crate) fn backed_up(&self) -> Option<Past> {
        self.back_up.as_ref().map(|back_up| back_up.own)
    }

    /// Its disks hold what the copy holds, or nothing, when it starts again.
    pub(crate) fn relapse(&mut self, stage: &mut Stage, disks: Relapse) {
        self.cut_power(stage);
        let back_up = self.back_up.take().filter(|_| disks == Relapse::RolledBack);
        let BackUp { own, blocks, log, table } = back_up.unwrap_or_default();
        (self.blocks, self.log, self.table) = (blocks, log, table);
        stage.testimony.forget(self.place);
        stage.shadows.forget_remembered(self.place);
        // Who can tell it something is there when it starts, or comes later.
        let patience = stage.weather.downtime.max + 2 * stage.weather.election_max();
        let alone = if self.chance.permille(400) { self.chance.between(0, patience) } else { 0 };
        stage.testimony.accuse(Trial { place: self.place, own, disks, alone_until: stage.now + alone });
        for other in (0..stage.weather.places()).filter(|other| *other != self.place) {
            stage.after(alone, self.place, None, What::Session { other });
        }
    }

    /// Its log may go back to what it is now.
    pub(crate) fn remember(&self, stage: &mut Stage) {
        self.log.remember();
        stage.shadows.remember(self.place);
    }

    /// Its power goes, and its log's disk goes back to what was remembered, although all that came later was synced.
    pub(crate) fn lose_tail(&mut self, stage: &mut Stage) {
        self.cut_power(stage);
        self.log.lose_tail();
        if stage.shadows.lose_tail(self.place) {
            let now = stage.now;
            stage.trace.say(now, format_args!("node {} loses the end of its log", self.place + 1));
            stage.meet(Mark::LostTail);
        }
    }
}
