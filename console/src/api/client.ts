/** The management API: one typed client, made from docs/openapi.json, and its problems as errors. */

import createClient, { type Middleware } from "openapi-fetch";
import { noteChange } from "./again";
import { noteDate } from "./clock";
import type { components, paths } from "./schema";
import { noteAnswer } from "./untold";
import { hasTime, isUnattended } from "./use";

export type Schemas = components["schemas"];
export type Session = Schemas["SessionSheet"];
/** A row of a list whose fields are chosen by the server, such as a CDR. */
export type Row = Record<string, unknown>;

/** An answer that is no success: RFC 9457 with the fields of docs/api.md. One of a proxy in front of the switch has no code. */
export class Problem extends Error {
  constructor(
    readonly status: number,
    readonly code: string,
    detail: string,
    readonly remedy: string,
    readonly field: string,
    /** Every mistake, where there are several. */
    readonly errors: readonly { field: string; detail: string }[] = [],
    /** Whether the message has warnings beside the mistakes: they have refused nothing. */
    readonly hasWarnings = false,
  ) {
    super(detail);
  }
}

/** What a problem says: its mistakes alone where its message has warnings beside them, for these have refused nothing. */
export const sentencesOf = ({ message, errors, hasWarnings }: Problem): readonly string[] =>
  hasWarnings && errors.length > 0 ? errors.map((each) => each.detail) : [message];

/** The remedy of a problem, where no sentence of it ends with the same words. */
export const remedyOf = (problem: Problem): string =>
  sentencesOf(problem).some((each) => each.endsWith(problem.remedy)) ? "" : problem.remedy;

/** No answer at all: the network, or the switch is away. */
export class Unreachable extends Error {}

/** An answer that has begun and does not come to its end: the session has ended, or the network or the switch is away. */
export class CutOff extends Error {}

/** A session that was opened, and whose cookie the browser does not send. */
export class NotKept extends Error {}

/** Errors of browsers where an answer ends before its time: a failure to fetch, or by HTTP/1.0 half of a document. */
const OF_CUT = [TypeError, SyntaxError];

/** Throw what kept an answer from being read whole: it was cut off, or has not come to its end in time. */
function failReading(failure: Error): never {
  if (isTimeout(failure)) throw new Unreachable(failure.message, { cause: failure });
  throw OF_CUT.some((kind) => failure instanceof kind) ? new CutOff(failure.message, { cause: failure }) : failure;
}

/** A file that was changed, moved or deleted after it was chosen: browsers send it no more. Its message is the name. */
export class FileChanged extends Error {}

/** A file as the content of a request; one that browsers do not send fails it as if the switch were away. */
export async function fileContent(file: File): Promise<File> {
  await file
    .slice(0, 1)
    .arrayBuffer()
    .catch((failure: Error) => {
      throw new FileChanged(file.name, { cause: failure });
    });
  return file;
}

/** Whether an answer has not come in time. */
export const isLate = (error: Error): boolean => [error, error.cause].some(isTimeout);
const isTimeout = (error: unknown) => error instanceof DOMException && error.name === "TimeoutError";

const HTTP_BAD_REQUEST = 400;
const HTTP_UNAUTHORIZED = 401;
const HTTP_FORBIDDEN = 403;
const CSRF = "csrf";
/** Refusals of a password, a code or a link that was entered: the session goes on. */
const OF_PROOFS: ReadonlySet<unknown> = new Set(["code_missing", "link_refused", "log_in_refused"]);
const CSRF_HEADER = "X-CSRF-Token";
const KEY_HEADER = "Idempotency-Key";

/** Keys of orders whose answer is that of before. */
const repeated = new Set<string>();

/** Tell, once, whether what was ordered with a key had been carried out when it was ordered before. */
export const wasRepeated = (key: string): boolean => repeated.delete(key);

const API = "/api/v1";
/** Longest time of an answer about the present state, which is not searched for: searches take their time. */
const STATE_MS = 10_000;
const OF_STATE = /^\/(status|calls|alarms|gateways\/quality|registrations|jobs\/\d+)$/;
/** How long an order may take that the switch carries out at once: it gives up before that. */
const ORDER_MS = 90_000;
/** Orders that are waited for however long they take. */
const SLOW = /^\/(backups|calls\/test|configuration\/reload|invoices\/\d+\/mail)(\/|$)/;
/** Paths below which a change of a proof gives the session another id. */
const PROOFS = `${API}/session/`;
let csrf = "";
/** The latest change of a proof: until its answer is there, what is read goes out with the id of before. */
let changing: Promise<unknown> = Promise.resolve();
/** After how long a session that is refused is looked for again: the answer with its new id may be on the way to another tab. */
const ON_THE_WAY_MS = 1_000;
/** The look for the session of before under way: all that was refused waits for one. */
let looking: Promise<boolean> | undefined;
let person: string | undefined;
/** Whether the person has asked for the end of the session: what is refused from then on is no surprise. */
let isEnding = false;
let ended: () => Promise<boolean> = async () => false;
let taken: (by: string) => void = () => {};

