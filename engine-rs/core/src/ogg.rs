//! A track of a recording, one person's or the mix, as an Ogg Opus file (RFC 7845) in which samples are wall time.
//!
//! A file holds what one account said on one seat during one part of a recording, or the mix. Its first sample is the part's first
//! group, so all files of a part lie side by side in an editor, and every group takes 960 samples whether it was heard or
//! not. What was not heard (loss, DTX, a mute, the time before the first word) becomes packets with empty frames:
//! RFC 6716 §3.2.1 lets a frame have no bytes, and decoders conceal it. After [`CONCEALED`] groups of that a decoder
//! would hum the background noise of the last words for ever, so two frames of digital silence come in between; behind
//! them, concealment is silent too. Long silence is cheap: six empty frames a packet (code 3, §3.2.5), 6 KB a minute.
//!
//! Pages close after 200 ms of speech or 360 ms of silence, and belong to the caller from then on: a file that is cut
//! anywhere plays to its last whole page. The pre-skip of 960 samples is one empty packet of our own, so that the granule
//! position is 960 × (groups + 1) at the end of each page, cut or not. Speech lies later than at the microphone by the
//! encoder's look-ahead (6.5 ms), the same on all tracks.

mod head;
mod packet;
mod whole;

use ogg::reading::PageParser;
use ogg::{PacketWriteEndInfo, PacketWriter};
use thiserror::Error;

use crate::ids::{SeatNo, SpaceId};
use crate::time::TICK_SAMPLES;
use crate::uplink::{MAX_FRAME, packet_samples};

pub use whole::{LOOKAHEAD, WholeError, WholeInfo, WholeWriter, silence};

use packet::{CELT, STEREO};

/// Groups of a gap that a decoder is left to conceal, before silence.
pub const CONCEALED: u64 = 5;

/// Frames of silence after which a decoder has settled on it.
const SETTLING: u64 = 2;
/// Groups after which a page with speech is closed: 200 ms.
const PAGE: u64 = 10;
/// Groups after which a page of silence is closed while the recording runs: 360 ms.
const SILENT_PAGE: u64 = 18;
/// Groups a page of silence that is written all at once: 960 ms. RFC 7845 §6 wants no more than a second.
const PADDING_PAGE: u64 = 48;
/// Most silence written at once, in groups: a day.
const MOST_PADDING: u64 = 24 * 60 * 60 * 50;
/// Most frames in one packet: 120 ms (RFC 6716 §3.2.5).
const MOST_FRAMES: u64 = 6;

/// What a track holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    /// One person.
    Person {
        /// On which seat.
        seat: SeatNo,
        /// Who.
        account: u64,
    },
    /// What listeners heard.
    Mix,
}

/// Whose track, and where it begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TrackInfo {
    /// The Space.
    pub space: SpaceId,
    /// Whose track.
    pub source: Source,
    /// Part of the recording, from 1 on.
    pub part: u32,
    /// The part's first group: sample 0 of the file.
    pub start_group: u64,
    /// Wall-clock milliseconds since 1970 of group 0.
    pub started_at_ms: u64,
    /// 1 or 2: how many channels players should open.
    pub channels: u8,
    /// The stream's serial number: random, so that [`track_end`] is not misled by a page inside a stranger's packet.
    pub serial: u32,
}

/// Why a frame was not written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum FrameError {
    /// Its time is over: silence, or another frame, was written in its place.
    #[error("frame of group {group} comes after group {next} was begun")]
    Late {
        /// Of the frame.
        group: u64,
        /// The group that comes next.
        next: u64,
    },
    /// Over a day of silence would have to be written first.
    #[error("frame of group {group} is too far from {next}")]
    Far {
        /// Of the frame.
        group: u64,
        /// The group that comes next.
        next: u64,
    },
    /// Not an Opus packet of its duration, or too long a one.
    #[error("not an Opus packet of the duration that it is said to have")]
    Packet,
}

/// How a file is laid out.
#[derive(Clone, Copy, Debug)]
struct Style {
    /// Groups of nothing before the first one, as pre-skip.
    lead: u64,
    /// The file ends before this group, if that is known from the beginning.
    end: Option<u64>,
    /// Groups of a gap that a decoder is left to conceal, before silence.
    conceal: u64,
    /// Long silence is empty frames.
    empty: bool,
    /// Groups after which a page is closed.
    page: u64,
    /// Most silence written at once, in groups.
    padding: u64,
}

/// Of a file that is written while it is recorded.
const LIVE: Style = Style { lead: 1, end: None, conceal: CONCEALED, empty: true, page: PAGE, padding: MOST_PADDING };

