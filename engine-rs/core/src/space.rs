//! One Space on one shard: its tables, its stage (on one shard only), its ring of ticks and its audience.

mod mixed;
mod recording;
mod words;

use std::sync::Arc;

use crate::admission::{self, Acls};
use crate::audience::Audience;
use crate::cadence::Cadence;
use crate::captions::Captions;
use crate::command::{MixFor, SpaceTable, StageRow};
use crate::cursor::{Documents, News};
use crate::engine::{Config, Object, Output, ShardMessage, TickBundle, Track, Verdict};
use crate::event::{Counts, Event, EventKind};
use crate::headcount::Headcount;
use crate::ids::{AccountId, MAX_SEATS, SeatMask, SeatNo, SessionKey, SpaceId};
use crate::jitter::Placed;
use crate::mix_feed::Feed;
use crate::mix_ring::MixRing;
use crate::pulse::Pulse;
use crate::record::{RecordItem, RecordedFrame};
use crate::ring::{self, Ring};
use crate::seat::{self, Gate, Rejected};
use crate::selection::Selection;
use crate::stage::{Stage, Taken};
use crate::stats::EngineStats;
use crate::table::{events, gate, row, sits};
use crate::time::Time;
use crate::uplink::UplinkFrame;

/// A seat that was silent for so long is told anew when it speaks, in microseconds.
const LONG_SILENCE: u64 = 5_000_000;

/// Who publishes a seat, on whichever shard.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Publisher {
    pub(crate) generation: u32,
    pub(crate) at: (Time, u16),
}

/// What a seat is to this shard.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct SeatInfo {
    pub(crate) publisher: Option<Publisher>,
    /// The session here that publishes it.
    pub(crate) local: Option<SessionKey>,
    /// Version of the table with which it became audible. Ticks made under an older one may hold what was silenced since.
    pub(crate) audible_since: u64,
    /// Version of the table with which its captions were allowed, likewise.
    pub(crate) caption_since: u64,
    pub(crate) spoke: Option<Time>,
}

/// See the module.
#[derive(Debug)]
pub(crate) struct Space {
    pub(crate) id: SpaceId,
    pub(crate) version: u64,
    pub(crate) table: SpaceTable,
    pub(crate) acls: Acls,
    /// The stage lives on this shard.
    pub(crate) home: bool,
    /// Where it lives.
    pub(crate) stage_shard: u16,
    pub(crate) stage: Stage,
    pub(crate) ring: Ring,
    pub(crate) audience: Audience,
    pub(crate) documents: Documents,
    pub(crate) mix: MixRing,
    pub(crate) captions: Captions,
    feed: Feed,
    /// Group of the last caption.
    last_caption: u64,
    pub(crate) state_version: Option<u64>,
    pub(crate) seats: [SeatInfo; MAX_SEATS],
    selection: Selection,
    recording: bool,
    last_group: Option<u64>,
    pub(crate) headcount: Headcount,
    pub(crate) pulse: Pulse,
    /// Number of the last object that a pulse made.
    pulses: u32,
    report_at: Option<Time>,
    /// It has been live, so its groups have begun to count.
    pub(crate) begun: bool,
    /// When the engine's timers wake this Space.
    pub(crate) wake: Option<Time>,
}

impl Space {
    /// A Space without a table: [`Self::set_table`] follows.
    pub(crate) fn new(now: Time, id: SpaceId, started_at_ms: u64, stage_shard: u16, config: &Config) -> Self {
        let home = stage_shard == config.shard;
        let catalog = (!config.catalog.is_empty()).then(|| Object {
            space: id,
            track: Track::Catalog,
            group: 0,
            object: 0,
            end_of_group: true,
            timestamp: 0,
            payload: config.catalog.clone(),
        });
        Self {
            id,
            version: 0,
            table: SpaceTable {
                live: false,
                record: false,
                guests: false,
                ticketed: false,
                mic_open: false,
                mix: false,
                mix_for: MixFor::Nobody,
                started_at_ms,
                stage: Vec::new(),
            },
            acls: Acls::default(),
            home,
            stage_shard,
            stage: Stage::new(Cadence::new(now, started_at_ms, config.unix_origin_us)),
            ring: Ring::default(),
            audience: Audience::default(),
            documents: Documents { catalog, ..Documents::default() },
            mix: MixRing::new(config.mix_ticks),
            captions: Captions::default(),
            feed: Feed::default(),
            last_caption: 0,
            state_version: None,
            seats: [SeatInfo::default(); MAX_SEATS],
            selection: Selection::new(config.max_heard),
            recording: false,
            last_group: None,
            headcount: Headcount::new(home, config.shards),
            pulse: Pulse::new(home, config.reactions),
            pulses: 0,
            report_at: None,
            begun: false,
            wake: None,
        }
    }