/**
 * Note the session with the token that changes send, and what to do when it is over or of another person. `whenEnded`
 * tells, perhaps much later, that the same person has logged in again.
 */
export function noteSession(
  session: Session | null,
  whenEnded: () => Promise<boolean>,
  whenTaken: (by: string) => void = () => {},
): void {
  csrf = session?.csrf ?? "";
  person = session?.name;
  isEnding = false;
  ended = whenEnded;
  taken = whenTaken;
}

/** Take the token of the session that the browser has by now, if it is one of the same person; tell whether it is. */
export async function renewed(): Promise<boolean> {
  if (!person) return false;
  const answer = await fetch(`${API}/session`, { credentials: "same-origin" });
  if (!answer.ok) return false;
  const session = (await answer.json()) as Session;
  // another log-in or log-out may have ended in this tab meanwhile
  if (session.name === person) csrf = session.csrf;
  else if (person) taken(session.name);
  return session.name === person;
}

/** Whether the browser has a session of the same person after all, now or a moment later. */
async function isStillOpen(): Promise<boolean> {
  const isOpen = () => renewed().catch(() => false);
  if (await isOpen()) return true;
  if (!person || isEnding) return false;
  await new Promise((resolve) => setTimeout(resolve, ON_THE_WAY_MS));
  return isOpen();
}

/**
 * Send a request. What is read waits for a new log-in where the session has ended; a change does not, for it would go out
 * later by itself. A log-in in another tab has replaced the token: the change is sent once more with the new one. So is
 * what is read and met the old id of a session whose proof changes, here or in another tab.
 */
export async function sent(request: Request): Promise<Response> {
  const again = request.method === "GET" ? null : request.clone();
  const limit = limitOf(request);
  const terms = () => (limit ? { signal: AbortSignal.timeout(limit) } : {});
  const answering = fetch(request, terms());
  if (again && new URL(request.url).pathname.startsWith(PROOFS)) changing = answering.catch(() => undefined);
  let answer = await answering;
  if (!again && answer.status === HTTP_UNAUTHORIZED && !request.url.endsWith(`${API}/session`)) {
    await changing;
    looking ??= isStillOpen().finally(() => (looking = undefined));
    if (await looking) answer = await fetch(request, terms());
  }
  if (
    answer.status === HTTP_UNAUTHORIZED &&
    !isEnding &&
    !request.url.endsWith(`${API}/session`) &&
    isOfSession(await codeOf(answer))
  ) {
    const isBack = ended();
    return !again && (await isBack) ? sent(request) : answer;
  }
  if (!again || answer.status !== HTTP_FORBIDDEN) return answer;
  if ((await codeOf(answer)) !== CSRF || !(await renewed())) return answer;
  again.headers.set(CSRF_HEADER, csrf);
  return fetch(again, terms());
}

/** How long the answer to a request may take; 0 = any time. What sends a file takes as long as that takes. */
function limitOf({ method, url, headers }: Request): number {
  const path = new URL(url).pathname.slice(API.length);
  if (method === "GET") return OF_STATE.test(path) ? STATE_MS : 0;
  const isFile = ![null, "application/json"].includes(headers.get("Content-Type"));
  return isFile || SLOW.test(path) ? 0 : ORDER_MS;
}

/** Whether the code of a refusal says that there is no session; a proxy that wants proof of its own has none. */
const isOfSession = (code: unknown): boolean => code !== undefined && !OF_PROOFS.has(code);

/** The code of a problem, whose content stays to be read. */
async function codeOf(answer: Response): Promise<unknown> {
  const { code }: Row = await answer
    .clone()
    .json()
    .catch(() => ({}));
  return code;
}

const listOf = (said: unknown) => (Array.isArray(said) ? said : []);

/** The mistakes of a problem, and whether it has warnings beside them. */
export const mistakesIn = ({ errors, warnings }: Row) => [listOf(errors), listOf(warnings).length > 0] as const;

/** Statuses by which a proxy says that the switch does not answer. */
const NO_SWITCH: ReadonlySet<number> = new Set([502, 503, 504]);

