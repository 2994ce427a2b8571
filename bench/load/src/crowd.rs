//! Everybody who listens: who is to join when, who has, and what each group heard.

use serde_json::{Value, json};
use spaces_core::mix_bundle;

use crate::plan::{Behaviour, Group, Plan, Starts, Stays, Tier};
use crate::stamp::{Stamp, TICK_US};
use crate::tally::Tally;

/// A listener's number, from 0, over all groups.
pub type Id = u32;

/// What the transport is to do with a listener.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next {
    /// Go on.
    Stay,
    /// Hang up.
    Leave,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Phase {
    Waiting,
    Dialled,
    In,
    Gone,
}

struct Listener {
    /// `None`: a probe, which tells when the mix's ticks were due and is not counted.
    group: Option<u16>,
    /// Within its group.
    number: u32,
    space: u16,
    phase: Phase,
    due_us: u64,
    audio: bool,
}

struct Crew {
    group: Group,
    tally: Tally,
    first: Id,
    dialled: u32,
    joined: u32,
    heard_audio: u32,
    failed: u32,
    first_failure: Option<String>,
    started_us: Option<u64>,
}

/// See the module.
pub struct Crowd {
    spaces: Vec<String>,
    path: String,
    listeners: Vec<Listener>,
    /// Probes stand behind all others.
    next_probe: usize,
    crews: Vec<Crew>,
    speakers: u8,
    /// Microseconds from tick 0 of each Space's media time: learnt from the stage, where frames are stamped.
    origins: Vec<Option<u64>>,
    window: Option<(u64, u64)>,
    /// Packets of the mix that came before any frame of the stage told when they were due.
    unplaced: u64,
}

impl Crowd {
    /// Everybody in `plan`; nobody joins before [`Crowd::start`].
    #[must_use]
    pub fn new(plan: &Plan) -> Self {
        let mut listeners = Vec::new();
        let spaces = plan.spaces.len().max(1) as u32;
        let crews = plan.groups.iter().zip(0..).map(|(group, index)| {
            let first = listeners.len() as Id;
            listeners.extend((0..group.listeners).map(|number| Listener {
                group: Some(index),
                number,
                space: (number % spaces) as u16,
                phase: Phase::Waiting,
                due_us: u64::MAX,
                audio: false,
            }));
            let streams = if group.tier == Tier::Mix { 1 } else { usize::from(plan.speakers) };
            Crew {
                tally: Tally::new(group.listeners as usize, streams),
                group: group.clone(),
                first,
                dialled: 0,
                joined: 0,
                heard_audio: 0,
                failed: 0,
                first_failure: None,
                started_us: None,
            }
        });
        let crews: Vec<Crew> = crews.collect();
        let next_probe = listeners.len();
        if crews.iter().any(|crew| crew.group.tier == Tier::Mix) {
            listeners.extend((0..spaces).map(|space| Listener {
                group: None,
                number: space,
                space: space as u16,
                phase: Phase::Waiting,
                due_us: 0,
                audio: false,
            }));
        }
        Self {
            spaces: plan.spaces.clone(),
            path: plan.path.clone(),
            listeners,
            next_probe,
            crews,
            speakers: plan.speakers,
            origins: vec![None; spaces as usize],
            window: None,
            unplaced: 0,
        }
    }

    /// Groups that start then begin to join.
    pub fn start(&mut self, when: Starts, now_us: u64) {
        for crew in self.crews.iter_mut().filter(|crew| crew.group.starts == when) {
            crew.started_us = Some(now_us);
        }
    }

    /// Frames due from `begin_us` on, for `seconds`, count.
    pub fn measure(&mut self, begin_us: u64, seconds: u64) {
        self.window = Some((begin_us, begin_us + seconds * 1_000_000));
    }

    /// The next listener who is to be dialled by now.
    pub fn due(&mut self, now_us: u64) -> Option<Id> {
        if let Some(probe) = self.listeners.get_mut(self.next_probe) {
            probe.phase = Phase::Dialled;
            self.next_probe += 1;
            return Some(self.next_probe as Id - 1);
        }
        for crew in &mut self.crews {
            let Some(started) = crew.started_us.filter(|_| crew.dialled < crew.group.listeners) else { continue };
            let due_us = started + crew.group.curve.due_us(crew.dialled, crew.group.listeners);
            if due_us > now_us {
                continue;
            }
            let id = crew.first + crew.dialled;
            crew.dialled += 1;
            if let Some(listener) = self.listeners.get_mut(id as usize) {
                (listener.phase, listener.due_us) = (Phase::Dialled, due_us);
            }
            return Some(id);
        }
        None
    }

