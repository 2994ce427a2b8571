//! Two shards under any commands, joins, frames and delays. Whatever happens: a seat that the table silences is in no
//! object that is sent afterwards, of the stage or the mix, nobody hears themselves, nobody is captioned or tapped without
//! consent, bundles are well-formed, recordings go forward in time.
#![no_main]

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use bytes::Bytes;
use libfuzzer_sys::fuzz_target;
use spaces_core::admission::Claims;
use spaces_core::bundle;
use spaces_core::command::{AclKind, Command, MixFor, Role, SpaceTable, StageRow};
use spaces_core::engine::{Config, Engine, Feedback, Object, Output, Purge, Sent, ShardMessage, Sink, Track};
use spaces_core::ids::{AccountId, SeatMask, SeatNo, SessionKey, Sid, SpaceId};
use spaces_core::mix::MixPacket;
use spaces_core::mix_bundle;
use spaces_core::mix_feed::{MixItem, Mixed};
use spaces_core::record::RecordItem;
use spaces_core::refusal::Refusal;
use spaces_core::time::Time;
use spaces_core::uplink::{Level, Spurt, UplinkFrame};
use spaces_fuzz::input::Input;

const SHARDS: u16 = 2;
const SPACES: u64 = 3;

/// Who is behind a session: shard and key to Space, account, and whether it is a service.
type People = BTreeMap<(u16, u32), (SpaceId, Option<u64>, bool)>;

#[derive(Default)]
struct World {
    engines: Vec<Engine>,
    now: Time,
    version: u64,
    tables: BTreeMap<SpaceId, SpaceTable>,
    people: People,
    /// On their way to the mixer and back.
    mixing: VecDeque<MixItem>,
    mixed: VecDeque<Mixed>,
    /// The last epoch of each Space that the mixer has seen.
    epochs: BTreeMap<SpaceId, u64>,
    mail: VecDeque<(u16, u16, ShardMessage)>,
    recorded: BTreeMap<SpaceId, u64>,
}

/// What the tables say must not be sent, held against what is.
struct Listeners<'a> {
    tables: &'a BTreeMap<SpaceId, SpaceTable>,
    people: &'a People,
    shard: u16,
    busy: u8,
}

fn audible(table: &SpaceTable, seat: SeatNo) -> Option<&StageRow> {
    let row = table.stage.iter().find(|row| row.seat == seat)?;
    (table.live && !row.muted && (table.mic_open || row.role != Role::Speaker)).then_some(row)
}

impl Sink for Listeners<'_> {
    fn send(&mut self, session: SessionKey, object: &Object) -> Sent {
        if (session.0 as u8).wrapping_add(object.group as u8) & self.busy != 0 {
            return Sent::Blocked;
        }
        let person = self.people.get(&(self.shard, session.0));
        let (space, account, service) = person.unwrap_or_else(|| panic!("{session:?} left, and is sent {object:?}"));
        assert_eq!(object.space, *space);
        let table = &self.tables[space];
        match object.track {
            Track::Stage { .. } | Track::StageGroups => {
                assert!(object.payload.len() <= bundle::MAX_PAYLOAD || object.track == Track::StageGroups);
                for entry in bundle::entries(&object.payload) {
                    let entry = entry.unwrap();
                    let row = audible(table, entry.seat);
                    assert!(row.is_some(), "seat {:?} is silenced, and sent in {object:?}", entry.seat);
                    assert!(account.is_none() || row.map(|row| row.account.0) != *account, "{session:?} hears itself");
                }
            }
            Track::Seat(seat) => {
                let row = audible(table, seat).unwrap_or_else(|| panic!("seat {seat:?} is silenced, and sent"));
                // Generations here are less than 16: a varint of one byte.
                assert!(!service || (row.caption && u32::from(object.payload[0]) == row.generation), "tapped: {row:?}");
            }
            Track::Mix | Track::MixGroups => {
                let opus = match object.track {
                    Track::Mix => mix_bundle::parse(object.group, &object.payload).unwrap().opus,
                    _ => object.payload.clone(),
                };
                let seats = mixed_seats(&opus);
                for seat in (0..13).filter_map(SeatNo::new).filter(|seat| seats & seat.bit() != 0) {
                    assert!(audible(table, seat).is_some(), "seat {seat:?} is silenced, and mixed");
                }
                let on_stage = table.stage.iter().any(|row| Some(row.account.0) == *account);
                assert!(!service && !on_stage, "{session:?} gets the mix");
            }
            Track::Captions => {
                let row = table.stage.iter().find(|row| row.seat.get() == object.payload[0] && table.live);
                assert!(!service && row.is_some_and(|row| row.caption), "captioned: {row:?}");
            }
            Track::State | Track::Catalog => {}
        }
        Sent::Yes
    }

    fn purge(&mut self, _: SessionKey, _: SpaceId, _: Purge) {}
}

