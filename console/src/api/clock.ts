/** The clock of the switch: that of the browser may be an hour off, and with it how long calls last and what they cost. */

/** By how much the clocks may seem to differ: dates of answers have whole seconds, and a server that was busy is late. */
const DIFFER_MS = 30_000;
/** Milliseconds by which the browser's clock is ahead. */
let ahead = 0;

/** Note the date of an answer that has just come; one that differs little from those before changes nothing. */
export function noteDate(date: string | null): void {
  const found = Date.now() - Date.parse(date ?? "");
  if (Math.abs(found - ahead) > DIFFER_MS) ahead = Math.abs(found) > DIFFER_MS ? found : 0;
}

/** The present moment by the clock of the switch, in milliseconds since 1970. */
export const present = (): number => Date.now() - ahead;
