//! A simulated world: engines wired together, speakers with clocks and networks of their own, listeners that count what a
//! player would have to conceal. All of it in virtual time, all chance from one seed.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use bytes::Bytes;
use spaces_core::admission::Claims;
use spaces_core::bundle;
use spaces_core::command::{Applied, Command, MixFor, Role, SpaceTable, StageRow};
use spaces_core::engine::{Config, Engine, Object, Output, Purge, Sent, ShardMessage, Sink, Track, Verdict};
use spaces_core::event::EventKind;
use spaces_core::ids::{AccountId, SeatMask, SeatNo, SessionKey, Sid, SpaceId};
use spaces_core::mix::MixPacket;
use spaces_core::mix_bundle;
use spaces_core::mix_feed::{MixItem, Mixed};
use spaces_core::record::RecordItem;
use spaces_core::refusal::Refusal;
use spaces_core::time::Time;
use spaces_core::uplink::{Level, Spurt, UplinkFrame};

pub(crate) const SPACE: SpaceId = SpaceId(6);
/// Stands in a packet for no seat in particular.
pub(crate) const ANY: u8 = 255;
/// Where virtual time begins: group 0 of `table` begins here.
pub(crate) const START: Time = Time(1_000_000_000);

/// xorshift64*.
#[derive(Clone, Debug)]
pub(crate) struct Rng(pub u64);

impl Rng {
    pub(crate) fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }
    pub(crate) fn below(&mut self, bound: u64) -> u64 {
        (self.next() >> 11) % bound.max(1)
    }
    /// With probability `per_mille` / 1000.
    pub(crate) fn chance(&mut self, per_mille: u64) -> bool {
        self.below(1_000) < per_mille
    }
}

pub(crate) fn seat(number: u8) -> SeatNo {
    SeatNo::new(number).unwrap()
}

/// The account in a seat of [`table`].
pub(crate) fn account(number: u8) -> AccountId {
    AccountId(100 + u64::from(number))
}

pub(crate) fn row(number: u8) -> StageRow {
    let role = if number == 0 { Role::Host } else { Role::Speaker };
    StageRow { seat: seat(number), account: account(number), role, muted: false, generation: 1, caption: false }
}

/// A live Space with open seats 0 to `seats` − 1.
pub(crate) fn table(seats: u8) -> SpaceTable {
    SpaceTable {
        live: true,
        record: false,
        guests: true,
        ticketed: false,
        mic_open: true,
        mix: true,
        mix_for: MixFor::Nobody,
        started_at_ms: START.0 / 1_000,
        stage: (0..seats).map(row).collect(),
    }
}

pub(crate) fn claims(account: u64, sid: u64) -> Claims {
    Claims {
        account: (account != 0).then_some(AccountId(account)),
        sid: Sid(sid),
        epoch: 1,
        anonymous: false,
        service: false,
    }
}

/// The Opus packet that stands for one frame of one seat: nothing else has these bytes.
pub(crate) fn opus(seat: u8, sequence: u64, size: usize) -> Bytes {
    let mut bytes = vec![0x78, seat];
    bytes.extend_from_slice(&sequence.to_be_bytes());
    let mut rng = Rng(sequence.wrapping_mul(31).wrapping_add(u64::from(seat)) | 1);
    while bytes.len() < size.max(10) {
        bytes.push(rng.next() as u8);
    }
    Bytes::from(bytes)
}

/// Seat and sequence of a packet of [`opus`]; panics if it was altered.
pub(crate) fn identify(packet: &[u8]) -> (u8, u64) {
    let sequence = u64::from_be_bytes(packet[2..10].try_into().unwrap());
    assert_eq!(opus(packet[1], sequence, packet.len()), packet, "altered or invented frame");
    (packet[1], sequence)
}

/// An ordinary frame in the middle of a talkspurt.
pub(crate) fn frame(seat: u8, sequence: u64) -> UplinkFrame {
    UplinkFrame { sequence, level: Level(0x80 | 30), spurt: Spurt::default(), opus: opus(seat, sequence, 80) }
}

/// How a network treats packets.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Network {
    pub(crate) delay: Duration,
    /// Uniform on top of `delay`; above 20 ms it reorders.
    pub(crate) jitter: Duration,
    pub(crate) loss_per_mille: u64,
    pub(crate) duplicate_per_mille: u64,
}

