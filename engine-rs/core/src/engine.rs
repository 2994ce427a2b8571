//! One shard's engine: Spaces, their stages and the part of their audience that is connected here.
//!
//! Call order. At any time: the verbs ([`Engine::apply`], [`Engine::admit`], …, [`Engine::uplink`]). After any of them,
//! and when [`Engine::next_timeout`] has come: [`Engine::advance`], then [`Engine::deliver`], then [`Engine::poll_output`]
//! until `None`. Times handed in never go back. A connection that answered [`Sent::Blocked`] is tried again in every
//! `deliver`: call it when the connection can send again, too.
//!
//! A Space's stage lives on one shard: `space.0 % shards` when the Space is made, and there for good; every shard has an
//! audience of it. Uplink frames that arrive on another shard, and finished ticks for the other shards, travel as
//! [`ShardMessage`]s. Shards may be added: [`crate::growth`].

use std::sync::Arc;

use bytes::Bytes;

use crate::budget::Rates;
use crate::event::{Counts, Event};
use crate::ids::{AccountId, SeatMask, SeatNo, SessionKey, Sid, SpaceId};
use crate::mix::MixPacket;
use crate::mix_feed::MixItem;
use crate::reactions::Tally;
use crate::record::{RecordItem, RecordedFrame};
use crate::refusal::Refusal;
use crate::time::Time;
use crate::uplink::UplinkFrame;

pub use crate::shard::Engine;
pub use crate::stats::EngineStats;

/// How an engine is set up. The defaults are those of the design.
#[derive(Clone, Debug)]
pub struct Config {
    /// This shard's number.
    pub shard: u16,
    /// Shards in all.
    pub shards: u16,
    /// Loudest seats heard at once; 13 hears all.
    pub max_heard: u8,
    /// Wall-clock microseconds since 1970 at [`Time`] 0: what `started_at_ms` of a Space is compared with, so that groups go
    /// on over restarts. The same for all shards.
    pub unix_origin_us: u64,
    /// What one seat may send.
    pub rates: Rates,
    /// Kinds of reactions; 16 at most.
    pub reactions: u8,
    /// Reactions a second that one session may send; twice as many at once.
    pub reaction_rate: u16,
    /// Ticks a packet of the mix, 1 to 3, and so many phases of it: in each tick those are served who are in one of them.
    pub mix_ticks: u8,
    /// The `catalog` track's only object; empty: there is no such track.
    pub catalog: Bytes,
}

/// A catalog (MSF) that names the tracks for everybody. `mix` and `mix.groups` are refused where the Space is not mixed.
pub const CATALOG: &[u8] = br#"{"version":1,"tracks":[{"name":"stage","packaging":"spaces-bundle","isLive":true,"role":"audio","codec":"opus","samplerate":48000},{"name":"stage.1","packaging":"spaces-bundle","isLive":true,"role":"audio","codec":"opus","samplerate":48000},{"name":"stage.groups","packaging":"spaces-bundle","isLive":true,"role":"audio","codec":"opus","samplerate":48000},{"name":"mix","packaging":"spaces-mix","isLive":true,"role":"audio","codec":"opus","samplerate":48000,"channelConfig":"1"},{"name":"mix.groups","packaging":"loc","isLive":true,"role":"audio","codec":"opus","samplerate":48000,"channelConfig":"1"},{"name":"captions","packaging":"json","isLive":true,"role":"caption"},{"name":"state","packaging":"json","isLive":true}]}"#;

impl Config {
    /// The shard on which the stage of a Space lives that is made now.
    #[must_use]
    pub fn home(&self, space: SpaceId) -> u16 {
        (space.0 % u64::from(self.shards.max(1))) as u16
    }
}

impl Default for Config {
    fn default() -> Self {
        Self {
            shard: 0,
            shards: 1,
            max_heard: 13,
            unix_origin_us: 0,
            rates: Rates::default(),
            reactions: 5,
            reaction_rate: 5,
            mix_ticks: 1,
            catalog: Bytes::from_static(CATALOG),
        }
    }
}

/// A track of a Space that this engine serves.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Track {
    /// `stage` and `stage.1`: bundles, as datagrams.
    Stage {
        /// 0, or 1 for what does not fit into 0.
        part: u8,
    },
    /// `stage.groups`: the same bundles on streams, for peers without datagrams. Group = second, object = tick in it.
    StageGroups,
    /// `mix`: everybody in one Opus stream, as datagrams ([`crate::mix_bundle`]). Not for those on stage: they would hear
    /// themselves, so nothing is sent to them while they sit there.
    Mix,
    /// `mix.groups`: the same on streams, for plain players. Group = second, each object one Opus packet and nothing else.
    MixGroups,
    /// `seat/<n>`: one seat, raw as the speaker sent it (payload of [`crate::uplink`]). Service sessions get it of seats with
    /// [`crate::command::StageRow::caption`] alone, and the seat's generation (QUIC varint) before each payload.
    Seat(SeatNo),
    /// `state`: roster and title, a JSON snapshot a group, on streams. Behind it in the group, as JSON, counts, reactions and
    /// what this listener should hear ([`Advice`]).
    State,
    /// `catalog`: MSF catalog, on a stream.
    Catalog,
    /// `captions`: lines of text ([`crate::captions`]), on streams.
    Captions,
}

