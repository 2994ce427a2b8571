import { useSignal } from "@preact/signals";
import { useEffect, useId, useRef } from "preact/hooks";
import type { Schema } from "@/api/client";
import { language, number, t } from "@/i18n";
import styles from "./analytics.module.css";
import { areaPath, linePath, nearest, niceTop, placesOf, ticks } from "./scale";

const HEIGHT = 240;
const EDGE = { left: 44, right: 12, top: 12, bottom: 28 };
const INNER_HEIGHT = HEIGHT - EDGE.top - EDGE.bottom;

type Moment = Schema<"MomentView">;
export const peopleIn = (moment: Moment) => moment.named + moment.anonymous + moment.guests;

const timeOf = (at: string) => new Intl.DateTimeFormat(language.value, { timeStyle: "short" }).format(new Date(at));

/** People over time. The numbers are in the table beside it, so the drawing itself is skipped by screen readers. */
export function Chart({ moments }: { moments: readonly Moment[] }) {
  const shown = useSignal(-1);
  const figure = useRef<HTMLElement>(null);
  const width = useSignal(720);
  useEffect(() => {
    // Drawn in real pixels, so that the text keeps its size on a phone.
    const watch = new ResizeObserver(([entry]) => {
      if (entry) width.value = Math.max(200, entry.contentRect.width);
    });
    if (figure.current) watch.observe(figure.current);
    return () => watch.disconnect();
  }, []);
  const inner = width.value - EDGE.left - EDGE.right;
  const gradient = useId();
  const top = niceTop(Math.max(0, ...moments.map(peopleIn)));
  const points = placesOf(
    moments.map((one) => ({ at: new Date(one.at).getTime(), value: peopleIn(one) })),
    top,
    inner,
    INNER_HEIGHT,
  );
  const at = shown.value < moments.length ? shown.value : -1;
  const [point, moment] = [points[at], moments[at]];
  const move = (event: PointerEvent) => {
    const box = (event.currentTarget as SVGElement).getBoundingClientRect();
    shown.value = nearest(points, event.clientX - box.left - EDGE.left);
  };
  const first = moments[0];
  const last = moments.at(-1);
  return (
    <figure class={styles.figure} ref={figure}>
      <svg
        viewBox={`0 0 ${width.value} ${HEIGHT}`}
        class={styles.chart}
        aria-hidden="true"
        onPointerMove={move}
        onPointerLeave={() => {
          shown.value = -1;
        }}
      >
        <defs>
          <linearGradient id={gradient} x1="0" y1="0" x2="0" y2="1">
            <stop offset="0" class={styles.from} />
            <stop offset="1" class={styles.to} />
          </linearGradient>
        </defs>
        <g transform={`translate(${EDGE.left} ${EDGE.top})`}>
          {ticks(top).map((tick) => {
            const y = INNER_HEIGHT - (tick / top) * INNER_HEIGHT;
            return (
              <g key={tick}>
                <line class={styles.grid} x1={0} x2={inner} y1={y} y2={y} />
                <text class={styles.tick} x={-8} y={y + 4} text-anchor="end">
                  {number(tick)}
                </text>
              </g>
            );
          })}
          <path d={areaPath(points, INNER_HEIGHT)} fill={`url(#${gradient})`} />
          <path d={linePath(points)} class={styles.line} />
          {points.length === 1 && points[0] && <circle class={styles.dot} cx={points[0].x} cy={points[0].y} r={4} />}
          {first && (
            <text class={styles.tick} x={0} y={INNER_HEIGHT + 20}>
              {timeOf(first.at)}
            </text>
          )}
          {last && moments.length > 1 && (
            <text class={styles.tick} x={inner} y={INNER_HEIGHT + 20} text-anchor="end">
              {timeOf(last.at)}
            </text>
          )}
          {point && (
            <>
              <line class={styles.cursor} x1={point.x} x2={point.x} y1={0} y2={INNER_HEIGHT} />
              <circle class={styles.dot} cx={point.x} cy={point.y} r={4} />
            </>
          )}
        </g>
      </svg>
      <figcaption class={styles.caption}>
        {moment
          ? t("admin.atMoment", { time: timeOf(moment.at), count: peopleIn(moment) })
          : t("admin.listenersOverTime")}
      </figcaption>
    </figure>
  );
}
