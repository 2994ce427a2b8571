//! Which of the two tracks a listener follows: what the Space tells on `state`, and what the listener asked for.
//!
//! ```text
//! follows one ── another is wanted: subscribe ──▶ has both ── it is played: unsubscribe the old ──▶ follows one
//!                                                    └── it is refused ──▶ follows one, until something else is wanted
//! ```

use serde::Deserialize;
use spaces_core::engine::{Advice, Tier};
use spaces_moqt::seam::SubscriptionId;

use super::ears::Heard;

/// Of what comes on `state`, what is read here. Snapshots have no `tier`.
#[derive(Deserialize)]
struct Said {
    tier: Option<String>,
}

/// What is to be done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Step {
    Subscribe(Tier),
    Unsubscribe(Tier),
}

/// See the module.
#[derive(Clone, Debug)]
pub(super) struct Told {
    heard: Heard,
    advice: Advice,
    /// Subscribed to.
    has: [bool; 2],
    refused: Option<Tier>,
    pub(super) mix: Option<SubscriptionId>,
    pub(super) state: Option<SubscriptionId>,
}

impl Told {
    pub(super) const fn new(heard: Heard) -> Self {
        Self { heard, advice: Advice::Stage, has: [false; 2], refused: None, mix: None, state: None }
    }

    /// Whether `state` is of interest.
    pub(super) const fn follows(&self) -> bool {
        matches!(self.heard, Heard::Told { .. })
    }

    /// An object came on `state`.
    pub(super) fn state(&mut self, payload: &[u8]) {
        let said = serde_json::from_slice::<Said>(payload).ok().and_then(|said| said.tier);
        if let Some(advice) = said.as_deref().and_then(Advice::parse)
            && advice != self.advice
        {
            (self.advice, self.refused) = (advice, None);
        }
    }

    /// The owner wants to save data, or no more.
    pub(super) fn save_data(&mut self, on: bool) {
        if let Heard::Told { save_data } = &mut self.heard
            && *save_data != on
        {
            (*save_data, self.refused) = (on, None);
        }
    }

    /// The server has not got this track, or ends it.
    pub(super) fn refused(&mut self, tier: Tier) {
        self.refused = Some(tier);
        self.set(tier, false);
    }

    /// What is to be heard.
    pub(super) fn wanted(&self) -> Tier {
        let wanted = match (self.heard, self.advice) {
            (Heard::Stage, _) | (Heard::Told { .. }, Advice::StageOnly) => Tier::Stage,
            (Heard::Mix, _) | (Heard::Told { .. }, Advice::Mix) | (Heard::Told { save_data: true }, _) => Tier::Mix,
            (Heard::Told { save_data: false }, Advice::Stage) => Tier::Stage,
        };
        if self.refused == Some(wanted) && self.follows() { other(wanted) } else { wanted }
    }

    /// The next step, taken with this answer; `playing` is what is heard.
    pub(super) fn step(&mut self, playing: Tier) -> Option<Step> {
        let wanted = self.wanted();
        if !self.has(wanted) {
            self.set(wanted, true);
            return Some(Step::Subscribe(wanted));
        }
        if playing == wanted && self.has(other(wanted)) {
            self.set(other(wanted), false);
            return Some(Step::Unsubscribe(other(wanted)));
        }
        None
    }

    const fn has(&self, tier: Tier) -> bool {
        let [stage, mix] = self.has;
        match tier {
            Tier::Stage => stage,
            Tier::Mix => mix,
        }
    }

    const fn set(&mut self, tier: Tier, on: bool) {
        let [stage, mix] = &mut self.has;
        match tier {
            Tier::Stage => *stage = on,
            Tier::Mix => *mix = on,
        }
    }
}

const fn other(tier: Tier) -> Tier {
    match tier {
        Tier::Stage => Tier::Mix,
        Tier::Mix => Tier::Stage,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_old_track_is_kept_until_the_new_one_is_played() {
        let mut told = Told::new(Heard::Told { save_data: false });
        assert_eq!(told.step(Tier::Stage), Some(Step::Subscribe(Tier::Stage)));
        assert_eq!(told.step(Tier::Stage), None);
        told.state(br#"{"title":"no tier in a snapshot"}"#);
        told.state(b"no JSON");
        told.state(br#"{"tier":"loud"}"#);
        assert_eq!(told.step(Tier::Stage), None);
        told.state(br#"{"tier":"mix","counts":{"named":1,"anonymous":0,"guests":0}}"#);
        assert_eq!(told.step(Tier::Stage), Some(Step::Subscribe(Tier::Mix)));
        assert_eq!(told.step(Tier::Stage), None, "not yet");
        assert_eq!(told.step(Tier::Mix), Some(Step::Unsubscribe(Tier::Stage)));
        assert_eq!(told.step(Tier::Mix), None);
        told.state(br#"{"tier":"stage"}"#);
        assert_eq!(told.step(Tier::Mix), Some(Step::Subscribe(Tier::Stage)));
        // It changes its mind while both are there.
        told.state(br#"{"tier":"mix"}"#);
        assert_eq!(told.step(Tier::Mix), Some(Step::Unsubscribe(Tier::Stage)));
    }

    #[test]
    fn who_saves_data_hears_the_mix_unless_there_is_none_for_them() {
        let mut told = Told::new(Heard::Told { save_data: true });
        assert_eq!(told.wanted(), Tier::Mix);
        told.refused(Tier::Mix);
        assert_eq!((told.wanted(), told.step(Tier::Stage)), (Tier::Stage, Some(Step::Subscribe(Tier::Stage))));
        told.state(br#"{"tier":"mix"}"#);
        assert_eq!(told.wanted(), Tier::Mix, "there is one now");
        told.state(br#"{"tier":"stage-only"}"#);
        assert_eq!(told.wanted(), Tier::Stage, "on stage");
        told.state(br#"{"tier":"stage"}"#);
        assert_eq!(told.wanted(), Tier::Mix);
        told.save_data(false);
        assert_eq!(told.wanted(), Tier::Stage);
        let mut fixed = Told::new(Heard::Mix);
        fixed.save_data(false);
        fixed.state(br#"{"tier":"stage-only"}"#);
        assert_eq!(fixed.wanted(), Tier::Mix);
    }
}
