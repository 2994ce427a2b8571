//! Names of a recording's files, and what they tell without being decoded.

use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use spaces_core::ids::{SeatNo, SpaceId};
use spaces_core::ogg;
use spaces_core::segment::{GapCause, HEADER, MAX_PAYLOAD, RECORD_HEADER, Reader, Record};
use spaces_core::time::TICK;

use super::storage::{Disk, Storage};

/// Enough of a log's front for its header and first record.
const FRONT: usize = HEADER + 256;
/// Enough of a log's tail for its last whole record behind a torn one.
const TAIL: usize = 2 * (RECORD_HEADER + MAX_PAYLOAD);

/// What a file holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FileKind {
    /// A file of the segment log.
    Log {
        /// Which file of the part, from 0 on.
        sequence: u32,
    },
    /// The Ogg Opus track of the live mix.
    Mix,
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
    /// It was finished; otherwise it is being written, or its writer was killed. The last log of a part is finished after all
    /// its tracks.
    pub finished: bool,
}

/// The directory of a Space. By number: names differ in case alone, which is nothing to some file systems.
pub(super) fn directory(root: &Path, space: SpaceId) -> PathBuf {
    root.join(space.0.to_string())
}

pub(super) fn log_name(part: u32, sequence: u32) -> String {
    format!("part-{part:04}.{sequence:06}.seg")
}

pub(super) fn mix_name(part: u32) -> String {
    format!("part-{part:04}.mix.opus")
}

pub(super) fn track_name(part: u32, seat: SeatNo, account: u64) -> String {
    format!("part-{part:04}.seat-{:02}.account-{account}.opus", seat.get())
}

/// Part and kind of a file by its name; `None` for a name that the recorder does not give.
pub(super) fn parse_name(name: &str) -> Option<(u32, FileKind)> {
    let (part, rest) = name.strip_prefix("part-")?.split_once('.')?;
    let part = part.parse().ok()?;
    if rest == "mix.opus" {
        return (mix_name(part) == name).then_some((part, FileKind::Mix));
    }
    if let Some(sequence) = rest.strip_suffix(".seg") {
        let sequence = sequence.parse().ok()?;
        return (log_name(part, sequence) == name).then_some((part, FileKind::Log { sequence }));
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
    /// The file is complete.
    pub(super) finished: bool,
}

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
            end.finished = end.ended || matches!(&record, Record::Close { .. });
        }
    }
    Ok(end)
}

/// The first group of a file.
pub(super) fn log_start(storage: &dyn Storage, path: &Path) -> io::Result<Option<u64>> {
    let front = storage.front(path, FRONT)?;
    let Ok((_, records)) = Reader::new(&front) else { return Ok(None) };
    Ok(records.flatten().find_map(|record| record.last_group()))
}

/// The files of a Space's recording below `root`, ordered by part: the log in order, the mix, then by seat and account.
/// Files that somebody takes away meanwhile are left out.
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
        FileKind::Log { sequence } => (*part, 0, *sequence, None),
        FileKind::Mix => (*part, 1, 0, None),
        FileKind::Track { seat, account } => (*part, 2, 0, Some((*seat, *account))),
    });
    let mut found: Vec<RecordingFile> = Vec::with_capacity(known.len());
    for (part, kind, path) in known {
        match look(space, part, kind, path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            file => found.push(file?),
        }
    }
    Ok(found)
}

/// What a file tells.
fn look(space: SpaceId, part: u32, kind: FileKind, path: PathBuf) -> io::Result<RecordingFile> {
    let bytes = std::fs::metadata(&path)?.len();
    let (start_group, groups, finished) = if let FileKind::Log { .. } = kind {
        let (start, end) = (log_start(&Disk, &path)?.unwrap_or_default(), log_end(&Disk, &path)?);
        (start, end.group.map_or(0, |last| last.saturating_add(1).saturating_sub(start)), end.finished)
    } else {
        let front = Disk.front(&path, ogg::FRONT)?;
        let start = ogg::track_start(&front).unwrap_or_default();
        ogg::track_end(&front, &Disk.tail(&path, ogg::TAIL)?)
            .map_or((start, 0, false), |end| (start, end.groups, end.finished))
    };
    let duration = TICK.saturating_mul(u32::try_from(groups).unwrap_or(u32::MAX));
    Ok(RecordingFile { path, space, part, kind, start_group, duration, bytes, finished })
}

/// A file of a Space's log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogFile {
    /// Where it is.
    pub path: PathBuf,
    /// Which part of the recording, from 1 on.
    pub part: u32,
    /// Which file of the part, from 0 on.
    pub sequence: u32,
    /// It is complete. Otherwise it is being written, or, if it is not the newest, its writer was killed.
    pub closed: bool,
}

/// The files of a Space's log below `root`, in order. Of each part only the last is opened: one that has a successor is
/// complete.
///
/// # Errors
/// Of the file system. A directory that is not there has no files, which is none.
pub fn log_files(root: &Path, space: SpaceId) -> io::Result<Vec<LogFile>> {
    let directory = directory(root, space);
    let names = match Disk.list(&directory) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        names => names?,
    };
    let log = |name: &String| match parse_name(name)? {
        (part, FileKind::Log { sequence }) => {
            Some(LogFile { path: directory.join(name), part, sequence, closed: true })
        }
        _ => None,
    };
    let mut found: Vec<_> = names.iter().filter_map(log).collect();
    found.sort_by_key(|file| (file.part, file.sequence));
    let next: Vec<_> = found.iter().skip(1).map(|file| Some(file.part)).chain([None]).collect();
    for (file, _) in found.iter_mut().zip(next).filter(|(file, next)| *next != Some(file.part)) {
        file.closed = match log_end(&Disk, &file.path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => true, // taken away meanwhile
            end => end?.finished,
        };
    }
    Ok(found)
}
