//! The native clients as Python objects. None of their calls waits: each object has an eventfd ("bell") that becomes readable
//! when something changed; the callers in `_clients.py` wait for that on their event loop.

use std::collections::BTreeMap;
use std::time::Duration;

use bytes::Bytes;
use pyo3::buffer::PyBuffer;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict};
use spaces_core::codec::EncoderConfig;
use spaces_core::ids::SeatNo;
use spaces_core::mix::MixPacket;
use spaces_core::playout::{PlayoutConfig, PlayoutStats};
use spaces_core::uplink::{Level, Spurt};
use spaces_moqt::seam::Protocol;
use spaces_net::client::listener::{Heard, HeardMix, Listener, ListenerConfig, ReadLine};
use spaces_net::client::speaker::{Speaker, SpeakerConfig};
use spaces_net::client::{Destination, State, Via, roots};
use spaces_net::quic::Trust;

use crate::errors::{self, detached};

/// `(url, token, certificate hashes, PEM roots, transport, protocol, idle timeout in ms)`. Hashes count before roots.
pub(crate) type To = (String, Option<String>, Vec<[u8; 32]>, Option<Vec<u8>>, String, String, u64);

pub(crate) fn destination((url, token, hashes, pem, transport, protocol, idle_ms): To) -> PyResult<Destination> {
    let trust = match pem {
        _ if !hashes.is_empty() => Trust::Hashes(hashes),
        Some(pem) => Trust::Roots(roots(&pem).map_err(|error| errors::client(&error))?),
        None => return Err(errors::value("give certificate_sha256 or roots")),
    };
    let via = match transport.as_str() {
        "webtransport" => Via::WebTransport,
        "quic" => Via::Quic,
        other => return Err(errors::value(format!("transport {other:?} is none of 'webtransport', 'quic'"))),
    };
    let protocol = [Protocol::Moqt18, Protocol::Lite05]
        .into_iter()
        .find(|known| known.name() == protocol)
        .ok_or_else(|| errors::value(format!("protocol {protocol:?} is none of 'moqt-18', 'moq-lite-05'")))?;
    Ok(Destination { url, token, trust, via, protocol, idle_timeout: Duration::from_millis(idle_ms) })
}

fn seat(number: u8) -> PyResult<SeatNo> {
    SeatNo::new(number).ok_or_else(|| errors::value(format!("seat {number} is not in 0 to 12")))
}

/// Whether frames flow; raises why the client is over.
pub(crate) fn live(state: &State) -> PyResult<bool> {
    match state {
        State::Connecting => Ok(false),
        State::Live => Ok(true),
        State::Over(error) => Err(errors::client(error)),
    }
}

/// Adds the clients to the module.
pub(crate) fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_class::<NativeSpeaker>()?;
    module.add_class::<NativeListener>()?;
    module.add_class::<crate::tap::NativeTap>()?;
    module.add_class::<crate::load::NativeLoad>()?;
    module.add_function(wrap_pyfunction!(frame_hash, module)?)?;
    #[cfg(debug_assertions)]
    module.add_function(wrap_pyfunction!(_panic, module)?)?;
    Ok(())
}

/// 48 kHz mono samples, native byte order, from any contiguous buffer of bytes.
fn samples(py: Python<'_>, buffer: &PyBuffer<u8>) -> PyResult<Vec<i16>> {
    let bytes = buffer.to_vec(py)?;
    let (pairs, rest) = bytes.as_chunks::<2>();
    if rest.is_empty() {
        Ok(pairs.iter().map(|pair| i16::from_ne_bytes(*pair)).collect())
    } else {
        Err(errors::value("the buffer ends within a sample of 16 bits"))
    }
}

fn pcm<'py>(py: Python<'py>, samples: &[i16]) -> Bound<'py, PyBytes> {
    let bytes: Vec<u8> = samples.iter().flat_map(|sample| sample.to_ne_bytes()).collect();
    PyBytes::new(py, &bytes)
}

/// One speaker's connection.
#[pyclass(frozen, module = "spaces_ctl._engine")]
pub(crate) struct NativeSpeaker {
    speaker: Speaker,
}

#[pymethods]
impl NativeSpeaker {
    /// Resolves the name (may wait for DNS) and begins to connect.
    #[staticmethod]
    #[pyo3(signature = (to, *, seat, bitrate, expected_loss, complexity, dtx))]
    fn connect(
        py: Python<'_>,
        to: To,
        seat: u8,
        bitrate: u32,
        expected_loss: u8,
        complexity: u8,
        dtx: bool,
    ) -> PyResult<Self> {
        let encoder = EncoderConfig { bitrate, expected_loss, complexity, dtx, ..EncoderConfig::default() };
        let config = SpeakerConfig { destination: destination(to)?, seat: self::seat(seat)?, encoder };
        let speaker = detached(py, move || Speaker::connect(config))?.map_err(|error| errors::client(&error))?;
        Ok(Self { speaker })
    }

