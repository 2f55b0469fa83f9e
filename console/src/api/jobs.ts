/** Long work: it is ordered, looked at until it has ended, and its result is read. */

import { client, content, mistakesIn, OUTCOME_UNKNOWN, Problem, type Row, type Schemas } from "./client";
import { noteAnswer } from "./untold";

export type Job = Schemas["JobSheet"];

/** The end of a job that did not succeed, with what the request would have got. */
export class JobFailed extends Problem {}

/** How long it waits before it looks at a job: at first, and at most where that takes long. */
const LOOKED_MS = 300;
const LOOKED_MAX_MS = 2_000;
/** By how much longer it waits each time. */
const SLOWER = 1.25;
/** Most times that one question about a job is asked: a proxy, a network or a database may be away for a moment. */
const ASKED_MAX = 15;
const HTTP_TOO_MANY = 429;
const HTTP_FAILED = 500;
const OVER = new Set(["cancelled", "done", "failed"]);

const later = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));

/** Whether what has failed may be answered a moment later. */
const isPassing = (failure: unknown): boolean =>
  !(failure instanceof Problem) || failure.status === HTTP_TOO_MANY || failure.status >= HTTP_FAILED;

/** Ask about a job, which goes on meanwhile: the refusal of a question says nothing of what was ordered. */
async function answered<Answer>(ask: () => Promise<Answer>): Promise<Answer> {
  for (let times = 1; ; times += 1) {
    try {
      return await ask();
    } catch (failure) {
      if (isPassing(failure) && times < ASKED_MAX) await later(LOOKED_MAX_MS);
      else throw failure instanceof Problem ? unknownBy(failure) : failure;
    }
  }
}

const unknownBy = ({ status, message }: Problem) => new Problem(status, OUTCOME_UNKNOWN, message, "", "");

/** Wait until a job is over; one that did not succeed is a problem. It is cancelled once `signal` says so. */
export async function endOf(begun: Job, note?: (progress: number) => void, signal?: AbortSignal): Promise<Job> {
  const params = { path: { id: begun.id } };
  // also by a page that is being closed; who waits sees what has become of it
  const cancel = () => void client.DELETE("/jobs/{id}", { params, keepalive: true }).catch(() => {});
  signal?.addEventListener("abort", cancel);
  if (signal?.aborted) cancel();
  try {
    return await whenOver(begun, note);
  } finally {
    signal?.removeEventListener("abort", cancel);
  }
}

async function whenOver(begun: Job, note: (progress: number) => void = () => {}): Promise<Job> {
  let job = begun;
  const params = { path: { id: begun.id } };
  let wait = LOOKED_MS;
  while (!OVER.has(job.state)) {
    note(job.progress);
    await later(wait);
    wait = Math.min(SLOWER * wait, LOOKED_MAX_MS);
    job = await answered(() => content(client.GET("/jobs/{id}", { params })));
  }
  if (job.state !== "done") {
    const why = (job.problem ?? {}) as Row;
    const text = (name: string) => String(why[name] ?? "");
    throw new JobFailed(
      Number(why.status ?? 0),
      text("code"),
      text("detail") || job.state,
      text("remedy"),
      text("field"),
      ...mistakesIn(why),
    );
  }
  return job;
}

/** Wait for a job, and read its result, which is the answer to what it has changed. */
export async function resultOf(begun: Job, note?: (progress: number) => void, signal?: AbortSignal): Promise<Row> {
  const { id } = await endOf(begun, note, signal);
  const params = { path: { id } };
  const result = (await answered(() => content(client.GET("/jobs/{id}/result", { params })))) as Row;
  noteAnswer(result);
  return result;
}