/// Somebody who speaks.
#[derive(Clone, Debug)]
pub(crate) struct Speaker {
    pub(crate) shard: usize,
    pub(crate) key: SessionKey,
    pub(crate) seat: u8,
    pub(crate) network: Network,
    /// How much slower the capture clock runs.
    pub(crate) ppm: i64,
    pub(crate) size: usize,
    pub(crate) level: u8,
    /// Talkspurt and pause in frames; no pause: talks on and on.
    pub(crate) talk: u64,
    pub(crate) pause: u64,
    /// First capture, and how many frames the clock counts.
    pub(crate) begins: Time,
    pub(crate) frames: u64,
    pub(crate) first_sequence: u64,
}

impl Speaker {
    pub(crate) fn new(shard: usize, key: u32, seat: u8) -> Self {
        Self {
            shard,
            key: SessionKey(key),
            seat,
            network: Network { delay: Duration::from_millis(30), ..Network::default() },
            ppm: 0,
            size: 80,
            level: 30,
            talk: u64::MAX,
            pause: 0,
            begins: START + Duration::from_millis(100),
            frames: 500,
            first_sequence: 1_000,
        }
    }
}

/// What a packet of [`World::mix`] says: ticks from its first on, and seats in them. Each tick is a TOC and the seats' mask;
/// several are an Opus packet of code 3 (RFC 6716 §3.2.5).
fn mixed_seats(opus: &[u8]) -> impl Iterator<Item = (u64, u8)> {
    let (toc, behind) = opus.split_first().unwrap();
    let masks = if toc & 0b11 == 0 {
        behind
    } else {
        assert_eq!((toc & 0b11, behind[0] & !0b11), (3, 0x80));
        let lengths = usize::from(behind[0] & 0b11) - 1;
        assert!(behind[1..=lengths].iter().all(|length| *length == 2));
        &behind[1 + lengths..]
    };
    let masks: Vec<_> = masks.chunks(2).map(|mask| u16::from_be_bytes(mask.try_into().unwrap())).collect();
    (0..)
        .zip(masks)
        .flat_map(|(tick, mask)| (0..13).filter(move |seat| mask >> seat & 1 == 1).map(move |seat| (tick, seat)))
}

/// What waits for its time.
#[derive(Debug)]
enum Action {
    Uplink {
        shard: usize,
        key: SessionKey,
        frame: UplinkFrame,
    },
    Message {
        shard: usize,
        message: ShardMessage,
    },
    /// Reaches the mixer.
    Mix {
        shard: usize,
        item: MixItem,
    },
    /// Comes back from it.
    Mixed {
        shard: usize,
        mixed: Mixed,
    },
}

/// One seat as a player hears it.
#[derive(Clone, Copy, Debug, Default)]
struct Heard {
    group: Option<u64>,
    sequence: Option<u64>,
    /// The group right before, if it is missing.
    hole: Option<u64>,
}

/// A listener's player: counts, checks, keeps nothing.
#[derive(Clone, Debug, Default)]
pub(crate) struct Player {
    pub(crate) bundles: u64,
    pub(crate) frames: u64,
    /// Ticks in the middle of a talkspurt without a frame.
    pub(crate) concealed: u64,
    /// Frames of the speaker that were left out without a hole in media time.
    pub(crate) skipped: u64,
    /// Repetitions that came, and those of them that filled a hole.
    pub(crate) redundant: u64,
    pub(crate) repaired: u64,
    pub(crate) repeated: BTreeSet<u8>,
    pub(crate) starts: u64,
    pub(crate) first_at: Option<Time>,
    pub(crate) last_at: Option<Time>,
    first_group: Option<u64>,
    pub(crate) last_group: Option<u64>,
    pub(crate) seats: SeatMask,
    pub(crate) states: Vec<(u64, Bytes)>,
    pub(crate) catalogs: u64,
    heard: [Heard; 13],
    /// Previous bundle lost on the way down: groups that were sent but not received.
    pub(crate) lost_below: u64,
}

