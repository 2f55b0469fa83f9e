/** Whether the running switch has taken the last change. Each answer to a change passes here, whatever page asked. */

import { useSyncExternalStore } from "react";
import type { components } from "./schema";

type Schemas = components["schemas"];

let why = "";
const followers = new Set<() => void>();

/** Note why the switch has not taken a change yet; empty = it has, or the words are not to be shown any more. */
export function setUntold(reason: string): void {
  why = reason;
  for (const follower of followers) follower();
}

/** Note what the answer to a change says of it. */
export function noteAnswer(answer: unknown): void {
  const reason = untoldOf(answer);
  if (reason !== undefined) setUntold(reason);
}

/** Why the switch has not taken a change or a booking yet; empty = it has. Trials and other answers do not say it. */
export function untoldOf(answer: unknown): string | undefined {
  const { untold, receipts = [], dry_run } = (answer ?? {}) as Partial<Schemas["ChangeSheet"] & Schemas["Booked"]>;
  const reasons = [untold, ...receipts.map((each) => each.untold)];
  return dry_run ? undefined : (reasons.find(Boolean) ?? reasons.find((each) => each !== undefined));
}

/** Why the switch has not taken the last change yet; empty = it has. */
export const useUntold = (): string => useSyncExternalStore(follow, () => why);

function follow(follower: () => void): () => void {
  followers.add(follower);
  return () => followers.delete(follower);
}
