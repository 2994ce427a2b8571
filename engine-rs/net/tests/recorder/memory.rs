//! A storage that fails on demand.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;

use spaces_net::recorder::{Appendable, Storage};

#[derive(Default)]
pub(crate) struct Inner {
    pub(crate) files: BTreeMap<PathBuf, Vec<u8>>,
    /// Bytes that still fit; then a short write and ENOSPC.
    pub(crate) room: Option<usize>,
    /// Every append and every open fails with this.
    pub(crate) broken: Option<io::ErrorKind>,
    /// Every sync fails.
    pub(crate) sync_broken: bool,
    /// Most bytes that one append takes.
    pub(crate) at_once: Option<usize>,
    /// Calls that changed, or tried to change, something.
    pub(crate) attempts: usize,
    pub(crate) syncs: usize,
    pub(crate) synced: BTreeSet<PathBuf>,
    /// How much of each file a power loss leaves for certain.
    durable: BTreeMap<PathBuf, usize>,
    /// Every append and every sync takes so long.
    pub(crate) slow: Duration,
    /// Appends wait.
    stuck: bool,
}

/// Files in memory; clones are the same storage.
#[derive(Clone, Default)]
pub(crate) struct Memory(Arc<(Mutex<Inner>, Condvar)>);

impl Memory {
    pub(crate) fn with<T>(&self, act: impl FnOnce(&mut Inner) -> T) -> T {
        act(&mut self.0.0.lock().unwrap())
    }

    /// As a recorder's configuration takes it.
    pub(crate) fn shared(&self) -> Arc<dyn Storage> {
        Arc::new(self.clone())
    }

    pub(crate) fn stick(&self, stuck: bool) {
        self.with(|inner| inner.stuck = stuck);
        self.0.1.notify_all();
    }

    /// What is left after the power was lost. Of what was not durable of a file, `survives` says how much was so by chance;
    /// a file of which nothing is left lost its name, too.
    pub(crate) fn lose_power(&self, mut survives: impl FnMut(usize) -> usize) -> Self {
        let mut left = BTreeMap::new();
        self.with(|inner| {
            for (path, data) in &inner.files {
                let durable = inner.durable.get(path).copied().unwrap_or(0);
                let kept = durable + survives(data.len() - durable).min(data.len() - durable);
                if kept > 0 || inner.durable.contains_key(path) {
                    left.insert(path.clone(), data[..kept].to_vec());
                }
            }
        });
        let durable = left.iter().map(|(path, data)| (path.clone(), data.len())).collect();
        let memory = Self::default();
        memory.with(|inner| (inner.files, inner.durable) = (left, durable));
        memory
    }

    pub(crate) fn file(&self, name: &str) -> Vec<u8> {
        self.with(|inner| inner.files.iter().find(|(path, _)| path.ends_with(name)).map(|(_, data)| data.clone()))
            .unwrap_or_else(|| panic!("no file {name}"))
    }

    /// The files of a part's log, in order.
    pub(crate) fn log(&self, part: u64) -> Vec<Vec<u8>> {
        self.log_of("", part)
    }

    /// The same below a directory of that name.
    pub(crate) fn log_of(&self, directory: &str, part: u64) -> Vec<Vec<u8>> {
        let name = |sequence: u32| Path::new(directory).join(format!("part-{part:04}.{sequence:06}.seg"));
        self.with(|inner| {
            let find = |sequence| inner.files.iter().find(|(path, _)| path.ends_with(name(sequence)));
            (0..).map_while(find).map(|(_, data)| data.clone()).collect()
        })
    }

    /// Names of the tracks.
    pub(crate) fn tracks(&self) -> Vec<String> {
        self.names().into_iter().filter(|name| name.ends_with(".opus")).collect()
    }

    pub(crate) fn names(&self) -> Vec<String> {
        self.with(|inner| {
            inner.files.keys().map(|path| path.file_name().unwrap().to_str().unwrap().to_owned()).collect()
        })
    }
}

struct File(Memory, PathBuf);

fn full() -> io::Error {
    io::Error::from(io::ErrorKind::StorageFull)
}

impl Appendable for File {
    fn append(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let (lock, wake) = &*self.0.0;
        std::thread::sleep(self.0.with(|inner| inner.slow));
        let mut inner = wake.wait_while(lock.lock().unwrap(), |inner| inner.stuck).unwrap();
        inner.attempts += 1;
        if let Some(kind) = inner.broken {
            return Err(kind.into());
        }
        let taken = bytes.len().min(inner.at_once.unwrap_or(usize::MAX)).min(inner.room.unwrap_or(usize::MAX));
        if taken == 0 {
            return Err(full());
        }
        inner.room = inner.room.map(|room| room - taken);
        inner.files.get_mut(&self.1).unwrap().extend_from_slice(&bytes[..taken]);
        Ok(taken)
    }

    fn sync(&mut self) -> io::Result<()> {
        std::thread::sleep(self.0.with(|inner| inner.slow));
        self.0.with(|inner| {
            inner.syncs += 1;
            inner.synced.insert(self.1.clone());
            if inner.sync_broken {
                return Err(io::ErrorKind::Other.into());
            }
            let length = inner.files.get(&self.1).map_or(0, Vec::len);
            inner.durable.insert(self.1.clone(), length);
            Ok(())
        })
    }
}

impl Storage for Memory {
    fn create_directory(&self, _: &Path) -> io::Result<()> {
        self.with(|inner| inner.broken.map_or(Ok(()), |kind| Err(kind.into())))
    }

    fn list(&self, path: &Path) -> io::Result<Vec<String>> {
        self.with(|inner| {
            let inside = inner.files.keys().filter(|file| file.parent() == Some(path));
            Ok(inside.map(|file| file.file_name().unwrap().to_str().unwrap().to_owned()).collect())
        })
    }

    fn open(&self, path: &Path, new: bool) -> io::Result<Box<dyn Appendable>> {
        self.with(|inner| {
            inner.attempts += 1;
            if let Some(kind) = inner.broken {
                return Err(kind.into());
            }
            match (inner.files.contains_key(path), new) {
                (true, true) => return Err(io::ErrorKind::AlreadyExists.into()),
                (false, false) => return Err(io::ErrorKind::NotFound.into()),
                _ => inner.files.entry(path.to_owned()).or_default(),
            };
            Ok(Box::new(File(self.clone(), path.to_owned())) as Box<dyn Appendable>)
        })
    }

    fn front(&self, path: &Path, most: usize) -> io::Result<Vec<u8>> {
        self.with(|inner| {
            let data = inner.files.get(path).ok_or(io::ErrorKind::NotFound)?;
            Ok(data[..data.len().min(most)].to_vec())
        })
    }

    fn tail(&self, path: &Path, most: usize) -> io::Result<Vec<u8>> {
        self.with(|inner| {
            let data = inner.files.get(path).ok_or(io::ErrorKind::NotFound)?;
            Ok(data[data.len().saturating_sub(most)..].to_vec())
        })
    }
}
