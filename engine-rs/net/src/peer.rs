//! What the server keeps with a connection: who it is, what it asked for, what it hears and says.

use std::time::{Duration, Instant};

use bytes::Bytes;
use spaces_core::engine::{Feedback, Purge, Track};
use spaces_core::ids::SpaceId;
use spaces_core::refusal::Refusal;
use spaces_moqt::seam::SubscriptionId;
use spaces_moqt::session::Session;

use crate::link::Link;

/// Requests a second that a session may make, and how many at once.
const REQUESTS_PER_SECOND: u32 = 8;
const REQUEST_BURST: u32 = 32;

/// Where a peer stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Admission {
    Waiting,
    In(SpaceId),
    Refused,
}

/// What a connection keeps.
pub(crate) struct Peer {
    pub(crate) protocol: Option<Session>,
    pub(crate) admission: Admission,
    /// From the CONNECT's path, or the SETUP's.
    pub(crate) place: Option<Place>,
    /// To be refused as soon as the session can say so.
    pub(crate) doomed: Option<Refusal>,
    since: Instant,
    pub(crate) tracks: Vec<(Track, SubscriptionId)>,
    /// The seat that it speaks from.
    pub(crate) seat: Option<Uplink>,
    /// Where its reactions come from: `spaces/<id>/me`.
    pub(crate) me: Option<Uplink>,
    pub(crate) requests: Allowance,
    reported: (u64, u64),
}

/// A namespace that a peer announced, and our subscription to its track.
pub(crate) struct Uplink {
    pub(crate) namespace: Vec<Bytes>,
    pub(crate) subscription: Option<SubscriptionId>,
}

/// `/spaces/<id>?jwt=<token>&protocol=<name>`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    pub(crate) space: SpaceId,
    pub(crate) token: Option<Bytes>,
    pub(crate) protocol: Option<String>,
}

impl Place {
    pub(crate) fn parse(path: &str, query: Option<&str>) -> Option<Self> {
        let id = path.strip_prefix("/spaces/")?;
        let space = SpaceId::parse(id.strip_suffix('/').unwrap_or(id).as_bytes())?;
        let mut place = Self { space, token: None, protocol: None };
        for (name, value) in query.unwrap_or_default().split('&').filter_map(|pair| pair.split_once('=')) {
            match name {
                "jwt" if !value.is_empty() => place.token = Some(Bytes::copy_from_slice(value.as_bytes())),
                "protocol" => place.protocol = Some(value.to_owned()),
                _ => {}
            }
        }
        Some(place)
    }
}

/// A token bucket.
pub(crate) struct Allowance {
    left: u32,
    since: Instant,
}

impl Allowance {
    pub(crate) fn take(&mut self, now: Instant) -> bool {
        let earned =
            now.saturating_duration_since(self.since).as_millis() as u64 * u64::from(REQUESTS_PER_SECOND) / 1_000;
        if earned > 0 {
            self.left = self.left.saturating_add(u32::try_from(earned).unwrap_or(u32::MAX)).min(REQUEST_BURST);
            self.since = now;
        }
        let taken = self.left > 0;
        self.left = self.left.saturating_sub(1);
        taken
    }
}

impl Peer {
    pub(crate) fn new(place: Option<Place>, now: Instant) -> Self {
        Self {
            protocol: None,
            admission: Admission::Waiting,
            place,
            doomed: None,
            since: now,
            tracks: Vec::new(),
            seat: None,
            me: None,
            requests: Allowance { left: REQUEST_BURST, since: now },
            reported: (0, 0),
        }
    }

    /// The subscription to `track`.
    pub(crate) fn subscription(&self, track: Track) -> Option<SubscriptionId> {
        self.tracks.iter().find(|(subscribed, _)| *subscribed == track).map(|(_, id)| *id)
    }

    /// Closes with a refusal's code and words.
    pub(crate) fn refuse(&mut self, connection: &mut dyn Link, refusal: Refusal) {
        self.admission = Admission::Refused;
        match self.protocol.as_mut() {
            Some(session) => session.close(connection, u64::from(refusal.wire()), refusal.code()),
            None => connection.close(u64::from(refusal.wire()), refusal.code()),
        }
    }

    /// Says that the server will go away.
    pub(crate) fn goaway(&mut self, connection: &mut dyn Link, uri: &str) {
        if let Some(session) = self.protocol.as_mut() {
            session.goaway(connection, uri);
        }
    }

    /// Its time to be admitted is over.
    pub(crate) fn overdue(&self, now: Instant, patience: Duration) -> bool {
        self.admission == Admission::Waiting && now.saturating_duration_since(self.since) > patience
    }

    /// Gives up the streams on which something silenced may wait.
    pub(crate) fn purge_groups(&mut self, connection: &mut dyn Link, purge: Purge) {
        for track in [Track::StageGroups, Track::MixGroups, Track::Captions] {
            let seats = if track == Track::Captions { purge.words } else { purge.sound };
            if let Some(subscription) = self.subscription(track).filter(|_| seats != 0)
                && let Some(protocol) = self.protocol.as_mut()
            {
                protocol.purge_groups(connection, subscription);
            }
        }
    }

    /// What the path did since the last call, for the engine.
    pub(crate) fn feedback(&mut self, connection: &dyn Link) -> Option<Feedback> {
        if !matches!(self.admission, Admission::In(_)) {
            return None;
        }
        let path = connection.report();
        let (sent, lost) = self.reported;
        self.reported = (path.sent, path.lost);
        let since = |now: u64, then: u64| u32::try_from(now.saturating_sub(then)).unwrap_or(u32::MAX);
        Some(Feedback {
            sent: since(path.sent, sent),
            lost: since(path.lost, lost),
            rtt_us: u32::try_from(path.rtt.as_micros()).unwrap_or(u32::MAX),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_names_the_space_and_may_carry_token_and_protocol() {
        let place = Place::parse("/spaces/4k", Some("jwt=a.b.c&protocol=moqt-18&x=y")).unwrap();
        assert_eq!(place.space.to_string(), "4k");
        assert_eq!(place.token.as_deref(), Some(&b"a.b.c"[..]));
        assert_eq!(place.protocol.as_deref(), Some("moqt-18"));
        for bad in ["/", "/spaces/", "/spaces/a/b", "/space/a", "/spaces/a-b", "spaces/a"] {
            assert_eq!(Place::parse(bad, None), None, "{bad}");
        }
    }

    #[test]
    fn requests_are_allowed_at_a_rate_with_a_burst() {
        let start = Instant::now();
        let mut allowance = Allowance { left: REQUEST_BURST, since: start };
        let taken = (0..100).filter(|_| allowance.take(start)).count();
        assert_eq!(taken, REQUEST_BURST as usize);
        let later = start + Duration::from_secs(1);
        let taken = (0..100).filter(|_| allowance.take(later)).count();
        assert_eq!(taken, REQUESTS_PER_SECOND as usize);
    }
}
