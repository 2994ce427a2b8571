"""One person's Opus packets as the even sound that recognisers take: 16 kHz, silence where nothing was sent."""

from __future__ import annotations

import av
import numpy as np

from spaces_ctl.captions.recogniser import RATE, Pcm

__all__ = ["FRAME", "SpeechDecoder"]

FRAME = RATE // 50
"""Samples of a group (20 ms)."""
_OPUS_RATE = 48_000
_OPUS_FRAME = _OPUS_RATE // 50


class SpeechDecoder:
    """Decodes a stretch of speech; every call answers about as much sound as it was given."""

    def __init__(self) -> None:
        """Begins with nothing heard."""
        # libopus mixes what is stereo down by itself, and answers s16.
        self._opus = av.AudioCodecContext.create("libopus", "r")
        self._opus.sample_rate = _OPUS_RATE
        self._opus.layout = "mono"
        self._resample = av.AudioResampler(format="s16", layout="mono", rate=RATE)

    def packet(self, opus: bytes) -> Pcm:
        """20 ms. What cannot be decoded is silence: a broken packet says nothing."""
        return self._resampled(self._decoded(opus))

    def silence(self, groups: int) -> Pcm:
        """So many times 20 ms."""
        return self._resampled(np.zeros(groups * _OPUS_FRAME, np.int16))

    def _decoded(self, opus: bytes) -> Pcm:
        whole = np.zeros(_OPUS_FRAME, np.int16)
        try:
            frames = self._opus.decode(av.Packet(opus))
        except av.error.FFmpegError:
            return whole
        end = 0
        for frame in frames:
            sound = frame.to_ndarray().reshape(-1)[: _OPUS_FRAME - end]
            whole[end : end + len(sound)] = sound
            end += len(sound)
        return whole

    def _resampled(self, pcm: Pcm) -> Pcm:
        frame = av.AudioFrame.from_ndarray(pcm.reshape(1, -1), format="s16", layout="mono")
        frame.sample_rate = _OPUS_RATE
        pieces = [made.to_ndarray().reshape(-1) for made in self._resample.resample(frame)]
        return np.concatenate(pieces) if pieces else np.zeros(0, np.int16)
