//! The demo's story, act by act.

use std::path::PathBuf;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result, bail};

use crate::demo::report::Report;
use crate::demo::screen::Screen;
use crate::live::event::Event;
use crate::live::load::{Next, Run};
use crate::live::members::Members;
use crate::live::words;

/// Everything on stage.
#[derive(Debug)]
pub(crate) struct Scene {
    pub(crate) screen: Screen,
    pub(crate) members: Members,
    pub(crate) tree: PathBuf,
    pub(crate) bytes_max: u64,
}

impl Scene {
    /// Plays all acts.
    pub(crate) fn play(&mut self) -> Result<Report> {
        let mut report = Report::default();
        self.open()?;
        self.store_and_compare(&mut report)?;
        self.kill_the_leader(&mut report)?;
        self.bring_it_back(&mut report)?;
        self.verify(&mut report)?;
        Ok(report)
    }

    fn open(&mut self) -> Result<()> {
        self.screen.fact("formed", &self.members.folder().display().to_string());
        self.members.start_all()?;
        let leader = self.members.leader(PATIENCE)?;
        let ids = self.members.ids().into_iter().zip(1..);
        let nodes: Vec<String> = ids.map(|(id, node)| format!("node {node} is process {}", id.unwrap_or(0))).collect();
        self.screen.fact("serving", &nodes.join(", "));
        self.screen.fact("elected", &format!("node {} leads", leader + 1));
        Ok(())
    }

    fn store_and_compare(&mut self, report: &mut Report) -> Result<()> {
        self.screen.title(&format!("Real files: {}", self.tree.display()));
        let first_bytes_max = self.bytes_max / 2;
        let run = self.begin_store(first_bytes_max)?;
        self.finish_store(run, report)?;
        let leader = self.members.leader(PATIENCE)?;
        let other = (leader + 1) % self.members.count();
        let mut arguments = self.tree_arguments(first_bytes_max);
        arguments.extend(["--node".to_owned(), (other + 1).to_string()]);
        let run = self.members.loader().start("compare", arguments)?;
        let compared = self.follow(&run, "reading")?;
        run.finish(PATIENCE)?;
        let Some(Event::Done { done, bytes, ms, .. }) = compared else { bail!("the comparison told no result") };
        let took = words::time(Duration::from_millis(ms));
        self.screen.fact(
            "compared",
            &format!(
                "{} blocks, {} from node {} in {took}: every byte is the files'",
                words::count(done),
                words::bytes(bytes),
                other + 1
            ),
        );
        Ok(())
    }

    fn kill_the_leader(&mut self, report: &mut Report) -> Result<()> {
        self.screen.title("More files, and the leader dies in the middle");
        let run = self.begin_store(self.bytes_max)?;
        let leader = self.members.leader(PATIENCE)?;
        let mut killed_unix_ms = None;
        let mut gap_ms = 0;
        // What the first act stored is there already and goes by without a byte: the middle is behind it.
        let middle = self.bytes_max * 3 / 4;
        let mut last = None;
        loop {
            match run.next(SILENCE_MAX) {
                Next::Event(Event::Progress { blocks, bytes }) => {
                    self.screen.progress("storing", blocks, bytes, self.bytes_max);
                    if killed_unix_ms.is_none() && middle <= bytes {
                        killed_unix_ms = Some(unix_ms());
                        self.members.kill(leader);
                        let blocks = words::count(blocks);
                        self.screen.fact(
                            "killed",
                            &format!("node {}, the leader, with SIGKILL after {blocks} blocks", leader + 1),
                        );
                    }
                }
                Next::Event(Event::Gap { client: None, from_unix_ms, ms }) => {
                    if killed_unix_ms.is_some_and(|killed| killed <= from_unix_ms + ms) {
                        gap_ms = gap_ms.max(ms);
                    }
                }
                Next::Event(event @ Event::Done { .. }) => last = Some(event),
                Next::Event(_) => {}
                Next::Silence => bail!("no write was acknowledged for {} s", SILENCE_MAX.as_secs()),
                Next::End => break,
            }
        }
        run.finish(PATIENCE)?;
        if killed_unix_ms.is_none() {
            bail!("the tree was stored before the leader could be killed: give a larger one with --tree");
        }
        report.killed = leader;
        report.gap = Duration::from_millis(gap_ms);
        let now = self.members.leader(PATIENCE)?;
        let gap = if gap_ms == 0 { "less than 100 ms".to_owned() } else { words::time(report.gap) };
        self.screen.fact("stood", &format!("writes stood still for {gap}; node {} leads now", now + 1));
        self.count(last, report)
    }

