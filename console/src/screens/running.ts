/** Running calls: read as a whole, then kept by live events. */

import { allOf, pageOf, type Row } from "../api/client";
import { type LiveEvent, listen } from "../api/events";

const DRAWN_MS = 500;
/** After how long a reading that has failed is repeated. */
const AGAIN_MS = 5_000;
/** After how long without an event the calls are read again: none has come, or what stands between keeps them back. */
export const SILENT_MS = 15_000;
const READ_AGAIN = new Set(["stream.begun", "stream.gap", "stream.switch_away", "stream.switch_back"]);
const STATES: Record<string, string> = {
  "call.trying": "trying",
  "call.ringing": "ringing",
  "call.answered": "talking",
};

type Happened = Pick<LiveEvent, "type" | "data">;

/** Change the calls by an event, in place: there are thousands of them, many a second. */
export function take(calls: Map<string, Row>, { type, data }: Happened): void {
  const id = String(data.call_id ?? "");
  if (type === "call.ended") calls.delete(id);
  const state = STATES[type];
  if (!state) return;
  // GET /calls has the billed number as the callee; while there is none, the received one is shown
  calls.set(id, { ...data, state, caller: data.caller_in, callee: data.callee_billing ?? data.callee_in });
}

/**
 * Follow the running calls until the returned function is called.
 *
 * `draw` gets them twice a second where they have changed; `note` gets why they could not be read, and null once they
 * were. There is one reading at a time: what asks for another one meanwhile gets it behind that. Without `isLive`, for a
 * person who may not see events, they are read again and again instead.
 */
export function follow(
  draw: (rows: readonly Row[]) => void,
  note: (error: Error | null) => void,
  isLive: boolean,
): () => void {
  let calls: Map<string, Row> | null = null;
  /** Events while a reading is under way, which may or may not have what they say. */
  let meanwhile: Happened[] | null = null;
  let isDue = false;
  let isChanged = false;
  let isGone = false;
  let again: ReturnType<typeof setTimeout> | undefined;
  const failed = (failure: Error) => {
    if (isGone) return;
    note(failure);
    clearTimeout(again);
    again = setTimeout(read, AGAIN_MS);
  };
  const read = async () => {
    clearTimeout(again);
    again = undefined;
    isDue = meanwhile !== null;
    if (isDue) return;
    const events: Happened[] = [];
    meanwhile = events;
    try {
      const found = new Map((await allOf("/calls")).map((row) => [String(row.call_id), row]));
      for (const event of events) take(found, event);
      calls = found;
      isChanged = true;
      if (!isGone) note(null);
    } catch (failure) {
      failed(failure as Error);
    }
    meanwhile = null;
    if (isDue && !isGone) void read();
  };
  const look = () => void pageOf("/calls", { limit: 1 }).catch(failed);
  const readUnlessUnderWay = () => void (meanwhile ?? read());
  let silence = setInterval(readUnlessUnderWay, SILENT_MS);
  const happened = (event: LiveEvent) => {
    clearInterval(silence);
    silence = setInterval(readUnlessUnderWay, SILENT_MS);
    if (READ_AGAIN.has(event.type)) void read();
    // a stream that is refused is lost every few seconds, and one row says whether the switch is there
    if (event.type === "stream.lost") {
      look();
      if (!meanwhile) again ??= setTimeout(read, SILENT_MS);
    }
    if (calls) take(calls, event);
    meanwhile?.push(event);
    isChanged = true;
  };
  const stop = isLive ? listen(happened) : null;
  const drawing = setInterval(() => {
    if (!isChanged || !calls) return;
    isChanged = false;
    draw([...calls.values()]);
  }, DRAWN_MS);
  void read();
  return () => {
    isGone = true;
    clearTimeout(again);
    clearInterval(drawing);
    clearInterval(silence);
    stop?.();
  };
}