/// Writes one track. Call [`TrackWriter::frame`] or [`TrackWriter::advance`] in order of group, take the pages with
/// [`TrackWriter::take`] whenever it suits, and end with [`TrackWriter::finish`].
pub struct TrackWriter {
    pages: PacketWriter<'static, Vec<u8>>,
    serial: u32,
    style: Style,
    start_group: u64,
    /// Groups behind us, written or owed as silence.
    written: u64,
    /// Groups in the open page.
    open: u64,
    /// Groups since the last frame that are written.
    silent: u64,
    /// Of one frame of 20 ms as the last one was.
    toc: u8,
}

impl TrackWriter {
    /// Begins a file: its headers are ready to be taken.
    #[must_use]
    pub fn new(info: &TrackInfo) -> Self {
        let head = head::head(info.channels, TICK_SAMPLES as u16, 0);
        let mut writer = Self::begin(LIVE, info.serial, info.start_group, head, &head::comments(info));
        writer.put(vec![writer.toc], PacketWriteEndInfo::NormalPacket, TICK_SAMPLES);
        writer
    }

    /// Begins a whole file with `start_group`.
    fn whole(info: &WholeInfo, start_group: u64, gain: i16) -> Self {
        let style = Style {
            lead: 0,
            end: Some(info.end_group),
            conceal: info.conceal,
            empty: false,
            page: PADDING_PAGE,
            padding: WholeWriter::MOST_GROUPS,
        };
        let head = head::head(info.channels, info.pre_skip, gain);
        Self::begin(style, info.serial, start_group, head, &info.comments)
    }

    fn begin(style: Style, serial: u32, start_group: u64, head: Vec<u8>, comments: &[String]) -> Self {
        let stereo = if head.get(9) == Some(&2) { STEREO } else { 0 };
        let mut writer = Self {
            pages: PacketWriter::new(Vec::with_capacity(1024)),
            serial,
            style,
            start_group,
            written: 0,
            open: 0,
            silent: style.conceal + SETTLING,
            toc: CELT | stereo,
        };
        writer.put(head, PacketWriteEndInfo::EndPage, 0);
        writer.put(head::tags(comments), PacketWriteEndInfo::EndPage, 0);
        writer
    }

    /// The group that comes next. All before it are in the file, or in the page that is still open.
    #[must_use]
    pub const fn next_group(&self) -> u64 {
        self.start_group.saturating_add(self.written)
    }

    /// Writes a person's frame, after as much silence as lies before it.
    ///
    /// # Errors
    /// [`FrameError`]; nothing was written then.
    pub fn frame(&mut self, group: u64, opus: &[u8]) -> Result<(), FrameError> {
        if opus.len() > MAX_FRAME {
            return Err(FrameError::Packet);
        }
        self.packet(group, 1, opus)
    }

    /// Writes a packet of `ticks` groups from `group` on, after as much silence as lies before it.
    ///
    /// # Errors
    /// [`FrameError`]; nothing was written then.
    pub fn packet(&mut self, group: u64, ticks: u8, opus: &[u8]) -> Result<(), FrameError> {
        let samples = u32::from(ticks) * TICK_SAMPLES as u32;
        if ticks == 0 || packet_samples(opus) != Some(samples) || !packet::is_well_formed(opus) {
            return Err(FrameError::Packet);
        }
        let next = self.next_group();
        let owed = group.checked_sub(next).ok_or(FrameError::Late { group, next })?;
        if owed > self.style.padding {
            return Err(FrameError::Far { group, next });
        }
        self.silence(owed, false);
        self.toc = opus.first().map_or(self.toc, |toc| packet::of_20_ms(*toc));
        self.silent = 0;
        // Closed also where the next packet of the kind would not fit.
        let ticks = u64::from(ticks);
        self.append(opus.to_vec(), ticks, self.open + 2 * ticks > self.style.page);
        Ok(())
    }

    /// Groups before `group` are over. Once enough of them are silent, they are written.
    pub fn advance(&mut self, group: u64) {
        let owed = group.saturating_sub(self.next_group()).min(self.style.padding);
        if owed > 0 && owed + self.open >= SILENT_PAGE {
            self.silence(owed, true);
        }
    }

    /// Ends the file with `group` as its last one.
    pub fn finish(&mut self, group: u64) {
        self.silence(group.saturating_add(1).saturating_sub(self.next_group()).min(self.style.padding), false);
        // An end-of-stream page needs a packet (RFC 7845 §4); the granule position trims it away (§4.4). In a whole file it
        // has what the encoder was behind, and is there already if the last packet was longer than the file.
        if self.style.end.is_none() {
            self.put(vec![self.toc], PacketWriteEndInfo::EndStream, self.granule());
        } else if !self.is_over() {
            self.silence(1, false);
        }
    }