const manners: Middleware = {
  onRequest({ request }) {
    if (request.method !== "GET" && csrf) request.headers.set(CSRF_HEADER, csrf);
    // it may wait a second for an answer that all windows share
    if (request.method === "GET" && hasTime()) request.headers.set("Prefer", "wait=1");
    if (request.method === "GET" && isUnattended()) request.headers.set("X-Unattended", "true");
    if (repeatsOnly.has(request.headers.get(KEY_HEADER) ?? "")) request.headers.set("Idempotency-Repeat", "true");
    return request;
  },
  onError({ error }) {
    return new Unreachable(error instanceof Error ? error.message : String(error), { cause: error });
  },
  async onResponse({ request, response }) {
    noteDate(response.headers.get("Date"));
    // a page is no answer of the API: it is of a network that wants a log-in, or of a proxy that the switch does not answer
    const isPage = response.headers.get("Content-Type")?.startsWith("text/html");
    const isAway = response.status < HTTP_BAD_REQUEST || NO_SWITCH.has(response.status);
    if (isPage && isAway) throw new Unreachable(response.statusText);
    if (response.ok) {
      if (response.headers.has("Idempotent-Replayed")) repeated.add(request.headers.get(KEY_HEADER) ?? "");
      if (request.method !== "GET") noteChange(new URL(request.url).pathname);
      if (request.method !== "GET" && response.headers.get("Content-Type")?.startsWith("application/json"))
        noteAnswer(await response.clone().json());
      return undefined;
    }
    const said: Row = await response.json().catch(() => ({}));
    const text = (name: string) => (typeof said[name] === "string" ? (said[name] as string) : "");
    throw new Problem(
      response.status,
      text("code"),
      text("detail") || `${response.status} ${response.statusText}`.trim(),
      text("remedy"),
      text("field"),
      ...mistakesIn(said),
    );
  },
};

export const client = createClient<paths>({ baseUrl: API, credentials: "same-origin", fetch: sent });
client.use(manners);

/** The content of an answer; problems were thrown before. */
export async function content<T>(answer: Promise<{ data?: T }>): Promise<T> {
  const { data } = await answer.catch(failReading);
  return data as T;
}

/** End the session; it may have ended by itself. Without an answer, and where the switch refuses it, it goes on. */
export async function endSession(): Promise<void> {
  isEnding = true;
  try {
    await client.DELETE("/session");
  } catch (failure) {
    if (failure instanceof Problem && failure.status === HTTP_UNAUTHORIZED) return;
    isEnding = false;
    throw failure;
  }
}

/** Send a request whose path is data: objects of all kinds have the same operations. */
export async function send<T>(
  method: "get" | "post" | "put" | "patch" | "delete",
  path: string,
  { query = {}, ...init }: { query?: Query; body?: unknown; headers?: Record<string, string> } = {},
): Promise<T> {
  const asked = queryText(query);
  return content(
    client.request(method as "get", (asked ? `${path}?${asked}` : path) as "/balances", init as never),
  ) as unknown as Promise<T>;
}

/** The header that has a change refused where another version of the object is in force by now; version 0 is none. */
export function ifVersion(version: number | null | undefined): Record<string, string> | undefined {
  return version === null || version === undefined ? undefined : { "If-Match": `"${version}"` };
}

/** The header by which the server knows an order that it was given before. */
export const keyed = (key: string) => ({ [KEY_HEADER]: key });

/** The header that has a change refused where the database has the object by now. */
export const ifNone = { "If-None-Match": "*" };

/**
 * A refusal: another person has changed the object since the page read it, so nothing is changed or undone. Its message,
 * if any, says what there is, in the language of the console: names and memos of others in it stay as they are.
 */
export class ChangedSince extends Error {}

const HTTP_STALE = 412;

/** Whether a change was refused because another person has changed the same since. */
export const isStale = (error: Error | null): boolean =>
  error instanceof ChangedSince || (error instanceof Problem && error.status === HTTP_STALE);

/** Code of a problem after which what was ordered may have been carried out. */
export const OUTCOME_UNKNOWN = "outcome_unknown";
const UNKNOWN_KEY = "key_unknown";
/** Keys of requests that are sent as repeats alone. */
const repeatsOnly = new Set<string>();

/**
 * Carry a change out where `read` returns what was seen before: for what has no versions. `again` is the key of a change
 * that is ordered again because its answer was lost: it may be what has changed that, and its repeat does nothing more;
 * where it has not come, another person has.
 */
export async function unlessOther<Result>(
  seen: unknown,
  read: () => Promise<unknown>,
  act: () => Promise<Result>,
  again?: string,
): Promise<Result> {
  if (JSON.stringify(await read()) === JSON.stringify(seen)) return act();
  if (!again) throw new ChangedSince();
  repeatsOnly.add(again);
  try {
    return await act();
  } catch (failure) {
    throw failure instanceof Problem && failure.code === UNKNOWN_KEY ? new ChangedSince() : failure;
  } finally {
    repeatsOnly.delete(again);
  }
}