    /// The last group that this shard sent out, or else the one that runs now.
    pub(crate) fn fence(&self, now: Time) -> u64 {
        let last = if self.home { self.stage.emitted() } else { self.last_group };
        // The mix goes on for a moment where a seat's frames stop coming.
        last.max(self.mix.last()).unwrap_or_else(|| self.stage.group(now))
    }

    /// Whether the control plane is told of this account's coming and going.
    pub(crate) fn tells_of(&self, account: AccountId) -> bool {
        admission::row_of(&self.table, account).is_some() || self.acls.watches(account)
    }

    /// The row of a seat, while the Space is live.
    pub(crate) fn row(&self, seat: SeatNo) -> Option<&StageRow> {
        row(&self.table, seat)
    }

    /// Whether group 0 may still be set to another time.
    pub(crate) fn may_begin_at(&self, started_at_ms: u64) -> bool {
        !self.begun || self.table.started_at_ms == started_at_ms
    }

    /// Replaces the table. Seats that are silenced by it are gone from every buffer when this returns.
    pub(crate) fn set_table(
        &mut self,
        now: Time,
        version: u64,
        table: SpaceTable,
        config: &Config,
        out: &mut Vec<Output>,
    ) {
        let old = core::mem::replace(&mut self.table, table);
        self.version = version;
        if old.started_at_ms != self.table.started_at_ms {
            self.stage.set_cadence(Cadence::new(now, self.table.started_at_ms, config.unix_origin_us));
        }
        self.begun |= self.table.live;
        let (mut silenced, mut withheld) = (0, 0);
        for number in (0u8..).map_while(SeatNo::new) {
            let (before, after) = (row(&old, number).copied(), row(&self.table, number).copied());
            let was = before.filter(|row| gate(&old, row) == Gate::Open);
            let is = after.filter(|row| gate(&self.table, row) == Gate::Open);
            let same = matches!((before, after), (Some(before), Some(after)) if sits(&before, &after));
            if was.is_some() && (is.is_none() || !same) {
                silenced |= number.bit();
            }
            let (captioned, captions) = (before.is_some_and(|row| row.caption), after.is_some_and(|row| row.caption));
            if captioned && !(captions && same) {
                withheld |= number.bit();
            }
            let Some(info) = self.seats.get_mut(number.index()) else { continue };
            if captions && !(captioned && same) {
                info.caption_since = version;
            }
            if is.is_some() && (was.is_none() || !same) {
                info.audible_since = version;
                info.spoke = None;
            }
            if before.map(|row| row.account) != after.map(|row| row.account) {
                info.publisher = None;
            }
            if let (Some(publisher), Some(after)) = (&mut info.publisher, after) {
                publisher.generation = after.generation;
            }
            if self.home {
                let connected = info.publisher.is_some();
                let gates = (before.map(|row| gate(&old, &row)), after.map(|row| gate(&self.table, &row)));
                for event in events(gates.0, gates.1, same) {
                    let _ = self.stage.step(number, event);
                    if matches!(event, seat::Event::Given(_)) && connected {
                        let _ = self.stage.step(number, seat::Event::Connected);
                    }
                }
                if let Some(row) = after {
                    self.stage.set_generation(number, row.generation);
                }
            }
        }
        self.silence(silenced, out);
        self.withhold(withheld);
        self.advise(&old);
        if self.home && !(self.table.live && self.table.mix) {
            self.end_mix(out);
        }
        self.record_table(now, &old, out);
    }

    /// Everybody is told anew what to hear, if that may have changed for anybody.
    fn advise(&mut self, old: &SpaceTable) {
        let mix_for = self.table.mix.then_some(self.table.mix_for);
        let before = core::mem::replace(&mut self.documents.mix_for, mix_for);
        let seated = |table: &SpaceTable| table.stage.iter().map(|row| row.account).collect::<Vec<_>>();
        if before != mix_for || (mix_for.is_some() && seated(old) != seated(&self.table)) {
            self.pulse.owe();
        }
    }

