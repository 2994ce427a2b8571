//! What a listener plays: the stage, seat by seat, or the mix, or whichever of them is told.

use spaces_core::codec::OpusDecoder;
use spaces_core::engine::Tier;
use spaces_core::playout::PlayoutConfig;
use spaces_core::tier_receiver::TierReceiver;

/// Which track a listener hears.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Heard {
    /// `stage` and `stage.1`.
    #[default]
    Stage,
    /// `mix`.
    Mix,
    /// What the Space says on `state`, from one to the other without a gap. Begins with the stage.
    Told {
        /// The mix whenever it may be had.
        save_data: bool,
    },
}

impl Heard {
    /// What is heard at first.
    pub(super) const fn first(self) -> Tier {
        match self {
            Self::Stage | Self::Told { .. } => Tier::Stage,
            Self::Mix => Tier::Mix,
        }
    }
}

pub(super) type Ears = TierReceiver<OpusDecoder, OpusDecoder>;

/// A seat that libopus has no memory for stays silent.
pub(super) fn ears(tier: Tier, playout: PlayoutConfig) -> Ears {
    TierReceiver::new(playout, tier, || OpusDecoder::new().ok(), OpusDecoder::new().ok())
}