impl Player {
    fn take(&mut self, now: Time, object: &Object) {
        match object.track {
            Track::State => return self.states.push((object.group, object.payload.clone())),
            Track::Catalog => return self.catalogs += 1,
            _ => {}
        }
        let group = match object.track {
            Track::StageGroups => object.group * 50 + object.object,
            _ => object.group,
        };
        assert_eq!(object.timestamp, group * 960);
        if let Track::Seat(number) = object.track {
            let frame = UplinkFrame::decode(0, object.payload.clone()).unwrap();
            return self.frame(group, number.get(), frame.spurt, &frame.opus, false);
        }
        if object.track != (Track::Stage { part: 1 }) {
            assert!(self.last_group.is_none_or(|last| last < group), "groups strictly increase");
            self.bundles += 1;
            self.first_group.get_or_insert(group);
            self.last_group = Some(group);
        }
        self.first_at.get_or_insert(now);
        self.last_at = Some(now);
        for entry in bundle::entries(&object.payload) {
            let entry = entry.unwrap();
            self.frame(group - u64::from(entry.redundant), entry.seat.get(), entry.spurt, entry.opus, entry.redundant);
        }
    }

    fn frame(&mut self, group: u64, number: u8, spurt: Spurt, packet: &[u8], redundant: bool) {
        let (owner, sequence) = identify(packet);
        assert!(owner == number || owner == ANY, "a frame on another seat");
        let heard = &mut self.heard[usize::from(number)];
        if redundant {
            self.redundant += 1;
            self.repeated.insert(number);
            // It follows this tick's own frame in the bundle: a repetition of what was just counted as a hole.
            self.repaired += u64::from(heard.hole == Some(group));
            return;
        }
        heard.hole = None;
        if let (Some(last), Some(before)) = (heard.group, heard.sequence) {
            assert!(group > last, "one frame a seat and tick");
            if !spurt.start {
                self.concealed += group - last - 1;
                let advanced = sequence.wrapping_sub(before);
                self.skipped = self.skipped.saturating_add(advanced.saturating_sub(group - last));
                heard.hole = (group - last > 1).then_some(group - 1);
            }
        }
        self.starts += u64::from(spurt.start);
        self.frames += 1;
        self.seats |= 1 << number;
        heard.group = Some(group);
        heard.sequence = Some(sequence);
    }

    pub(crate) fn first_group(&self) -> Option<u64> {
        self.first_group
    }
}

/// What a shard did to its connections.
#[derive(Clone, Debug)]
pub(crate) enum Entry {
    Sent(SessionKey, Object),
    Purged(Purge),
}

impl Entry {
    /// Groups and seats of the frames in it.
    pub(crate) fn frames(&self) -> Vec<(u64, u8)> {
        let Self::Sent(_, object) = self else { return Vec::new() };
        match object.track {
            Track::State | Track::Catalog | Track::Captions => Vec::new(),
            Track::Mix => {
                let packet = mix_bundle::parse(object.group, &object.payload).unwrap();
                mixed_seats(&packet.opus).map(|(tick, number)| (packet.group + tick, number)).collect()
            }
            // Of the group only the second is known: its last tick, then.
            Track::MixGroups => {
                mixed_seats(&object.payload).map(|(_, number)| (object.group * 50 + 49, number)).collect()
            }
            Track::Seat(number) => vec![(object.group, number.get())],
            track => {
                let group = if track == Track::StageGroups { object.group * 50 + object.object } else { object.group };
                let entries = bundle::entries(&object.payload).map(Result::unwrap);
                entries.map(|entry| (group - u64::from(entry.redundant), entry.seat.get())).collect()
            }
        }
    }

    /// The seat whose words are in it, or whose sound a service gets.
    pub(crate) fn captioned(&self, services: &BTreeSet<SessionKey>) -> Option<u8> {
        let Self::Sent(session, object) = self else { return None };
        match object.track {
            Track::Captions => Some(object.payload[0]),
            Track::Seat(number) if services.contains(session) => Some(number.get()),
            _ => None,
        }
    }
}

/// All connections of one shard.
#[derive(Debug)]
pub(crate) struct Net {
    pub(crate) players: BTreeMap<SessionKey, Player>,
    /// Players of `stage.groups` and of single seats, beside that of the stage.
    aside: BTreeMap<(SessionKey, Option<Track>), Player>,
    /// What was sent of the mix, of captions, and to services.
    pub(crate) others: BTreeMap<SessionKey, Vec<Object>>,
    pub(crate) services: BTreeSet<SessionKey>,
    pub(crate) blocked: BTreeSet<SessionKey>,
    /// Takes part 0 of the stage, but not part 1.
    pub(crate) half_blocked: Option<SessionKey>,
    /// When each frame came in, for who measures how long it stays.
    pub(crate) arrivals: Option<BTreeMap<(u8, u64), Time>>,
    /// How long each frame stayed in the engine, in microseconds.
    pub(crate) stays: Vec<u64>,
    pub(crate) loss_per_mille: BTreeMap<SessionKey, u64>,
    pub(crate) now: Time,
    pub(crate) log: Option<Vec<Entry>>,
    rng: Rng,
}

