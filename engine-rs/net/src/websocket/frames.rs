//! The frames of QMux (draft-ietf-quic-qmux-02 §4): those of QUIC (RFC 9000 §19, RFC 9221) that a reliable stream of bytes
//! leaves any use for, and two of its own.

use bytes::{Buf, BufMut, Bytes, BytesMut};
use spaces_core::varint;

use super::parameters::Parameters;

/// QUIC's transport error codes (RFC 9000 §20.1), as far as they are sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Violation {
    FlowControl,
    StreamLimit,
    StreamState,
    FrameEncoding,
    TransportParameter,
    Protocol,
}

impl Violation {
    pub(crate) const fn code(self) -> u64 {
        match self {
            Self::FlowControl => 0x03,
            Self::StreamLimit => 0x04,
            Self::StreamState => 0x05,
            Self::FrameEncoding => 0x07,
            Self::TransportParameter => 0x08,
            Self::Protocol => 0x0a,
        }
    }

    pub(crate) const fn words(self) -> &'static str {
        match self {
            Self::FlowControl => "more data than was allowed",
            Self::StreamLimit => "more streams than were allowed",
            Self::StreamState => "a frame for a stream that is not in such a state",
            Self::FrameEncoding => "a frame that is none",
            Self::TransportParameter => "transport parameters that are none",
            Self::Protocol => "frames in an order that is not allowed",
        }
    }
}

const RESET_STREAM: u64 = 0x04;
const STOP_SENDING: u64 = 0x05;
const STREAM: u64 = 0x08;
const MAX_DATA: u64 = 0x10;
const MAX_STREAM_DATA: u64 = 0x11;
const MAX_STREAMS_BI: u64 = 0x12;
const MAX_STREAMS_UNI: u64 = 0x13;
const STREAM_DATA_BLOCKED: u64 = 0x15;
const CONNECTION_CLOSE: u64 = 0x1c;
const APPLICATION_CLOSE: u64 = 0x1d;
/// With a length, so that other frames may follow in the same message.
const DATAGRAM: u64 = 0x31;
const QX_TRANSPORT_PARAMETERS: u64 = 0x3f51_5330_0d0a_0d0a;
const QX_PING: u64 = 0x348c_6752_9ef8_c7bd;
const QX_PONG: u64 = 0x348c_6752_9ef8_c7be;

/// One frame.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Frame {
    Reset {
        id: u64,
        code: u64,
        size: u64,
    },
    Stop {
        id: u64,
        code: u64,
    },
    Stream {
        id: u64,
        offset: u64,
        data: Bytes,
        fin: bool,
    },
    MaxData(u64),
    MaxStreamData {
        id: u64,
        most: u64,
    },
    MaxStreams {
        bidi: bool,
        most: u64,
    },
    Close {
        application: bool,
        code: u64,
        reason: String,
    },
    Datagram(Bytes),
    Parameters(Parameters),
    Ping(u64),
    Pong(u64),
    /// Padding, and what a peer says of being blocked.
    Nothing,
}

/// The number of the stream in its direction and of its initiator.
pub(crate) const fn index(id: u64) -> u64 {
    id >> 2
}

fn number(bytes: &mut Bytes) -> Result<u64, Violation> {
    let mut rest = &bytes[..];
    let value = varint::read(&mut rest).ok_or(Violation::FrameEncoding)?;
    let length = bytes.len() - rest.len();
    bytes.advance(length);
    Ok(value)
}

/// As many bytes as a number before them says.
fn counted(bytes: &mut Bytes) -> Result<Bytes, Violation> {
    let length = number(bytes)?;
    match usize::try_from(length) {
        Ok(length) if length <= bytes.len() => Ok(bytes.split_to(length)),
        _ => Err(Violation::FrameEncoding),
    }
}

