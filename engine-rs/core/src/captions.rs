//! A Space's last captions on this shard: the track `captions`.
//!
//! A line is one object in a group of its own, on a stream; the group id is the tick of the media time at which the line
//! came, or the next one that is free. Who begins to listen gets the last few lines first. What a line says is not looked at.

use std::collections::VecDeque;

use bytes::Bytes;

use crate::engine::{Object, Track};
use crate::ids::{SeatMask, SpaceId};
use crate::time::TICK_SAMPLES;

/// Largest line, in bytes.
pub const MOST_CAPTION: usize = 4 * 1_024;

/// Lines of captions kept for who comes later.
const LINES: usize = 8;

/// One line of captions.
#[derive(Debug)]
struct Caption {
    seats: SeatMask,
    object: Option<Object>,
}

/// A Space's last captions on this shard. Positions count lines, from 0.
#[derive(Debug, Default)]
pub(crate) struct Captions {
    lines: VecDeque<Caption>,
    end: u32,
}

impl Captions {
    pub(crate) const fn end(&self) -> u32 {
        self.end
    }

    pub(crate) fn start(&self) -> u32 {
        self.end - self.lines.len() as u32
    }

    /// A line of `seats`. Each is a group of its own, so that none waits for another that is lost.
    pub(crate) fn push(&mut self, space: SpaceId, seats: SeatMask, number: u64, payload: Bytes) {
        if self.lines.len() == LINES {
            self.lines.pop_front();
        }
        let object = Object {
            space,
            track: Track::Captions,
            group: number,
            object: 0,
            end_of_group: true,
            timestamp: number.saturating_mul(TICK_SAMPLES),
            payload,
        };
        self.lines.push_back(Caption { seats, object: Some(object) });
        self.end = self.end.saturating_add(1);
    }

    pub(crate) fn get(&self, position: u32) -> Option<&Object> {
        let index = usize::try_from(position.checked_sub(self.start())?).ok()?;
        self.lines.get(index)?.object.as_ref()
    }

    /// Removes every line of `seats`.
    pub(crate) fn withhold(&mut self, seats: SeatMask) {
        for line in self.lines.iter_mut().filter(|line| line.seats & seats != 0) {
            line.object = None;
        }
    }
}
