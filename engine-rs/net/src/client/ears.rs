//! What a listener plays: the stage, seat by seat, or the mix.

use bytes::Bytes;
use spaces_core::codec::OpusDecoder;
use spaces_core::mix::MixPacket;
use spaces_core::mix_receiver::MixReceiver;
use spaces_core::playout::{PlayoutConfig, PlayoutStats};
use spaces_core::receiver::Receiver;
use spaces_core::time::Time;

/// Which track a listener hears.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Heard {
    /// `stage` and `stage.1`.
    #[default]
    Stage,
    /// `mix`.
    Mix,
}

pub(super) enum Ears {
    Stage(Box<Receiver<OpusDecoder>>),
    Mix(Box<MixReceiver<OpusDecoder>>),
    /// libopus has no memory: nothing is heard.
    Deaf,
}

impl Ears {
    pub(super) fn new(heard: Heard, playout: PlayoutConfig) -> Self {
        match heard {
            // A seat that libopus has no memory for stays silent.
            Heard::Stage => Self::Stage(Box::new(Receiver::new(playout, || OpusDecoder::new().ok()))),
            Heard::Mix => match OpusDecoder::new() {
                Ok(decoder) => Self::Mix(Box::new(MixReceiver::new(playout, decoder))),
                Err(_) => Self::Deaf,
            },
        }
    }

    pub(super) fn bundle(&mut self, now: Time, group: u64, payload: &Bytes) {
        if let Self::Stage(receiver) = self {
            receiver.push(now, group, payload);
        }
    }

    pub(super) fn packet(&mut self, now: Time, packet: &MixPacket) {
        if let Self::Mix(receiver) = self {
            receiver.push(now, packet.clone());
        }
    }

    pub(super) fn pull(&mut self, now: Time, out: &mut [i16]) {
        match self {
            Self::Stage(receiver) => receiver.pull(now, out),
            Self::Mix(receiver) => receiver.pull(now, out),
            Self::Deaf => out.fill(0),
        }
    }

    pub(super) fn stats(&self) -> PlayoutStats {
        match self {
            Self::Stage(receiver) => receiver.stats(),
            Self::Mix(receiver) => receiver.stats(),
            Self::Deaf => PlayoutStats::default(),
        }
    }
}