impl Net {
    /// Begins anew with one session.
    pub(crate) fn forget(&mut self, session: SessionKey) {
        self.players.remove(&session);
        self.aside.retain(|(key, _), _| *key != session);
    }
}

impl Sink for Net {
    fn send(&mut self, session: SessionKey, object: &Object) -> Sent {
        let second = object.track == Track::Stage { part: 1 } && self.half_blocked == Some(session);
        if second || self.blocked.contains(&session) {
            return Sent::Blocked;
        }
        if let (Some(arrivals), Track::Stage { .. }) = (&self.arrivals, object.track) {
            for entry in bundle::entries(&object.payload).flatten() {
                self.stays.push(self.now.0 - arrivals[&identify(entry.opus)].0);
            }
        }
        if let Some(log) = &mut self.log {
            log.push(Entry::Sent(session, object.clone()));
        }
        let other = matches!(object.track, Track::Mix | Track::MixGroups | Track::Captions);
        if other || self.services.contains(&session) {
            self.others.entry(session).or_default().push(object.clone());
            return Sent::Yes;
        }
        let player = match object.track {
            Track::StageGroups => self.aside.entry((session, None)).or_default(),
            track @ Track::Seat(_) => self.aside.entry((session, Some(track))).or_default(),
            _ => self.players.entry(session).or_default(),
        };
        if self.loss_per_mille.get(&session).is_some_and(|loss| self.rng.chance(*loss)) {
            player.lost_below += 1;
        } else {
            player.take(self.now, object);
        }
        Sent::Yes
    }

    fn purge(&mut self, _: SessionKey, _: SpaceId, purge: Purge) {
        if let Some(log) = &mut self.log {
            log.push(Entry::Purged(purge));
        }
    }
}

/// See the module.
pub(crate) struct World {
    pub(crate) now: Time,
    config: Config,
    pub(crate) engines: Vec<Engine>,
    pub(crate) nets: Vec<Net>,
    pub(crate) events: Vec<(usize, EventKind)>,
    pub(crate) records: Vec<RecordItem>,
    pub(crate) closed: Vec<(usize, SessionKey, Refusal)>,
    pub(crate) verdicts: BTreeMap<(u8, u8), u64>,
    /// How long messages between shards take.
    pub(crate) between: Duration,
    pub(crate) rng: Rng,
    pub(crate) sent: u64,
    /// How long an item waits for the mixer, and how long its packet takes back, at most.
    pub(crate) mixing: Duration,
    /// When the last item reaches the mixer, and the last packet is back.
    mixes_at: [Time; 2],
    /// The last epoch that the mixer has seen.
    epoch: u64,
    agenda: BTreeMap<(Time, u64), Action>,
    order: u64,
    /// So many listeners are served in each turn, and the others wait for the next; `None`: all.
    pub(crate) part: Option<usize>,
}

impl World {
    pub(crate) fn new(seed: u64, shards: u16, config: Config) -> Self {
        let make = |shard| Engine::new(Config { shard, shards, ..config.clone() });
        let net = |shard: u16| Self::net(seed, shard);
        Self {
            now: START,
            config: config.clone(),
            engines: (0..shards).map(make).collect(),
            nets: (0..shards).map(net).collect(),
            events: Vec::new(),
            records: Vec::new(),
            closed: Vec::new(),
            verdicts: BTreeMap::new(),
            between: Duration::from_micros(300),
            rng: Rng(seed | 1),
            sent: 0,
            mixing: Duration::ZERO,
            mixes_at: [START; 2],
            epoch: 0,
            agenda: BTreeMap::new(),
            order: 0,
            part: None,
        }
    }

