//! One Space's recording: what is handed in becomes records and frames, and reaches the storage when it can be ([`State`]).
//!
//! While it is stalled, ticks are dropped and counted; nothing is added to what waits to be written.

use std::collections::VecDeque;
use std::io;
use std::path::Path;
use std::time::Duration;

use spaces_core::event::{Event, EventKind};
use spaces_core::ids::SpaceId;
use spaces_core::mix::MixPacket;
use spaces_core::record::{RecordItem, RecordedFrame};
use spaces_core::segment::{GapCause, Record};
use spaces_core::time::{TICK, Time};

use super::part::Part;
use super::state::State;
use super::storage::Storage;
use super::track::Sitting;
use super::worker::Stats;

/// Without an item for so long, time is carried on by the clock.
const IDLE: Duration = Duration::from_millis(400);
/// Groups by which the clock stays behind the engine, so that a late tick finds its place free.
const BEHIND: u64 = 20;
/// Seats given while the recording is stalled; more than a stage has.
const MOST_OWED: usize = 64;

/// How a recording ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Ending {
    /// With this group, for good.
    Complete(u64),
    /// The process stops, or the Space is started again: another part may follow.
    Stopped,
}

/// What a recording needs of its worker.
pub(super) struct Context<'a> {
    pub(super) now: Time,
    pub(super) storage: &'a dyn Storage,
    pub(super) root: &'a Path,
    /// Groups a file of the log.
    pub(super) segment: u64,
    /// Tracks are written beside the log.
    pub(super) tracks: bool,
    /// Data is made durable at some time.
    pub(super) durable: bool,
    pub(super) events: &'a mut VecDeque<Event>,
    pub(super) stats: &'a mut Stats,
}

/// One Space being recorded.
pub(super) struct Recording {
    space: SpaceId,
    started_at_ms: u64,
    start_group: u64,
    state: State,
    part: Option<Part>,
    ending: Option<Ending>,
    /// Every track has its end; then the log has its own. So a log that is finished says that all files are.
    tracks_finished: bool,
    finished: bool,
    /// The newest group handed in, or passed in silence.
    last_group: u64,
    /// The newest group that the storage has taken, and that is durable.
    written_group: u64,
    synced_group: u64,
    /// Group and time of the newest item: what the clock carries on from.
    heard: (u64, Time),
    /// Groups dropped while stalled, both included.
    dropped: Option<(u64, u64)>,
    /// Of packets of the mix likewise.
    dropped_mix: Option<(u64, u64)>,
    /// Groups refused by the queue.
    holes: Vec<(u64, u64)>,
    /// Seats given while stalled.
    owed: Vec<(u64, Sitting)>,
    error: Option<String>,
}

impl Recording {
    /// Begins a part. If the storage fails, the recording begins stalled.
    pub(super) fn start(context: &mut Context<'_>, space: SpaceId, started_at_ms: u64, group: u64) -> Self {
        let before = group.saturating_sub(1);
        let mut recording = Self {
            space,
            started_at_ms,
            start_group: group,
            state: State::Writing,
            part: None,
            ending: None,
            tracks_finished: false,
            finished: false,
            last_group: before,
            written_group: before,
            synced_group: before,
            heard: (group, context.now),
            dropped: None,
            dropped_mix: None,
            holes: Vec::new(),
            owed: Vec::new(),
            error: None,
        };
        recording.write(context);
        recording
    }

    pub(super) const fn is_closed(&self) -> bool {
        matches!(self.state, State::Closed)
    }

    pub(super) const fn is_stalled(&self) -> bool {
        matches!(self.state, State::Stalled { .. })
    }

    pub(super) fn pending(&self) -> usize {
        self.part.as_ref().map_or(0, Part::pending)
    }

    /// A seat was given to somebody, or vacated.
    pub(super) fn seat(&mut self, context: &Context<'_>, group: u64, sitting: Sitting) {
        self.heard = (group, context.now);
        match &mut self.part {
            Some(part) if self.state == State::Writing => part.sit(group, sitting),
            _ if self.owed.len() < MOST_OWED => self.owed.push((group, sitting)),
            _ => {}
        }
    }

    /// A tick of the engine.
    pub(super) fn tick(&mut self, context: &mut Context<'_>, group: u64, item: &RecordItem, frames: &[RecordedFrame]) {
        if self.ending.is_some() {
            return;
        }
        context.stats.ticks += 1;
        self.heard = (group, context.now);
        self.mark_holes(context, group);
        let last = self.last_group;
        self.last_group = last.max(group);
        let Some(part) = self.part.as_mut().filter(|_| self.state == State::Writing) else {
            self.drop_groups(group);
            return;
        };
        part.log.make_room(last, group);
        if part.log.item(item).is_err() {
            context.stats.odd_frames += frames.len() as u64;
            return;
        }
        for frame in frames {
            context.stats.frames += 1;
            if part.tracks.frame(&part.directory, group, frame).is_err() {
                context.stats.odd_frames += 1;
            }
        }
    }