    /// The groups of a whole file, and what the encoder was behind, are written.
    fn is_over(&self) -> bool {
        self.style.end.is_some_and(|end| self.next_group() > end)
    }

    /// The whole pages since the last call, to be appended to the file.
    pub fn take(&mut self) -> Vec<u8> {
        core::mem::take(self.pages.inner_mut())
    }

    fn granule(&self) -> u64 {
        let written = self.written.saturating_add(self.style.lead).saturating_mul(TICK_SAMPLES);
        let length = |end: u64| end.saturating_sub(self.start_group).saturating_mul(TICK_SAMPLES);
        let most = self.style.end.map(|end| length(end).saturating_add(u64::from(LOOKAHEAD)));
        written.min(most.unwrap_or(u64::MAX))
    }

    /// Writes silence, and closes the page behind it if asked to.
    fn silence(&mut self, mut groups: u64, close: bool) {
        while groups > 0 {
            let conceal = self.silent < self.style.conceal;
            let settling = self.silent < self.style.conceal + SETTLING;
            let frames = if conceal || settling { 1 } else { groups.min(MOST_FRAMES) };
            if !conceal {
                self.toc = CELT | self.toc & STEREO;
            }
            let packet = if conceal || self.style.empty && !settling {
                packet::nothing(self.toc, frames as u8)
            } else {
                packet::silence(self.toc, frames as u8)
            };
            self.silent = self.silent.saturating_add(frames);
            groups -= frames;
            self.append(packet, frames, self.open + frames >= PADDING_PAGE || close && groups == 0);
        }
    }

    /// Writes a packet of `frames` groups, as the last of its page if `closes`.
    fn append(&mut self, packet: Vec<u8>, frames: u64, closes: bool) {
        self.written = self.written.saturating_add(frames);
        self.open = if closes { 0 } else { self.open + frames };
        let end = match closes {
            _ if self.is_over() => PacketWriteEndInfo::EndStream,
            true => PacketWriteEndInfo::EndPage,
            false => PacketWriteEndInfo::NormalPacket,
        };
        self.put(packet, end, self.granule());
    }

    fn put(&mut self, packet: Vec<u8>, end: PacketWriteEndInfo, granule: u64) {
        // Writing into memory does not fail.
        let _ = self.pages.write_packet(packet, self.serial, end, granule);
    }
}

impl core::fmt::Debug for TrackWriter {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("TrackWriter").field("next_group", &self.next_group()).finish_non_exhaustive()
    }
}

/// How far a file got.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TrackEnd {
    /// Groups that it plays.
    pub groups: u64,
    /// It was finished; otherwise its writer was killed, or still writes.
    pub finished: bool,
}

/// Bytes from the end of a file in which its last whole page is found: two of the largest pages.
pub const TAIL: usize = 2 * (27 + 255 + 255 * 255);

/// Bytes from the front of a file that [`track_start`] and [`track_end`] want.
pub const FRONT: usize = 512;

/// The group of a track's first sample, from the first bytes of its file.
#[must_use]
pub fn track_start(front: &[u8]) -> Option<u64> {
    const KEY: &[u8] = b"START_GROUP=";
    let at = front.windows(KEY.len()).position(|window| window == KEY)?;
    let digits = front.get(at + KEY.len()..)?;
    let length = digits.iter().take_while(|byte| byte.is_ascii_digit()).count();
    core::str::from_utf8(digits.get(..length)?).ok()?.parse().ok()
}

/// Reads how far a track got from the first and the last bytes of its file. `None` if there is no whole page with audio in
/// them.
#[must_use]
pub fn track_end(front: &[u8], tail: &[u8]) -> Option<TrackEnd> {
    let serial = front.strip_prefix(b"OggS")?.get(10..14)?;
    (0..tail.len()).rev().find_map(|at| {
        let page = tail.get(at..).filter(|page| page.starts_with(b"OggS") && page.get(14..18) == Some(serial))?;
        let (header, rest) = page.split_first_chunk::<27>()?;
        let (mut parser, segments) = PageParser::new(*header).ok()?;
        let (lacing, rest) = rest.split_at_checked(segments)?;
        let length = parser.parse_segments(lacing.to_vec());
        parser.parse_packet_data(rest.get(..length)?.to_vec()).ok()?;
        let granule = u64::from_le_bytes(*page.get(6..)?.first_chunk()?);
        let groups = (granule / TICK_SAMPLES).checked_sub(1)?;
        Some(TrackEnd { groups, finished: page.get(5)? & 4 != 0 })
    })
}
