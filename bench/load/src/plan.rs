//! What a load is to do: one JSON document, its first argument.

use std::net::SocketAddr;

use serde::Deserialize;

use crate::curve::Curve;
use crate::network::Profile;

/// How the server is spoken to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Protocol {
    /// QUIC datagrams that are Opus packets: `plain-quinn`.
    Plain,
    /// MoQT draft 18 over raw QUIC: ours, moq-relay.
    Moqt,
    /// Ogg Opus over HTTP.
    Icecast,
    /// Mumble 1.3: TLS for control, OCB2-AES128 over UDP for voice.
    Mumble,
}

/// What is listened to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Tier {
    /// Every speaker's packets, 20 ms each.
    Stage,
    /// One stream, mixed by the server.
    Mix,
}

/// When a group begins to join.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Starts {
    /// At once; the measurement waits for it.
    Before,
    /// When the measurement begins.
    OnBegin,
}

/// How long somebody stays.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Stays {
    /// To the end.
    Always,
    /// Until the first audio.
    UntilAudio,
}

/// How listeners treat the server.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Behaviour {
    /// As they should.
    Well,
    /// Once joined, nothing more is heard of them, not even an acknowledgement.
    Stalled,
    /// They allow next to no unread data on streams.
    TinyWindows,
    /// Once joined, they acknowledge packets that were never sent.
    Optimists,
}

/// Listeners that are counted together.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Group {
    /// For the report.
    pub name: String,
    /// What they hear.
    pub tier: Tier,
    /// How many.
    pub listeners: u32,
    /// How they arrive.
    pub curve: Curve,
    /// When the first arrives.
    pub starts: Starts,
    /// When they leave.
    pub stays: Stays,
    /// How they behave.
    pub behaviour: Behaviour,
}

/// See the module.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Plan {
    /// The server.
    pub server: SocketAddr,
    /// Its language.
    pub protocol: Protocol,
    /// Speakers in each Space.
    pub speakers: u8,
    /// Names of Spaces, over which each group's listeners are spread evenly.
    pub spaces: Vec<String>,
    /// Path in MoQT's SETUP; `{space}` becomes the Space's name.
    pub path: String,
    /// Who listens.
    pub groups: Vec<Group>,
    /// What lies between.
    #[serde(default)]
    pub network: Profile,
    /// Decides losses and delays.
    #[serde(default)]
    pub seed: u64,
    /// Whether listeners offer ACK_FREQUENCY (draft-ietf-quic-ack-frequency), which no browser does.
    #[serde(default)]
    pub ack_frequency: bool,
    /// QUIC connections that share a socket, and so an address: many keep the load cheap, few spread over a server's
    /// sockets as real listeners do.
    pub connections_per_socket: u32,
    /// Frames are stamped by CLOCK_REALTIME: see [`crate::clock::share_between_hosts`].
    #[serde(default)]
    pub realtime: bool,
}

#[cfg(test)]
mod tests {
    use super::*;

    const WHOLE: &str = r#"{
        "server": "127.0.0.1:4443", "protocol": "moqt", "speakers": 4, "spaces": ["4c93"], "path": "/spaces/{space}",
        "groups": [{"name": "listeners", "tier": "mix", "listeners": 3000, "curve": {"kind": "linear", "per_second": 500},
                    "starts": "before", "stays": "always", "behaviour": "well"}],
        "network": {"loss": 0.01, "jitter_ms": 20}, "seed": 1, "ack_frequency": false, "connections_per_socket": 100}"#;

    #[test]
    fn a_whole_plan_is_read() {
        let plan: Plan = serde_json::from_str(WHOLE).unwrap();
        assert_eq!((plan.groups[0].listeners, plan.groups[0].tier), (3_000, Tier::Mix));
        assert_eq!(plan.groups[0].curve, Curve::Linear { per_second: 500.0 });
    }

    #[test]
    fn a_misspelt_field_is_refused_instead_of_ignored() {
        assert!(serde_json::from_str::<Plan>(&WHOLE.replace("\"seed\"", "\"sead\"")).is_err());
        assert!(serde_json::from_str::<Plan>(&WHOLE.replace("per_second", "per_minute")).is_err());
    }
}
