//! Names of a recording's files, and what they tell without being decoded.

use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use spaces_core::ids::{SeatNo, SpaceId};
use spaces_core::ogg;
use spaces_core::segment::{GapCause, HEADER, Reader, Record};
use spaces_core::time::TICK;

use super::storage::{Disk, Storage};

/// Enough of a log's front for its header and first record.
const FRONT: usize = HEADER + 256;
/// Enough of a log's tail for its last whole record behind a torn one.
const TAIL: usize = 2 * (64 << 10);

/// What a file holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FileKind {
    /// The segment log.
    Log,
    /// One person's Ogg Opus track.
    Track {
        /// On which seat.
        seat: SeatNo,
        /// Who; 0 if the engine never said.
        account: u64,
    },
}

/// One file of a recording.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RecordingFile {
    /// Where it is.
    pub path: PathBuf,
    /// The Space.
    pub space: SpaceId,
    /// Which part of the recording, from 1 on.
    pub part: u32,
    /// What it holds.
    pub kind: FileKind,
    /// The group of its first sample.
    pub start_group: u64,
    /// How long it plays (a track), or what time it spans (a log).
    pub duration: Duration,
    /// Its size.
    pub bytes: u64,
    /// It was finished; otherwise it is being written, or its writer was killed. A log is finished after all its part's
    /// tracks.
    pub finished: bool,
}

/// The directory of a Space.
pub(super) fn directory(root: &Path, space: SpaceId) -> PathBuf {
    root.join(space.to_string())
}

pub(super) fn log_name(part: u32) -> String {
    format!("part-{part:04}.seg")
}

pub(super) fn track_name(part: u32, seat: SeatNo, account: u64) -> String {
    format!("part-{part:04}.seat-{:02}.account-{account}.opus", seat.get())
}

/// Part and kind of a file by its name; `None` for a name that the recorder does not give.
pub(super) fn parse_name(name: &str) -> Option<(u32, FileKind)> {
    let (part, rest) = name.strip_prefix("part-")?.split_once('.')?;
    let part = part.parse().ok()?;
    if rest == "seg" {
        return (log_name(part) == name).then_some((part, FileKind::Log));
    }
    let (seat, account) = rest.strip_prefix("seat-")?.strip_suffix(".opus")?.split_once(".account-")?;
    let (seat, account) = (SeatNo::new(seat.parse().ok()?)?, account.parse().ok()?);
    (track_name(part, seat, account) == name).then_some((part, FileKind::Track { seat, account }))
}

/// What the end of a log tells.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct LogEnd {
    /// The newest group that is in it, or marked as missing.
    pub(super) group: Option<u64>,
    /// The recording was ended on purpose.
    pub(super) ended: bool,
    /// The writer stopped in order, at the recording's end or before it.
    pub(super) finished: bool,
}

/// Text of the note with which a writer leaves a recording that was not ended.
pub(super) const STOPPED: &str = "stopped";

pub(super) fn log_end(storage: &dyn Storage, path: &Path) -> io::Result<LogEnd> {
    let (front, tail) = (storage.front(path, HEADER)?, storage.tail(path, TAIL)?);
    let mut end = LogEnd::default();
    if let Ok(records) = Reader::tail(&front, &tail) {
        for record in records.flatten() {
            let accounted = match &record {
                // What these tell of is still to come.
                Record::Start { group, .. } => Some(group.saturating_sub(1)),
                Record::Seat { .. } => None,
                // Packets of the mix, or their lack, say nothing of the ticks.
                Record::Mix(_) | Record::Gap { cause: GapCause::Mix, .. } => None,
                record => record.last_group(),
            };
            end.group = end.group.max(accounted);
            end.ended = matches!(record, Record::End { .. });
            end.finished = end.ended || matches!(&record, Record::Note(text) if text == STOPPED);
        }
    }
    Ok(end)
}

fn log_start(storage: &dyn Storage, path: &Path) -> io::Result<Option<u64>> {
    let front = storage.front(path, FRONT)?;
    let first = Reader::new(&front).ok().and_then(|(_, mut records)| records.next());
    Ok(first.and_then(Result::ok).and_then(|record| record.last_group()))
}

/// The files of a Space's recording below `root`, ordered by part, the log first, then by seat and account.
///
/// # Errors
/// Of the file system. A directory that is not there has no files, which is none.
pub fn files(root: &Path, space: SpaceId) -> io::Result<Vec<RecordingFile>> {
    let directory = directory(root, space);
    let names = match Disk.list(&directory) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        names => names?,
    };
    let mut known: Vec<_> = names
        .iter()
        .filter_map(|name| parse_name(name).map(|(part, kind)| (part, kind, directory.join(name))))
        .collect();
    known.sort_by_key(|(part, kind, _)| match kind {
        FileKind::Log => (*part, None),
        FileKind::Track { seat, account } => (*part, Some((*seat, *account))),
    });
    let mut start_group = 0;
    let mut found = Vec::with_capacity(known.len());
    for (part, kind, path) in known {
        let bytes = std::fs::metadata(&path)?.len();
        let (groups, finished) = match kind {
            FileKind::Log => {
                let end = log_end(&Disk, &path)?;
                start_group = log_start(&Disk, &path)?.unwrap_or_default();
                let groups = end.group.map_or(0, |last| last.saturating_add(1).saturating_sub(start_group));
                (groups, end.finished)
            }
            FileKind::Track { .. } => {
                let end = ogg::track_end(&Disk.front(&path, ogg::FRONT)?, &Disk.tail(&path, ogg::TAIL)?);
                end.map_or((0, false), |end| (end.groups, end.finished))
            }
        };
        let duration = TICK.saturating_mul(u32::try_from(groups).unwrap_or(u32::MAX));
        found.push(RecordingFile { path, space, part, kind, start_group, duration, bytes, finished });
    }
    Ok(found)
}