    /// A packet of the mix. It says nothing of time: the ticks do.
    pub(super) fn mix(&mut self, context: &mut Context<'_>, packet: &MixPacket, item: &RecordItem) {
        if self.ending.is_some() {
            return;
        }
        let Some(part) = self.part.as_mut().filter(|_| self.state == State::Writing) else {
            self.dropped_mix = Some(join(self.dropped_mix, packet.group, packet.last_group()));
            return;
        };
        context.stats.frames += 1;
        if part.log.item(item).is_err() || part.tracks.mix(&part.directory, packet).is_err() {
            context.stats.odd_frames += 1;
        }
    }

    /// Groups that the queue refused, both included.
    pub(super) fn lost(&mut self, from: u64, to: u64) {
        self.holes.push((from, to));
    }

    /// Packets of the mix that the queue refused, of these groups.
    pub(super) fn lost_mix(&mut self, context: &mut Context<'_>, from: u64, to: u64) {
        if self.part.is_some() && self.state == State::Writing {
            self.mark(context, from, to.saturating_sub(from).saturating_add(1), GapCause::Mix);
        } else {
            self.dropped_mix = Some(join(self.dropped_mix, from, to));
        }
    }

    /// The recording is complete with `group`.
    pub(super) fn end(&mut self, group: u64) {
        self.ending.get_or_insert(Ending::Complete(group));
    }

    /// Writes what gathered, if it is not too early to try again.
    pub(super) fn turn(&mut self, context: &mut Context<'_>) {
        self.carry_on(context);
        let early = matches!(self.state, State::Stalled { retry_at, .. } if context.now < retry_at);
        if !early {
            self.write(context);
        }
    }

    /// Finishes the files, or gives up what cannot be written now.
    pub(super) fn stop(&mut self, context: &mut Context<'_>) {
        if self.is_closed() {
            return;
        }
        self.ending.get_or_insert(Ending::Stopped);
        self.write(context);
        if !self.is_closed() {
            let groups = self.last_group.saturating_sub(self.written_group);
            self.tell(context, self.written_group.saturating_add(1), groups);
        }
    }

    /// Files with data that is not durable.
    pub(super) fn unsynced(&self) -> usize {
        self.part.as_ref().map_or(0, Part::unsynced)
    }

    /// Files of the log that are complete, but not durable.
    pub(super) fn unsynced_closed(&self) -> usize {
        self.part.as_ref().map_or(0, |part| part.log.unsynced_closed())
    }

    /// Makes what was written durable, as far as the storage can.
    pub(super) fn sync(&mut self, context: &mut Context<'_>) {
        let Some(part) = &mut self.part else { return };
        let synced = part.sync();
        self.synced(context, synced, self.written_group);
    }

    /// Makes complete files of the log durable.
    pub(super) fn sync_closed(&mut self, context: &mut Context<'_>) {
        let Some(part) = &mut self.part else { return };
        let synced = part.log.sync_closed();
        let until = part.log.closed_group().min(self.written_group);
        self.synced(context, synced, until);
    }

    /// All up to `until` is durable, or one cannot know.
    fn synced(&mut self, context: &mut Context<'_>, synced: io::Result<()>, until: u64) {
        let (from, groups) = (self.synced_group.saturating_add(1), until.saturating_sub(self.synced_group));
        // Also after an error: the system may have dropped what it could not write, and tells that only once.
        self.synced_group = self.synced_group.max(until);
        if let Err(error) = synced {
            context.stats.errors += 1;
            self.error = Some(error.to_string());
            if groups > 0 {
                self.mark(context, from, groups, GapCause::Sync);
            }
        }
    }

    /// Passes time in silence when the engine has said nothing for a while.
    fn carry_on(&mut self, context: &mut Context<'_>) {
        let (group, at) = self.heard;
        let elapsed = context.now.since(at);
        if elapsed < IDLE || self.ending.is_some() {
            return;
        }
        let passed = u64::try_from(elapsed.as_micros() / TICK.as_micros()).unwrap_or(u64::MAX);
        let now = group.saturating_add(passed).saturating_sub(BEHIND);
        self.mark_holes(context, now);
        if now <= self.last_group {
            return;
        }
        let last = core::mem::replace(&mut self.last_group, now);
        match self.part.as_mut().filter(|_| self.state == State::Writing) {
            Some(part) => {
                part.log.make_room(last, now);
                part.log.record(&Record::Tick { group: now, frames: Vec::new() });
            }
            None => self.drop_groups(now),
        }
    }