/// The seats in a packet of [`World::mix_one`]: each tick is a TOC and a mask, several an Opus packet of code 3.
fn mixed_seats(opus: &[u8]) -> SeatMask {
    let masks = if opus[0] & 0b11 == 0 { &opus[1..] } else { &opus[1 + usize::from(opus[1] & 0b11)..] };
    masks.chunks_exact(2).fold(0, |seats, mask| seats | SeatMask::from_be_bytes([mask[0], mask[1]]))
}

impl World {
    fn outputs(&mut self, shard: u16) {
        while let Some(output) = self.engines[usize::from(shard)].poll_output() {
            match output {
                Output::ToShard { shard: to, message } => {
                    let others = (0..SHARDS).filter(|other| *other != shard && to.is_none_or(|to| to == *other));
                    self.mail.extend(others.map(|other| (shard, other, message.clone())));
                }
                Output::Record(item) => self.record(item),
                Output::Mix(item) => self.mixing.push_back(item),
                Output::Close { session, .. } => {
                    self.people.remove(&(shard, session.0));
                }
                Output::Event(_) => {}
            }
        }
    }

    fn record(&mut self, item: RecordItem) {
        match item {
            RecordItem::Tick { space, group, frames } => {
                let last = self.recorded.get_mut(&space).unwrap_or_else(|| panic!("a tick before the start"));
                assert!(group > *last || *last == 0, "group {group} after {last}");
                *last = group;
                assert!(frames.windows(2).all(|pair| pair[0].seat < pair[1].seat));
            }
            RecordItem::Start { space, .. } => {
                let before = self.recorded.insert(space, 0);
                assert_eq!(before, None, "started twice");
            }
            RecordItem::End { space, .. } => assert!(self.recorded.remove(&space).is_some(), "ended twice"),
            RecordItem::Seat { space, .. } | RecordItem::Mix { space, .. } => {
                assert!(self.recorded.contains_key(&space));
            }
        }
    }

    fn all_outputs(&mut self) {
        (0..SHARDS).for_each(|shard| self.outputs(shard));
    }

    /// A command reaches every shard before the caller goes on, as `Server::apply` does it.
    fn apply(&mut self, command: &Command) {
        let answers: Vec<_> = self.engines.iter_mut().map(|engine| engine.apply(self.now, command)).collect();
        assert!(answers.iter().all(|answer| answer.is_ok() == answers[0].is_ok()), "{command:?}: {answers:?}");
        if answers[0].is_ok() {
            match command {
                Command::UpsertSpace { space, table, .. } => {
                    self.tables.insert(*space, table.clone());
                }
                Command::EndSpace { space, .. } => {
                    if let Some(table) = self.tables.get_mut(space) {
                        table.live = false;
                    }
                }
                _ => {}
            }
        }
        self.all_outputs();
    }

    fn mail_one(&mut self) {
        if let Some((_, to, message)) = self.mail.pop_front() {
            self.engines[usize::from(to)].shard_message(self.now, message);
            self.outputs(to);
        }
    }

    /// The mixer takes one item, and makes a packet of a tick at once.
    fn mix_one(&mut self) {
        match self.mixing.pop_front() {
            Some(MixItem::Tick { space, epoch, group, frames }) => {
                let seen = self.epochs.entry(space).or_default();
                *seen = epoch.max(*seen);
                let mut levels = [None; 13];
                for frame in frames.iter() {
                    levels[frame.seat.index()] = Some(frame.level);
                }
                let mut packet = MixPacket { group, ticks: 1, spurt: Spurt::default(), levels, opus: Bytes::new() };
                let [high, low] = packet.seats().to_be_bytes();
                packet.opus = Bytes::copy_from_slice(&[0xf8, high, low]);
                self.mixed.push_back(Mixed { space, epoch: *seen, packet, last: false });
            }
            Some(MixItem::Silence { space, epoch, .. }) => {
                let seen = self.epochs.entry(space).or_default();
                *seen = epoch.max(*seen);
            }
            Some(MixItem::End { .. }) | None => {}
        }
    }

