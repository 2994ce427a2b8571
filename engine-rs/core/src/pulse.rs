//! What a Space says between two snapshots of its state: how many people are there, how they react, and what a listener
//! should hear.
//!
//! Every shard counts the reactions that come in there and hands them on; the stage's shard sums them up, tells the control
//! plane once a second, and everybody twice a second, by a small object behind the snapshot on the `state` track:
//! ```text
//! {"tier":"stage","counts":{"named":n,"anonymous":n,"guests":n},"reactions":[n, …]}
//! ```
//! `tier` is the only part that is not the same for everybody: [`crate::engine::Advice`]'s word.
//! Counts are whole values. Reactions are those since the object before, by kind; the field is left out when there are none.
//! Nothing is said when nothing has changed and nobody has just begun to listen.

use core::fmt::Write as _;

use bytes::Bytes;

use crate::engine::Advice;
use crate::event::Counts;
use crate::reactions::Tally;
use crate::time::Time;

/// Least time between two objects, in microseconds.
const OBJECT_EVERY: u64 = 500_000;
/// Least time between two reports to the control plane.
const REPORT_EVERY: u64 = 1_000_000;
/// Least time between two messages to the stage's shard: so that everybody sees a reaction within a second.
const FORWARD_EVERY: u64 = 200_000;

/// See the module.
#[derive(Debug)]
pub(crate) struct Pulse {
    home: bool,
    /// Those of the last object.
    people: Counts,
    /// An object is owed, though nobody reacted.
    due: bool,
    /// Since the last object, or message.
    fresh: Tally,
    /// Since the last report.
    unreported: Tally,
    sent: Time,
    reported: Time,
}

/// What is to be said now.
#[derive(Debug, Default)]
pub(crate) struct Beat {
    /// To everybody.
    pub(crate) object: Option<Bytes>,
    /// To the control plane.
    pub(crate) report: Option<Tally>,
    /// To the stage's shard.
    pub(crate) forward: Option<Tally>,
}

impl Pulse {
    /// On the stage's shard (`home`), or another one.
    pub(crate) fn new(home: bool, kinds: u8) -> Self {
        let none = Tally::new(kinds);
        let (sent, reported) = (Time(0), Time(0));
        Self { home, people: Counts::default(), due: false, fresh: none, unreported: none, sent, reported }
    }

    /// Somebody reacted here. False if there is no such kind.
    pub(crate) fn react(&mut self, kind: u8) -> bool {
        self.fresh.add(kind) && (!self.home || self.unreported.add(kind))
    }

    /// Another shard's reactions.
    pub(crate) fn merge(&mut self, tally: &Tally) {
        self.fresh.merge(tally);
        self.unreported.merge(tally);
        self.due = true;
    }

    /// How many people there are now, on the stage's shard.
    pub(crate) fn people(&mut self, now: Counts) {
        self.due |= Counts { peak: 0, ..now } != self.people;
    }

    /// Somebody has begun to listen, or there is a new snapshot: say how it stands.
    pub(crate) fn owe(&mut self) {
        self.due = true;
    }

    /// When [`Self::beat`] has something to say.
    pub(crate) fn next_timeout(&self) -> Option<Time> {
        let every = if self.home { OBJECT_EVERY } else { FORWARD_EVERY };
        let say = (self.due || !self.fresh.is_empty()).then(|| after(self.sent, every));
        let report = (!self.unreported.is_empty()).then(|| after(self.reported, REPORT_EVERY));
        [say, report].into_iter().flatten().min()
    }

    /// What is to be said now, with this many people there.
    pub(crate) fn beat(&mut self, now: Time, people: Counts) -> Beat {
        let mut beat = Beat::default();
        let every = if self.home { OBJECT_EVERY } else { FORWARD_EVERY };
        if (self.due || !self.fresh.is_empty()) && after(self.sent, every) <= now {
            let fresh = self.fresh.take();
            (self.due, self.sent) = (false, now);
            if self.home {
                self.people = Counts { peak: 0, ..people };
                beat.object = Some(object(&self.people, &fresh));
            } else {
                beat.forward = Some(fresh);
            }
        }
        if !self.unreported.is_empty() && after(self.reported, REPORT_EVERY) <= now {
            self.reported = now;
            beat.report = Some(self.unreported.take());
        }
        beat
    }
}

/// An object for those who are told `advice`.
pub(crate) fn to_hear(object: &Bytes, advice: Advice) -> Bytes {
    let rest = object.strip_prefix(b"{").unwrap_or(object);
    Bytes::from([br#"{"tier":""#, advice.name().as_bytes(), br#"","#, rest].concat())
}

const fn after(last: Time, every: u64) -> Time {
    Time(last.0.saturating_add(every))
}

fn object(people: &Counts, reactions: &Tally) -> Bytes {
    let Counts { named, anonymous, guests, .. } = people;
    let mut text = format!(r#"{{"counts":{{"named":{named},"anonymous":{anonymous},"guests":{guests}}}"#);
    if !reactions.is_empty() {
        let counts: Vec<String> = reactions.counts().map(|count| count.to_string()).collect();
        let _ = write!(text, r#","reactions":[{}]"#, counts.join(",")); // writing to a String does not fail
    }
    text.push('}');
    Bytes::from(text)
}
