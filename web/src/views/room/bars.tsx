import styles from "./bars.module.css";

/** Four bars, `of` of them full. Decoration: what it means stands beside it or in a name. */
export function Bars({ of }: { of: number }) {
  return (
    <span class={styles.bars} aria-hidden="true">
      {[1, 2, 3, 4].map((bar) => (
        <i key={bar} data-full={bar <= of || undefined} />
      ))}
    </span>
  );
}