    fn mixed_one(&mut self) {
        if let Some(mixed) = self.mixed.pop_front() {
            let home = mixed.space.0 % u64::from(SHARDS);
            self.engines[home as usize].mixed(self.now, mixed);
            self.all_outputs();
        }
    }

    fn caption(&mut self, input: &mut Input<'_>) -> Option<()> {
        let (which, how) = (input.byte()?, input.byte()?);
        let (space, seat) = (SpaceId(u64::from(which >> 4) % SPACES), SeatNo::new(which & 0x0f)?);
        let home = (space.0 % u64::from(SHARDS)) as usize;
        let generation = u32::from(how & 0x0f);
        let row = self.tables.get(&space).filter(|table| table.live);
        let row = row.and_then(|table| table.stage.iter().find(|row| row.seat == seat));
        let allowed = row.is_some_and(|row| row.caption && row.generation == generation);
        let line = Bytes::copy_from_slice(&[seat.get(), how]);
        let said = self.engines[home].caption(self.now, space, seat, generation, line);
        assert_eq!(said.is_ok(), allowed, "{said:?}");
        self.all_outputs();
        Some(())
    }

    fn deliver(&mut self, busy: u8) {
        for shard in 0..SHARDS {
            let engine = &mut self.engines[usize::from(shard)];
            engine.advance(self.now);
            assert!(engine.next_timeout().is_none_or(|next| next > self.now), "a timeout that is due stays due");
            self.outputs(shard);
            let (tables, people) = (&self.tables, &self.people);
            let mut sink = Listeners { tables, people, shard, busy };
            if busy == 0 {
                self.engines[usize::from(shard)].deliver(self.now, &mut sink);
            } else {
                // Commands come while some are still to be served.
                self.engines[usize::from(shard)].deliver_some(self.now, &mut sink, usize::from(busy));
            }
            self.outputs(shard);
        }
    }

    fn command(&mut self, input: &mut Input<'_>) -> Option<()> {
        let (kind, flags) = (input.byte()?, input.byte()?);
        let space = SpaceId(u64::from(kind >> 4) % SPACES);
        // Mostly newer, sometimes the same or older.
        self.version += u64::from(flags >> 6 & 1 | flags >> 7);
        let version = self.version;
        let command = match kind & 0x0f {
            0..=9 => {
                let mut stage = Vec::new();
                for _ in 0..input.byte()? % 6 {
                    let (who, how) = (input.byte()?, input.byte()?);
                    let role = [Role::Host, Role::Cohost, Role::Speaker, Role::Speaker][usize::from(how & 3)];
                    let generation = u32::from(how >> 4);
                    let (seat, account) = (SeatNo::new(who & 0x0f)?, AccountId(1 + u64::from(who >> 4 & 7)));
                    stage.push(StageRow {
                        seat,
                        account,
                        role,
                        muted: how & 4 != 0,
                        generation,
                        caption: how & 8 != 0,
                    });
                }
                let table = SpaceTable {
                    live: flags & 7 != 0,
                    record: flags & 8 != 0,
                    guests: flags & 16 != 0,
                    ticketed: false,
                    mic_open: flags & 32 != 0,
                    mix: flags & 16 != 0,
                    mix_for: if flags & 8 != 0 { MixFor::Everybody } else { MixFor::Weak },
                    started_at_ms: 0,
                    stage,
                };
                Command::UpsertSpace { space, version, table }
            }
            10 | 11 => {
                let kind = [AclKind::Bar, AclKind::Deny, AclKind::Allow, AclKind::Watch][usize::from(flags) % 4];
                let accounts = (1..8).filter(|account| flags >> account & 1 != 0).collect();
                Command::SetAcl { space, kind, owner: AccountId(0), version, accounts }
            }
            12 => Command::SetState { space, version, snapshot: Bytes::copy_from_slice(input.bytes()?) },
            13 => Command::SetRevoked { version, sids: vec![Sid(u64::from(flags))], min_epoch: 0 },
            14 => Command::EndSpace { space, version },
            _ => {
                let (account, sid) = (AccountId(u64::from(flags & 7)), (flags & 8 != 0).then_some(Sid(1)));
                Command::Kick { space, account, sid, reason: Refusal::ParticipantRemoved }
            }
        };
        self.apply(&command);
        Some(())
    }

