// The forms around having an account: a card in the middle, one refusal at a time, one button.
import { useSignal } from "@preact/signals";
import type { ComponentChildren } from "preact";
import { useRef } from "preact/hooks";
import { ApiError } from "@/api/client";
import { PageHead } from "@/parts/page-head";
import { Button } from "@/ui/button";
import { explain } from "@/ui/errors";
import styles from "./account.module.css";

export const AccountCard = ({
  title,
  lead,
  children,
}: {
  title: string;
  lead?: string;
  children: ComponentChildren;
}) => (
  <section class={`card ${styles.box}`}>
    <PageHead title={title} lead={lead} />
    {children}
  </section>
);

/** A form whose refusal is shown above its button and read out. `onSend` throws what is shown. */
export function AccountForm({
  label,
  send,
  onSend,
  children,
}: {
  label: string;
  send: string;
  onSend: () => Promise<unknown>;
  children: ComponentChildren;
}) {
  const refused = useSignal<unknown>(null);
  const form = useRef<HTMLFormElement>(null);
  // Enter in a field clicks the button too.
  const submit = async (event: Event) => {
    event.preventDefault();
    if (form.current && !form.current.reportValidity()) return;
    refused.value = null;
    try {
      await onSend();
    } catch (error) {
      refused.value = error;
    }
  };
  return (
    <form ref={form} class={styles.form} aria-label={label}>
      {children}
      {refused.value !== null && (
        <p class={styles.error} role="alert">
          {words(refused.value)}
        </p>
      )}
      <Button kind="primary" type="submit" onClick={submit}>
        {send}
      </Button>
    </form>
  );
}

/** The refusal, and what is wrong with which field. */
function words(error: unknown): string {
  const fields = error instanceof ApiError ? error.fields.map((field) => field.detail) : [];
  return [explain(error), ...fields].join(" ");
}

/** Where to go after signing in: a path of ours, from `?next=`. */
export function nextPath(query: Record<string, string>): string {
  const wanted = query.next ?? "/";
  return wanted.startsWith("/") && !wanted.startsWith("//") && !wanted.includes("\\") ? wanted : "/";
}
