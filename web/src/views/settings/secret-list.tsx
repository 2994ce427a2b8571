import { useSignal } from "@preact/signals";
import { Plus } from "lucide";
import type { ComponentChildren, Key } from "preact";
import { Button } from "@/ui/button";
import { Failed, Loading } from "@/ui/states";
import { useLoaded } from "@/ui/use-loaded";
import { SecretDialog } from "./secret";
import { Section } from "./section";
import styles from "./settings.module.css";

/** What a row's actions need: to show a secret that is told once, and to read the list anew. */
export interface Hands {
  tell(secret: string | null): void;
  again(): Promise<void>;
}

/** What the dialog that makes another one needs. */
export interface Making {
  open: boolean;
  onClose: () => void;
  onMade: (secret: string | null) => void;
}

interface Props<T> {
  title: string;
  lead: string;
  load: () => Promise<{ data: T[] }>;
  keyOf: (one: T) => Key;
  row: (one: T) => ComponentChildren;
  actions: (one: T, hands: Hands) => ComponentChildren;
  /** The button that makes another one; `beside` stands next to it. */
  newLabel: string;
  beside?: ComponentChildren;
  dialog: (making: Making) => ComponentChildren;
}

/** Things that have a secret each: apps, keys, webhooks. */
export function SecretList<T>({ title, lead, load, keyOf, row, actions, newLabel, beside, dialog }: Props<T>) {
  const { value, error, again } = useLoaded(load, []);
  const making = useSignal(false);
  const secret = useSignal<string | null>(null);
  if (error.value !== null) return <Failed error={error.value} onRetry={again} />;
  const tell = (told: string | null) => {
    secret.value = told;
  };
  return (
    <Section title={title} lead={lead}>
      {!value.value ? (
        <Loading />
      ) : (
        <ul class={styles.lines}>
          {value.value.data.map((one) => (
            <li key={keyOf(one)}>
              <div class="grow">{row(one)}</div>
              {actions(one, { tell, again })}
            </li>
          ))}
        </ul>
      )}
      <div class="row">
        <Button icon={Plus} onClick={() => (making.value = true)}>
          {newLabel}
        </Button>
        {beside}
      </div>
      {dialog({
        open: making.value,
        onClose: () => (making.value = false),
        onMade: (made) => {
          making.value = false;
          tell(made);
          void again();
        },
      })}
      <SecretDialog secret={secret.value} onClose={() => tell(null)} />
    </Section>
  );
}
