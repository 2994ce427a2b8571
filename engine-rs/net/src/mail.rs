//! What shards send each other, and how it is carried: a lane from each to each, and from the mixers to each.
//!
//! What a shard sends to all (a finished tick, a packet of the mix) is one shared value, put into one ring a shard: no copy, no
//! allocation, no lock, and one wake-up a turn however much there is. A shard that does not keep up loses the audio that does
//! not fit, or that has become too old meanwhile; nobody waits for it.

use std::sync::Arc;
use std::time::Duration;

use spaces_core::engine::ShardMessage;
use spaces_core::mix_feed::Mixed;
use spaces_core::time::Time;
use spaces_lanes::bell::Bell;
use spaces_lanes::lane::{Receiver, Sender, lane};

use crate::endpoint::{ForeignPacket, Waker};

/// Perishable mail that may wait on each lane. What is not audio always may: it is rare, and the engines rely on its order.
const MAIL: usize = 4_096;
/// Older audio is dropped unread: every listener's deadline for it has passed.
const STALE: Duration = Duration::from_millis(500);

/// Between shards, and from the mixers.
pub(crate) enum Mail {
    Engine(ShardMessage),
    Mixed(Mixed),
    Packet(ForeignPacket),
}

impl Mail {
    fn is_audio(&self) -> bool {
        match self {
            Self::Mixed(_) => true,
            Self::Engine(message) => {
                matches!(message, ShardMessage::Bundle(_) | ShardMessage::Mix(_) | ShardMessage::Uplink { .. })
            }
            Self::Packet(_) => false,
        }
    }

    /// What the sender of a packet repeats need not arrive either.
    fn perishes(&self) -> bool {
        self.is_audio() || matches!(self, Self::Packet(_))
    }
}

/// With the time at which it was sent.
type Letter = (Time, Mail);

/// The way to a shard, for one thread.
pub(crate) struct Neighbour {
    lane: Sender<Letter>,
    bell: Arc<Bell>,
    waker: Waker,
}

impl Neighbour {
    /// Never waits. False: too much waits there already, or it is no more.
    pub(crate) fn send(&mut self, now: Time, mail: Mail) -> bool {
        let perishes = mail.perishes();
        let letter = (now, mail);
        let sent = if perishes { self.lane.send_perishable(letter) } else { self.lane.send_lasting(letter) };
        // Also where it is full, so that nothing hangs on the first ring alone.
        if self.bell.ring() {
            self.waker.wake();
        }
        sent.is_ok()
    }
}

/// One lane's end at the shard that it leads to.
pub(crate) struct Inbox(Receiver<Letter>);

/// Whom a shard's senders wake.
#[derive(Clone)]
pub(crate) struct Door {
    bell: Arc<Bell>,
    waker: Waker,
}

impl Door {
    pub(crate) fn new(waker: Waker) -> Self {
        Self { bell: Arc::default(), waker }
    }

    /// A further lane that leads here.
    pub(crate) fn lane(&self) -> (Neighbour, Inbox) {
        let (sender, receiver) = lane(MAIL);
        (Neighbour { lane: sender, bell: Arc::clone(&self.bell), waker: self.waker.clone() }, Inbox(receiver))
    }
}

/// What comes from the other shards.
pub(crate) struct Mailbox {
    bell: Arc<Bell>,
    inboxes: Vec<Inbox>,
    /// Audio that was too old to be read.
    pub(crate) stale: u64,
}

impl Mailbox {
    pub(crate) fn new(door: &Door) -> Self {
        Self { bell: Arc::clone(&door.bell), inboxes: Vec::new(), stale: 0 }
    }

    pub(crate) fn add(&mut self, inbox: Inbox) {
        self.inboxes.push(inbox);
    }

    /// Everything that was sent before this call, in the order of each sender; nothing that is sent meanwhile, of which
    /// there would be no end.
    pub(crate) fn read(&mut self, now: Time, mut take: impl FnMut(Mail)) {
        self.bell.answer();
        for Inbox(inbox) in &mut self.inboxes {
            inbox.look();
        }
        for Inbox(inbox) in &mut self.inboxes {
            while let Some((sent, mail)) = inbox.take() {
                if mail.is_audio() && now > sent + STALE {
                    self.stale += 1;
                } else {
                    take(mail);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::BytesMut;
    use spaces_core::engine::ShardMessage;
    use spaces_core::ids::{SeatNo, Sid, SpaceId};
    use spaces_core::uplink::{Level, Spurt, UplinkFrame};

    fn audio(sequence: u64) -> Mail {
        let frame = UplinkFrame {
            sequence,
            level: Level(0),
            spurt: Spurt { start: false, end: false },
            opus: bytes::Bytes::new(),
        };
        let seat = SeatNo::new(0).unwrap();
        Mail::Engine(ShardMessage::Uplink { space: SpaceId(1), seat, generation: 1, frame })
    }

    fn control(number: u64) -> Mail {
        Mail::Engine(ShardMessage::Arrived { sid: Sid(number), at: (Time(0), 0) })
    }

    fn number(mail: &Mail) -> u64 {
        match mail {
            Mail::Engine(ShardMessage::Uplink { frame, .. }) => frame.sequence,
            Mail::Engine(ShardMessage::Arrived { sid, .. }) => sid.0,
            _ => u64::MAX,
        }
    }

    fn read(mailbox: &mut Mailbox, now: Time) -> Vec<u64> {
        let mut got = Vec::new();
        mailbox.read(now, |mail| got.push(number(&mail)));
        got
    }

    #[test]
    fn a_shard_that_stands_still_loses_audio_but_no_word_of_control_and_wakes_once() {
        let waker = Waker::new().unwrap();
        let door = Door::new(waker.clone());
        let (mut neighbour, inbox) = door.lane();
        let mut mailbox = Mailbox::new(&door);
        mailbox.add(inbox);
        let mut refused = 0;
        for number in 0..6_000 {
            let mail = if number % 100 == 0 { control(number) } else { audio(number) };
            refused += usize::from(!neighbour.send(Time(1), mail));
        }
        assert!(waker.take() && !waker.take());
        let got = read(&mut mailbox, Time(2));
        assert_eq!(got.len() + refused, 6_000);
        assert!(got.is_sorted() && got.iter().filter(|number| *number % 100 == 0).count() == 60);
        neighbour.send(Time(3), audio(1));
        assert!(waker.take(), "it is woken again once it has read");
    }

    #[test]
    fn what_has_waited_too_long_is_dropped_unless_it_is_no_audio() {
        let door = Door::new(Waker::new().unwrap());
        let (mut neighbour, inbox) = door.lane();
        let mut mailbox = Mailbox::new(&door);
        mailbox.add(inbox);
        neighbour.send(Time(0), audio(1));
        neighbour.send(Time(0), control(2));
        let any = "127.0.0.1:1".parse().unwrap();
        let packet = ForeignPacket { remote: any, local: None, bytes: BytesMut::new(), given: false };
        neighbour.send(Time(0), Mail::Packet(packet));
        neighbour.send(Time(600_000), audio(3));
        assert_eq!(read(&mut mailbox, Time(600_001)), [2, u64::MAX, 3]);
        assert_eq!(mailbox.stale, 1);
    }
}