    fn write(&mut self, context: &mut Context<'_>) {
        let written = self.try_write(context);
        if let Err(error) = &written {
            context.stats.errors += 1;
            self.error = Some(error.to_string());
            if let Some((from, to)) = self.dropped {
                self.tell(context, from, to - from + 1);
            }
        }
        let next = self.state.after(context.now, written.is_ok(), self.finished);
        self.state = next;
    }

    fn try_write(&mut self, context: &mut Context<'_>) -> io::Result<()> {
        if self.part.is_none() {
            let (part, missed) = Part::open(context, self.space, self.started_at_ms, self.start_group)?;
            self.part = Some(part);
            for (from, until) in missed {
                self.tell(context, from, until - from);
            }
        }
        // What was kept comes first. Only when the storage takes it again is more added.
        self.write_part(context)?;
        if self.state != State::Writing {
            self.resume(context);
        }
        let Some(part) = &mut self.part else { return Ok(()) };
        part.tracks.advance(self.last_group.saturating_add(1), context.now.since(self.heard.1) < IDLE);
        self.mark_holes(context, self.last_group);
        if let Some(ending) = self.ending {
            self.finish_tracks(context, ending);
            self.write_part(context)?;
            self.finish_log(ending);
        }
        self.write_part(context)?;
        self.written_group = self.last_group;
        if self.finished && context.durable {
            self.sync(context);
        }
        Ok(())
    }

    fn write_part(&mut self, context: &mut Context<'_>) -> io::Result<()> {
        if let Some(part) = &mut self.part {
            context.stats.bytes += part.write(context.storage, context.durable)? as u64;
            part.tracks.park(context.durable);
        }
        Ok(())
    }

    /// The storage works again: marks what was dropped and hands on what must not be.
    fn resume(&mut self, context: &mut Context<'_>) {
        if let Some((from, to)) = self.dropped.take() {
            self.mark(context, from, to - from + 1, GapCause::Storage);
        }
        if let Some((from, to)) = self.dropped_mix.take() {
            self.mark(context, from, to - from + 1, GapCause::Mix);
        }
        for (group, sitting) in core::mem::take(&mut self.owed) {
            if let Some(part) = &mut self.part {
                part.sit(group, sitting);
            }
        }
        self.state = State::Writing;
    }

    fn finish_tracks(&mut self, context: &mut Context<'_>, ending: Ending) {
        if core::mem::replace(&mut self.tracks_finished, true) {
            return;
        }
        if let Ending::Complete(group) = ending {
            self.last_group = self.last_group.max(group);
        }
        self.mark_holes(context, u64::MAX);
        if let Some(part) = &mut self.part {
            part.tracks.finish(self.last_group);
        }
    }

    fn finish_log(&mut self, ending: Ending) {
        if core::mem::replace(&mut self.finished, true) {
            return;
        }
        if let Some(part) = &mut self.part {
            part.log.record(&match ending {
                Ending::Complete(_) => Record::End { group: self.last_group },
                Ending::Stopped => Record::Close { group: self.last_group },
            });
        }
    }

    fn drop_groups(&mut self, group: u64) {
        self.dropped = Some(join(self.dropped, group, group));
    }

    /// Marks what the queue refused before `group`, if there is a log to mark it in.
    fn mark_holes(&mut self, context: &mut Context<'_>, group: u64) {
        if self.holes.is_empty() || self.state != State::Writing {
            return;
        }
        let (due, later) = core::mem::take(&mut self.holes).into_iter().partition(|(from, _)| *from <= group);
        self.holes = later;
        let due: Vec<(u64, u64)> = due;
        for (from, to) in due {
            self.last_group = self.last_group.max(to);
            self.mark(context, from, to - from + 1, GapCause::Queue);
        }
    }

    fn mark(&mut self, context: &mut Context<'_>, from_group: u64, groups: u64, cause: GapCause) {
        if let Some(part) = &mut self.part {
            part.log.record(&Record::Gap { from_group, groups, cause });
            if let Some(error) = self.error.take() {
                part.log.record(&Record::Note(error.chars().take(200).collect()));
            }
        }
        context.stats.gaps += 1;
        self.tell(context, from_group, groups);
    }

    fn tell(&self, context: &mut Context<'_>, from_group: u64, groups: u64) {
        let kind = EventKind::RecordingGap { from_group, groups };
        context.events.push_back(Event { at: context.now, space: self.space, kind });
    }
}

/// The groups of `known` and those from `from` to `to`, as one range.
fn join(known: Option<(u64, u64)>, from: u64, to: u64) -> (u64, u64) {
    known.map_or((from, to), |(first, last)| (first.min(from), last.max(to)))
}
