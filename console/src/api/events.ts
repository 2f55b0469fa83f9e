/** Live events of the switch: one stream for the whole page, shared by all that listen. */

import type { Row } from "./client";

export interface LiveEvent {
  id: string;
  type: string;
  at: string;
  data: Row;
}

type Listener = (event: LiveEvent) => void;

const TYPES = [
  "call.trying",
  "call.ringing",
  "call.answered",
  "call.ended",
  "gateway.down",
  "gateway.up",
  "gateway.resting",
  "gateway.well",
  "gateway.full",
  "gateway.free",
  "alarm.raised",
  "alarm.cleared",
  "balance.low",
  "balance.recovered",
  "balance.changed",
  "override.set",
  "override.ended",
  "definitions.changed",
  "job.begun",
  "job.done",
  "job.failed",
  "job.cancelled",
  "stream.gap",
  "stream.switch_away",
  "stream.switch_back",
];
const LINGER_MS = 2_000;
const AGAIN_MS = 3_000;

const listeners = new Set<Listener>();
let stream: EventSource | null = null;
let closing: ReturnType<typeof setTimeout> | undefined;
let again: ReturnType<typeof setTimeout> | undefined;

/** Hear events until the returned function is called; the stream ends soon after the last has gone. */
export function listen(listener: Listener): () => void {
  clearTimeout(closing);
  listeners.add(listener);
  stream ??= opened();
  return () => {
    listeners.delete(listener);
    if (listeners.size > 0) return;
    closing = setTimeout(() => {
      clearTimeout(again);
      stream?.close();
      stream = null;
    }, LINGER_MS);
  };
}

function opened(): EventSource {
  const source = new EventSource("/api/v1/events");
  for (const type of TYPES) {
    source.addEventListener(type, (message) => {
      const event = JSON.parse((message as MessageEvent<string>).data) as LiveEvent;
      for (const listener of listeners) listener(event);
    });
  }
  // browsers ask again where the connection breaks, and give up where the answer is a refusal, such as "come later"
  source.addEventListener("error", () => {
    note("stream.lost");
    if (source.readyState !== EventSource.CLOSED || stream !== source) return;
    again = setTimeout(() => {
      stream = opened();
    }, AGAIN_MS);
  });
  // what happened before the stream is in no event
  source.addEventListener("open", () => note("stream.begun"));
  return source;
}

/** Say how the stream itself stands, which is in no event of the switch. */
function note(type: string): void {
  for (const listener of listeners) listener({ id: "", type, at: "", data: {} });
}
