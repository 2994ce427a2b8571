//! Huge pages for the memory of connections.
//!
//! What one listener needs in a tick lies on several pages of 4 KB; those of a thousand are more than a processor remembers the
//! addresses of, and each one that it has forgotten is a walk through page tables, twice as long in a virtual machine. The
//! allocator says where things lie; here it is only noted in which blocks of 2 MB connections are, and a thread beside the
//! shard asks the kernel to make each such block one page (`MADV_COLLAPSE`, Linux 6.1). Contents and addresses stay what they
//! are, and where the kernel cannot do it nothing changes.
#![allow(unsafe_code)] // one system call, which changes nothing that a program can see

use std::collections::HashSet;
use std::io;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread;
use std::time::{Duration, Instant};

/// See madvise(2); libc knows it for glibc only.
const MADV_COLLAPSE: libc::c_int = 25;
/// A huge page.
const BLOCK: usize = 2 << 20;
/// Fewer connections fit what a processor remembers.
const LEAST: usize = 256;
/// After so long every block is asked for again: memory that was given back and taken anew is in small pages.
const RENEWAL: Duration = Duration::from_secs(600);
/// A block at the end of the heap cannot be collapsed before the heap has grown past it: asked for again so often, after so long.
const TRIES: u32 = 30;
const PAUSE: Duration = Duration::from_secs(1);

/// Notes where connections lie, on the shard's thread. The thread beside it ends when this is dropped.
pub(crate) struct Pages {
    blocks: Sender<usize>,
    told: HashSet<usize>,
    renewed: Option<Instant>,
}

impl Pages {
    /// Starts the thread.
    pub(crate) fn start(shard: u16) -> io::Result<Self> {
        let (blocks, told) = channel();
        thread::Builder::new().name(format!("spaces-pages-{shard}")).spawn(move || work(&told, collapse))?;
        Ok(Self::new(blocks))
    }

    fn new(blocks: Sender<usize>) -> Self {
        Self { blocks, told: HashSet::new(), renewed: None }
    }

    /// Something of one of so many connections lies at this address.
    pub(crate) fn note(&mut self, now: Instant, connections: usize, address: usize) {
        if connections < LEAST {
            return;
        }
        if now.saturating_duration_since(*self.renewed.get_or_insert(now)) >= RENEWAL {
            self.renewed = Some(now);
            self.told.clear();
        }
        let block = address / BLOCK * BLOCK;
        if self.told.insert(block) {
            let _ = self.blocks.send(block); // fails only if the thread is gone: then pages stay small
        }
    }
}

/// Collapses what it is told, and tries again what failed. Returns when nobody tells any more.
fn work(told: &Receiver<usize>, collapse: impl Fn(usize) -> bool) {
    let mut failed: Vec<(usize, u32)> = Vec::new();
    loop {
        let next = if failed.is_empty() {
            told.recv().map_err(|_| RecvTimeoutError::Disconnected)
        } else {
            told.recv_timeout(PAUSE)
        };
        match next {
            Ok(block) if collapse(block) => {}
            Ok(block) => failed.push((block, 1)),
            Err(RecvTimeoutError::Timeout) => failed.retain_mut(|(block, tries)| {
                *tries += 1;
                !collapse(*block) && *tries < TRIES
            }),
            Err(RecvTimeoutError::Disconnected) => return,
        }
    }
}

/// Makes the block at this address one page. False: not now.
fn collapse(block: usize) -> bool {
    // SAFETY: the kernel copies what is mapped there to another physical page; whatever it is and whoever uses it, every byte
    // stays where it was for the program. What is not mapped, or not memory of this kind, is an error and left alone.
    unsafe { libc::madvise(std::ptr::without_provenance_mut(block), BLOCK, MADV_COLLAPSE) == 0 }
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;

    use super::*;

    #[test]
    fn a_block_is_told_once_and_anew_after_a_while_and_a_small_server_keeps_its_pages() {
        let (blocks, told) = channel();
        let (mut pages, now) = (Pages::new(blocks), Instant::now());
        pages.note(now, LEAST - 1, 5 * BLOCK);
        for address in [5 * BLOCK, 5 * BLOCK + 17, 6 * BLOCK - 1, 6 * BLOCK, 5 * BLOCK] {
            pages.note(now, LEAST, address);
        }
        pages.note(now + RENEWAL / 2, LEAST, 5 * BLOCK);
        pages.note(now + RENEWAL, LEAST, 5 * BLOCK + 1);
        assert_eq!(told.try_iter().collect::<Vec<_>>(), [5 * BLOCK, 6 * BLOCK, 5 * BLOCK]);
    }

    #[test]
    fn what_failed_is_tried_again() {
        let (blocks, told) = channel();
        let sender = RefCell::new(Some(blocks));
        let calls = RefCell::new(Vec::new());
        sender.borrow().as_ref().unwrap().send(BLOCK).unwrap();
        work(&told, |block| {
            calls.borrow_mut().push(block);
            let done = calls.borrow().len() == 2;
            if done {
                sender.take();
            }
            done
        });
        assert_eq!(*calls.borrow(), [BLOCK, BLOCK]);
    }

    #[test]
    fn what_lies_in_a_block_stays_what_it_was() {
        let bytes: Vec<u8> = (0..3 * BLOCK).map(|n| (n * 7 % 251) as u8).collect();
        let block = bytes.as_ptr().addr().next_multiple_of(BLOCK);
        let done = collapse(block);
        println!("the kernel did it: {done}");
        assert!(bytes.iter().enumerate().all(|(n, byte)| *byte == (n * 7 % 251) as u8));
        assert!(!collapse(BLOCK), "nothing is mapped there");
    }
}