    /// Everybody who was to join before the measurement is in, or never will be.
    #[must_use]
    pub fn is_settled(&self) -> bool {
        self.crews
            .iter()
            .filter(|crew| crew.group.starts == Starts::Before)
            .all(|crew| crew.joined + crew.failed >= crew.group.listeners)
    }

    /// How many there can be.
    #[must_use]
    pub fn len(&self) -> usize {
        self.listeners.len()
    }

    /// Nobody.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.listeners.is_empty()
    }

    /// What `id` listens to: name of the Space, path, tier.
    #[must_use]
    pub fn wish(&self, id: Id) -> Option<(&str, String, Tier)> {
        let listener = self.listeners.get(id as usize)?;
        let space = self.spaces.get(usize::from(listener.space)).map_or("", String::as_str);
        let tier = self.crew(listener).map_or(Tier::Stage, |crew| crew.group.tier);
        Some((space, self.path.replace("{space}", space), tier))
    }

    /// How `id` behaves.
    #[must_use]
    pub fn behaviour(&self, id: Id) -> Behaviour {
        let listener = self.listeners.get(id as usize);
        listener.and_then(|listener| self.crew(listener)).map_or(Behaviour::Well, |crew| crew.group.behaviour)
    }

    /// Whether `id` stays until the end, and does nothing unusual.
    #[must_use]
    pub fn settles(&self, id: Id) -> bool {
        let group = self.listeners.get(id as usize).and_then(|listener| self.crew(listener)).map(|crew| &crew.group);
        group.is_none_or(|group| group.stays == Stays::Always && group.behaviour == Behaviour::Well)
    }

    fn crew(&self, listener: &Listener) -> Option<&Crew> {
        self.crews.get(usize::from(listener.group?))
    }

    /// `id` has been let in.
    pub fn joined(&mut self, id: Id, now_us: u64) {
        let Some(listener) = self.listeners.get_mut(id as usize).filter(|one| one.phase == Phase::Dialled) else {
            return;
        };
        listener.phase = Phase::In;
        if let Some(crew) = listener.group.and_then(|group| self.crews.get_mut(usize::from(group))) {
            crew.joined += 1;
            crew.tally.admission.record(now_us.saturating_sub(listener.due_us));
        }
    }

    /// `id`'s connection ended by itself, or never opened.
    pub fn failed(&mut self, id: Id, why: impl FnOnce() -> String) {
        let Some(listener) = self.listeners.get_mut(id as usize).filter(|one| one.phase != Phase::Gone) else { return };
        let was_in = std::mem::replace(&mut listener.phase, Phase::Gone) == Phase::In;
        if let Some(crew) = listener.group.and_then(|group| self.crews.get_mut(usize::from(group))) {
            crew.failed += 1;
            if was_in {
                crew.joined -= 1;
            }
            crew.first_failure.get_or_insert_with(why);
        }
    }

    fn audio(&mut self, id: Id, now_us: u64) -> Next {
        let Some(listener) = self.listeners.get_mut(id as usize) else { return Next::Leave };
        let Some(crew) = listener.group.and_then(|group| self.crews.get_mut(usize::from(group))) else {
            return Next::Stay;
        };
        if !std::mem::replace(&mut listener.audio, true) {
            crew.heard_audio += 1;
            crew.tally.first_audio.record(now_us.saturating_sub(listener.due_us));
        }
        if crew.group.stays == Stays::Always {
            return Next::Stay;
        }
        listener.phase = Phase::Gone;
        Next::Leave
    }

    fn is_counted(&self, due_us: u64) -> bool {
        self.window.is_some_and(|(begin, end)| (begin..end).contains(&due_us))
    }

    /// `id` received an Opus packet of a speaker, in the tick `tick` if the server says so.
    pub fn frame(&mut self, id: Id, opus: &[u8], tick: Option<u64>, now_us: u64) -> Next {
        let Some(listener) = self.listeners.get(id as usize) else { return Next::Leave };
        let (group, number, space) = (listener.group, listener.number, listener.space);
        let Some(stamp) = Stamp::read(opus) else {
            if let Some(crew) = group.and_then(|group| self.crews.get_mut(usize::from(group))) {
                crew.tally.broken += 1;
            }
            return Next::Stay;
        };
        let Some(group) = group else {
            if let (Some(tick), Some(origin)) = (tick, self.origins.get_mut(usize::from(space))) {
                *origin = Some(stamp.due_us.saturating_sub(tick * TICK_US));
            }
            return Next::Stay;
        };
        let counted = self.is_counted(stamp.due_us);
        if let Some(crew) = self.crews.get_mut(usize::from(group)) {
            if crew.tally.is_to_be_checked() && !stamp.is_whole(opus) {
                crew.tally.broken += 1;
                return Next::Stay;
            }
            if counted {
                let latency_us = now_us.saturating_sub(stamp.due_us);
                crew.tally.heard(number as usize, usize::from(stamp.speaker), stamp.sequence, 1, latency_us);
            }
        }
        self.audio(id, now_us)
    }

    /// `id` received a packet of the mix, whose first tick is `group`.
    pub fn mix(&mut self, id: Id, tick: u64, payload: &[u8], now_us: u64) -> Next {
        let Some(listener) = self.listeners.get(id as usize) else { return Next::Leave };
        let (group, number, space) = (listener.group, listener.number, listener.space);
        let Some(crew) = group.and_then(|group| self.crews.get_mut(usize::from(group))) else { return Next::Stay };
        let ticks = u64::from(payload.first().copied().unwrap_or(0) & 0b11);
        if crew.tally.is_to_be_checked() && !is_whole_mix(tick, payload) || ticks == 0 {
            crew.tally.broken += 1;
            return Next::Stay;
        }
        let Some(origin) = self.origins.get(usize::from(space)).copied().flatten() else {
            if self.window.is_some() {
                self.unplaced += 1;
            }
            return self.audio(id, now_us);
        };
        let due_us = |tick: u64| origin + tick * TICK_US;
        // Not everybody's packets begin with the same tick: what counts are ticks.
        let counted = |tick: &u64| self.is_counted(due_us(*tick));
        let (first, counted) = ((tick..tick + ticks).find(counted), (tick..tick + ticks).filter(counted).count());
        if let Some(first) = first
            && let Some(crew) = group.and_then(|group| self.crews.get_mut(usize::from(group)))
        {
            crew.tally.mixed(space, first, counted as u64);
            // The packet could not leave before its last tick was spoken: what comes on top is the server's doing.
            let latency_us = now_us.saturating_sub(due_us(tick + ticks - 1));
            crew.tally.heard(number as usize, 0, tick as u32, counted as u32, latency_us);
        }
        self.audio(id, now_us)
    }

    /// What each group heard.
    #[must_use]
    pub fn report(&self) -> Value {
        self.crews.iter().map(|crew| self.report_of(crew)).collect()
    }

    fn report_of(&self, crew: &Crew) -> Value {
        let (begin, end) = self.window.unwrap_or_default();
        let spoken = (end - begin) / TICK_US * u64::from(self.speakers);
        let mut expected = 0;
        let mut worst = 0.0f64;
        let stays = crew.group.stays == Stays::Always && crew.group.starts == Starts::Before;
        let all =
            self.listeners.iter().filter(|listener| self.crew(listener).is_some_and(|own| own.first == crew.first));
        for listener in all.filter(|_| stays) {
            let due = match crew.group.tier {
                Tier::Stage => spoken,
                Tier::Mix => crew.tally.mixed_ticks(listener.space),
            };
            expected += due;
            let heard = f64::from(crew.tally.frames_of(listener.number as usize));
            worst = worst.max(1.0 - heard / due.max(1) as f64);
        }
        let loss = if expected == 0 { 0.0 } else { 1.0 - crew.tally.delivered as f64 / expected as f64 };
        json!({
            "name": crew.group.name,
            "listeners": crew.group.listeners,
            "joined": crew.joined,
            "heard_audio": crew.heard_audio,
            "failed": crew.failed,
            "first_failure": crew.first_failure,
            "expected": expected,
            "delivered": crew.tally.delivered,
            "repeated": crew.tally.repeated,
            "checked": crew.tally.checked,
            "broken": crew.tally.broken,
            "unplaced": self.unplaced,
            "loss_ratio": loss,
            "worst_listener_loss": worst,
            "latency_us": crew.tally.latency.counts(),
            "first_audio_us": crew.tally.first_audio.counts(),
            "admission_us": crew.tally.admission.counts(),
        })
    }
}

fn is_whole_mix(tick: u64, payload: &[u8]) -> bool {
    mix_bundle::parse(tick, &bytes::Bytes::copy_from_slice(payload)).is_ok_and(|packet| !packet.opus.is_empty())
}
