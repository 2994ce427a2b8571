// The waveform (audiowaveform's JSON, version 2) as bars; what was played is stronger. It is the picture behind the
// position's slider, which is what keyboards and screen readers use.
import { useEffect, useRef } from "preact/hooks";

export interface Peaks {
  sample_rate: number;
  samples_per_pixel: number;
  length: number;
  /** Pairs of lowest and highest, -128 to 127. */
  data: number[];
}

const BAR = 3;
const GAP = 2;

/** The loudest of each of `bars` equal stretches of the first `seconds`: 0 to 1. */
export function loudest(peaks: Peaks, seconds: number, bars: number): number[] {
  const { data, length, sample_rate: rate, samples_per_pixel: step } = peaks;
  const points = Math.min(length, Math.ceil((seconds * rate) / step));
  return Array.from({ length: bars }, (_, bar) => {
    const from = Math.floor((bar * points) / bars);
    const to = Math.max(from + 1, Math.floor(((bar + 1) * points) / bars));
    let most = 0;
    for (let point = from; point < Math.min(to, length); point++) {
      most = Math.max(most, -(data[2 * point] ?? 0), data[2 * point + 1] ?? 0);
    }
    return Math.min(1, most / 127);
  });
}

export function Waveform({ peaks, seconds, at }: { peaks: Peaks; seconds: number; at: number }) {
  const canvas = useRef<HTMLCanvasElement>(null);
  const share = seconds > 0 ? at / seconds : 0;
  const draw = () => {
    const element = canvas.current;
    const context = element?.getContext("2d");
    if (!element || !context) return;
    const { width, height } = element.getBoundingClientRect();
    const scale = devicePixelRatio || 1;
    element.width = Math.round(width * scale);
    element.height = Math.round(height * scale);
    context.scale(scale, scale);
    context.fillStyle = getComputedStyle(element).color;
    const bars = loudest(peaks, seconds, Math.max(1, Math.floor(width / (BAR + GAP))));
    bars.forEach((loud, bar) => {
      const tall = Math.max(2, loud * height);
      context.globalAlpha = (bar + 0.5) / bars.length <= share ? 1 : 0.35;
      context.fillRect(bar * (BAR + GAP), (height - tall) / 2, BAR, tall);
    });
  };
  useEffect(draw);
  useEffect(() => {
    const observer = new ResizeObserver(draw);
    if (canvas.current) observer.observe(canvas.current);
    return () => observer.disconnect();
  }, []);
  return <canvas ref={canvas} />;
}
