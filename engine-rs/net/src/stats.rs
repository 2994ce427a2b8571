//! What a server counts.

use std::collections::BTreeMap;
use std::time::Duration;

use spaces_core::engine::{EngineStats, Verdict};
use spaces_core::refusal::Refusal;

use crate::downlink::DownlinkStats;
use crate::endpoint::EndpointStats;
use crate::mixer::MixerStats;
use crate::websocket::WebSocketStats;

/// What became of uplink frames.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Verdicts {
    /// [`Verdict::Accepted`].
    pub accepted: u64,
    /// [`Verdict::Forwarded`].
    pub forwarded: u64,
    /// [`Verdict::Duplicate`].
    pub duplicate: u64,
    /// [`Verdict::Late`].
    pub late: u64,
    /// [`Verdict::OverBudget`].
    pub over_budget: u64,
    /// [`Verdict::Silenced`].
    pub silenced: u64,
    /// [`Verdict::NoSeat`].
    pub no_seat: u64,
}

/// Counters of the admission desk.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DeskStats {
    /// Sessions let in.
    pub admitted: u64,
    /// Refusals by their code.
    pub refusals: BTreeMap<&'static str, u64>,
    /// Uplink frames.
    pub verdicts: Verdicts,
    /// Objects on a seat's track that are no frame.
    pub uplink_errors: u64,
    /// Sessions that broke their protocol.
    pub protocol_errors: u64,
    /// Sessions closed because they never said what they want.
    pub overdue: u64,
}

impl DeskStats {
    pub(crate) fn count(&mut self, refusal: Refusal) {
        *self.refusals.entry(refusal.code()).or_default() += 1;
    }

    pub(crate) fn verdict(&mut self, verdict: Verdict) {
        let verdicts = &mut self.verdicts;
        *match verdict {
            Verdict::Accepted => &mut verdicts.accepted,
            Verdict::Forwarded => &mut verdicts.forwarded,
            Verdict::Duplicate => &mut verdicts.duplicate,
            Verdict::Late => &mut verdicts.late,
            Verdict::OverBudget => &mut verdicts.over_budget,
            Verdict::Silenced => &mut verdicts.silenced,
            Verdict::NoSeat => &mut verdicts.no_seat,
        } += 1;
    }
}

/// One shard.
#[derive(Clone, Debug, Default)]
pub struct ShardStats {
    /// Its number.
    pub shard: u16,
    /// CPU time of its thread.
    pub cpu: Duration,
    /// It runs on the core that it was to run on.
    pub pinned: bool,
    /// Connections, half-open ones included.
    pub connections: u64,
    /// Sessions, admitted or about to be.
    pub sessions: u64,
    /// Socket and handshakes.
    pub endpoint: EndpointStats,
    /// Connections over TCP.
    pub websockets: WebSocketStats,
    /// Objects on their way out.
    pub downlink: DownlinkStats,
    /// Admission and uplink.
    pub desk: DeskStats,
    /// Messages to other shards that were dropped because their queue was full.
    pub mail_dropped: u64,
    /// Audio of other shards that was dropped unread, because it had waited too long.
    pub mail_stale: u64,
    /// Items that the recorder's queue did not take.
    pub record_dropped: u64,
    /// The engine's own.
    pub engine: EngineStats,
}

/// All shards.
#[derive(Clone, Debug, Default)]
pub struct ServerStats {
    /// In order of number.
    pub shards: Vec<ShardStats>,
    /// The mixers' threads.
    pub mixers: Vec<MixerStats>,
}

/// CPU time of the calling thread.
pub(crate) fn thread_cpu() -> Duration {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
    Duration::new(u64::try_from(time.tv_sec).unwrap_or_default(), u32::try_from(time.tv_nsec).unwrap_or_default())
}
