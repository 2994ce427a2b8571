//! What the load is told while it runs, and what it tells: a line each.
//!
//! In: `begin SECONDS`. Out, as JSON: `{"event": "ready"}` when all are in, `begin` (with its time, `at_us`) and `end` around the
//! measurement (whoever started us reads the server's CPU at these two), and `report`.

use std::io::{BufRead, Write};
use std::sync::mpsc::{Receiver, channel};

use serde_json::{Value, json};

/// A command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Command {
    /// Measure for so many seconds.
    Begin(u64),
    /// Standard input ended: whoever started us is gone.
    Hangup,
}

/// Reads commands on a thread of its own.
#[must_use]
pub fn commands() -> Receiver<Command> {
    let (tell, told) = channel();
    std::thread::spawn(move || {
        for line in std::io::stdin().lock().lines() {
            let seconds = line.ok().and_then(|line| line.strip_prefix("begin ")?.trim().parse().ok());
            if seconds.is_none_or(|seconds| tell.send(Command::Begin(seconds)).is_err()) {
                break;
            }
        }
        let _ = tell.send(Command::Hangup);
    });
    told
}

/// Tells an event with its particulars.
pub fn tell(event: &str, mut more: Value) {
    if let Some(fields) = more.as_object_mut() {
        fields.insert("event".into(), json!(event));
    }
    let mut out = std::io::stdout().lock();
    // Whoever does not listen any more has no use for us: `commands` ends with them.
    let _ = writeln!(out, "{more}").and_then(|()| out.flush());
}
