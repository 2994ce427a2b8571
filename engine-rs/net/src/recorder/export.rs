//! One Ogg Opus file a person and one of the mix, made from the logs of all parts of a recording.
//!
//! All files begin with the recording's first group and end with its last: they lie side by side in an editor, and a place
//! in any of them is a time in the Space. What was not recorded, and the time between parts, is silence.

use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use spaces_core::ids::{SeatNo, SpaceId};
use spaces_core::ogg::{CONCEALED, LOOKAHEAD, WholeError, WholeInfo, WholeWriter};
use spaces_core::segment::{Contents, Header, HeaderError, Record};
use thiserror::Error;

use super::track::channels;

/// Bytes of a file that are written at once.
const GATHERED: usize = 32 << 10;

/// A file of the log.
#[derive(Clone, Debug)]
pub enum Log {
    /// On the disk.
    File(PathBuf),
    /// In memory.
    Bytes(Vec<u8>),
}

impl Log {
    fn contents(&self) -> Result<Contents, ExportError> {
        let (read, name);
        let data = match self {
            Self::File(path) => {
                (read, name) = (fs::read(path)?, path.display().to_string());
                &read
            }
            Self::Bytes(data) => {
                name = "segment log in memory".to_owned();
                data
            }
        };
        Contents::read(data).map_err(|error| ExportError::Log { name, error })
    }
}

/// Why nothing, or not all, was exported.
#[derive(Debug, Error)]
pub enum ExportError {
    /// A file is no segment log.
    #[error("{name}: {error}")]
    Log {
        /// Which.
        name: String,
        /// Why.
        error: HeaderError,
    },
    /// The logs are of several Spaces.
    #[error("logs of the Spaces {0} and {1} together")]
    Spaces(SpaceId, SpaceId),
    /// There is nothing in them, or not that.
    #[error(transparent)]
    Whole(#[from] WholeError),
    /// No logs.
    #[error("no logs to export")]
    Nothing,
    /// Of the file system.
    #[error(transparent)]
    Io(#[from] io::Error),
}

/// What the first pass over the logs tells.
struct Plan {
    space: SpaceId,
    started_at_ms: u64,
    start_group: u64,
    end_group: u64,
    /// Who sat where in which generation, by part: a process that starts again counts generations anew.
    accounts: BTreeMap<(u32, SeatNo, u32), u64>,
    /// The logs in order.
    order: Vec<usize>,
}

fn plan(logs: &[Log]) -> Result<Plan, ExportError> {
    let (mut headers, mut accounts) = (Vec::new(), BTreeMap::new());
    let (mut start_group, mut end_group) = (u64::MAX, 0);
    for (at, log) in logs.iter().enumerate() {
        let contents = log.contents()?;
        headers.push((contents.header, at));
        for record in &contents.records {
            if let Record::Seat { seat, generation, account: account @ 1.., .. } = record {
                accounts.insert((contents.header.part, *seat, *generation), *account);
            }
        }
        let (Some(first), Some(last)) = (contents.first_group(), contents.last_group()) else { continue };
        start_group = start_group.min(first);
        end_group = end_group.max(last.saturating_add(1));
    }
    let first: Header = headers.first().ok_or(ExportError::Nothing)?.0;
    if let Some((other, _)) = headers.iter().find(|(header, _)| header.space != first.space) {
        return Err(ExportError::Spaces(first.space, other.space));
    }
    headers.sort_by_key(|(header, _)| (header.part, header.sequence));
    let order = headers.into_iter().map(|(_, at)| at).collect();
    let (space, started_at_ms) = (first.space, first.started_at_ms);
    let start_group = start_group.min(end_group);
    Ok(Plan { space, started_at_ms, start_group, end_group, accounts, order })
}

/// A file that is opened only to be appended to: thousands may speak in a long Space.
struct Output {
    path: PathBuf,
    pending: Vec<u8>,
    writer: WholeWriter,
}

impl Output {
    fn packet(&mut self, group: u64, ticks: u8, opus: &[u8]) -> io::Result<()> {
        // A second frame for a place: of two logs of the same time, or of somebody who changed seats within a tick.
        let _ = self.writer.packet(group, ticks, opus);
        self.pending.append(&mut self.writer.take());
        if self.pending.len() >= GATHERED { self.append() } else { Ok(()) }
    }

    fn append(&mut self) -> io::Result<()> {
        let mut file = OpenOptions::new().append(true).open(&self.path)?;
        file.write_all(&core::mem::take(&mut self.pending))
    }
}

/// Writes `account-<id>.opus` for everybody who said something (`seat-<n>.opus` for somebody whom the engine never named)
/// and `mix.opus`, if there is a mix, to `directory`, which is made if need be. Players apply `gain_db` to the mix.
/// Short holes in what a person said are left for decoders to conceal. Reads the logs twice, one at a time.
///
/// # Errors
/// [`ExportError`]. Files written by then stay.
pub fn export(logs: &[Log], directory: &Path, gain_db: f64) -> Result<Vec<PathBuf>, ExportError> {
    let plan = plan(logs)?;
    fs::create_dir_all(directory)?;
    let mut outputs: BTreeMap<String, Output> = BTreeMap::new();
    for log in plan.order.iter().filter_map(|at| logs.get(*at)) {
        let contents = log.contents()?;
        for record in &contents.records {
            match record {
                Record::Tick { group, frames } => {
                    for frame in frames {
                        let key = (contents.header.part, frame.seat, frame.generation);
                        let name = match plan.accounts.get(&key) {
                            Some(account) => format!("account-{account}"),
                            None => format!("seat-{:02}", frame.seat.get()),
                        };
                        let output = output(&mut outputs, &plan, directory, name, &frame.opus, None)?;
                        output.packet(*group, 1, &frame.opus)?;
                    }
                }
                Record::Mix(mix) => {
                    let name = "mix".to_owned();
                    let output = output(&mut outputs, &plan, directory, name, &mix.opus, Some(gain_db))?;
                    output.packet(mix.group, mix.ticks, &mix.opus)?;
                }
                _ => {}
            }
        }
    }
    outputs.into_values().map(finish).collect()
}

/// The file of that name, begun if need be. `mix`: its gain.
fn output<'a>(
    outputs: &'a mut BTreeMap<String, Output>,
    plan: &Plan,
    directory: &Path,
    name: String,
    opus: &[u8],
    mix: Option<f64>,
) -> Result<&'a mut Output, ExportError> {
    if !outputs.contains_key(&name) {
        let path = directory.join(format!("{name}.opus"));
        let info = WholeInfo {
            start_group: plan.start_group,
            end_group: plan.end_group,
            gain_db: mix.unwrap_or_default(),
            pre_skip: LOOKAHEAD,
            conceal: if mix.is_some() { 0 } else { CONCEALED },
            channels: channels(opus),
            comments: vec![
                format!("SPACE={}", plan.space),
                format!("TRACK={name}"),
                format!("START_GROUP={}", plan.start_group),
                format!("STARTED_AT_MS={}", plan.started_at_ms),
            ],
            serial: outputs.len() as u32 + 1,
        };
        File::create(&path)?;
        outputs.insert(name.clone(), Output { path, pending: Vec::new(), writer: WholeWriter::new(info)? });
    }
    outputs.get_mut(&name).ok_or(ExportError::Nothing)
}

fn finish(mut output: Output) -> Result<PathBuf, ExportError> {
    output.pending.extend(output.writer.finish());
    output.append()?;
    Ok(output.path)
}