/**
 * What takes a change back, unless another person has changed the same since: for what has no versions. It is called
 * behind the change; `read` returns the state that the change has left, and whatever it is then. There is none where the
 * order was given `again`, as its answer was lost: another person may have changed what the first one had left.
 */
export async function unlessChanged<Result>(
  read: () => Promise<unknown>,
  undo: () => Promise<Result>,
  again?: string,
): Promise<(() => Promise<Result>) | undefined> {
  if (again) return undefined;
  const left = await read();
  return () => unlessOther(left, read, undo);
}

const HTTP_UNAVAILABLE = 503;
/** The most that the API gives at once. */
const PAGE_ROWS = 1_000;

/** What would happen to a call: now by the running switch, where it answers; at another moment by the configuration. */
export async function explained(asked: Row): Promise<Row & { isLive: boolean }> {
  const explain = (body: Row) => send<Row>("post", "/routes/explain", { body });
  if (asked.at) return { ...(await explain(asked)), isLive: false };
  try {
    return { ...(await explain({ ...asked, live: true })), isLive: true };
  } catch (failure) {
    if (!(failure instanceof Problem && failure.status === HTTP_UNAVAILABLE)) throw failure;
    return { ...(await explain(asked)), isLive: false };
  }
}

/** One page of a list, whatever its rows are. */
export interface Page {
  items: Row[];
  next: string | null;
}

export type Query = Record<string, string | number | boolean | undefined>;

/** Values as a field of a query that takes several: a comma of a value is escaped. */
export const listText = (values: readonly string[]): string =>
  values.map((value) => value.replace(/[\\,]/g, "\\$&")).join(",");

/** A query as it stands in an address; what is not said is left out. */
export function queryText(query: Query): string {
  const known = Object.entries(query).filter(([, value]) => value !== undefined && value !== "");
  return new URLSearchParams(known.map(([name, value]) => [name, String(value)])).toString();
}

/** Read a page of a list that the caller names by its path: lists are one screen, so the path is data here. */
export async function pageOf(path: string, query: Query): Promise<Page> {
  return content(client.GET(`${path}?${queryText(query)}` as "/balances", {})) as unknown as Promise<Page>;
}

/** All rows of a list, page by page. */
export async function allOf(path: string, query: Query = {}): Promise<Row[]> {
  const rows: Row[] = [];
  let cursor: string | null = "";
  while (cursor !== null) {
    const page: Page = await pageOf(path, { ...query, limit: PAGE_ROWS, cursor: cursor || undefined });
    rows.push(...page.items);
    cursor = page.next;
  }
  return rows;
}

/** CSV whose cells no spreadsheet takes for formulas: names in sheets are chosen by others. */
export function neutralised(csv: string): string {
  return csv.replace(/(^|[,;\t\r\n])("?)(?=[\s']*[=+\-@])(?!"?-?\d+(\.\d+)?"?([,;\r\n]|$))/g, "$1$2'");
}

/** Have the browser download a list or a report in another form than JSON; nothing once `signal` ends it. */
export async function download(
  path: string,
  accept: string,
  name: string,
  signal: AbortSignal,
  mend?: (text: string) => string,
): Promise<void> {
  const reading = client.GET(path as "/balances", { headers: { Accept: accept }, parseAs: "blob", signal });
  const answer = await reading.catch((failure: Error) => {
    if (!signal.aborted) failReading(failure);
  });
  if (!answer) return;
  const file = answer.data as unknown as Blob;
  const link = document.createElement("a");
  link.href = URL.createObjectURL(mend ? new Blob([mend(await file.text())], { type: file.type }) : file);
  link.download = name;
  link.click();
  URL.revokeObjectURL(link.href);
}

const LINE_END = "\n";

/** Read rows as the server sends them, one a line, until it or the caller ends it; `begun` is called before the first. */
export async function stream(
  path: string,
  signal: AbortSignal,
  begun: () => void,
  take: (row: Row) => void,
): Promise<void> {
  try {
    const asked = client.GET(path as "/balances", {
      headers: { Accept: "application/x-ndjson" },
      parseAs: "stream",
      signal,
    });
    const answer = await asked.catch(failReading);
    begun();
    const reader = (answer.data as unknown as ReadableStream<Uint8Array>).getReader();
    const read = () => reader.read().catch(failReading);
    const decoder = new TextDecoder();
    let rest = "";
    for (let part = await read(); !part.done; part = await read()) {
      const lines = (rest + decoder.decode(part.value, { stream: true })).split(LINE_END);
      rest = lines.pop() ?? "";
      for (const line of lines) if (line) take(JSON.parse(line) as Row);
    }
  } catch (failure) {
    if (!signal.aborted) throw failure;
  }
}
