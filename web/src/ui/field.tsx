import type { Signal } from "@preact/signals";
import type { ComponentChildren } from "preact";
import { useId } from "preact/hooks";
import styles from "./field.module.css";

interface Around {
  label: string;
  hint?: string;
  error?: string | null;
}

interface Text {
  value: string;
  /** Each change, as it is typed. */
  onValue: (value: string) => void;
  name?: string;
  required?: boolean;
  maxLength?: number;
  placeholder?: string;
  autoComplete?: string;
  disabled?: boolean;
}

/** For a field whose text is kept in a signal: `<Field label=… {...kept(text)} />`. */
export const kept = (text: Signal<string>) => ({
  value: text.value,
  onValue: (value: string) => {
    text.value = value;
  },
});

/** A labelled line of text. */
export function Field({
  label,
  hint,
  error,
  onValue,
  type = "text",
  ...rest
}: Around &
  Text & {
    type?: "text" | "search" | "password" | "email" | "url" | "number" | "datetime-local";
    min?: string;
    max?: string;
  }) {
  const id = useId();
  return (
    <Labelled id={id} label={label} hint={hint} error={error}>
      <input
        {...rest}
        // The types of `type` are a union of elements; ours are all plain lines of text.
        type={type as "text"}
        onInput={(event) => onValue(event.currentTarget.value)}
        id={id}
        class={styles.control}
        aria-invalid={error ? true : undefined}
        aria-describedby={`${id}-hint`}
      />
    </Labelled>
  );
}

/** A labelled text of several lines. */
export function TextArea({ label, hint, error, onValue, ...rest }: Around & Text & { rows?: number }) {
  const id = useId();
  return (
    <Labelled id={id} label={label} hint={hint} error={error}>
      <textarea
        rows={3}
        {...rest}
        onInput={(event) => onValue(event.currentTarget.value)}
        id={id}
        class={styles.control}
        aria-invalid={error ? true : undefined}
        aria-describedby={`${id}-hint`}
      />
    </Labelled>
  );
}

/** A labelled choice of one. */
export function Select<T extends string>({
  label,
  hint,
  error,
  value,
  options,
  disabled,
  onChange,
}: Around & {
  value: T;
  options: readonly (readonly [T, string])[];
  disabled?: boolean;
  onChange: (value: T) => void;
}) {
  const id = useId();
  return (
    <Labelled id={id} label={label} hint={hint} error={error}>
      <select
        id={id}
        class={styles.control}
        value={value}
        disabled={disabled}
        aria-invalid={error ? true : undefined}
        onChange={(event) => onChange(event.currentTarget.value as T)}
        aria-describedby={`${id}-hint`}
      >
        {options.map(([key, text]) => (
          <option key={key} value={key}>
            {text}
          </option>
        ))}
      </select>
    </Labelled>
  );
}

function Labelled({ id, label, hint, error, children }: Around & { id: string; children: ComponentChildren }) {
  return (
    <div class={styles.field}>
      <label for={id}>{label}</label>
      {children}
      <p id={`${id}-hint`} class={error ? styles.error : styles.hint}>
        {error ?? hint}
      </p>
    </div>
  );
}

/** Something that is on or off, and takes effect at once. */
export function Switch({
  label,
  hint,
  checked,
  disabled,
  onChange,
}: {
  label: string;
  hint?: string;
  checked: boolean;
  disabled?: boolean;
  onChange: (checked: boolean) => unknown;
}) {
  const id = useId();
  return (
    <div class={styles.switchRow}>
      <label for={id} class="grow">
        {label}
        {hint && <span class={styles.hint}>{hint}</span>}
      </label>
      <button
        type="button"
        id={id}
        role="switch"
        aria-checked={checked}
        disabled={disabled}
        class={styles.switch}
        onClick={() => onChange(!checked)}
      >
        <span />
      </button>
    </div>
  );
}
