//! The `catalog` track: an MSF catalog (draft-ietf-moq-msf §5) of a Space's tracks.

use core::fmt::Write;

use bytes::Bytes;

/// Version of MSF that the catalog follows.
const VERSION: &str = "draft-01";

/// Bundles of several seats' frames are no LOC, and a player that takes them for it would play noise: the packaging is
/// named, and a player that does not know it leaves the track alone.
const BUNDLE: &str = "spaces.bundle";

/// A track that a Space may have.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum CatalogTrack {
    /// `stage`: a datagram a tick with all seats heard.
    Stage,
    /// `stage.1`: what did not fit there.
    StageOverflow,
    /// `stage.groups`: the same on group streams, for players without datagrams.
    StageGroups,
    /// `state`: roster, title and counts; snapshots and changes.
    State,
}

impl CatalogTrack {
    /// All of them, in the catalog's order.
    pub const ALL: [Self; 4] = [Self::Stage, Self::StageOverflow, Self::StageGroups, Self::State];

    /// The track's name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Stage => "stage",
            Self::StageOverflow => "stage.1",
            Self::StageGroups => "stage.groups",
            Self::State => "state",
        }
    }
}

/// The catalog object: UTF-8 JSON, object 0 of a new group, complete by itself.
///
/// `generated_at` is wall-clock time in milliseconds since 1970; `live` is false once the Space has ended, for good;
/// `bitrate` is the most that all seats heard may take together, in bits a second.
#[must_use]
pub fn catalog(tracks: &[CatalogTrack], generated_at: u64, live: bool, bitrate: u64) -> Bytes {
    let mut json = String::with_capacity(1_024);
    // Writing to a String cannot fail.
    let _ = write!(json, r#"{{"version":"{VERSION}""#);
    if live {
        let _ = write!(json, r#","generatedAt":{generated_at}"#);
    } else {
        json.push_str(r#","isComplete":true"#);
    }
    json.push_str(r#","tracks":["#);
    for (index, track) in tracks.iter().enumerate() {
        if index > 0 {
            json.push(',');
        }
        let _ = write!(json, r#"{{"name":"{}","isLive":{live},"#, track.name());
        let _ = match track {
            CatalogTrack::Stage | CatalogTrack::StageGroups => {
                write!(json, r#""packaging":"{BUNDLE}","role":"audio","renderGroup":1,"altGroup":1,{}"#, Opus(bitrate))
            }
            CatalogTrack::StageOverflow => {
                write!(json, r#""packaging":"{BUNDLE}","role":"audio","renderGroup":1,{}"#, Opus(bitrate))
            }
            CatalogTrack::State => write!(json, r#""packaging":"spaces.state","role":"data"}}"#),
        };
    }
    json.push_str("]}");
    Bytes::from(json)
}

/// The fields that MSF requires of a track with an audio codec, and the object's end.
struct Opus(u64);

impl core::fmt::Display for Opus {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        let bitrate = self.0;
        write!(f, r#""codec":"opus","samplerate":48000,"channelConfig":"1","timescale":48000,"bitrate":{bitrate}}}"#)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::Value;

    fn parsed(tracks: &[CatalogTrack], live: bool) -> Value {
        serde_json::from_slice(&catalog(tracks, 1_746_104_606_044, live, 64_000)).unwrap()
    }

    #[test]
    fn it_has_the_fields_that_msf_requires() {
        let json = parsed(&CatalogTrack::ALL, true);
        assert_eq!(json["version"], "draft-01");
        assert_eq!(json["generatedAt"], 1_746_104_606_044_u64);
        assert_eq!(json.get("isComplete"), None, "must not be there if it is false");
        let tracks = json["tracks"].as_array().unwrap();
        let names: Vec<_> = tracks.iter().map(|track| track["name"].as_str().unwrap()).collect();
        assert_eq!(names, ["stage", "stage.1", "stage.groups", "state"]);
        for track in tracks {
            assert_eq!(track["isLive"], true);
            assert!(track["packaging"].is_string());
            if track["role"] == "audio" {
                assert_eq!(track["codec"], "opus");
                assert_eq!((&track["samplerate"], &track["bitrate"]), (&48_000.into(), &64_000.into()));
                assert_eq!(track["channelConfig"], "1");
            }
        }
        assert_eq!(tracks[0]["altGroup"], tracks[2]["altGroup"]);
        assert_eq!(tracks[1].get("altGroup"), None, "the overflow is no alternative");
    }

    #[test]
    fn an_ended_space_says_so() {
        let json = parsed(&[CatalogTrack::State], false);
        assert_eq!(json["isComplete"], true);
        assert_eq!(json.get("generatedAt"), None);
        assert_eq!(json["tracks"][0]["isLive"], false);
        assert_eq!(parsed(&[], true)["tracks"], Value::Array(Vec::new()));
    }
}
