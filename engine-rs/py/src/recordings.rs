//! Segment logs and Ogg Opus files: the native half of `spaces_ctl.segments`, which gives the rows here their names.

use std::path::{Path, PathBuf};

use pyo3::prelude::*;
use pyo3::pybacked::PyBackedBytes;
use pyo3::types::PyBytes;
use spaces_core::ids::{MAX_SEATS, SpaceId};
use spaces_core::mix::MixPacket;
use spaces_core::ogg::{self, WholeError, WholeInfo, WholeWriter};
use spaces_core::record::RecordedFrame;
use spaces_core::segment::{Contents, GapCause, HeaderError, Record};
use spaces_core::uplink::Level;
use spaces_net::recorder::{ExportError, ExportLog, export, log_files};

use crate::errors::{self, BadLog, detached};

pub(crate) fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_function(wrap_pyfunction!(read_log, module)?)?;
    module.add_function(wrap_pyfunction!(list_logs, module)?)?;
    module.add_function(wrap_pyfunction!(verify_log, module)?)?;
    module.add_function(wrap_pyfunction!(repair_log, module)?)?;
    module.add_function(wrap_pyfunction!(export_logs, module)?)?;
    module.add_function(wrap_pyfunction!(ogg_file, module)?)?;
    module.add_function(wrap_pyfunction!(silent_packet, module)?)
}

/// group, ticks, seats, levels, start, end, Opus.
type MixRow = (u64, u8, u16, Py<PyBytes>, bool, bool, Py<PyBytes>);
/// group, seat, generation, level, start, end, Opus.
type FrameRow = (u64, u8, u32, u8, bool, bool, Py<PyBytes>);
/// group, seat, generation, account.
type SeatRow = (u64, u8, u32, u64);
/// from, groups, cause.
type GapRow = (u64, u64, &'static str);
/// space, part, sequence, started_at_ms, first_group, last_group, closed, final, damaged bytes.
type FileRow = (u64, u32, u32, u64, u64, i64, bool, bool, usize);

/// The file, the mix, the frames, who sits where, gaps.
type ContentsRow = (FileRow, Vec<MixRow>, Vec<FrameRow>, Vec<SeatRow>, Vec<GapRow>);

/// What one file holds.
#[pyfunction]
fn read_log(py: Python<'_>, data: PyBackedBytes) -> PyResult<ContentsRow> {
    let contents = detached(py, move || Contents::read(&data))?.map_err(|error| bad(&error))?;
    let (mut mix, mut frames, mut seats, mut gaps) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    for record in &contents.records {
        match record {
            Record::Mix(packet) => mix.push(mix_row(py, packet)),
            Record::Tick { group, frames: given } => {
                frames.extend(given.iter().map(|frame| frame_row(py, *group, frame)));
            }
            Record::Seat { group, seat, generation, account } => {
                seats.push((*group, seat.get(), *generation, *account));
            }
            Record::Gap { from_group, groups, cause } => gaps.push((*from_group, *groups, name(*cause))),
            Record::Start { .. } | Record::Note(_) | Record::End { .. } | Record::Close { .. } => {}
        }
    }
    Ok((file_row(&contents), mix, frames, seats, gaps))
}

/// The files of a Space's log: path, part, sequence, closed.
#[pyfunction]
fn list_logs(py: Python<'_>, directory: PathBuf, space: u64) -> PyResult<Vec<(PathBuf, u32, u32, bool)>> {
    let files = detached(py, move || log_files(&directory, SpaceId(space)))??;
    Ok(files.into_iter().map(|file| (file.path, file.part, file.sequence, file.closed)).collect())
}

/// The file, its size, damage as offset and bytes, torn bytes, numbers of frames and packets of the mix, gaps.
type ReportRow = (FileRow, usize, Vec<(usize, usize)>, usize, usize, usize, Vec<GapRow>);

/// What is wrong with a file.
#[pyfunction]
fn verify_log(py: Python<'_>, path: PathBuf) -> PyResult<ReportRow> {
    let (size, contents) = detached(py, move || read(&path))??.map_err(|error| bad(&error))?;
    Ok(report_row(size, &contents))
}

/// Writes a clean copy of the file `path` to `to`, which must not be there yet. What [`verify_log`] says of the original,
/// and the gaps that were marked for what is lost.
#[pyfunction]
fn repair_log(py: Python<'_>, path: PathBuf, to: PathBuf) -> PyResult<(ReportRow, Vec<GapRow>)> {
    let (size, contents) = detached(py, move || read(&path))??.map_err(|error| bad(&error))?;
    let (copy, gaps) = contents.repaired().map_err(|error| errors::value(error.to_string()))?;
    detached(py, move || write_new(&to, &copy))??;
    Ok((report_row(size, &contents), gaps.iter().filter_map(gap_row).collect()))
}

/// A log: a path or bytes.
#[derive(FromPyObject)]
enum Given {
    Bytes(PyBackedBytes),
    Path(PathBuf),
}

/// One Ogg Opus file a person and one of the mix; see `spaces_net::recorder::export`.
#[pyfunction]
fn export_logs(py: Python<'_>, logs: Vec<Given>, directory: PathBuf, gain_db: f64) -> PyResult<Vec<PathBuf>> {
    let logs: Vec<ExportLog> = logs
        .into_iter()
        .map(|log| match log {
            Given::Bytes(data) => ExportLog::Bytes(data.to_vec()),
            Given::Path(path) => ExportLog::File(path),
        })
        .collect();
    detached(py, move || export(&logs, &directory, gain_db))?.map_err(|error| match error {
        ExportError::Io(error) => error.into(),
        ExportError::Log { .. } => BadLog::new_err(error.to_string()),
        ExportError::Spaces(..) | ExportError::Whole(_) | ExportError::Nothing => errors::value(error.to_string()),
    })
}

/// A whole Ogg Opus file of packets `(group, ticks, opus)`.
#[pyfunction]
#[expect(clippy::too_many_arguments, reason = "arguments of a function in segments.py, its only caller")]
fn ogg_file<'py>(
    py: Python<'py>,
    packets: Vec<(u64, u8, PyBackedBytes)>,
    start_group: u64,
    end_group: u64,
    gain_db: f64,
    pre_skip: u16,
    comments: Vec<String>,
    serial: u32,
) -> PyResult<Bound<'py, PyBytes>> {
    let stereo = packets.first().and_then(|(.., opus)| opus.first()).is_some_and(|toc| toc & 4 != 0);
    let channels = if stereo { 2 } else { 1 };
    let info = WholeInfo { start_group, end_group, gain_db, pre_skip, conceal: 0, channels, comments, serial };
    let build = move || -> Result<Vec<u8>, WholeError> {
        let mut writer = WholeWriter::new(info)?;
        let mut file = Vec::new();
        for (group, ticks, opus) in &packets {
            writer.packet(*group, *ticks, opus)?;
        }
        file.append(&mut writer.take());
        file.append(&mut writer.finish());
        Ok(file)
    };
    let file = detached(py, build)?.map_err(|error| errors::value(error.to_string()))?;
    Ok(PyBytes::new(py, &file))
}

