//! The few things that the recorder wants of a disk, so that tests can hand it a bad one.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

/// A file that only grows.
pub trait Appendable: Send {
    /// Appends some of `bytes` and tells how many.
    ///
    /// # Errors
    /// Of the storage; nothing was appended then.
    fn append(&mut self, bytes: &[u8]) -> io::Result<usize>;

    /// Makes what was appended durable, and the file's name.
    ///
    /// # Errors
    /// Of the storage: then it is unknown what is durable, also after a later success.
    fn sync(&mut self) -> io::Result<()>;
}

/// Where recordings are kept.
pub trait Storage: Send + Sync {
    /// Makes `path` and what lies above it, if it is not there yet, and their names durable.
    ///
    /// # Errors
    /// Of the storage.
    fn create_directory(&self, path: &Path) -> io::Result<()>;

    /// Names of what is in the directory `path`.
    ///
    /// # Errors
    /// Of the storage.
    fn list(&self, path: &Path) -> io::Result<Vec<String>>;

    /// Opens `path` for appending: a new file, or one that must be there.
    ///
    /// # Errors
    /// Of the storage, and if a new file is there already.
    fn open(&self, path: &Path, new: bool) -> io::Result<Box<dyn Appendable>>;

    /// The first `most` bytes of a file.
    ///
    /// # Errors
    /// Of the storage.
    fn front(&self, path: &Path, most: usize) -> io::Result<Vec<u8>>;

    /// The last `most` bytes of a file.
    ///
    /// # Errors
    /// Of the storage.
    fn tail(&self, path: &Path, most: usize) -> io::Result<Vec<u8>>;
}

/// The file system.
#[derive(Clone, Copy, Debug, Default)]
pub struct Disk;

struct DiskFile {
    file: File,
    /// Of a file whose name is not durable yet.
    directory: Option<PathBuf>,
}

impl Appendable for DiskFile {
    fn append(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.file.write(bytes)
    }

    fn sync(&mut self) -> io::Result<()> {
        self.file.sync_data()?;
        if let Some(directory) = self.directory.take() {
            sync_names(&directory);
        }
        Ok(())
    }
}

/// Makes the names in a directory durable.
fn sync_names(directory: &Path) {
    // Not all file systems can do this, and the files are good without.
    let _ = File::open(directory).and_then(|directory| directory.sync_all());
}

impl Storage for Disk {
    fn create_directory(&self, path: &Path) -> io::Result<()> {
        let new: Vec<_> = path.ancestors().take_while(|directory| !directory.exists()).collect();
        fs::create_dir_all(path)?;
        for parent in new.into_iter().filter_map(Path::parent).filter(|parent| !parent.as_os_str().is_empty()) {
            sync_names(parent);
        }
        Ok(())
    }

    fn list(&self, path: &Path) -> io::Result<Vec<String>> {
        let names = fs::read_dir(path)?.map(|entry| entry.map(|entry| entry.file_name().into_string()));
        // Names that are not UTF-8 are not ours.
        names.filter_map(|name| name.map(Result::ok).transpose()).collect()
    }

    fn open(&self, path: &Path, new: bool) -> io::Result<Box<dyn Appendable>> {
        let file = OpenOptions::new().append(true).create_new(new).open(path)?;
        let directory = path.parent().filter(|_| new).map(Path::to_owned);
        Ok(Box::new(DiskFile { file, directory }))
    }

    fn front(&self, path: &Path, most: usize) -> io::Result<Vec<u8>> {
        read(File::open(path)?, most)
    }

    fn tail(&self, path: &Path, most: usize) -> io::Result<Vec<u8>> {
        let mut file = File::open(path)?;
        let length = file.seek(SeekFrom::End(0))?;
        file.seek(SeekFrom::Start(length.saturating_sub(most as u64)))?;
        read(file, most)
    }
}

fn read(file: File, most: usize) -> io::Result<Vec<u8>> {
    let mut data = Vec::new();
    file.take(most as u64).read_to_end(&mut data)?;
    Ok(data)
}
