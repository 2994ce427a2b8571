//! The segment log of one part: file after file, each of which can be read by itself.

use std::collections::VecDeque;
use std::io;
use std::path::PathBuf;

use spaces_core::record::RecordItem;
use spaces_core::segment::{Header, Oversized, Record, Writer};

use super::files;
use super::out::Out;
use super::storage::Storage;
use super::track::Sitting;

/// Groups for which a seat's last holder is told in further files: a frame of theirs may come late.
const LATE: u64 = 100;

/// Groups before `group` go to another file from here on.
pub(super) struct Log {
    directory: PathBuf,
    header: Header,
    /// Groups a file.
    segment: u64,
    /// The first group of the open file.
    start_group: u64,
    writer: Writer,
    open: Out,
    /// Complete, but perhaps not written or not durable.
    closed: VecDeque<Out>,
    /// Who sits where, since when; also who did until lately, and seats that were vacated.
    seats: Vec<(u64, Sitting)>,
}

impl Log {
    /// The log of a part that begins with `start_group`, in files of `segment` groups.
    pub(super) fn new(directory: PathBuf, header: Header, start_group: u64, segment: u64) -> Self {
        let open = Out::new(directory.join(files::log_name(header.part, header.sequence)));
        let (writer, closed, seats) = (Writer::new(&header), VecDeque::new(), Vec::new());
        let mut log = Self { directory, header, segment, start_group, writer, open, closed, seats };
        log.begin();
        log
    }

    fn begin(&mut self) {
        self.record(&Record::Start { group: self.start_group, started_at_ms: self.header.started_at_ms });
        for (group, sitting) in self.seats.clone() {
            self.record(&seat(group, sitting));
        }
    }

    /// What the recorder was handed.
    pub(super) fn item(&mut self, item: &RecordItem) -> Result<(), Oversized> {
        let done = self.writer.item(item);
        self.open.push(&self.writer.take());
        done
    }

    /// What it adds by itself.
    pub(super) fn record(&mut self, record: &Record) {
        // Only a note could be too long, and those are cut.
        let _ = self.writer.record(record);
        self.open.push(&self.writer.take());
    }

    /// From `group` on a seat is somebody's, or nobody's.
    pub(super) fn sit(&mut self, group: u64, sitting: Sitting) {
        self.seats.push((group, sitting));
        self.record(&seat(group, sitting));
    }

    /// Closes the file with `last` if `group` is too late for it, and begins the next one.
    pub(super) fn make_room(&mut self, last: u64, group: u64) {
        if group < self.start_group.saturating_add(self.segment) || last < self.start_group {
            return;
        }
        self.record(&Record::Close { group: last });
        self.header.sequence = self.header.sequence.saturating_add(1);
        self.start_group = last.saturating_add(1);
        self.forget_seats();
        let next = Out::new(self.directory.join(files::log_name(self.header.part, self.header.sequence)));
        self.closed.push_back(core::mem::replace(&mut self.open, next));
        self.writer = Writer::new(&self.header);
        self.begin();
    }

    fn forget_seats(&mut self) {
        let late = self.start_group.saturating_sub(LATE);
        let known = core::mem::take(&mut self.seats);
        let given_again =
            |at: usize, seat| known.iter().skip(at + 1).any(|(since, other)| other.seat == seat && *since < late);
        self.seats = (0..)
            .zip(&known)
            .filter(|(at, (_, sitting))| !given_again(*at, sitting.seat))
            .map(|(_, row)| *row)
            .collect();
    }

    /// The last group of the files that are closed.
    pub(super) const fn closed_group(&self) -> u64 {
        self.start_group.saturating_sub(1)
    }

    pub(super) fn pending(&self) -> usize {
        self.closed.iter().map(Out::pending).sum::<usize>() + self.open.pending()
    }

    /// Writes what is pending, in order: a file that is there says that all before it are complete. Files that are `durable`
    /// only when somebody makes them so stay at hand for that.
    pub(super) fn write(&mut self, storage: &dyn Storage, durable: bool) -> io::Result<usize> {
        let mut written = 0;
        for file in &mut self.closed {
            written += file.write(storage)?;
        }
        if !durable {
            self.closed.clear();
        }
        Ok(written + self.open.write(storage)?)
    }

    /// Closed files that are not durable.
    pub(super) fn unsynced_closed(&self) -> usize {
        self.closed.len()
    }

    /// Files that [`Log::sync`] would make durable.
    pub(super) fn unsynced(&self) -> usize {
        self.closed.len() + usize::from(self.open.is_unsynced())
    }

    /// Makes closed files durable.
    pub(super) fn sync_closed(&mut self) -> io::Result<()> {
        let mut synced = Ok(());
        while self.closed.front().is_some_and(|file| file.pending() == 0) {
            if let Some(Err(error)) = self.closed.pop_front().map(|mut file| file.sync()) {
                synced = Err(error);
            }
        }
        synced
    }

    /// Makes what was written durable.
    pub(super) fn sync(&mut self) -> io::Result<()> {
        let closed = self.sync_closed();
        self.open.sync().and(closed)
    }
}

const fn seat(group: u64, sitting: Sitting) -> Record {
    let Sitting { seat, generation, account } = sitting;
    Record::Seat { group, seat, generation, account }
}