    fn bring_it_back(&mut self, report: &mut Report) -> Result<()> {
        self.screen.title("The dead node comes back");
        let ahead = self.members.status()?.iter().map(|node| node.applied).max().unwrap_or(0);
        let begun = Instant::now();
        self.members.start(report.killed)?;
        let level = self.members.level(CATCH_UP_TIME_MAX)?;
        report.caught_up = begun.elapsed();
        let node = level.get(report.killed).context("the node that came back reports nothing")?;
        self.screen.fact(
            "caught up",
            &format!(
                "node {} stands at index {} like the others ({ahead} when it was started) in {}",
                report.killed + 1,
                node.applied,
                words::time(report.caught_up)
            ),
        );
        Ok(())
    }

    fn verify(&mut self, report: &mut Report) -> Result<()> {
        self.screen.title("Every acknowledged block, from every node");
        let history = self.history();
        for event in self.members.loader().run("verify", ["--history", &history], VERIFY_TIME_MAX)? {
            if let Event::Verified(node) = event {
                let text = format!(
                    "{} there, {} lost, {} wrong, {} unreadable",
                    words::count(node.present),
                    node.lost,
                    node.wrong,
                    node.unreadable
                );
                self.screen.fact(&format!("node {}", node.node), &text);
                report.verified.push(node);
            }
        }
        let check = Run::start(&self.members.loader().program, "check", ["--history", &history])?;
        for event in check.finish(VERIFY_TIME_MAX)? {
            if let Event::Judged(judged) = event {
                self.screen.fact(
                    "judged",
                    &format!(
                        "{} operations on {} blocks, in order",
                        words::count(judged.done),
                        words::count(judged.blocks)
                    ),
                );
                report.judged = judged;
            }
        }
        Ok(())
    }

    fn begin_store(&self, bytes_max: u64) -> Result<Run> {
        let mut arguments = self.tree_arguments(bytes_max);
        arguments.extend(["--history".to_owned(), self.history()]);
        self.members.loader().start("store", arguments)
    }

    fn finish_store(&self, run: Run, report: &mut Report) -> Result<()> {
        let done = self.follow(&run, "storing")?;
        run.finish(PATIENCE)?;
        self.count(done, report)
    }

    fn count(&self, done: Option<Event>, report: &mut Report) -> Result<()> {
        let Some(Event::Done { done, unknown, bytes, ms, .. }) = done else { bail!("storing told no result") };
        let took = Duration::from_millis(ms);
        let again =
            if unknown > 0 { format!(", {unknown} put again after their answer was lost") } else { String::new() };
        self.screen.fact(
            "stored",
            &format!(
                "{} blocks acknowledged, {} of them new, in {}{again}",
                words::count(done),
                words::bytes(bytes),
                words::time(took)
            ),
        );
        report.bytes += bytes;
        report.writing += took;
        Ok(())
    }

    /// Draws progress until the end and returns the result.
    fn follow(&self, run: &Run, word: &str) -> Result<Option<Event>> {
        let mut bytes_all = 0;
        let mut last = None;
        loop {
            match run.next(SILENCE_MAX) {
                Next::Event(Event::Started { bytes }) => bytes_all = bytes,
                Next::Event(Event::Progress { blocks, bytes }) => self.screen.progress(word, blocks, bytes, bytes_all),
                Next::Event(event @ Event::Done { .. }) => last = Some(event),
                Next::Event(_) => {}
                Next::Silence => bail!("nothing happened for {} s while {word}", SILENCE_MAX.as_secs()),
                Next::End => return Ok(last),
            }
        }
    }

    fn tree_arguments(&self, bytes_max: u64) -> Vec<String> {
        ["--tree", &self.tree.to_string_lossy(), "--bytes-max", &bytes_max.to_string()].map(str::to_owned).into()
    }

    fn history(&self) -> String {
        self.members.folder().join("history.jsonl").to_string_lossy().into_owned()
    }
}

fn unix_ms() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

const PATIENCE: Duration = Duration::from_secs(30);
const SILENCE_MAX: Duration = Duration::from_secs(60);
const CATCH_UP_TIME_MAX: Duration = Duration::from_secs(120);
const VERIFY_TIME_MAX: Duration = Duration::from_secs(600);
