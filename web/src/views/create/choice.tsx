import styles from "./create.module.css";

interface Props<T extends string> {
  legend: string;
  name: string;
  value: T;
  /** Value, what it is called, what it means. */
  options: readonly (readonly [T, string, string?])[];
  onChange: (value: T) => void;
}

/** One of a few, each with a word about it: radio buttons as cards. */
export function Choice<T extends string>({ legend, name, value, options, onChange }: Props<T>) {
  return (
    <fieldset class={styles.choice}>
      <legend>{legend}</legend>
      {options.map(([key, label, hint]) => (
        <label key={key} class={styles.option}>
          <input type="radio" name={name} value={key} checked={key === value} onChange={() => onChange(key)} />
          <span>
            <span class={styles.optionName}>{label}</span>
            {hint && <span class={styles.optionHint}>{hint}</span>}
          </span>
        </label>
      ))}
    </fieldset>
  );
}
