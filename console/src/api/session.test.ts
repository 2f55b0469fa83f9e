import { beforeEach, expect, it, vi } from "vitest";
import { client, endSession, isLate, noteSession, Problem, type Session, sent } from "./client";

const OLD = "old";
const NEW = "new";
const session = (name: string, csrf: string) => ({ name, csrf }) as Session;
const ended = vi.fn(async () => false);
const taken = vi.fn();
/** The requests that change something, as token and body. */
let changes: [string | null, string][];

/** A switch whose only session is one of `name` with the new token. */
function switchOf(name: string, code = "csrf"): void {
  vi.stubGlobal("fetch", async (asked: Request | string) => {
    if (!(asked instanceof Request)) return Response.json(session(name, NEW));
    const token = asked.headers.get("X-CSRF-Token");
    changes.push([token, await asked.text()]);
    return token === NEW ? Response.json({}) : Response.json({ code }, { status: 403 });
  });
}

const problemOf = ({ ok, status }: Response) => {
  if (!ok) throw new Problem(status, "", "", "", "");
  return {};
};

const change = () =>
  sent(
    new Request("https://switch.example/api/v1/jobs", { method: "POST", body: "{}", headers: { "X-CSRF-Token": OLD } }),
  );

const noSession = () => Response.json({ code: "unauthorized" }, { status: 401 });

const timer = globalThis.setTimeout;

beforeEach(() => {
  changes = [];
  vi.stubGlobal("setTimeout", (act: () => void, ms = 0) => timer(act, ms / 100)); // a moment is none here
  vi.clearAllMocks();
  noteSession(session("ann", OLD), ended, taken);
});

it("sends a change once more where the same person has logged in again", async () => {
  switchOf("ann");
  expect((await change()).status).toBe(200);
  expect(changes).toEqual([
    [OLD, "{}"],
    [NEW, "{}"],
  ]);
  expect(taken).not.toHaveBeenCalled();
});

it("sends no change for another person, and says who it is", async () => {
  switchOf("bob");
  expect((await change()).status).toBe(403);
  expect(changes).toEqual([[OLD, "{}"]]);
  expect(taken).toHaveBeenCalledExactlyOnceWith("bob");
});

it("sends what was refused for another reason no second time", async () => {
  switchOf("ann", "right_lacking");
  const answer = await change();
  expect(await answer.json()).toEqual({ code: "right_lacking" });
  expect(changes).toHaveLength(1);
});

it("reads again, once the person has logged in again, what a session that ended has refused, and sends no change", async () => {
  let isBack = (_: boolean) => {};
  ended.mockImplementation(() => new Promise((resolve) => (isBack = resolve)));
  let asked = 0;
  vi.stubGlobal("fetch", async () => {
    asked += 1;
    return asked === 1 ? noSession() : new Response(null);
  });
  const read = sent(new Request("https://switch.example/api/v1/cdrs"));
  await vi.waitFor(() => expect(ended).toHaveBeenCalled());
  isBack(true);
  expect((await read).status).toBe(200);
  asked = 0;
  expect((await change()).status).toBe(401);
  expect([asked, ended.mock.calls.length]).toEqual([1, 2]);
});

it("reads again what met the old id of a session while its proof was changed", async () => {
  let isChanged = () => {};
  const changing = new Promise<void>((resolve) => (isChanged = resolve));
  let isNew = false;
  vi.stubGlobal("fetch", async (asked: Request | string) => {
    const path = asked instanceof Request ? new URL(asked.url).pathname : asked;
    if (path.endsWith("/session/totp")) {
      await changing;
      isNew = true; // with the answer comes the new cookie
      return Response.json({});
    }
    if (!isNew) return noSession();
    return path.endsWith("/session") ? Response.json(session("ann", NEW)) : Response.json({ calls: [] });
  });
  const put = sent(new Request("https://switch.example/api/v1/session/totp", { method: "PUT", body: "{}" }));
  const read = sent(new Request("https://switch.example/api/v1/status"));
  setTimeout(isChanged, 5);
  expect((await put).status).toBe(200);
  expect(await (await read).json()).toEqual({ calls: [] });
  expect(ended).not.toHaveBeenCalled();
});