    /// An eventfd, readable when something changed. It lives as long as the object.
    #[getter]
    fn bell_fd(&self) -> i32 {
        self.speaker.bell_fd()
    }

    /// To be called before looking.
    fn clear_bell(&self) {
        self.speaker.clear_bell();
    }

    /// Frames are wanted. Raises why not, once it is over.
    fn live(&self) -> PyResult<bool> {
        live(&self.speaker.state())
    }

    /// It is over, by itself or by `close`.
    fn over(&self) -> bool {
        matches!(self.speaker.state(), State::Over(_))
    }

    /// Hands in 48 kHz mono s16 of any length.
    fn push_pcm(&self, py: Python<'_>, buffer: PyBuffer<u8>, paced: bool) -> PyResult<()> {
        let samples = samples(py, &buffer)?;
        detached(py, || self.speaker.push_pcm(samples, paced))?.map_err(|error| errors::client(&error))
    }

    /// Hands in one Opus packet of 20 ms; `level` after RFC 6464.
    #[pyo3(signature = (packet, *, level, start, end, paced))]
    fn push_opus(&self, packet: &[u8], level: u8, start: bool, end: bool, paced: bool) -> PyResult<()> {
        let (packet, spurt) = (Bytes::copy_from_slice(packet), Spurt { start, end });
        self.speaker.push_opus(packet, Level(level), spurt, paced).map_err(|error| errors::client(&error))
    }

    /// 20 ms of silence.
    fn push_silence(&self, paced: bool) -> PyResult<()> {
        self.speaker.push_silence(paced).map_err(|error| errors::client(&error))
    }

    /// Fills the last frame up and ends the talkspurt in its turn.
    fn finish(&self) -> PyResult<()> {
        self.speaker.finish().map_err(|error| errors::client(&error))
    }

    /// Drops what has not left yet.
    fn discard(&self) {
        self.speaker.discard();
    }

    /// Frames that have not left yet.
    fn queued(&self) -> usize {
        self.speaker.queued()
    }

    /// `(sequence, hash, sent_at_us)` of what was sent since the last call.
    fn sent_log(&self) -> Vec<(u64, u64, u64)> {
        self.speaker.sent_log().into_iter().map(|sent| (sent.sequence, sent.hash, sent.sent_at_us)).collect()
    }

    /// Counters.
    fn stats<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let stats = self.speaker.stats();
        let out = PyDict::new(py);
        out.set_item("sent", stats.sent)?;
        out.set_item("silent", stats.silent)?;
        out.set_item("dropped", stats.dropped)?;
        out.set_item("rtt_us", stats.rtt_us)?;
        out.set_item("lost_packets", stats.lost_packets)?;
        out.set_item("going_away", stats.going_away)?;
        Ok(out)
    }

    /// Reacts.
    fn react(&self, kind: u8) -> PyResult<()> {
        self.speaker.react(kind).map_err(|error| errors::client(&error))
    }

    /// Ends the connection, without waiting.
    fn close(&self) {
        self.speaker.close();
    }
}

/// `(group, seat, level, start, end, redundant, opus, received_at_us)`.
type Row<'py> = (u64, u8, u8, bool, bool, bool, Bound<'py, PyBytes>, u64);

/// `(group, ticks, start, end, levels by seat, opus, received_at_us)`.
type MixRow<'py> = (u64, u8, bool, bool, BTreeMap<u8, u8>, Bound<'py, PyBytes>, u64);

/// One listener's connection.
#[pyclass(frozen, module = "spaces_ctl._engine")]
pub(crate) struct NativeListener {
    listener: Listener,
}

#[pymethods]
impl NativeListener {
    /// Resolves the name (may wait for DNS) and begins to connect. Playout delays (least, most, first) in milliseconds.
    #[staticmethod]
    #[pyo3(signature = (to, *, delays_ms, track, save_data, captions))]
    fn connect(
        py: Python<'_>,
        to: To,
        delays_ms: (u16, u16, u16),
        track: &str,
        save_data: bool,
        captions: bool,
    ) -> PyResult<Self> {
        let (min_ms, max_ms, start_ms) = delays_ms;
        let playout = PlayoutConfig { min_ms, max_ms, start_ms };
        let heard = match track {
            "stage" => Heard::Stage,
            "mix" => Heard::Mix,
            "told" => Heard::Told { save_data },
            other => return Err(errors::value(format!("track {other:?} is none of 'stage', 'mix', 'told'"))),
        };
        let config = ListenerConfig { destination: destination(to)?, playout, heard, captions };
        let listener = detached(py, move || Listener::connect(&config))?.map_err(|error| errors::client(&error))?;
        Ok(Self { listener })
    }

    /// An eventfd, readable when something changed. It lives as long as the object.
    #[getter]
    fn bell_fd(&self) -> i32 {
        self.listener.bell_fd()
    }

    /// To be called before looking.
    fn clear_bell(&self) {
        self.listener.clear_bell();
    }