    fn net(seed: u64, shard: u16) -> Net {
        Net {
            players: BTreeMap::new(),
            aside: BTreeMap::new(),
            others: BTreeMap::new(),
            services: BTreeSet::new(),
            blocked: BTreeSet::new(),
            half_blocked: None,
            arrivals: None,
            stays: Vec::new(),
            loss_per_mille: BTreeMap::new(),
            now: START,
            log: None,
            rng: Rng(seed ^ (u64::from(shard) << 32) | 1),
        }
    }

    /// Adds a shard, as a server does. What it is told meanwhile reaches it after it has learned.
    pub(crate) fn add_shard(&mut self) -> usize {
        let shard = self.engines.len();
        let shards = u16::try_from(shard + 1).unwrap();
        self.engines.iter_mut().for_each(|engine| engine.set_shards(shards));
        let knowledge = self.engines[0].knowledge();
        let mut engine = Engine::new(Config { shard: shards - 1, shards, ..self.config.clone() });
        engine.learn(self.now, knowledge);
        self.engines.push(engine);
        let mut net = Self::net(self.rng.next(), shards - 1);
        net.now = self.now;
        self.nets.push(net);
        self.settle(shard);
        shard
    }

    /// One shard, one Space with open seats.
    pub(crate) fn with_seats(seed: u64, seats: u8) -> Self {
        let mut world = Self::new(seed, 1, Config::default());
        world.upsert(1, table(seats));
        world
    }

    pub(crate) fn apply(&mut self, command: &Command) -> Applied {
        let mut worst = Applied { fence_group: 0 };
        for shard in 0..self.engines.len() {
            let applied = self.engines[shard].apply(self.now, command).unwrap();
            worst.fence_group = worst.fence_group.max(applied.fence_group);
            self.settle(shard);
        }
        worst
    }

    pub(crate) fn upsert(&mut self, version: u64, table: SpaceTable) -> Applied {
        self.apply(&Command::UpsertSpace { space: SPACE, version, table })
    }

    pub(crate) fn join(&mut self, shard: usize, key: u32, account: u64, tracks: &[Track]) -> Result<(), Refusal> {
        let sid = 1 + shard as u64 * 1_000_000 + u64::from(key);
        self.engines[shard].admit(self.now, self.now, SessionKey(key), SPACE, &claims(account, sid))?;
        for track in tracks {
            self.engines[shard].subscribe(self.now, SessionKey(key), *track)?;
        }
        self.settle(shard);
        Ok(())
    }

    /// A part of the deployment that hears these tracks.
    pub(crate) fn serve(&mut self, shard: usize, key: u32, tracks: &[Track]) -> Result<(), Refusal> {
        let claims = Claims { service: true, ..claims(0, 7_000 + shard as u64 * 100 + u64::from(key)) };
        self.engines[shard].admit(self.now, self.now, SessionKey(key), SPACE, &claims)?;
        self.nets[shard].services.insert(SessionKey(key));
        for track in tracks {
            self.engines[shard].subscribe(self.now, SessionKey(key), *track)?;
        }
        self.settle(shard);
        Ok(())
    }

    /// A service that broadcasts the mix.
    pub(crate) fn broadcast(&mut self, shard: usize, key: u32, tracks: &[Track]) -> Result<(), Refusal> {
        let sid = 8_000 + shard as u64 * 100 + u64::from(key);
        let claims = Claims { service: true, anonymous: true, ..claims(0, sid) };
        self.engines[shard].admit(self.now, self.now, SessionKey(key), SPACE, &claims)?;
        for track in tracks {
            self.engines[shard].subscribe(self.now, SessionKey(key), *track)?;
        }
        self.settle(shard);
        Ok(())
    }

    /// A line of captions, whose first byte is the seat.
    pub(crate) fn caption(&mut self, number: u8, generation: u32) -> Result<(), Refusal> {
        let home = (SPACE.0 % self.engines.len() as u64) as usize;
        let line = Bytes::from(vec![number, b'!']);
        let said = self.engines[home].caption(self.now, SPACE, seat(number), generation, line);
        self.settle(home);
        said
    }

    /// A listener of both parts.
    pub(crate) fn listen(&mut self, shard: usize, key: u32) {
        let account = 10_000 + shard as u64 * 100_000 + u64::from(key);
        self.join(shard, key, account, &[Track::Stage { part: 0 }, Track::Stage { part: 1 }]).unwrap();
    }

