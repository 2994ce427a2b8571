"""Sound of clips: exactly as long as asked, what listeners heard and nothing else, gentle at its borders."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from pystoi import stoi

from spaces_ctl.media import clip_sound
from spaces_ctl.media.clip_sound import FADE_MS, Samples
from spaces_ctl.segments import Contents, MixPacket
from tests.support.clip_logs import RATE, contents, decoded, heard, mix, snr_db, speech

FADE = RATE * FADE_MS // 1000
TICK = 960


async def cut(files: Sequence[Contents], start_group: int, end_group: int) -> Samples:
    async def log() -> AsyncIterator[Contents]:
        first = start_group - clip_sound.PRE_ROLL_GROUPS
        for file in files:
            if file.first_group < end_group and file.last_group >= first:
                yield file

    return await clip_sound.decode(log(), start_group, end_group)


def in_files(packets: list[MixPacket], each: int = 66) -> list[Contents]:
    """As the recorder closes them, every four seconds."""
    return [contents(packets[at : at + each], sequence=at // each) for at in range(0, len(packets), each)]


@pytest.mark.parametrize("ticks", [1, 2, 3])
async def test_a_clip_is_what_a_listener_heard_to_the_sample_between_its_fades(ticks: int) -> None:
    packets = mix(speech(), ticks=ticks)
    whole = heard(packets, 999)
    for start, end in ((251, 751), (302, 453), (10, 20)):
        clip = await cut(in_files(packets), start, end)
        assert len(clip) == (end - start) * TICK
        said = whole[start * TICK : end * TICK]
        # Two decoders that began at different packets have converged after the pre-roll.
        assert snr_db(said[FADE:-FADE], clip[FADE:-FADE]) > 40


async def test_without_the_pre_roll_the_beginning_would_be_wrong() -> None:
    """The test above can fail: a decoder that begins at the clip needs time to converge."""
    packets = mix(speech(), ticks=1)
    whole = heard(packets, 999)
    start = 300
    late = [packet for packet in packets if packet.group >= start]
    clip = await cut([contents(late)], start, start + 10)
    assert snr_db(whole[start * TICK : (start + 4) * TICK][FADE:], clip[: 4 * TICK][FADE:]) < 30


async def test_it_rises_and_falls_by_a_raised_cosine_of_ten_milliseconds() -> None:
    packets = mix(speech())
    whole = heard(packets, 999).astype(float)
    loud = np.abs(whole).reshape(-1, TICK).max(axis=1)
    start, end = 200 + int(loud[200:300].argmax()), 321 + int(loud[320:420].argmax())
    clip = (await cut(in_files(packets), start, end)).astype(float)
    said = whole[start * TICK : end * TICK]
    shape = 0.5 - 0.5 * np.cos(np.pi * (np.arange(FADE) + 0.5) / FADE)
    for ours, theirs, fade in ((clip[:FADE], said[:FADE], shape), (clip[-FADE:], said[-FADE:], shape[::-1])):
        assert np.abs(theirs).max() > 3000
        assert np.abs(ours - theirs * fade).max() < 40
    assert abs(clip[0]) <= 1
    assert abs(clip[-1]) <= 1


async def test_pauses_are_silence_and_what_follows_is_at_its_place() -> None:
    said = speech()
    first, second = mix(said[: 3 * RATE]), mix(said[3 * RATE : 6 * RATE], first_group=300)
    packets = first + second
    clip = await cut([contents(packets)], 50, 400)
    assert (clip[100 * TICK : 250 * TICK] == 0).all()
    whole = heard(packets, 450)[50 * TICK : 400 * TICK]
    assert snr_db(whole[FADE:-FADE], clip[FADE:-FADE]) > 40


async def test_before_the_recording_began_there_is_silence() -> None:
    packets = mix(speech(2), first_group=100)
    clip = await cut([contents(packets)], 50, 150)
    assert len(clip) == 100 * TICK
    assert (clip[: 50 * TICK] == 0).all()
    assert np.abs(clip[50 * TICK :].astype(int)).max() > 1000


async def test_nothing_in_the_log_is_a_clip_of_silence() -> None:
    clip = await cut([], 50, 150)
    assert len(clip) == 100 * TICK
    assert not clip.any()


async def test_over_a_restart_there_is_a_hole_without_clicks() -> None:
    """Part 1 stops in the middle of a word, part 2 begins in the middle of one."""
    packets = mix(speech())
    before = [replace(packet, end=False) for packet in packets if packet.group < 300]
    after = [replace(packet, start=False) for packet in packets if packet.group >= 360]
    clip = await cut([contents(before), contents(after, part=2)], 250, 450)
    assert (clip[50 * TICK : 110 * TICK] == 0).all()
    steps = np.abs(np.diff(clip.astype(int)))
    edges = [50 * TICK, 110 * TICK]
    for edge in edges:
        assert steps[edge - 48 : edge + 48].max() <= 200
    assert steps.max() > 400  # a voice has steeper slopes than the seams


async def test_what_spool_and_store_say_both_is_heard_once() -> None:
    packets = mix(speech())
    files = in_files(packets)
    once = await cut(files, 250, 750)
    twice = await cut([file for file in files for _ in range(2)], 250, 750)
    assert (once == twice).all()


async def test_a_damaged_packet_costs_itself_only() -> None:
    packets = mix(speech())
    broken = [replace(packet, opus=b"\xff\xff\xff") if packet.group == 330 else packet for packet in packets]
    clip = await cut([contents(broken)], 250, 450)
    assert len(clip) == 200 * TICK
    whole = heard(packets, 450)[250 * TICK :]
    assert snr_db(whole[FADE : 80 * TICK], clip[FADE : 80 * TICK]) > 40
    assert snr_db(whole[120 * TICK : -FADE], clip[120 * TICK : -FADE]) > 25


async def test_the_files_are_exactly_as_long_as_loud_and_as_clear_as_the_sound(tmp_path: Path) -> None:
    clip = await cut(in_files(mix(speech())), 251, 751)
    opus, m4a = await clip_sound.encode_opus(clip), await clip_sound.encode_m4a(clip)
    for data, exact in ((opus, True), (m4a, False)):
        sound = decoded(data, tmp_path)
        # AAC's last frame is padded; the container says where it ends, which players follow and ffmpeg does not.
        assert len(sound) == len(clip) if exact else 0 <= len(sound) - len(clip) < 1024
        sound = sound[: len(clip)]
        assert stoi(clip, sound, RATE) > 0.99
        loud = 20 * np.log10(np.std(sound.astype(float)) / np.std(clip.astype(float)))
        assert abs(loud) < 0.2
    assert m4a.index(b"moov") < m4a.index(b"mdat")


def test_peaks_are_the_greatest_amplitudes() -> None:
    samples = np.zeros(RATE // 10 + 5, np.int16)
    samples[100], samples[-1] = -32768, 16384
    assert clip_sound.peaks(samples) == [255, 0, 128]