    /// Subscribed. Raises why not, once it is over.
    fn live(&self) -> PyResult<bool> {
        live(&self.listener.state())
    }

    /// It is over, by itself or by `close`.
    fn over(&self) -> bool {
        matches!(self.listener.state(), State::Over(_))
    }

    /// Frames since the last call; the first call asks for them.
    fn frames<'py>(&self, py: Python<'py>) -> Vec<Row<'py>> {
        let row = |frame: spaces_net::client::listener::HeardFrame| {
            let (level, spurt) = (frame.level.0, frame.spurt);
            let opus = PyBytes::new(py, &frame.opus);
            (frame.group, frame.seat.get(), level, spurt.start, spurt.end, frame.redundant, opus, frame.received_at_us)
        };
        self.listener.frames().into_iter().map(row).collect()
    }

    /// Packets of the mix since the last call; the first call asks for them.
    fn packets<'py>(&self, py: Python<'py>) -> Vec<MixRow<'py>> {
        let row = |heard: HeardMix| {
            let MixPacket { group, ticks, spurt, levels, opus } = heard.packet;
            let levels = (0u8..).zip(levels).filter_map(|(seat, level)| Some((seat, level?.0))).collect();
            (group, ticks, spurt.start, spurt.end, levels, PyBytes::new(py, &opus), heard.received_at_us)
        };
        self.listener.packets().into_iter().map(row).collect()
    }

    /// Whether the mix is heard whenever it may be had; counts only with track `told`.
    fn save_data(&self, on: bool) {
        self.listener.save_data(on);
    }

    /// Captions since the last call: `(group, line, received_at_us)`.
    fn lines<'py>(&self, py: Python<'py>) -> Vec<(u64, Bound<'py, PyBytes>, u64)> {
        let row = |read: ReadLine| (read.group, PyBytes::new(py, &read.line), read.received_at_us);
        self.listener.lines().into_iter().map(row).collect()
    }

    /// The mixed sound that a sound card plays now: `samples` of 48 kHz mono s16.
    fn pull<'py>(&self, py: Python<'py>, samples: usize) -> PyResult<Bound<'py, PyBytes>> {
        if samples > 48_000 {
            return Err(errors::value("at most a second at once"));
        }
        let mut out = vec![0; samples];
        detached(py, || self.listener.pull(&mut out))?;
        Ok(pcm(py, &out))
    }

    /// Blocks of 20 ms mixed in real time since the last call; the first call begins it.
    fn blocks<'py>(&self, py: Python<'py>) -> Vec<Bound<'py, PyBytes>> {
        self.listener.blocks().iter().map(|block| pcm(py, block)).collect()
    }

    /// Counters.
    fn stats<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let stats = self.listener.stats();
        let out = PyDict::new(py);
        out.set_item("frames", stats.frames)?;
        out.set_item("duplicates", stats.duplicates)?;
        out.set_item("redundant", stats.redundant)?;
        out.set_item("lost", stats.lost)?;
        out.set_item("overflowed", stats.overflowed)?;
        out.set_item("refused", stats.refused)?;
        out.set_item("rtt_us", stats.rtt_us)?;
        out.set_item("going_away", stats.going_away)?;
        out.set_item("tier", stats.tier.name())?;
        out.set_item("changes", stats.changes)?;
        let PlayoutStats {
            pulled_samples,
            decoded_samples,
            fec_samples,
            concealed_samples,
            removed_samples,
            inserted_samples,
            late_packets,
            target_ms,
            delay_ms,
            ..
        } = stats.playout;
        out.set_item("pulled_samples", pulled_samples)?;
        out.set_item("decoded_samples", decoded_samples)?;
        out.set_item("fec_samples", fec_samples)?;
        out.set_item("concealed_samples", concealed_samples)?;
        out.set_item("removed_samples", removed_samples)?;
        out.set_item("inserted_samples", inserted_samples)?;
        out.set_item("late_packets", late_packets)?;
        out.set_item("target_ms", target_ms)?;
        out.set_item("delay_ms", delay_ms)?;
        Ok(out)
    }

    /// Reacts.
    fn react(&self, kind: u8) -> PyResult<()> {
        self.listener.react(kind).map_err(|error| errors::client(&error))
    }

    /// Ends the connection, without waiting.
    fn close(&self) {
        self.listener.close();
    }
}

/// Names a frame: the first 8 bytes, big-endian, of SHA-256 over the seat (one byte) and the Opus packet.
#[pyfunction]
fn frame_hash(seat: u8, opus: &[u8]) -> PyResult<u64> {
    Ok(spaces_net::client::ledger::frame_hash(self::seat(seat)?, opus))
}

/// Panics on a thread without the interpreter, as any call of this module might: what `EnginePanic` is tested with. Builds
/// with debug assertions only.
#[cfg(debug_assertions)]
#[pyfunction]
fn _panic(py: Python<'_>) -> PyResult<()> {
    #[expect(clippy::panic, reason = "that is what it is for")]
    detached(py, || panic!("as the test wants"))
}
