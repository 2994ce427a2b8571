// What the server's reasons mean, in plain words. The codes are the policy's; `retry` says whether waiting may help.

const REASONS = {
  "auth.token_missing": ["This Space is not open to everybody: you need an invitation.", false],
  "auth.token_invalid": ["This link is not valid.", false],
  "auth.token_expired": ["This link has expired. Open the Space again.", false],
  "auth.session_revoked": ["You were signed out.", false],
  "auth.origin": ["This page may not connect to that server.", false],
  "space.not_found": ["There is no such Space.", false],
  "state.scheduled": ["This Space has not started yet.", true],
  "state.ended": ["This Space has ended. Thank you for listening.", false],
  "participant.removed": ["You were removed from this Space.", false],
  "participant.blocked_by_host": ["You cannot join this Space.", false],
  "ticket.required": ["This Space needs a ticket.", false],
  "role.forbidden": ["You have no seat on this stage.", false],
  "session.superseded": ["This Space was opened in another window with the same link.", false],
  "rate.limited": ["The server is busy.", true],
  "node.capacity": ["This Space is full at the moment.", true],
};

/** `{text, retry}` for a close's reason, as the server sent it. */
export function explain(reason) {
  const [text, retry] = REASONS[reason] ?? [reason ? `The server closed the connection: ${reason}.` : "The connection was lost.", true];
  return { text, retry };
}
