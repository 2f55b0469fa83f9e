/** Whether a person uses the page: what a page that is left alone reads by itself keeps no session alive. */

/** Signs of a person. */
const SIGNS = ["pointerdown", "pointermove", "keydown", "wheel"];
/** A page without such a sign for so long is left alone. */
const USED_MS = 60_000;
/** So long after the last sign of a person, answers to the page have time. */
const WAITED_MS = 5_000;
let usedAt = Date.now();
let isOnWall = false;

for (const sign of SIGNS) globalThis.addEventListener?.(sign, noteUse, { capture: true, passive: true });

/** Note that a person uses the page. */
export function noteUse(): void {
  usedAt = Date.now();
}

/** Note whether the page is for a screen on the wall: it is looked at without being touched. */
export function noteWall(isWall: boolean): void {
  isOnWall = isWall;
}

/** Tell whether no one waits for what the page reads. */
export const hasTime = (): boolean => Date.now() - usedAt > WAITED_MS;

/** Tell whether the page is left alone. */
export const isUnattended = (): boolean => !isOnWall && Date.now() - usedAt > USED_MS;
