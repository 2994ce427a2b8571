// Times and numbers of a replay in words.

/** `1:02:03`, `4:05`. */
export function clock(seconds) {
  const whole = Math.max(0, Math.floor(seconds));
  const pad = (number) => String(number).padStart(2, "0");
  const [hours, minutes] = [Math.floor(whole / 3_600), Math.floor(whole / 60) % 60];
  return hours ? `${hours}:${pad(minutes)}:${pad(whole % 60)}` : `${minutes}:${pad(whole % 60)}`;
}

/** When it was, how many came, how often it was played. */
export function describe({ started, attendance, plays }) {
  const parts = ["Replay", new Date(started).toLocaleDateString(undefined, { dateStyle: "medium" })];
  if (attendance) parts.push(`${attendance} came`);
  if (plays) parts.push(plays === 1 ? "played once" : `played ${plays} times`);
  return parts.join(" · ");
}
