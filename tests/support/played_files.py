"""What an `<audio>` element of a page plays, for tests: replays and clips."""

from __future__ import annotations

import base64

import numpy as np
from playwright.async_api import Page

from tests.support.audio import Pcm
from tests.support.patience import PATIENCE_S

__all__ = ["hear_element", "remember_elements"]

_REMEMBER = """
  globalThis.spoken = [];
  const play = HTMLMediaElement.prototype.play;
  HTMLMediaElement.prototype.play = function () {
    if (!spoken.includes(this)) spoken.push(this);
    return play.call(this);
  };
"""
_HEAR = """
async (seconds) => {
  const element = spoken.findLast((one) => !one.paused);
  const [track] = element.captureStream().getAudioTracks();
  const reader = new MediaStreamTrackProcessor({ track }).readable.getReader();
  const blocks = [];
  let length = 0;
  let rate = 0;
  while (rate === 0 || length < seconds * rate) {
    const { value, done } = await reader.read();
    if (done) break;
    rate = value.sampleRate;
    const block = new Float32Array(value.numberOfFrames);
    value.copyTo(block, { planeIndex: 0, format: "f32-planar" });
    value.close();
    blocks.push(block);
    length += block.length;
  }
  await reader.cancel();
  const whole = new Int16Array(length);
  let at = 0;
  for (const block of blocks) for (const sample of block) whole[at++] = Math.max(-1, Math.min(1, sample)) * 32767;
  let text = "";
  const bytes = new Uint8Array(whole.buffer);
  for (let from = 0; from < bytes.length; from += 0x8000) {
    text += String.fromCharCode(...bytes.subarray(from, from + 0x8000));
  }
  return { rate, samples: btoa(text) };
}
"""


async def remember_elements(page: Page) -> None:
    """Before an element of `page` plays that is to be heard, on this page and those that are loaded in its place."""
    await page.add_init_script(_REMEMBER)
    await page.evaluate("() => {" + _REMEMBER + "}")


async def hear_element(page: Page, seconds: float) -> Pcm:
    """What the element that plays now plays next, 48 kHz."""
    await page.wait_for_function(
        "() => spoken.some((one) => !one.paused && !one.seeking && one.readyState > 2 && one.currentTime > 0)",
        timeout=PATIENCE_S * 1000,
    )
    read = await page.evaluate(_HEAR, seconds)
    assert read["rate"] == 48_000, read["rate"]
    return np.frombuffer(base64.b64decode(read["samples"]), dtype="<i2").astype(np.int16)
