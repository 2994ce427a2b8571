//! One file and the bytes that are not in it yet.

use std::io;
use std::path::PathBuf;

use super::storage::{Appendable, Storage};

/// Bytes on their way into a file. They stay here until the storage has taken them, so a file never has a hole.
pub(super) struct Out {
    path: PathBuf,
    file: Option<Box<dyn Appendable>>,
    created: bool,
    pending: Vec<u8>,
    unsynced: bool,
}

impl Out {
    /// A file that is created when it is first written.
    pub(super) const fn new(path: PathBuf) -> Self {
        Self { path, file: None, created: false, pending: Vec::new(), unsynced: false }
    }

    pub(super) fn push(&mut self, bytes: &[u8]) {
        self.pending.extend_from_slice(bytes);
    }

    pub(super) const fn pending(&self) -> usize {
        self.pending.len()
    }

    /// Writes all that is pending, and tells how many bytes that was.
    pub(super) fn write(&mut self, storage: &dyn Storage) -> io::Result<usize> {
        let mut written = 0;
        while !self.pending.is_empty() {
            let file = match &mut self.file {
                Some(file) => file,
                none => {
                    let file = storage.open(&self.path, !self.created)?;
                    self.created = true;
                    none.insert(file)
                }
            };
            match file.append(&self.pending) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(taken) => {
                    self.pending.drain(..taken.min(self.pending.len()));
                    self.unsynced = true;
                    written += taken;
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(written)
    }

    /// There is something that [`Out::sync`] would make durable.
    pub(super) const fn is_unsynced(&self) -> bool {
        self.unsynced
    }

    /// Makes what was written durable.
    pub(super) fn sync(&mut self) -> io::Result<()> {
        match &mut self.file {
            Some(file) if self.unsynced => {
                self.unsynced = false;
                file.sync()
            }
            _ => Ok(()),
        }
    }

    /// Gives the file handle back until there is something to write again.
    pub(super) fn park(&mut self) {
        if self.pending.is_empty() {
            self.file = None;
        }
    }
}