impl Track {
    /// The track's name, as in SUBSCRIBE.
    #[must_use]
    pub fn parse(name: &[u8]) -> Option<Self> {
        match name {
            b"stage" => Some(Self::Stage { part: 0 }),
            b"stage.1" => Some(Self::Stage { part: 1 }),
            b"stage.groups" => Some(Self::StageGroups),
            b"mix" => Some(Self::Mix),
            b"mix.groups" => Some(Self::MixGroups),
            b"state" => Some(Self::State),
            b"catalog" => Some(Self::Catalog),
            b"captions" => Some(Self::Captions),
            _ => {
                let digits = core::str::from_utf8(name.strip_prefix(b"seat/")?).ok()?;
                let number: u8 = digits.parse().ok()?;
                (digits.len() == 1 || number > 9).then(|| SeatNo::new(number).map(Self::Seat))?
            }
        }
    }
}

/// What a listener hears.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Tier {
    /// The speakers, each by itself: [`Track::Stage`].
    #[default]
    Stage,
    /// All of them in one stream: [`Track::Mix`].
    Mix,
}

impl Tier {
    /// Its word, and the track's name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Stage => "stage",
            Self::Mix => "mix",
        }
    }
}

/// What a listener is told to hear, on the track `state`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Advice {
    /// The stage, and there is no choice: they sit there and would hear themselves in the mix, or there is no mix.
    StageOnly,
    /// The stage; the mix is there for who wants to save data.
    Stage,
    /// The mix.
    Mix,
}

impl Advice {
    /// Its word.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::StageOnly => "stage-only",
            Self::Stage => "stage",
            Self::Mix => "mix",
        }
    }

    /// The advice of this name.
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        [Self::StageOnly, Self::Stage, Self::Mix].into_iter().find(|advice| advice.name() == name)
    }
}

/// One object on its way to a subscriber.
#[derive(Clone, Debug)]
pub struct Object {
    /// Where.
    pub space: SpaceId,
    /// On which track.
    pub track: Track,
    /// Group id: the tick; for [`Track::StageGroups`] and [`Track::MixGroups`] the tick / 50; for [`Track::State`] the version.
    pub group: u64,
    /// Object id in the group; nonzero on [`Track::StageGroups`] and [`Track::MixGroups`], and on [`Track::State`] for what is
    /// no snapshot: rising, with gaps.
    pub object: u64,
    /// Nothing follows in this group.
    pub end_of_group: bool,
    /// Media time in 48 kHz samples since group 0 (tick × 960).
    pub timestamp: u64,
    /// The bytes. Equal payloads for many listeners share their memory: compare by pointer to reuse what was framed.
    pub payload: Bytes,
}

/// What became of an object that was handed to a [`Sink`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sent {
    /// It is in the connection's hands, or on the wire.
    Yes,
    /// The connection takes nothing now (congestion, full buffer). The cursor stays; it may skip ahead later.
    Blocked,
}

/// The way out: implemented over QUIC by the net crate, over a simulated network by the tests.
pub trait Sink {
    /// Sends `object` to the subscriber `session`. Datagram tracks: one datagram. Stream tracks: on the group's stream.
    fn send(&mut self, session: SessionKey, object: &Object) -> Sent;
    /// Drop every queued object for `session` that has not left yet and is of what `purge` says. Nothing sent later
    /// contains it.
    fn purge(&mut self, session: SessionKey, space: SpaceId, purge: Purge);
    /// `session` will be sent something soon, very soon, next. A hint: whoever has its memory far away may fetch it.
    fn expect(&mut self, session: SessionKey, soon: Soon) {
        let _ = (session, soon);
    }
    /// The cache line at this address will be read soon. A hint: it need not even be memory.
    fn fetch(&mut self, address: *const u8) {
        let _ = address;
    }
}

/// How soon, see [`Sink::expect`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Soon {
    /// Several others come first.
    Soon,
    /// A few others come first; [`Soon::Soon`] was said before.
    VerySoon,
    /// One or two others come first; [`Soon::VerySoon`] was said before.
    Next,
}

/// What somebody must not get any more.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Purge {
    /// The sound of these seats: tracks `stage*`, `mix*` and `seat/<n>`.
    pub sound: SeatMask,
    /// The words of these seats: track `captions`.
    pub words: SeatMask,
}

/// What a connection reported about itself since the last report.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Feedback {
    /// Packets sent.
    pub sent: u32,
    /// Packets declared lost.
    pub lost: u32,
    /// Smoothed round-trip time in microseconds.
    pub rtt_us: u32,
}