it("looks for the session a second time, once for all requests, where another tab has changed its proof", async () => {
  let looks = 0;
  vi.stubGlobal("fetch", async (asked: Request | string) => {
    const isSession = !(asked instanceof Request);
    if (isSession) looks += 1;
    // the other tab has its answer, and the browser the new cookie, after the first look
    if (looks < 2) return noSession();
    return Response.json(isSession ? session("ann", NEW) : { calls: [] });
  });
  const read = (path: string) => sent(new Request(`https://switch.example/api/v1/${path}`));
  const answers = await Promise.all([read("status"), read("alarms")]);
  expect(answers.map((each) => each.status)).toEqual([200, 200]);
  expect(looks).toBe(2);
  expect(ended).not.toHaveBeenCalled();
});

it.each([204, 503])("says that a session has ended only where it was not logged out (answer %i)", async (status) => {
  ended.mockImplementation(async () => false);
  let answer = (_: Response) => {};
  const ending = vi
    .spyOn(client, "DELETE")
    .mockReturnValue(new Promise<Response>((resolve) => (answer = resolve)).then(problemOf) as never);
  vi.stubGlobal("fetch", async () => noSession());
  const read = () => sent(new Request("https://switch.example/api/v1/status"));
  const isOver = endSession().then(
    () => true,
    () => false,
  );
  await read();
  expect(ended).not.toHaveBeenCalled();
  answer(new Response(null, { status }));
  expect(await isOver).toBe(status === 204);
  await read();
  expect(ended).toHaveBeenCalledTimes(status === 204 ? 0 : 1);
  ending.mockRestore();
});

it.each(["code_missing", "log_in_refused"])("goes on with the session where a proof is refused (%s)", async (code) => {
  vi.stubGlobal("fetch", async () => Response.json({ code }, { status: 401 }));
  const answer = await sent(new Request("https://switch.example/api/v1/session/password", { method: "PUT" }));
  expect(await answer.json()).toEqual({ code });
  expect(ended).not.toHaveBeenCalled();
});

it("asks for no log-in where none is known yet", async () => {
  vi.stubGlobal("fetch", async () => noSession());
  expect((await sent(new Request("https://switch.example/api/v1/session"))).status).toBe(401);
  expect(ended).not.toHaveBeenCalled();
});

it("waits for an order as long as the switch may take, and for a file, a backup or a test call as long as they take", async () => {
  const limits: number[] = [];
  vi.spyOn(AbortSignal, "timeout").mockImplementation((ms) => {
    limits.push(ms);
    return AbortSignal.abort(new DOMException("", "TimeoutError"));
  });
  vi.stubGlobal("fetch", async (_: Request, { signal }: RequestInit) => {
    signal?.throwIfAborted();
    return Response.json({});
  });
  const ordered = (path: string, type = "application/json") =>
    sent(
      new Request(`https://switch.example/api/v1${path}`, {
        method: "POST",
        body: "{}",
        headers: { "Content-Type": type },
      }),
    );
  await expect(ordered("/accounts/acme/payments")).rejects.toSatisfy(isLate);
  for (const path of ["/backups", "/backups/daily/verify", "/calls/test", "/configuration/reload", "/invoices/7/mail"])
    await ordered(path);
  await ordered("/decks/sell", "text/csv");
  expect(limits).toEqual([90_000]);
});

it("takes the refusal of a proxy that wants proof of its own for no end of the session", async () => {
  vi.stubGlobal("fetch", async () => new Response("<html>401 Authorization Required", { status: 401 }));
  for (const method of ["GET", "POST"]) {
    expect((await sent(new Request("https://switch.example/api/v1/alarms", { method }))).status).toBe(401);
  }
  expect(ended).not.toHaveBeenCalled();
});
