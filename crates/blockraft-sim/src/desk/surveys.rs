//! The way of answers that speak of many blocks at once: pages of a listing, counts, and batches.

use blockraft_blocks::Multihash;
use blockraft_catalog::AsOf;
use blockraft_exchange::Input;
use blockraft_node::Consistency;
use blockraft_node::batch_course::{BatchCourse, Step};
use blockraft_types::Position;

use crate::desk::reads::judge_read;
use crate::desk::{At, Batch, Desk, Next, Repair, Wanted, sight};
use crate::happening::{Poke, What};
use crate::history::{Survey, SurveyAnswer};
use crate::law::Law;
use crate::life::{Found, Life};
use crate::marks::Mark;
use crate::oracle::Presence;
use crate::stage::{End, Stage};

impl Desk {
    pub(super) fn survey(&mut self, stage: &mut Stage, life: &mut Life, id: u64, consistency: Consistency) {
        match consistency.must_apply() {
            Some(at_least) => self.come_up(stage, life, id, Next::Survey(at_least)),
            None => self.surveyed(stage, life, id),
        }
    }

    /// What must be applied is applied.
    pub(super) fn surveyed(&mut self, stage: &mut Stage, life: &mut Life, id: u64) {
        let Some(request) = self.requests.get_mut(&id) else { return };
        let floor = request.floor;
        let (position, consistency, survey) = match request.wanted {
            Wanted::List { after, limit, consistency } => match life.rows.list(after, limit) {
                Ok(AsOf { position, value: page }) => {
                    request.page = Some(page.clone());
                    (position, consistency, Survey::Page { after, page })
                }
                Err(error) => {
                    return stage.breach(Law::NoPanic, format!("node {} can't list: {error}", life.place + 1));
                }
            },
            Wanted::Count(consistency) => {
                let state = life.rows.state();
                (state.position, consistency, Survey::Count { blocks: state.blocks, bytes: state.bytes })
            }
            _ => return,
        };
        let verdict = SurveyAnswer { consistency, position, floor, survey }.judge(&stage.oracle);
        stage.judge(verdict);
        self.answered(stage, life, id, (position, consistency));
    }

    pub(super) fn batch(&mut self, stage: &mut Stage, life: &mut Life, id: u64, consistency: Consistency) {
        let (course, step) = BatchCourse::begin(consistency, sight(stage, life));
        self.follow_batch(stage, life, id, Batch { course, read: 0 }, step);
    }

    pub(super) fn follow_batch(&mut self, stage: &mut Stage, life: &mut Life, id: u64, mut batch: Batch, step: Step) {
        let Some(request) = self.requests.get_mut(&id) else { return };
        let Wanted::Batch(names, consistency) = &request.wanted else { return };
        let (count, consistency) = (names.len(), *consistency);
        match step {
            Step::ComeUp { at_least } => self.come_up(stage, life, id, Next::Batch(batch, at_least)),
            Step::Look => match life.rows.visible_many(names) {
                Ok(rows) => {
                    let step = batch.course.looked(rows);
                    self.follow_batch(stage, life, id, batch, step);
                }
                Err(error) => {
                    stage.breach(Law::NoPanic, format!("node {} can't read a row: {error}", life.place + 1));
                }
            },
            Step::Stand if batch.read < count => {
                request.stage = At::ReadingBatch(batch);
                let delay = stage.weather.batch_read.draw(&mut life.chance);
                stage.after(delay, life.place, Some(life.boot), What::Request { id, poke: Poke::Copy });
            }
            Step::Stand => {
                let position = batch.course.position();
                let told: Vec<(Multihash, Presence)> = names.iter().copied().zip(presences(&batch.course)).collect();
                let floor = request.floor;
                for (name, presence) in told {
                    judge_read(stage, life, (name, consistency), (position, presence), floor);
                }
                self.answered(stage, life, id, (position, consistency));
            }
        }
    }

    /// This node's copy of the next block is read.
    pub(super) fn read_of_batch(&mut self, stage: &mut Stage, life: &mut Life, id: u64) {
        let Some(request) = self.requests.get_mut(&id) else { return };
        let (At::ReadingBatch(batch), Wanted::Batch(names, _)) = (&request.stage, &request.wanted) else { return };
        let mut batch = batch.clone();
        let (name, row) = (names[batch.read], batch.course.rows()[batch.read]);
        if let Some(row) = row {
            match life.copy(stage, &name) {
                Found::Whole(block) => {
                    if Multihash::of(name.hash_code(), block.bytes()) != name {
                        let what = format!("node {} served other bytes than {name} names", life.place + 1);
                        stage.breach(Law::RightBytes, what);
                    }
                }
                Found::Absent | Found::Damaged => match life.rows.visible(&name) {
                    Ok(AsOf { value: None, .. }) => {
                        stage.meet(Mark::BatchLacked);
                        batch.course.lack();
                    }
                    _ => {
                        request.stage = At::MendingBatch(batch);
                        return life.gate(stage, Input::Repair { name, length: row.length });
                    }
                },
            }
        }
        batch.read += 1;
        let step = if batch.read < names.len() { Step::Stand } else { batch.course.finish(sight(stage, life)) };
        if step != Step::Stand && names.len() <= batch.read {
            stage.meet(Mark::BatchLookedAgain);
        }
        self.follow_batch(stage, life, id, batch, step);
    }

    /// A copy was mended, or can't be.
    pub(super) fn mended(&mut self, stage: &mut Stage, life: &mut Life, name: Multihash, repair: Repair) {
        let waits = |wanted: &Wanted, at: &At| matches!((wanted, at), (Wanted::Batch(names, _), At::MendingBatch(batch)) if names.get(batch.read) == Some(&name));
        let requests = self.requests.iter().filter(|(_, request)| waits(&request.wanted, &request.stage));
        let ids: Vec<u64> = requests.map(|(id, _)| *id).collect();
        for id in ids {
            let Some(request) = self.requests.get(&id) else { continue };
            let At::MendingBatch(batch) = &request.stage else { continue };
            let batch = batch.clone();
            match repair {
                Repair::Done => self.follow_batch(stage, life, id, batch, Step::Stand),
                Repair::Failed => self.undone(stage, life, id),
            }
        }
    }

    fn answered(&mut self, stage: &mut Stage, life: &mut Life, id: u64, answer: (Position, Consistency)) {
        let (position, consistency) = answer;
        life.freshness.returned(position);
        // A local answer may be as old as it likes: later ones needn't be newer.
        let counts = consistency != Consistency::Local;
        self.end(stage, life, id, End::Answered(Some(position).filter(|_| counts)));
    }
}

fn presences(course: &BatchCourse) -> impl Iterator<Item = Presence> {
    course.rows().iter().map(|row| if row.is_some() { Presence::Present } else { Presence::Absent })
}
