//! MoQT track aliases that are the same in every session, so that a framed datagram serves all listeners of a track.

use crate::seam::FullTrackName;

/// First alias for names that are not in the table: beyond all seats.
const OTHERS: u64 = 0x4000;

/// First alias of the seats; a seat of two digits or less stays in one byte (vi64) up to seat 63.
const SEATS: u64 = 0x40;

/// Aliases that a session has given out.
#[derive(Debug, Default)]
pub(crate) struct Aliases {
    given: Vec<(u64, FullTrackName)>,
    next: u64,
}

impl Aliases {
    /// The alias of `name`: the track's own, unless this session uses that for a track of another namespace.
    ///
    /// `keep` names the aliases in use; what else was given out is forgotten when there is too much of it.
    pub(crate) fn of(&mut self, name: &FullTrackName, keep: impl Fn(u64) -> bool) -> u64 {
        if let Some((alias, _)) = self.given.iter().find(|(_, given)| given == name) {
            return *alias;
        }
        let alias = fixed(&name.track).filter(|alias| self.given.iter().all(|(given, _)| given != alias));
        let alias = alias.unwrap_or_else(|| {
            self.next += 1;
            OTHERS + self.next
        });
        if self.given.len() >= 256 {
            self.given.retain(|(given, _)| keep(*given));
        }
        if self.given.len() == self.given.capacity() {
            self.given.reserve_exact(self.given.len().max(1)); // most sessions have one track
        }
        self.given.push((alias, name.clone()));
        alias
    }
}

/// The alias that a track name has in every session.
fn fixed(track: &[u8]) -> Option<u64> {
    match track {
        b"stage" => Some(1),
        b"stage.1" => Some(2),
        b"stage.groups" => Some(3),
        b"mix" => Some(4),
        b"state" => Some(5),
        b"catalog" => Some(6),
        b"captions" => Some(7),
        b"audio" => Some(8),
        other => {
            let digits = other.strip_prefix(b"seat/")?;
            if !(1..=3).contains(&digits.len())
                || !digits.iter().all(u8::is_ascii_digit)
                || digits.first() == Some(&b'0') && digits.len() > 1
            {
                return None;
            }
            let number = digits.iter().fold(0u64, |number, digit| number * 10 + u64::from(digit - b'0'));
            Some(SEATS + number)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::names::from_path;
    use bytes::Bytes;

    fn name(path: &[u8], track: &str) -> FullTrackName {
        FullTrackName { namespace: from_path(path), track: Bytes::copy_from_slice(track.as_bytes()) }
    }

    #[test]
    fn a_track_has_the_same_alias_in_every_session() {
        let mut left = Aliases::default();
        let mut right = Aliases::default();
        for track in ["stage", "seat/3", "state"] {
            left.of(&name(b"spaces/1", track), |_| true);
        }
        for track in ["state", "stage", "seat/3"] {
            let name = name(b"spaces/2", track);
            assert_eq!(
                right.of(&name, |_| true),
                left.of(&FullTrackName { namespace: from_path(b"spaces/1"), ..name }, |_| true)
            );
        }
    }

    #[test]
    fn two_tracks_never_share_an_alias() {
        let mut aliases = Aliases::default();
        let mut seen = std::collections::BTreeSet::new();
        for space in [&b"spaces/1"[..], b"spaces/2"] {
            for track in ["stage", "seat/0", "seat/00", "seat/999", "seat/1000", "seat/", "x", ""] {
                assert!(seen.insert(aliases.of(&name(space, track), |_| true)));
            }
        }
    }

    #[test]
    fn what_is_forgotten_is_not_in_use() {
        let mut aliases = Aliases::default();
        let stage = aliases.of(&name(b"spaces/1", "stage"), |_| true);
        for number in 0..10_000 {
            aliases.of(&name(b"spaces/1", &number.to_string()), |alias| alias == stage);
            assert!(aliases.given.len() <= 256);
        }
        assert_eq!(aliases.of(&name(b"spaces/1", "stage"), |_| true), stage);
        assert_ne!(aliases.of(&name(b"spaces/2", "stage"), |_| true), stage);
    }
}
