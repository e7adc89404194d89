//! Where the thread `apply` stands, and the task that tells the data plane what was applied.

use blockraft_catalog::Settled;
use blockraft_driver::proposal::{NotProposed, ProposeError};
use blockraft_driver::state_machine::StateMachine;
use blockraft_driver::{ApplyRange, Event};
use blockraft_types::{Entry, EntryKind, Position};

use crate::happening::What;
use crate::law::Law;
use crate::life::{Clockwork, Death, GROUP, Job, Life, Said};
use crate::marks::Mark;
use crate::oracle::News;
use crate::stage::Stage;

impl Life {
    pub(super) fn add_job(&mut self, stage: &mut Stage, job: Job) {
        self.jobs.push_back(job);
        self.schedule_apply(stage, 0);
    }

    pub(super) fn schedule_apply(&mut self, stage: &mut Stage, least: u64) {
        if self.apply == Clockwork::Idle {
            self.apply = Clockwork::Due;
            let delay = stage.weather.apply.draw(&mut self.chance).max(least);
            stage.after(delay, self.place, Some(self.boot), What::Apply);
        }
    }

    pub(crate) fn apply(&mut self, stage: &mut Stage) -> Result<(), Death> {
        self.apply = Clockwork::Idle;
        while let Some(job) = self.jobs.pop_front() {
            match job {
                Job::Apply(range) => {
                    if let Some(rest) = self.apply_range(stage, range)? {
                        stage.meet(Mark::InlineWaited);
                        self.jobs.push_front(Job::Apply(rest));
                        self.schedule_apply(stage, ROOM_MICROS);
                        return Ok(());
                    }
                }
                Job::Install(anchor) => match self.machine.install(anchor) {
                    Ok(()) => {
                        stage.meet(Mark::Installed);
                        let verdict = stage.oracle.judge_installed(self.place, anchor.position, anchor.chain);
                        stage.judge(verdict);
                        stage.shadows.installed(self.place, anchor.position.index);
                        (self.applied, self.installed) = (anchor.position.index, anchor.position.index);
                        for (waiter, error) in self.proposals.skip(anchor.position.index) {
                            self.said.push_back(Said::Proposed((waiter, Err(error))));
                        }
                        self.event(stage, Event::Installed { anchor });
                        self.said.push_back(Said::Applied);
                    }
                    Err(error) => {
                        stage.breach(Law::NoPanic, format!("node {}: {error}", self.place + 1));
                        return Err(Death::Broken);
                    }
                },
                Job::Flush => match self.machine.flush() {
                    Ok(anchor) => self.event(stage, Event::Flushed { index: anchor.position.index }),
                    Err(error) => {
                        stage.breach(Law::NoPanic, format!("node {}: {error}", self.place + 1));
                        return Err(Death::Broken);
                    }
                },
            }
        }
        Ok(())
    }

    /// Applies what there is room for, and gives back the rest.
    pub(super) fn apply_range(&mut self, stage: &mut Stage, range: ApplyRange) -> Result<Option<ApplyRange>, Death> {
        if !self.inline.has_room() {
            return Ok(Some(range));
        }
        let ApplyRange { first, last, entries } = range;
        if let Some(entries) = entries {
            self.apply_entries(stage, &entries)?;
            return Ok(None);
        }
        let mut next = first;
        while next <= last.index {
            if !self.inline.has_room() {
                return Ok(Some(ApplyRange { first: next, last, entries: None }));
            }
            let read = self.reader.entries(GROUP, next, last.index, READ_BYTES).unwrap_or_default();
            let Some(end) = read.last().map(|entry| entry.head.position.index) else {
                let what = format!("node {} can't read {next}, which is committed", self.place + 1);
                stage.breach(Law::StateMachineSafety, what);
                return Err(Death::Broken);
            };
            self.apply_entries(stage, &read)?;
            next = end.next();
        }
        Ok(None)
    }

    pub(super) fn apply_entries(&mut self, stage: &mut Stage, entries: &[Entry]) -> Result<(), Death> {
        let Some(last) = entries.last().map(|entry| entry.head.position.index) else { return Ok(()) };
        let outputs = match self.machine.apply(entries) {
            Ok(outputs) => outputs,
            Err(error) => {
                let cause = error.source.to_string();
                stage.breach(Law::StateMachineSafety, format!("node {}: {error}: {cause}", self.place + 1));
                return Err(Death::Broken);
            }
        };
        for (entry, outcomes) in entries.iter().zip(&outputs) {
            let Position { term, index } = entry.head.position;
            stage.trace.take(&[42, self.place as u64, index.0, term.0]);
            if outcomes.iter().any(|settled| settled.position.index <= self.installed) {
                stage.meet(Mark::SessionCarried);
            }
            let brings = matches!(entry.head.kind, EntryKind::Membership(_));
            let before = brings.then(|| stage.oracle.membership().clone());
            match stage.oracle.applied(self.place, self.role.term, entry, outcomes) {
                Ok(News::First) => {
                    if let Some(before) = before {
                        stage.changed(&before);
                    }
                    stage.committed(self.place, self.role.term, entry.head.position, entry.head.chain);
                }
                Ok(News::Known) => {}
                Err((law, what)) => stage.breach(law, what),
            }
        }
        self.applied = last;
        let positions = entries.iter().map(|entry| entry.head.position);
        let applied: Vec<(Position, Vec<Settled>)> = positions.zip(outputs).collect();
        for settled in self.proposals.resolve(applied, self.role.leader) {
            if let Err(ProposeError::NotProposed { reason: NotProposed::Overwritten, .. }) = &settled.1 {
                stage.meet(Mark::Overwritten);
            }
            self.said.push_back(Said::Proposed(settled));
        }
        self.said.push_back(Said::Applied);
        self.event(stage, Event::Applied { index: last });
        self.schedule_tell(stage);
        Ok(())
    }

    pub(super) fn schedule_tell(&mut self, stage: &mut Stage) {
        if self.tell == Clockwork::Idle {
            self.tell = Clockwork::Due;
            let delay = stage.weather.tell.draw(&mut self.chance);
            stage.after(delay, self.place, Some(self.boot), What::Tell);
        }
    }

    pub(crate) fn tell(&mut self, stage: &mut Stage) {
        self.tell = Clockwork::Idle;
        while let Ok(input) = self.tellings.try_recv() {
            self.gate(stage, input);
        }
    }
}

/// How much of the log is read and applied at once.
const READ_BYTES: u64 = 600;

/// How long applying waits before it looks for room again.
const ROOM_MICROS: u64 = 2_000;
