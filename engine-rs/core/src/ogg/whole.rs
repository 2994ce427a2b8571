//! A whole file from packets: what is cut, exported or played from the store.

use thiserror::Error;

use super::{FrameError, TrackWriter, packet};
use crate::mix::MAX_TICKS;
use crate::time::TICK_SAMPLES;

/// Samples at 48 kHz by which libopus' encoder is behind what it hears (6.5 ms): the pre-skip that puts sound at its place.
pub const LOOKAHEAD: u16 = 312;

/// What a whole file is to be.
#[derive(Clone, Debug, PartialEq)]
pub struct WholeInfo {
    /// It begins with this group…
    pub start_group: u64,
    /// …and ends before this one.
    pub end_group: u64,
    /// Gain that players apply, in dB (RFC 7845 §5.1): −128 to 127.99.
    pub gain_db: f64,
    /// Samples that players drop at the front; all beyond [`LOOKAHEAD`] is dropped from what `start_group` begins with, so
    /// that decoders have settled by then (RFC 7845 §4.2 wants 80 ms behind a cut).
    pub pre_skip: u16,
    /// Groups of a hole that a decoder is left to conceal before silence, as after a lost packet of a microphone.
    pub conceal: u64,
    /// 1 or 2.
    pub channels: u8,
    /// Further comments, `KEY=value` (RFC 7845 §5.2).
    pub comments: Vec<String>,
    /// The stream's serial number.
    pub serial: u32,
}

/// What cannot be a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum WholeError {
    /// It would end before it begins, or take over a day.
    #[error("groups {0} to {1} are no recording")]
    Groups(u64, u64),
    /// The gain does not fit its field.
    #[error("the gain is not in −128 to 127.99 dB")]
    Gain,
    /// More is dropped at the front than there is.
    #[error("pre-skip of {0} samples leaves nothing")]
    PreSkip(u16),
    /// Packets are not in order of group.
    #[error("packet of group {group} comes after group {next} was begun")]
    Order {
        /// Of the packet.
        group: u64,
        /// What comes next.
        next: u64,
    },
}

/// Gain in the steps of `OpusHead`, 1/256 dB.
pub(super) fn gain(db: f64) -> Option<i16> {
    let steps = (db * 256.0).round();
    (f64::from(i16::MIN)..=f64::from(i16::MAX)).contains(&steps).then_some(steps as i16)
}

/// Builds a whole file. Hand packets in order of group; what is missing becomes silence.
#[derive(Debug)]
pub struct WholeWriter {
    track: TrackWriter,
    info: WholeInfo,
    begun: bool,
}

impl WholeWriter {
    /// Longest file, in groups: a week.
    pub const MOST_GROUPS: u64 = 7 * 24 * 60 * 60 * 50;

    /// Begins a file.
    ///
    /// # Errors
    /// [`WholeError`].
    pub fn new(info: WholeInfo) -> Result<Self, WholeError> {
        let groups = info.end_group.checked_sub(info.start_group).filter(|groups| *groups <= Self::MOST_GROUPS);
        let groups = groups.ok_or(WholeError::Groups(info.start_group, info.end_group))?;
        if u64::from(info.pre_skip) > groups * TICK_SAMPLES + u64::from(LOOKAHEAD) {
            return Err(WholeError::PreSkip(info.pre_skip));
        }
        let gain = gain(info.gain_db).ok_or(WholeError::Gain)?;
        Ok(Self { track: TrackWriter::whole(&info, info.start_group, gain), info, begun: false })
    }

    /// Adds a packet of `ticks` groups. Those outside the file are left out, and one that is none is silence; one that lies
    /// across the file's beginning or end is kept, and what is too much of it dropped by players.
    ///
    /// # Errors
    /// [`WholeError::Order`]; nothing was added.
    pub fn packet(&mut self, group: u64, ticks: u8, opus: &[u8]) -> Result<(), WholeError> {
        let behind = group.saturating_add(u64::from(ticks));
        if behind <= self.info.start_group || group >= self.info.end_group {
            return Ok(());
        }
        if group < self.info.start_group && !core::mem::replace(&mut self.begun, true) {
            self.begin_early(group);
        }
        self.begun = true;
        match self.track.packet(group, ticks, opus) {
            Ok(()) | Err(FrameError::Packet | FrameError::Far { .. }) => Ok(()),
            Err(FrameError::Late { group, next }) => Err(WholeError::Order { group, next }),
        }
    }

    /// Begins with `group`, which lies before the file, and lets players drop what is too much.
    fn begin_early(&mut self, group: u64) {
        let early = self.info.start_group.saturating_sub(group).saturating_mul(TICK_SAMPLES);
        let Ok(early) = u16::try_from(early) else { return };
        let info = WholeInfo { pre_skip: self.info.pre_skip.saturating_add(early), ..self.info.clone() };
        if let Some(gain) = gain(info.gain_db) {
            self.track = TrackWriter::whole(&info, group, gain);
        }
    }

    /// The pages that are complete, to be appended to the file.
    pub fn take(&mut self) -> Vec<u8> {
        // The first packet may still change the front.
        if self.begun { self.track.take() } else { Vec::new() }
    }

    /// The rest of the file. Nothing can be added after it.
    pub fn finish(&mut self) -> Vec<u8> {
        self.track.finish(self.info.end_group.saturating_sub(1));
        self.track.take()
    }
}

/// A packet of `ticks` × 20 ms of silence, 1 to [`MAX_TICKS`], as libopus encodes it: CELT, full band, mono.
#[must_use]
pub fn silence(ticks: u8) -> Option<Vec<u8>> {
    (1..=MAX_TICKS as u8).contains(&ticks).then(|| packet::silence(packet::CELT, ticks))
}