impl Frame {
    /// Takes one frame from the front of a message, which is not empty.
    ///
    /// # Errors
    /// [`Violation::FrameEncoding`], [`Violation::TransportParameter`].
    pub(crate) fn take(bytes: &mut Bytes) -> Result<Self, Violation> {
        let kind = number(bytes)?;
        Ok(match kind {
            0x00 => Self::Nothing,
            RESET_STREAM => Self::Reset { id: number(bytes)?, code: number(bytes)?, size: number(bytes)? },
            STOP_SENDING => Self::Stop { id: number(bytes)?, code: number(bytes)? },
            0x08..=0x0f => {
                let id = number(bytes)?;
                let offset = if kind & 4 == 0 { 0 } else { number(bytes)? };
                let data = if kind & 2 == 0 { bytes.split_off(0) } else { counted(bytes)? };
                Self::Stream { id, offset, data, fin: kind & 1 == 1 }
            }
            MAX_DATA => Self::MaxData(number(bytes)?),
            MAX_STREAM_DATA => Self::MaxStreamData { id: number(bytes)?, most: number(bytes)? },
            MAX_STREAMS_BI | MAX_STREAMS_UNI => {
                let most = number(bytes)?;
                if most > 1 << 60 {
                    return Err(Violation::FrameEncoding);
                }
                Self::MaxStreams { bidi: kind == MAX_STREAMS_BI, most }
            }
            0x14 | 0x16 | 0x17 => {
                number(bytes)?;
                Self::Nothing
            }
            STREAM_DATA_BLOCKED => {
                number(bytes)?;
                number(bytes)?;
                Self::Nothing
            }
            CONNECTION_CLOSE | APPLICATION_CLOSE => {
                let code = number(bytes)?;
                let application = kind == APPLICATION_CLOSE;
                if !application {
                    number(bytes)?; // the frame's type that was wrong
                }
                let reason = String::from_utf8_lossy(&counted(bytes)?).into_owned();
                Self::Close { application, code, reason }
            }
            0x30 => Self::Datagram(bytes.split_off(0)),
            DATAGRAM => Self::Datagram(counted(bytes)?),
            QX_TRANSPORT_PARAMETERS => Self::Parameters(Parameters::decode(counted(bytes)?)?),
            QX_PING => Self::Ping(number(bytes)?),
            QX_PONG => Self::Pong(number(bytes)?),
            _ => return Err(Violation::FrameEncoding),
        })
    }

    /// Appends the frame.
    pub(crate) fn put(&self, out: &mut BytesMut) {
        match self {
            Self::Reset { id, code, size } => put_numbers(out, &[RESET_STREAM, *id, *code, *size]),
            Self::Stop { id, code } => put_numbers(out, &[STOP_SENDING, *id, *code]),
            Self::Stream { id, offset, data, fin } => put_stream(out, *id, *offset, data, *fin),
            Self::MaxData(most) => put_numbers(out, &[MAX_DATA, *most]),
            Self::MaxStreamData { id, most } => put_numbers(out, &[MAX_STREAM_DATA, *id, *most]),
            Self::MaxStreams { bidi, most } => {
                put_numbers(out, &[if *bidi { MAX_STREAMS_BI } else { MAX_STREAMS_UNI }, *most]);
            }
            Self::Close { application: true, code, reason } => {
                put_numbers(out, &[APPLICATION_CLOSE, *code]);
                put_counted(out, reason.as_bytes());
            }
            Self::Close { application: false, code, reason } => {
                put_numbers(out, &[CONNECTION_CLOSE, *code, 0]);
                put_counted(out, reason.as_bytes());
            }
            Self::Datagram(data) => put_datagram(out, data),
            Self::Parameters(parameters) => {
                put_numbers(out, &[QX_TRANSPORT_PARAMETERS]);
                put_counted(out, &parameters.encode());
            }
            Self::Ping(number) => put_numbers(out, &[QX_PING, *number]),
            Self::Pong(number) => put_numbers(out, &[QX_PONG, *number]),
            Self::Nothing => out.put_u8(0),
        }
    }
}