    /// Admits and seats a speaker, and plans all its packets.
    pub(crate) fn speak(&mut self, speaker: &Speaker) {
        self.join(speaker.shard, speaker.key.0, account(speaker.seat).0, &[]).unwrap();
        self.engines[speaker.shard].publish(self.now, speaker.key, seat(speaker.seat)).unwrap();
        self.settle(speaker.shard);
        self.plan(speaker);
    }

    /// Plans a speaker's packets.
    pub(crate) fn plan(&mut self, speaker: &Speaker) {
        self.plan_with(speaker, 0, |at| at);
    }

    /// The same without the first `from` frames.
    pub(crate) fn plan_from(&mut self, speaker: &Speaker, from: u64) {
        self.plan_with(speaker, from, |at| at);
    }

    /// A speaker whose network holds everything back for a while.
    pub(crate) fn speak_stalled(&mut self, speaker: &Speaker, from: Time, stall: Duration) {
        let silent = Speaker { frames: 0, ..speaker.clone() };
        self.speak(&silent);
        self.plan_with(speaker, 0, |at| if at >= from && at < from + stall { from + stall } else { at });
    }

    /// A speaker whose network becomes slower by `more`, from then on.
    pub(crate) fn speak_slower(&mut self, speaker: &Speaker, from: Time, more: Duration) {
        let silent = Speaker { frames: 0, ..speaker.clone() };
        self.speak(&silent);
        self.plan_with(speaker, 0, |at| if at >= from { at + more } else { at });
    }

    fn plan_with(&mut self, speaker: &Speaker, from: u64, arrival: impl Fn(Time) -> Time) {
        let mut rng = Rng(self.rng.next() | 1);
        for n in from..speaker.frames {
            let place = n % speaker.talk.saturating_add(speaker.pause);
            if place >= speaker.talk {
                continue;
            }
            let captured = (speaker.begins.0 + n * 20_000).saturating_add_signed(n as i64 * speaker.ppm / 50);
            let frame = UplinkFrame {
                sequence: speaker.first_sequence.wrapping_add(n),
                level: Level(0x80 | speaker.level),
                spurt: Spurt { start: place == 0, end: place + 1 == speaker.talk || n + 1 == speaker.frames },
                opus: opus(speaker.seat, speaker.first_sequence.wrapping_add(n), speaker.size),
            };
            self.sent += 1;
            let copies = u64::from(!rng.chance(speaker.network.loss_per_mille))
                * (1 + u64::from(rng.chance(speaker.network.duplicate_per_mille)));
            for _ in 0..copies {
                let jitter = rng.below(speaker.network.jitter.as_micros() as u64 + 1);
                let at = Time(captured) + speaker.network.delay + Duration::from_micros(jitter);
                let (shard, key, frame) = (speaker.shard, speaker.key, frame.clone());
                self.put(arrival(at), Action::Uplink { shard, key, frame });
            }
        }
    }

    /// Plans one packet on shard 0.
    pub(crate) fn uplink_at(&mut self, at: Time, key: SessionKey, frame: UplinkFrame) {
        self.put(at, Action::Uplink { shard: 0, key, frame });
    }

    /// Plans one packet.
    pub(crate) fn uplink_on(&mut self, shard: usize, at: Time, key: SessionKey, frame: UplinkFrame) {
        self.put(at, Action::Uplink { shard, key, frame });
    }

    pub(crate) fn sent_verdicts(&self, number: u8) -> u64 {
        self.verdicts.iter().filter(|((owner, _), _)| *owner == number).map(|(_, count)| count).sum()
    }

    pub(crate) fn over_budget(&self) -> impl Iterator<Item = u32> {
        self.events.iter().filter_map(|(_, kind)| match kind {
            EventKind::SeatOverBudget { dropped, .. } => Some(*dropped),
            _ => None,
        })
    }

    fn put(&mut self, at: Time, action: Action) {
        self.order += 1;
        self.agenda.insert((at.max(self.now), self.order), action);
    }

