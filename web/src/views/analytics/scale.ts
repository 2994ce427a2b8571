// Numbers to places in a drawing. No part of the page.

/** A round number that is at least `most`, in steps that people like: 1, 2, 5 times a power of ten; at least 1. */
export function niceTop(most: number): number {
  if (most <= 1) return 1;
  const power = 10 ** Math.floor(Math.log10(most));
  for (const step of [1, 2, 5, 10]) if (step * power >= most) return step * power;
  return 10 * power;
}

/** Whole numbers from 0 to `top`, at most `most` steps, evenly apart. */
export function ticks(top: number, most = 5): number[] {
  let steps = Math.min(most, top);
  while (steps > 1 && top % steps !== 0) steps--;
  return Array.from({ length: steps + 1 }, (_, at) => (top / steps) * at);
}

export interface Point {
  x: number;
  y: number;
}

/** Times and values as places in a box of `width` by `height`, y downwards. One alone stands in the middle. */
export function placesOf(
  values: readonly { at: number; value: number }[],
  top: number,
  width: number,
  height: number,
): Point[] {
  const first = values[0]?.at ?? 0;
  const span = (values.at(-1)?.at ?? first) - first;
  return values.map(({ at, value }) => ({
    x: span === 0 ? width / 2 : ((at - first) / span) * width,
    y: height - (Math.min(value, top) / top) * height,
  }));
}

/** A line through the points, as the `d` of an SVG path. */
export function linePath(points: readonly Point[]): string {
  return points.map(({ x, y }, at) => `${at === 0 ? "M" : "L"}${round(x)},${round(y)}`).join("");
}

/** The area below the line, down to `height`. */
export function areaPath(points: readonly Point[], height: number): string {
  const [first, last] = [points[0], points.at(-1)];
  if (!first || !last) return "";
  return `${linePath(points)}L${round(last.x)},${round(height)}L${round(first.x)},${round(height)}Z`;
}

/** The point whose x is nearest. -1 if there is none. */
export function nearest(points: readonly Point[], x: number): number {
  let best = -1;
  let distance = Number.POSITIVE_INFINITY;
  points.forEach((point, at) => {
    const here = Math.abs(point.x - x);
    if (here < distance) {
      best = at;
      distance = here;
    }
  });
  return best;
}

const round = (value: number) => Math.round(value * 100) / 100;