    /// Removes every trace of `seats` from what has not left the engine, and has the connections' queues cleared.
    pub(crate) fn silence(&mut self, seats: SeatMask, out: &mut Vec<Output>) {
        if seats != 0 {
            self.stage.silence(seats);
            self.ring.silence(seats);
            self.mix.silence(seats);
            self.audience.purge(seats);
            out.extend(self.feed.silence(self.id, seats).map(Output::Mix));
        }
    }

    /// Removes the captions of `seats`, and their sound from what service sessions get.
    fn withhold(&mut self, seats: SeatMask) {
        if seats != 0 {
            self.ring.withhold(seats);
            self.captions.withhold(seats);
            self.audience.withhold(seats);
        }
    }

    /// Whether captions of a seat and generation are allowed, and were under an older table of `version`.
    fn captionable(&self, seat: SeatNo, generation: u32, version: u64) -> bool {
        let since = self.seats.get(seat.index()).map_or(u64::MAX, |info| info.caption_since);
        self.row(seat).is_some_and(|row| row.caption && row.generation == generation) && version >= since
    }

    fn captionable_in(&self, bundle: &TickBundle) -> SeatMask {
        let allowed = |frame: &&RecordedFrame| self.captionable(frame.seat, frame.generation, bundle.version);
        bundle.all.iter().filter(allowed).fold(0, |mask, frame| mask | frame.seat.bit())
    }

    /// A session somewhere began or ceased to publish a seat. False if a newer one publishes it already.
    pub(crate) fn publishing(&mut self, seat: SeatNo, publisher: Publisher, on: bool) -> bool {
        let Some(info) = self.seats.get_mut(seat.index()) else { return false };
        if on {
            if info.publisher.is_some_and(|have| have.generation == publisher.generation && have.at > publisher.at) {
                return false;
            }
            let another = info.publisher.replace(publisher).is_none_or(|had| had.at != publisher.at);
            if another && self.home {
                self.stage.restart(seat);
            }
        } else {
            if info.publisher.is_none_or(|have| have.at != publisher.at) {
                return true;
            }
            info.publisher = None;
        }
        let here = row(&self.table, seat).is_some_and(|row| row.generation == publisher.generation);
        if self.home && here {
            let _ = self.stage.step(seat, if on { seat::Event::Connected } else { seat::Event::Disconnected });
        }
        true
    }

    /// Whether a frame of this seat and generation may go on.
    pub(crate) fn gate(&self, seat: SeatNo, generation: u32) -> Result<(), Verdict> {
        let row = self.row(seat).filter(|row| row.generation == generation).ok_or(Verdict::NoSeat)?;
        if gate(&self.table, row) == Gate::Open { Ok(()) } else { Err(Verdict::Silenced) }
    }

    /// Takes a frame on the stage's shard.
    pub(crate) fn uplink(&mut self, now: Time, number: SeatNo, frame: UplinkFrame, out: &mut Vec<Output>) -> Verdict {
        let (taken, before) = self.stage.push(now, number, frame);
        match taken {
            Taken::Rejected(Rejected::Silenced) => return Verdict::Silenced,
            Taken::Rejected(_) => return Verdict::NoSeat,
            Taken::Placed(Placed::Duplicate) => return Verdict::Duplicate,
            Taken::Placed(Placed::Late | Placed::Slipped) => return Verdict::Late,
            Taken::Placed(Placed::Held) => {}
        }
        if let Some(info) = self.seats.get_mut(number.index()) {
            let silent = info.spoke.is_none_or(|spoke| now.0.saturating_sub(spoke.0) > LONG_SILENCE);
            info.spoke = Some(now);
            if silent && before != seat::State::Talking {
                let kind = EventKind::SeatSpeaking { seat: number };
                out.push(Output::Event(Event { at: now, space: self.id, kind }));
            }
        }
        Verdict::Accepted
    }

