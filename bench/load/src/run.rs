//! The loop: dial who is due, let the transport work, sleep to the next millisecond.

use std::time::Duration;

use nix::sys::resource::{Resource, UsageWho, getrlimit, getrusage, setrlimit};
use nix::sys::time::TimeValLike;
use serde_json::json;

use crate::clock::now_us;
use crate::console::{Command, commands, tell};
use crate::crowd::{Crowd, Id};
use crate::fleet::Fleet;
use crate::plan::{Plan, Protocol, Starts};
use crate::tally::Times;
use crate::{icecast, mumble};

/// What ends a load.
pub type Failure = Box<dyn std::error::Error + Send + Sync>;

/// The least time between two turns.
const SLOT_US: u64 = 1_000;
/// How long after the measurement frames that were due in it may still come.
const GRACE_US: u64 = 1_000_000;
/// Dials before the others have their turn: a handshake is 300 µs of work.
const DIALS: usize = 8;

/// How a kind of server is spoken to.
pub trait Transport {
    /// Begins to connect listener `id`.
    ///
    /// # Errors
    /// What the kernel or TLS says; the load ends.
    fn dial(&mut self, id: Id, crowd: &mut Crowd) -> Result<(), Failure>;

    /// Receives, expires, sends, without waiting.
    ///
    /// # Errors
    /// What the kernel says; the load ends.
    fn step(&mut self, now_us: u64, crowd: &mut Crowd) -> Result<(), Failure>;
}

/// Runs `plan` until its measurement is reported or standard input ends.
///
/// # Errors
/// What the kernel or TLS says.
pub fn run(plan: &Plan) -> Result<(), Failure> {
    let mut transport: Box<dyn Transport> = match plan.protocol {
        Protocol::Plain | Protocol::Moqt => Box::new(Fleet::new(plan)?),
        Protocol::Icecast => Box::new(icecast::Listeners::new(plan)?),
        Protocol::Mumble => Box::new(mumble::Listeners::new(plan)?),
    };
    let (_, most) = getrlimit(Resource::RLIMIT_NOFILE)?;
    setrlimit(Resource::RLIMIT_NOFILE, most, most)?;
    let mut crowd = Crowd::new(plan);
    crowd.start(Starts::Before, now_us());
    let console = commands();
    let mut phase = Phase::Joining;
    let mut turns = Times::default();
    let mut cpu = 0.0;
    loop {
        let start_us = now_us();
        match phase {
            Phase::Joining if crowd.is_settled() => {
                tell("ready", json!({}));
                phase = Phase::Ready;
            }
            Phase::Measuring { end_us, .. } if start_us >= end_us => {
                tell("end", json!({}));
                cpu = cpu_seconds()? - cpu;
                phase = Phase::Grace { until_us: end_us + GRACE_US };
            }
            Phase::Grace { until_us } if start_us >= until_us => {
                tell("report", json!({"groups": crowd.report(), "cpu_seconds": cpu, "turn_us": turns.counts()}));
                return Ok(());
            }
            _ => {}
        }
        match console.try_recv() {
            Ok(Command::Begin(seconds)) => {
                crowd.measure(start_us, seconds);
                crowd.start(Starts::OnBegin, start_us);
                cpu = cpu_seconds()?;
                turns = Times::default();
                tell("begin", json!({"at_us": start_us}));
                phase = Phase::Measuring { end_us: start_us + seconds * 1_000_000 };
            }
            Ok(Command::Hangup) => return Ok(()),
            Err(_) => {}
        }
        for _ in 0..DIALS {
            let Some(id) = crowd.due(start_us) else { break };
            transport.dial(id, &mut crowd)?;
        }
        transport.step(now_us(), &mut crowd)?;
        let took_us = now_us().saturating_sub(start_us);
        turns.record(took_us);
        std::thread::sleep(Duration::from_micros(SLOT_US.saturating_sub(took_us)));
    }
}

#[derive(Clone, Copy)]
enum Phase {
    Joining,
    Ready,
    Measuring { end_us: u64 },
    Grace { until_us: u64 },
}

/// User and system time of this process so far.
fn cpu_seconds() -> Result<f64, Failure> {
    let usage = getrusage(UsageWho::RUSAGE_SELF)?;
    Ok((usage.user_time().num_microseconds() + usage.system_time().num_microseconds()) as f64 / 1e6)
}
