//! The decoders that tests ask, and the packets that they write.

#![allow(dead_code, reason = "each test binary uses its part")]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// Two seconds of a voice-like sound in Opus packets of 20 ms.
pub(crate) fn voice() -> Vec<Vec<u8>> {
    let file: &[u8] = include_bytes!("../data/voice.opus");
    let mut reader = ogg::PacketReader::new(std::io::Cursor::new(file));
    let mut packets = Vec::new();
    while let Some(packet) = reader.read_packet().unwrap() {
        packets.push(packet.data);
    }
    packets.split_off(2)
}

/// Writes `bytes` where the tools can read them.
pub(crate) fn file(name: &str, bytes: &[u8]) -> PathBuf {
    let directory = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("ogg-{}", std::process::id()));
    fs::create_dir_all(&directory).unwrap();
    let path = directory.join(name);
    fs::write(&path, bytes).unwrap();
    path
}

fn run(tool: &str, arguments: &[&str], path: &Path) -> Output {
    let mut command = Command::new(tool);
    for argument in arguments {
        command.arg(if *argument == "FILE" { path.as_os_str() } else { argument.as_ref() });
    }
    command.output().unwrap_or_else(|error| {
        panic!("cannot run `{tool}` ({error}): this test needs the packages opus-tools and ffmpeg installed")
    })
}

/// What opusinfo says of a file.
pub(crate) struct Report {
    pub(crate) text: String,
    /// Lines with warnings or errors.
    pub(crate) problems: Vec<String>,
}

impl Report {
    /// Nothing is wrong but that the stream was not ended.
    pub(crate) fn only_unfinished(&self) -> bool {
        matches!(&self.problems[..], [one] if one.contains("EOS not set"))
    }
}

pub(crate) fn opusinfo(path: &Path) -> Report {
    let output = run("opusinfo", &["FILE"], path);
    let text = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    let bad = |line: &&str| ["warning", "error", "invalid"].iter().any(|word| line.to_lowercase().contains(word));
    let problems = text.lines().filter(bad).map(|line| line.trim().to_owned()).collect();
    Report { text, problems }
}

/// Decoded by ffmpeg, mono at 48 kHz. Any word of complaint is a failure.
pub(crate) fn ffmpeg(path: &Path) -> Vec<i16> {
    let output = run("ffmpeg", &["-v", "warning", "-i", "FILE", "-ac", "1", "-f", "s16le", "-"], path);
    let complaint = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && complaint.is_empty(), "ffmpeg on {}: {complaint}", path.display());
    samples(&output.stdout)
}

/// Decoded by opusdec (libopus).
pub(crate) fn opusdec(path: &Path) -> Vec<i16> {
    let output = run("opusdec", &["--quiet", "--rate", "48000", "FILE", "-"], path);
    assert!(output.status.success(), "opusdec on {}", path.display());
    samples(&output.stdout)
}

fn samples(bytes: &[u8]) -> Vec<i16> {
    bytes.chunks_exact(2).map(|pair| i16::from_le_bytes([pair[0], pair[1]])).collect()
}