/// An Opus packet of `ticks` × 20 ms of silence.
#[pyfunction]
fn silent_packet(py: Python<'_>, ticks: u8) -> PyResult<Bound<'_, PyBytes>> {
    let packet = ogg::silence(ticks).ok_or_else(|| errors::value(format!("{ticks} ticks are not 1 to 3")))?;
    Ok(PyBytes::new(py, &packet))
}

fn read(path: &Path) -> std::io::Result<Result<(usize, Contents), HeaderError>> {
    let data = std::fs::read(path)?;
    Ok(Contents::read(&data).map(|contents| (data.len(), contents)))
}

fn write_new(path: &Path, data: &[u8]) -> std::io::Result<()> {
    let mut file = std::fs::OpenOptions::new().write(true).create_new(true).open(path)?;
    std::io::Write::write_all(&mut file, data)
}

fn bad(error: &HeaderError) -> PyErr {
    BadLog::new_err(error.to_string())
}

fn level(level: Option<Level>) -> u8 {
    level.unwrap_or(Level::SILENCE).minus_dbov()
}

fn mix_row(py: Python<'_>, packet: &MixPacket) -> MixRow {
    let levels: [u8; MAX_SEATS] = packet.levels.map(level);
    let (levels, opus) = (PyBytes::new(py, &levels).unbind(), PyBytes::new(py, &packet.opus).unbind());
    (packet.group, packet.ticks, packet.seats(), levels, packet.spurt.start, packet.spurt.end, opus)
}

fn frame_row(py: Python<'_>, group: u64, frame: &RecordedFrame) -> FrameRow {
    let opus = PyBytes::new(py, &frame.opus).unbind();
    let (start, end) = (frame.spurt.start, frame.spurt.end);
    (group, frame.seat.get(), frame.generation, frame.level.minus_dbov(), start, end, opus)
}

fn file_row(contents: &Contents) -> FileRow {
    let header = contents.header;
    let first = contents.first_group().unwrap_or_default();
    let last = contents.last_group().map_or_else(|| i64::try_from(first).unwrap_or(i64::MAX) - 1, |last| last as i64);
    let damaged = contents.damage.iter().map(|(_, damage)| damage.bytes).sum();
    let (closed, complete) = (contents.is_closed(), contents.is_final());
    (header.space.0, header.part, header.sequence, header.started_at_ms, first, last, closed, complete, damaged)
}

fn report_row(size: usize, contents: &Contents) -> ReportRow {
    let damage = contents.damage.iter().map(|(_, damage)| (damage.offset, damage.bytes)).collect();
    let (mut frames, mut mix) = (0, 0);
    for record in &contents.records {
        match record {
            Record::Tick { frames: given, .. } => frames += given.len(),
            Record::Mix(_) => mix += 1,
            _ => {}
        }
    }
    let gaps = contents.records.iter().filter_map(gap_row).collect();
    (file_row(contents), size, damage, contents.torn, frames, mix, gaps)
}

fn gap_row(record: &Record) -> Option<GapRow> {
    match record {
        Record::Gap { from_group, groups, cause } => Some((*from_group, *groups, name(*cause))),
        _ => None,
    }
}

const fn name(cause: GapCause) -> &'static str {
    match cause {
        GapCause::Queue => "queue",
        GapCause::Storage => "storage",
        GapCause::Restart => "restart",
        GapCause::Sync => "sync",
        GapCause::Mix => "mix",
        GapCause::Damage => "damage",
    }
}
