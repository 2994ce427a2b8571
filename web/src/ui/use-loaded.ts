// Asking the API from a view: what came, what went wrong, and again.
import { type Signal, useSignal } from "@preact/signals";
import { useEffect } from "preact/hooks";

export interface Loaded<T> {
  value: Signal<T | undefined>;
  error: Signal<unknown>;
  /** Asks again; what is shown stays until the answer is there. */
  again: () => Promise<void>;
}

/** Calls `load` at the start and whenever `inputs` change; an answer that another question overtook is dropped. */
export function useLoaded<T>(load: () => Promise<T>, inputs: readonly unknown[]): Loaded<T> {
  const value = useSignal<T | undefined>(undefined);
  const error = useSignal<unknown>(null);
  const turn = useSignal(0);
  const again = async () => {
    const mine = ++turn.value;
    try {
      const answer = await load();
      if (mine !== turn.peek()) return;
      value.value = answer;
      error.value = null;
    } catch (problem) {
      if (mine === turn.peek()) error.value = problem;
    }
  };
  useEffect(() => {
    value.value = undefined;
    void again();
    return () => {
      turn.value++;
    };
  }, inputs);
  return { value, error, again };
}
