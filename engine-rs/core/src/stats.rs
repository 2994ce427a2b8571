//! What an engine has done since it was made.

use crate::engine::Verdict;

/// Counters; they only grow.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct EngineStats {
    /// Uplink frames by verdict, in the order of [`Verdict::ALL`]. Frames from other shards count where they are judged.
    pub verdicts: [u64; Verdict::ALL.len()],
    /// Ticks that went out (on the stage's shard).
    pub ticks: u64,
    /// Ticks that came from other shards.
    pub ticks_received: u64,
    /// Objects that a sink took.
    pub objects: u64,
    /// Objects that a sink did not take.
    pub blocked: u64,
    /// Ticks that a listener did not get because its connection took nothing until they were too old.
    pub skipped: u64,
    /// Objects with the tick before repeated.
    pub redundant: u64,
    /// Sessions let in.
    pub admitted: u64,
    /// Sessions refused.
    pub refused: u64,
    /// Reactions counted.
    pub reactions: u64,
    /// Reactions refused: too many, unknown, or of somebody who may not.
    pub reactions_refused: u64,
    /// Packets of the mix that came back (on the stage's shard) and are heard.
    pub mix_packets: u64,
    /// Packets of the mix that were dropped: somebody in them was silenced meanwhile.
    pub mix_dropped: u64,
    /// Sessions closed by a decision.
    pub closed: u64,
}

impl EngineStats {
    /// Frames with this verdict.
    #[must_use]
    pub fn verdict(&self, verdict: Verdict) -> u64 {
        self.verdicts.get(verdict as usize).copied().unwrap_or_default()
    }

    pub(crate) fn count(&mut self, verdict: Verdict) -> Verdict {
        if let Some(counter) = self.verdicts.get_mut(verdict as usize) {
            *counter += 1;
        }
        verdict
    }
}