    /// Runs until `until`.
    pub(crate) fn run(&mut self, until: Time) {
        loop {
            let planned = self.agenda.keys().next().map(|(at, _)| *at);
            let timers = self.engines.iter().filter_map(Engine::next_timeout);
            let Some(next) = timers.chain(planned).min().filter(|next| *next <= until) else { break };
            self.now = self.now.max(next);
            while let Some(entry) = self.agenda.first_entry().filter(|entry| entry.key().0 <= self.now) {
                match entry.remove() {
                    Action::Uplink { shard, key, frame } => {
                        let (owner, sequence) = identify(&frame.opus);
                        for net in &mut self.nets {
                            if let Some(arrivals) = &mut net.arrivals {
                                arrivals.entry((owner, sequence)).or_insert(self.now);
                            }
                        }
                        let verdict = self.engines[shard].uplink(self.now, key, frame);
                        *self.verdicts.entry((owner, verdict as u8)).or_default() += 1;
                        self.settle(shard);
                    }
                    Action::Message { shard, message } => {
                        self.engines[shard].shard_message(self.now, message);
                        self.settle(shard);
                    }
                    Action::Mix { shard, item } => self.mix(shard, &item),
                    Action::Mixed { shard, mixed } => {
                        self.engines[shard].mixed(self.now, mixed);
                        self.settle(shard);
                    }
                }
            }
            for shard in 0..self.engines.len() {
                if self.engines[shard].next_timeout().is_some_and(|at| at <= self.now) {
                    self.settle(shard);
                }
            }
        }
        self.now = until;
    }

    /// A mixer that makes a packet of every tick at once, and forgets at once.
    fn mix(&mut self, shard: usize, item: &MixItem) {
        match item {
            MixItem::Tick { space, epoch, group, frames } => {
                self.epoch = self.epoch.max(*epoch);
                let mut levels = [None; 13];
                for frame in frames.iter() {
                    levels[frame.seat.index()] = Some(frame.level);
                }
                let (group, spurt, opus) = (*group, Spurt::default(), Bytes::new());
                let mut packet = MixPacket { group, ticks: 1, spurt, levels, opus };
                let [high, low] = packet.seats().to_be_bytes();
                packet.opus = vec![0xf8, high, low].into();
                let mixed = Mixed { space: *space, epoch: self.epoch, packet, last: false };
                let at = self.mix_time(1);
                self.put(at, Action::Mixed { shard, mixed });
            }
            MixItem::Silence { epoch, .. } => self.epoch = self.epoch.max(*epoch),
            MixItem::End { .. } => {}
        }
    }

    /// In order, after some time.
    fn mix_time(&mut self, way: usize) -> Time {
        let after = Duration::from_micros(self.rng.below(self.mixing.as_micros() as u64 + 1));
        self.mixes_at[way] = self.mixes_at[way].max(self.now + after);
        self.mixes_at[way]
    }

    /// Runs for so many milliseconds.
    pub(crate) fn run_ms(&mut self, millis: u64) {
        self.run(self.now + Duration::from_millis(millis));
    }

    /// The call order after a verb.
    pub(crate) fn settle(&mut self, shard: usize) {
        let (engine, net) = (&mut self.engines[shard], &mut self.nets[shard]);
        net.now = self.now;
        engine.advance(self.now);
        match self.part {
            Some(part) => drop(engine.deliver_some(self.now, net, part)),
            // In parts all the same, as a shard with a large audience does.
            None => while engine.deliver_some(self.now, net, 3) {},
        }
        while let Some(output) = self.engines[shard].poll_output() {
            match output {
                Output::Event(event) => self.events.push((shard, event.kind)),
                Output::Record(item) => self.records.push(item),
                Output::Mix(item) => {
                    let at = self.mix_time(0);
                    self.put(at, Action::Mix { shard, item });
                }
                Output::Close { session, reason } => self.closed.push((shard, session, reason)),
                Output::ToShard { shard: Some(to), message } => {
                    let at = self.now + self.between;
                    self.put(at, Action::Message { shard: usize::from(to), message });
                }
                Output::ToShard { shard: None, message } => {
                    for to in (0..self.engines.len()).filter(|to| *to != shard) {
                        let at = self.now + self.between;
                        self.put(at, Action::Message { shard: to, message: message.clone() });
                    }
                }
            }
        }
    }

    pub(crate) fn player(&self, shard: usize, key: u32) -> &Player {
        let net = &self.nets[shard];
        let aside = || net.aside.iter().find(|((session, _), _)| session.0 == key).map(|(_, player)| player);
        net.players.get(&SessionKey(key)).or_else(aside).expect("heard something")
    }

    pub(crate) fn verdict(&self, number: u8, verdict: Verdict) -> u64 {
        self.verdicts.get(&(number, verdict as u8)).copied().unwrap_or_default()
    }
}