    fn session(&mut self, input: &mut Input<'_>) -> Option<()> {
        let (operation, which) = (input.byte()?, input.byte()?);
        let (shard, key) = (u16::from(which & 1), SessionKey(u32::from(which >> 1 & 15)));
        let engine = &mut self.engines[usize::from(shard)];
        match operation & 7 {
            0 | 1 => {
                let account = which >> 5 & 7;
                let space = SpaceId(u64::from(operation >> 6) % SPACES);
                let claims = Claims {
                    account: (account > 0).then_some(AccountId(u64::from(account))),
                    sid: Sid(u64::from(operation >> 3 & 7)),
                    epoch: 0,
                    anonymous: operation & 0xc0 == 0xc0,
                    service: operation & 0xc0 == 0x80 && which & 1 == 0,
                };
                let admitted = engine.admit(self.now, self.now, key, space, &claims);
                if let Ok(admitted) = admitted {
                    if let Some(older) = admitted.supersedes {
                        self.people.remove(&(shard, older.0));
                    }
                    let own = claims.named().map(|account| account.0);
                    self.people.insert((shard, key.0), (space, own, claims.service));
                }
            }
            2 | 3 => {
                let seat = SeatNo::new(operation >> 4)?;
                let track = [
                    Track::Stage { part: 0 },
                    Track::Stage { part: 1 },
                    Track::StageGroups,
                    Track::State,
                    Track::Seat(seat),
                    Track::Mix,
                    Track::MixGroups,
                    Track::Captions,
                ][usize::from(operation >> 3) % 8];
                let _ = engine.subscribe(self.now, key, track);
                if operation & 0x80 != 0 {
                    engine.unsubscribe(key, track);
                }
            }
            4 | 5 => {
                let seat = SeatNo::new(operation >> 4)?;
                let _ = engine.publish(self.now, key, seat);
            }
            6 if operation & 8 != 0 => drop(engine.react(self.now, key, operation >> 4)),
            6 => engine.unpublish(key),
            _ => {
                engine.leave(self.now, key, operation & 8 != 0);
                self.people.remove(&(shard, key.0));
            }
        }
        self.all_outputs();
        Some(())
    }

    fn frame(&mut self, input: &mut Input<'_>) -> Option<()> {
        let (which, how) = (input.byte()?, input.byte()?);
        let (shard, key) = (u16::from(which & 1), SessionKey(u32::from(which >> 1 & 15)));
        let sequence = if how & 0x80 == 0 { self.now.0 / 20_000 + u64::from(how & 7) } else { input.number()? };
        let frame = UplinkFrame {
            sequence,
            level: Level(how | 0x80),
            spurt: Spurt { start: how & 16 != 0, end: how & 32 != 0 },
            opus: Bytes::from(vec![0x78; 1 + usize::from(how & 0x7f) * 4]),
        };
        let _ = self.engines[usize::from(shard)].uplink(self.now, key, frame);
        self.all_outputs();
        Some(())
    }
}

fuzz_target!(|data: &[u8]| {
    let mut world = World { now: Time::from_millis(1_000_000), ..World::default() };
    for shard in 0..SHARDS {
        let max_heard = data.first().map_or(13, |byte| 1 + byte % 13);
        world.engines.push(Engine::new(Config { shard, shards: SHARDS, max_heard, mix_ticks: 1 + max_heard % 3, ..Config::default() }));
    }
    let mut input = Input(data.get(1..).unwrap_or_default());
    while let Some(operation) = input.byte() {
        let done = match operation & 7 {
            0 => world.command(&mut input),
            1 => world.session(&mut input),
            2..=4 => world.frame(&mut input),
            5 => {
                match operation >> 3 & 7 {
                    0 => {
                        let _ = world.caption(&mut input);
                    }
                    1 => world.mix_one(),
                    2 => world.mixed_one(),
                    _ => world.mail_one(),
                }
                Some(())
            }
            6 => {
                world.now = world.now + Duration::from_millis(u64::from(operation >> 3));
                world.deliver(if operation & 0x80 == 0 { 0 } else { operation >> 3 & 3 });
                Some(())
            }
            _ => {
                // Time passes as a driver lets it pass: from timeout to timeout.
                for _ in 0..operation >> 4 {
                    let next = world.engines.iter().filter_map(Engine::next_timeout).min();
                    world.now = world.now.max(next.unwrap_or(world.now));
                    world.deliver(0);
                    while !world.mail.is_empty() {
                        world.mail_one();
                    }
                    world.mix_one();
                    world.mixed_one();
                }
                let key = SessionKey(u32::from(operation >> 4));
                world.engines[0].feedback(
                    world.now,
                    key,
                    Feedback { sent: 10, lost: u32::from(operation >> 6), rtt_us: 50_000 },
                );
                Some(())
            }
        };
        if done.is_none() {
            break;
        }
    }
});
