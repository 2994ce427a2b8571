//! The two headers of a file (RFC 7845 §5).

use bytes::BufMut;

use super::{Source, TrackInfo};

/// `OpusHead`, §5.1. `gain` in 1/256 dB.
pub(super) fn head(channels: u8, pre_skip: u16, gain: i16) -> Vec<u8> {
    let mut out = b"OpusHead\x01".to_vec();
    out.put_u8(channels.clamp(1, 2));
    out.put_u16_le(pre_skip);
    out.put_u32_le(48_000); // of the microphone; decoders run at 48 kHz anyway
    out.put_i16_le(gain);
    out.put_u8(0); // mapping family: mono or stereo
    out
}

/// What a track says about itself.
pub(super) fn comments(info: &TrackInfo) -> Vec<String> {
    let mut comments = vec![format!("SPACE={}", info.space)];
    match info.source {
        Source::Person { seat, account } => {
            comments.extend([format!("SEAT={}", seat.get()), format!("ACCOUNT={account}")]);
        }
        Source::Mix => comments.push("TRACK=mix".to_owned()),
    }
    comments.extend([
        format!("PART={}", info.part),
        format!("START_GROUP={}", info.start_group),
        format!("STARTED_AT_MS={}", info.started_at_ms),
    ]);
    comments
}

/// `OpusTags`, §5.2.
pub(super) fn tags(comments: &[String]) -> Vec<u8> {
    let mut out = b"OpusTags".to_vec();
    put_text(&mut out, "spaces-core");
    out.put_u32_le(comments.len() as u32);
    for comment in comments {
        put_text(&mut out, comment);
    }
    out
}

fn put_text(out: &mut Vec<u8>, text: &str) {
    out.put_u32_le(text.len() as u32);
    out.put_slice(text.as_bytes());
}