    /// Sends out the ticks whose time has come.
    pub(crate) fn tick(&mut self, now: Time, shards: u16, out: &mut Vec<Output>, stats: &mut EngineStats) {
        while let Some((group, all)) = self.stage.poll(now) {
            if self.recording {
                let frames = Arc::clone(&all);
                out.push(Output::Record(RecordItem::Tick { space: self.id, group, frames }));
            }
            let heard = self.select(group, &all);
            if self.table.mix {
                out.push(Output::Mix(self.feed.tick(self.id, group, Arc::clone(&heard))));
            }
            let bundle = Arc::new(ring::finish(self.id, self.version, group, all, heard));
            if shards > 1 {
                let message = ShardMessage::Bundle(Arc::clone(&bundle));
                out.push(Output::ToShard { shard: None, message });
            }
            let captionable = self.captionable_in(&bundle);
            self.ring.push(bundle, captionable, now);
            self.audience.refresh(News::Tick);
            stats.ticks += 1;
        }
    }

    fn select(&mut self, group: u64, all: &Arc<[RecordedFrame]>) -> Arc<[RecordedFrame]> {
        let chosen = self.selection.choose(group, all);
        if chosen.heard == ring::mask(all) && chosen.entering | chosen.leaving == 0 {
            return Arc::clone(all);
        }
        let heard = all.iter().filter(|frame| frame.seat.bit() & chosen.heard != 0).cloned().map(|mut frame| {
            frame.spurt.start |= frame.seat.bit() & chosen.entering != 0;
            frame.spurt.end |= frame.seat.bit() & chosen.leaving != 0;
            frame
        });
        heard.collect()
    }

    /// A finished tick from the stage's shard. What this shard's table silences is taken out.
    pub(crate) fn receive(&mut self, now: Time, bundle: Arc<TickBundle>, stats: &mut EngineStats) {
        if self.home || self.last_group.is_some_and(|last| bundle.group <= last) {
            return;
        }
        let silenced = bundle.all.iter().filter(|frame| {
            let since = self.seats.get(frame.seat.index()).map_or(u64::MAX, |info| info.audible_since);
            self.gate(frame.seat, frame.generation).is_err() || bundle.version < since
        });
        let silenced = silenced.fold(0, |mask, frame| mask | frame.seat.bit());
        self.last_group = Some(bundle.group);
        let bundle = if silenced == 0 { bundle } else { Arc::new(ring::without(&bundle, silenced)) };
        let captionable = self.captionable_in(&bundle);
        self.ring.push(bundle, captionable, now);
        self.audience.refresh(News::Tick);
        stats.ticks_received += 1;
    }

    /// People here; on the stage's shard with the peak of the whole Space, elsewhere with none: so that the shards' answers
    /// can be added up.
    pub(crate) fn counts(&self) -> Counts {
        self.headcount.here(self.audience.counts())
    }

    /// People on another shard.
    pub(crate) fn set_others(&mut self, now: Time, shard: u16, counts: Counts) {
        if self.home {
            self.headcount.set(shard, counts);
            self.count(now);
        }
    }

    /// Somebody came or went.
    pub(crate) fn count(&mut self, now: Time) {
        if let Some(at) = self.headcount.count(now, self.audience.counts()) {
            self.report_by(at);
        }
        if self.home {
            self.pulse.people(self.headcount.total(self.audience.counts()));
        }
    }

    /// [`Self::report`] is due then at the latest.
    pub(crate) fn report_by(&mut self, at: Time) {
        self.report_at = Some(self.report_at.map_or(at, |have| have.min(at)));
    }

    /// Whether reports are due; if so, that of the audience is made here.
    pub(crate) fn report(&mut self, now: Time, config: &Config, out: &mut Vec<Output>) -> bool {
        if self.report_at.is_none_or(|at| at > now) {
            return false;
        }
        self.report_at = None;
        if let Some(counts) = self.headcount.report(now, self.audience.counts()) {
            out.push(if self.home {
                Output::Event(Event { at: now, space: self.id, kind: EventKind::Counts(counts) })
            } else {
                let message = ShardMessage::Counts { space: self.id, shard: config.shard, counts };
                Output::ToShard { shard: Some(self.stage_shard), message }
            });
        }
        self.count(now);
        true
    }

    /// When this Space wants [`Self::tick`], [`Self::report`] or [`Self::beat`].
    pub(crate) fn next_timeout(&self) -> Option<Time> {
        let stage = if self.home { self.stage.next_timeout() } else { None };
        [stage, self.report_at, self.pulse.next_timeout()].into_iter().flatten().min()
    }
}
