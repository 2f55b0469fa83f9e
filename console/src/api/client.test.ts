import { expect, it, vi } from "vitest";
import {
  allOf,
  CutOff,
  download,
  endSession,
  listText,
  mistakesIn,
  neutralised,
  Problem,
  remedyOf,
  sentencesOf,
  stream,
  Unreachable,
} from "./client";

const refused = vi.hoisted(() => ({ by: null as Error | null }));

/** A list of three pages and a session, and nothing else. */
vi.mock("openapi-fetch", () => ({
  default: () => ({
    use: () => {},
    GET: async (path: string) => {
      if (path === "/cut") throw new TypeError("Failed to fetch");
      const page = Number(new URLSearchParams(path.split("?")[1]).get("cursor") ?? 1);
      return { data: { items: [{ page }], next: page < 3 ? String(page + 1) : null } };
    },
    DELETE: async () => {
      if (refused.by) throw refused.by;
    },
  }),
}));

it("reads a list to its last page", async () => {
  expect(await allOf("/balances")).toEqual([{ page: 1 }, { page: 2 }, { page: 3 }]);
});

it("takes a session that has ended already as ended, and none that the switch has not ended", async () => {
  const ended = async (by: Error | null) => {
    refused.by = by;
    return endSession();
  };
  await ended(null);
  await ended(new Problem(401, "unauthorized", "there is no such session: log in", "", ""));
  const failures = [
    new Problem(500, "internal", "", "", ""),
    new Problem(403, "csrf", "", "", ""),
    new Unreachable(""),
  ];
  for (const failure of failures) await expect(ended(failure)).rejects.toBe(failure);
});

it("tells an answer that was cut off from one that did not come", async () => {
  const { signal } = new AbortController();
  await expect(download("/cut", "text/csv", "audit.csv", signal)).rejects.toThrow(CutOff);
  const nothing = () => {};
  await expect(stream("/cut", signal, nothing, nothing)).rejects.toThrow(CutOff);
});

it("says a remedy once", () => {
  const said = (message: string) => remedyOf(new Problem(422, "order", message, "name an account", "account"));
  expect(said("`account` is missing: name an account")).toBe("");
  expect(said("`account` is missing")).toBe("name an account");
});

it("says the mistakes of a refusal without the warnings of its message", () => {
  const mistake = { field: "a.b", detail: "a.b: expected digits" };
  const message = `a.c: warning: is no longer needed\n${mistake.detail}`;
  const said = (answer: Record<string, unknown>) =>
    sentencesOf(new Problem(409, "configuration_invalid", message, "", "a.b", ...mistakesIn(answer)));
  expect(said({ errors: [mistake], warnings: [{ field: "a.c", detail: "is no longer needed" }] })).toEqual([
    mistake.detail,
  ]);
  expect(said({ errors: [mistake] })).toEqual([message]);
  expect(said({})).toEqual([message]);
});

it("lets no cell of a download begin a formula, and leaves amounts as they are", () => {
  expect(neutralised('prefix,area\n44,=1+1\n49,"=HYPERLINK(1)"\n33,@x\n')).toBe(
    "prefix,area\n44,'=1+1\n49,\"'=HYPERLINK(1)\"\n33,'@x\n",
  );
  expect(neutralised("44,'=1\n")).toBe("44,''=1\n");
  expect(neutralised("a,-0.50,+3\n-1,x\n")).toBe("a,-0.50,'+3\n-1,x\n");
  expect(neutralised("44,United Kingdom,0.012,30/6\n")).toBe("44,United Kingdom,0.012,30/6\n");
});

it("names values with commas to a field that takes several", () => {
  expect(listText(["Acme, Inc.", "a\\b", "shop"])).toBe("Acme\\, Inc.,a\\\\b,shop");
});