/// What became of an uplink frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Verdict {
    /// On its way into a tick.
    Accepted,
    /// Sent on to the stage's shard.
    Forwarded,
    /// Came before; dropped.
    Duplicate,
    /// Its tick is gone, or given to the next frame (the speaker's clock is fast); dropped.
    Late,
    /// Over the seat's rate budget; dropped.
    OverBudget,
    /// The seat is muted, or the mic access is off; dropped.
    Silenced,
    /// The session holds no seat (any more); dropped.
    NoSeat,
}

impl Verdict {
    /// Every verdict.
    pub const ALL: [Self; 7] =
        [Self::Accepted, Self::Forwarded, Self::Duplicate, Self::Late, Self::OverBudget, Self::Silenced, Self::NoSeat];
}

/// A session was let in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Admitted {
    /// An older connection with the same `sid` on this shard, to be closed with [`Refusal::SessionSuperseded`]; `leave` is already
    /// done. One on another shard is closed there.
    pub supersedes: Option<SessionKey>,
}

/// Somebody on the roster.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Listed {
    /// Who.
    pub account: AccountId,
    /// The newest session.
    pub sid: Sid,
    /// When its connection was begun.
    pub begun: Time,
}

/// One finished tick, shared by all shards.
#[derive(Debug)]
pub struct TickBundle {
    /// Where.
    pub space: SpaceId,
    /// Version of the Space's table under which it was made.
    pub version: u64,
    /// The tick.
    pub group: u64,
    /// Frames of the seats heard, in order of seat. A seat that selection left out for a while has its first and last heard
    /// frame marked like a talkspurt's.
    pub heard: Arc<[RecordedFrame]>,
    /// Frames of all seats, as they came.
    pub all: Arc<[RecordedFrame]>,
    /// The encoded payloads of everybody's variant, part 0 first.
    pub parts: Vec<Bytes>,
}

/// What comes from the mixer, shared by all shards; each makes packets of it.
#[derive(Debug)]
pub struct MixBundle {
    /// Where.
    pub space: SpaceId,
    /// Version of the Space's table with which it passed the stage's shard.
    pub version: u64,
    /// A tick, or a longer packet.
    pub packet: MixPacket,
    /// Nothing follows for a while.
    pub last: bool,
}

/// Between the shards of one process.
#[derive(Clone, Debug)]
pub enum ShardMessage {
    /// A finished tick, from the stage's shard to all others.
    Bundle(Arc<TickBundle>),
    /// A packet of the mix, from the stage's shard to all others.
    Mix(Arc<MixBundle>),
    /// A line of captions, from the stage's shard to all others.
    Caption {
        /// Where.
        space: SpaceId,
        /// Version of the Space's table under which it was taken.
        version: u64,
        /// Whose words.
        seat: SeatNo,
        /// The seat's generation.
        generation: u32,
        /// Its group.
        number: u64,
        /// The line.
        payload: Bytes,
    },
    /// A frame, to the stage's shard.
    Uplink {
        /// Where.
        space: SpaceId,
        /// Of which seat.
        seat: SeatNo,
        /// The seat's generation when the frame came.
        generation: u32,
        /// The frame.
        frame: UplinkFrame,
    },
    /// A connection was let in, to all others: an older one of its `sid` is closed; who has a newer one answers with this, to
    /// its shard alone.
    Arrived {
        /// Whose.
        sid: Sid,
        /// When it was begun, and where: the greater one is the newer.
        at: (Time, u16),
    },
    /// A session began or ceased to publish a seat, to all others: the stage's shard steps the seat, an older publisher of
    /// the seat is closed.
    Publishing {
        /// Where.
        space: SpaceId,
        /// Which seat.
        seat: SeatNo,
        /// The seat's generation.
        generation: u32,
        /// Began.
        on: bool,
        /// When it began, and where.
        at: (Time, u16),
    },
    /// Reactions on one shard, to the stage's shard; or none, where somebody has begun to listen to `state`.
    Reactions {
        /// Where.
        space: SpaceId,
        /// How many of each.
        tally: Tally,
    },
    /// What everybody is told of people and reactions, to all others.
    Pulse {
        /// Where.
        space: SpaceId,
        /// Its object id.
        number: u32,
        /// The object.
        payload: Bytes,
    },
    /// People connected on one shard, to the stage's shard.
    Counts {
        /// Where.
        space: SpaceId,
        /// Which shard.
        shard: u16,
        /// How many. The peak is counted by the stage's shard.
        counts: Counts,
    },
}

/// What the caller has to carry on.
#[derive(Clone, Debug)]
pub enum Output {
    /// For the control plane.
    Event(Event),
    /// For the recorder's thread.
    Record(RecordItem),
    /// For the mixer's thread; its packets come back by [`Engine::mixed`].
    Mix(MixItem),
    /// For one other shard, or all others.
    ToShard {
        /// `None`: all others.
        shard: Option<u16>,
        /// What to hand to [`Engine::shard_message`] there.
        message: ShardMessage,
    },
    /// Close this connection; `leave` is already done.
    Close {
        /// Which.
        session: SessionKey,
        /// Why, as its application error code and reason.
        reason: Refusal,
    },
}
