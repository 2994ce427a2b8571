//! The tracks of one part: who speaks where, and each one's file.

use std::collections::BTreeMap;
use std::hash::{BuildHasher, RandomState};
use std::io;
use std::path::Path;

use spaces_core::ids::{MAX_SEATS, SeatNo};
use spaces_core::mix::MixPacket;
use spaces_core::ogg::{FrameError, Source, TrackInfo, TrackWriter};
use spaces_core::record::RecordedFrame;
use spaces_core::segment::Header;

use super::files;
use super::out::Out;
use super::storage::Storage;

/// Who got a seat.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Sitting {
    pub(super) seat: SeatNo,
    pub(super) generation: u32,
    pub(super) account: u64,
}

/// Sittings remembered: a few of every seat, as a late frame of the one before may still come.
const MOST_SITTINGS: usize = 4 * MAX_SEATS;

struct Track {
    writer: TrackWriter,
    out: Out,
    /// The last group in which its person sat there; until then it is carried on in silence.
    until: Option<u64>,
}

/// Groups by which the mix may come later than its ticks: so long it is waited for before silence is written in its place.
const MIX_BEHIND: u64 = 15;

/// All tracks of one part.
pub(super) struct Tracks {
    part: Header,
    start_group: u64,
    /// Otherwise there are none.
    wanted: bool,
    mix: Option<Track>,
    sittings: Vec<Sitting>,
    tracks: BTreeMap<(SeatNo, u64), Track>,
}

impl Tracks {
    pub(super) const fn new(part: Header, start_group: u64, wanted: bool) -> Self {
        Self { part, start_group, wanted, mix: None, sittings: Vec::new(), tracks: BTreeMap::new() }
    }

    /// From `group` on a seat is somebody's, or nobody's (account 0). A track that somebody else has on it ends before, unless
    /// that person comes back.
    pub(super) fn sit(&mut self, group: u64, sitting: Sitting) {
        for ((seat, account), track) in &mut self.tracks {
            if *seat == sitting.seat && *account == sitting.account {
                track.until = None;
            } else if *seat == sitting.seat && track.until.is_none() {
                track.until = Some(group.saturating_sub(1));
            }
        }
        if sitting.account == 0 {
            return; // a late frame still goes to the person who sat there
        }
        self.sittings.retain(|known| (known.seat, known.generation) != (sitting.seat, sitting.generation));
        if self.sittings.len() >= MOST_SITTINGS {
            self.sittings.remove(0);
        }
        self.sittings.push(sitting);
    }

    /// Writes a frame to its person's track, which begins with it if there is none yet. A frame of a generation that was
    /// never announced goes to account 0.
    pub(super) fn frame(&mut self, directory: &Path, group: u64, frame: &RecordedFrame) -> Result<(), FrameError> {
        if !self.wanted {
            return Ok(());
        }
        let known = |sitting: &&Sitting| (sitting.seat, sitting.generation) == (frame.seat, frame.generation);
        let account = self.sittings.iter().find(known).map_or(0, |sitting| sitting.account);
        let (Header { space, part, started_at_ms, .. }, start_group) = (self.part, self.start_group);
        let track = self.tracks.entry((frame.seat, account)).or_insert_with(|| {
            let seat = frame.seat;
            let serial = RandomState::new().hash_one(account) as u32;
            let channels = channels(&frame.opus);
            let path = directory.join(files::track_name(part, seat, account));
            let source = Source::Person { seat, account };
            let info = TrackInfo { space, source, part, start_group, started_at_ms, channels, serial };
            Track { writer: TrackWriter::new(&info), out: Out::new(path), until: None }
        });
        let done = track.writer.frame(group, &frame.opus);
        track.out.push(&track.writer.take());
        done
    }

    /// Writes a packet of the mix, whose track begins with it if there is none yet.
    pub(super) fn mix(&mut self, directory: &Path, packet: &MixPacket) -> Result<(), FrameError> {
        if !self.wanted {
            return Ok(());
        }
        let (Header { space, part, started_at_ms, .. }, start_group) = (self.part, self.start_group);
        let track = self.mix.get_or_insert_with(|| {
            let serial = RandomState::new().hash_one(part) as u32;
            let (source, channels) = (Source::Mix, channels(&packet.opus));
            let info = TrackInfo { space, source, part, start_group, started_at_ms, channels, serial };
            Track { writer: TrackWriter::new(&info), out: Out::new(directory.join(files::mix_name(part))), until: None }
        });
        let done = track.writer.packet(packet.group, packet.ticks, &packet.opus);
        track.out.push(&track.writer.take());
        done
    }

    /// Groups before `group` are over. If the engine is `live`, packets of the mix may still come for the last of them.
    pub(super) fn advance(&mut self, group: u64, live: bool) {
        let mixed = if live { group.saturating_sub(MIX_BEHIND) } else { group };
        let people = self.tracks.values_mut().filter(|track| track.until.is_none()).map(|track| (track, group));
        for (track, group) in people.chain(self.mix.as_mut().map(|track| (track, mixed))) {
            track.writer.advance(group);
            track.out.push(&track.writer.take());
        }
    }

    fn all(&mut self) -> impl Iterator<Item = &mut Track> {
        self.mix.iter_mut().chain(self.tracks.values_mut())
    }

    /// Ends every track with `group`, or when its person left.
    pub(super) fn finish(&mut self, group: u64) {
        for track in self.all() {
            track.writer.finish(track.until.unwrap_or(group));
            track.out.push(&track.writer.take());
        }
    }

    pub(super) fn pending(&self) -> usize {
        self.mix.iter().chain(self.tracks.values()).map(|track| track.out.pending()).sum()
    }

    /// Writes what is pending. A track that fails does not keep the others from being written.
    pub(super) fn write(&mut self, storage: &dyn Storage) -> io::Result<usize> {
        let mut written = Ok(0);
        for track in self.all() {
            match (track.out.write(storage), &mut written) {
                (Ok(more), Ok(sum)) => *sum += more,
                (Err(error), written @ Ok(_)) => *written = Err(error),
                (_, Err(_)) => {}
            }
        }
        written
    }

    /// Files that [`Tracks::sync`] would make durable.
    pub(super) fn unsynced(&self) -> usize {
        self.mix.iter().chain(self.tracks.values()).filter(|track| track.out.is_unsynced()).count()
    }

    /// Makes what was written durable.
    pub(super) fn sync(&mut self) -> io::Result<()> {
        let mut synced = Ok(());
        for track in self.all() {
            if let Err(error) = track.out.sync() {
                synced = Err(error);
            }
        }
        synced
    }

    /// Gives back the handles of resting tracks. What is not durable keeps its handle, to be made so later.
    pub(super) fn park(&mut self, durably: bool) {
        for track in self.tracks.values_mut().filter(|track| track.until.is_some()) {
            if !(durably && track.out.is_unsynced()) {
                track.out.park();
            }
        }
    }
}

/// How many channels a packet has (RFC 6716 §3.1).
pub(super) fn channels(opus: &[u8]) -> u8 {
    if opus.first().is_some_and(|toc| toc & 4 != 0) { 2 } else { 1 }
}
