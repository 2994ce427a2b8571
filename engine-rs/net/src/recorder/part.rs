//! The files of one part of a recording: the log and the tracks. A part is numbered after what lies there, and marks what
//! the process before did not record.

use std::hash::{BuildHasher, RandomState};
use std::io;
use std::path::{Path, PathBuf};

use spaces_core::ids::SpaceId;
use spaces_core::segment::{GapCause, Header, Record};

use super::files::{self, FileKind};
use super::log::Log;
use super::space::Context;
use super::storage::Storage;
use super::track::{Sitting, Tracks};

/// One part.
pub(super) struct Part {
    pub(super) directory: PathBuf,
    pub(super) log: Log,
    pub(super) tracks: Tracks,
}

impl Part {
    /// Begins a part with `group`. Also answers which groups were missed before it: from one to before another.
    pub(super) fn open(
        context: &Context<'_>,
        space: SpaceId,
        started_at_ms: u64,
        group: u64,
    ) -> io::Result<(Self, Vec<(u64, u64)>)> {
        let directory = files::directory(context.root, space);
        context.storage.create_directory(&directory)?;
        let names = context.storage.list(&directory)?;
        let last = names.iter().filter_map(|name| files::parse_name(name)).map(|(part, _)| part).max();
        let missed = missed(context.storage, &directory, &names, group)?;
        let number = last.unwrap_or(0).saturating_add(1);
        let salt = RandomState::new().hash_one(number);
        let header = Header { space, part: number, sequence: 0, started_at_ms, salt };
        let mut log = Log::new(directory.clone(), header, group, context.segment);
        for (from_group, until) in &missed {
            let (from_group, groups) = (*from_group, until - from_group);
            log.record(&Record::Gap { from_group, groups, cause: GapCause::Restart });
        }
        Ok((Self { directory, log, tracks: Tracks::new(header, group, context.tracks) }, missed))
    }

    pub(super) fn write(&mut self, storage: &dyn Storage, durable: bool) -> io::Result<usize> {
        // Both are tried, so that as much as possible is out if the process ends now.
        let (log, tracks) = (self.log.write(storage, durable), self.tracks.write(storage));
        Ok(log? + tracks?)
    }

    /// From `group` on a seat is somebody's, or nobody's.
    pub(super) fn sit(&mut self, group: u64, sitting: Sitting) {
        self.log.sit(group, sitting);
        self.tracks.sit(group, sitting);
    }

    pub(super) fn pending(&self) -> usize {
        self.log.pending() + self.tracks.pending()
    }

    /// Files with data that is not durable.
    pub(super) fn unsynced(&self) -> usize {
        self.log.unsynced() + self.tracks.unsynced()
    }

    /// Makes what was written durable.
    pub(super) fn sync(&mut self) -> io::Result<()> {
        let log = self.log.sync();
        self.tracks.sync().and(log)
    }
}

/// What the process before, unless it ended the recording, did not record before `group`. Its last file may have nothing
/// whole in it, and after a power loss several of the last may lack their ends.
fn missed(storage: &dyn Storage, directory: &Path, names: &[String], group: u64) -> io::Result<Vec<(u64, u64)>> {
    let log = |name: &String| match files::parse_name(name)? {
        (part, FileKind::Log { sequence }) => Some((part, sequence)),
        _ => None,
    };
    let mut logs: Vec<_> = names.iter().filter_map(log).collect();
    logs.sort_unstable();
    let (mut missed, mut until, mut newest) = (Vec::new(), group, None);
    for (part, sequence) in logs.into_iter().rev() {
        if newest.is_some_and(|newest| newest != part) {
            break; // what was missed before that part is marked in it
        }
        let path = directory.join(files::log_name(part, sequence));
        let end = files::log_end(storage, &path)?;
        let Some(last) = end.group else { continue };
        newest = Some(part);
        if !end.ended && last.saturating_add(1) < until {
            missed.push((last.saturating_add(1), until));
        }
        if end.finished {
            break;
        }
        until = files::log_start(storage, &path)?.unwrap_or(until);
    }
    missed.reverse();
    Ok(missed)
}