fn put_numbers(out: &mut BytesMut, numbers: &[u64]) {
    for number in numbers {
        varint::write(out, *number);
    }
}

fn put_counted(out: &mut BytesMut, bytes: &[u8]) {
    varint::write(out, bytes.len() as u64);
    out.put_slice(bytes);
}

/// A STREAM frame, with offset and length.
pub(crate) fn put_stream(out: &mut BytesMut, id: u64, offset: u64, data: &[u8], fin: bool) {
    put_numbers(out, &[STREAM | 4 | 2 | u64::from(fin), id, offset]);
    put_counted(out, data);
}

/// Bytes of a STREAM frame beside its data, at most.
pub(crate) const STREAM_HEAD: usize = 1 + 8 + 8 + 4;

/// A DATAGRAM frame.
pub(crate) fn put_datagram(out: &mut BytesMut, data: &[u8]) {
    put_numbers(out, &[DATAGRAM]);
    put_counted(out, data);
}

/// Bytes that [`put_datagram`] appends.
pub(crate) const fn datagram_size(data: usize) -> usize {
    1 + varint::size(data as u64) + data
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_come_back_as_they_went() {
        let frames = [
            Frame::Parameters(Parameters { data: 5, ..Parameters::default() }),
            Frame::Reset { id: 3, code: 400, size: 70_000 },
            Frame::Stop { id: 4, code: 1 },
            Frame::Stream { id: 8, offset: 1 << 20, data: Bytes::from_static(b"abc"), fin: true },
            Frame::Stream { id: 8, offset: 0, data: Bytes::new(), fin: false },
            Frame::MaxData(9),
            Frame::MaxStreamData { id: 1, most: 2 },
            Frame::MaxStreams { bidi: true, most: 1 << 60 },
            Frame::MaxStreams { bidi: false, most: 3 },
            Frame::Close { application: true, code: 7, reason: "bye".into() },
            Frame::Close { application: false, code: 10, reason: String::new() },
            Frame::Datagram(Bytes::from_static(b"x")),
            Frame::Ping(1),
            Frame::Pong(1 << 40),
            Frame::Nothing,
        ];
        let mut out = BytesMut::new();
        frames.iter().for_each(|frame| frame.put(&mut out));
        let mut bytes = out.freeze();
        for frame in frames {
            assert_eq!(Frame::take(&mut bytes), Ok(frame));
        }
        assert!(bytes.is_empty());
    }

    #[test]
    fn what_the_draft_forbids_and_what_is_cut_short_is_no_frame() {
        // PING, ACK, CRYPTO, NEW_TOKEN, NEW_CONNECTION_ID, PATH_CHALLENGE, HANDSHAKE_DONE; unknown; cut short.
        for bad in [
            &[0x01][..],
            &[0x02, 0, 0, 0, 0],
            &[0x06, 0, 0],
            &[0x07, 0],
            &[0x18],
            &[0x1a],
            &[0x1e],
            &[0x40, 0x99],
            &[0x04, 3],
            &[0x0a, 0, 5, 1],
            &[0x31, 9, 1],
            &[0x12, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff],
        ] {
            assert_eq!(Frame::take(&mut Bytes::copy_from_slice(bad)), Err(Violation::FrameEncoding), "{bad:02x?}");
        }
    }

    #[test]
    fn a_frame_without_length_is_the_rest_of_its_message() {
        let mut bytes = Bytes::from_static(&[0x30, 1, 2, 3]);
        assert_eq!(Frame::take(&mut bytes), Ok(Frame::Datagram(Bytes::from_static(&[1, 2, 3]))));
        let mut bytes = Bytes::from_static(&[0x09, 4, 7]);
        let data = Bytes::from_static(&[7]);
        assert_eq!(Frame::take(&mut bytes), Ok(Frame::Stream { id: 4, offset: 0, data, fin: true }));
        assert!(bytes.is_empty());
    }
}
