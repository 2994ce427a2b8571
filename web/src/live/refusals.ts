// What the server's reasons mean for who wants to connect: wait and try again, ask for a new admission, or give up.

export type Remedy = "retry" | "admission" | "none";

const REMEDIES: Record<string, Remedy> = {
  "auth.token_expired": "admission",
  "auth.token_invalid": "admission",
  "state.scheduled": "retry",
  "state.lobby": "retry",
  "rate.limited": "retry",
  "node.capacity": "retry",
  "node.timeout": "retry",
  "stream.slow": "retry",
  "engine.unavailable": "retry",
  "store.unavailable": "retry",
  "graph.unavailable": "retry",
  "network.unreachable": "retry",
  internal: "retry",
};

/** For one of our codes, as a close's reason or a refusal of the API has it; what is no code is an accident. */
export function remedyFor(code: string): Remedy {
  if (!/^[a-z]+\.[a-z_]+$/.test(code) && code !== "internal") return "retry";
  return REMEDIES[code] ?? "none";
}
