import { beforeEach, expect, test, vi } from "vitest";
import { dropFromBrowser, leftInBrowser, nameFor, noteTaken } from "./saved";

const kept = new Map<string, string>();

beforeEach(() => {
  kept.clear();
  vi.stubGlobal("localStorage", {
    getItem: (key: string) => kept.get(key) ?? null,
    setItem: (key: string, value: string) => kept.set(key, value),
  });
});

test("a view of the browser that is deleted there is gone for all who use it, until it is put back", () => {
  const [first, second] = [
    { name: "a", search: {} },
    { name: "b", search: { caller: "1" } },
  ];
  kept.set("vosd.cdrs.searches", JSON.stringify([first, second]));
  const putBack = dropFromBrowser("cdrs", "b");
  expect(leftInBrowser("ann", "cdrs").map((each) => each.name)).toEqual(["a"]);
  expect(leftInBrowser("bob", "cdrs").map((each) => each.name)).toEqual(["a"]);
  putBack();
  expect(leftInBrowser("ann", "cdrs").at(-1)).toEqual(second);
});

test("a view of the browser is offered to each person who uses it until that one has taken it over", () => {
  kept.set("vosd.reports", JSON.stringify([{ name: "a", search: {} }, { name: "b", search: {} }, "no view"]));
  expect(leftInBrowser("ann", "reports").map((each) => each.name)).toEqual(["a", "b"]);
  noteTaken("ann", "reports", "a");
  expect(leftInBrowser("ann", "reports").map((each) => each.name)).toEqual(["b"]);
  expect(leftInBrowser("bob", "reports").map((each) => each.name)).toEqual(["a", "b"]);
  noteTaken("ann", "reports", "a", false);
  expect(leftInBrowser("ann", "reports").map((each) => each.name)).toEqual(["a", "b"]);
  expect(leftInBrowser("ann", "cdrs")).toEqual([]);
  kept.set("vosd.reports", "{");
  expect(leftInBrowser("ann", "reports")).toEqual([]);
});

test("a view that is on the server already is not made again, and another one of its name gets a name of its own", () => {
  const saved = { name: " busy ", search: { reason: "Busy" } };
  expect(nameFor(saved, [])).toBe("busy");
  expect(nameFor(saved, [{ name: "busy", query: "reason=Busy" }])).toBeNull();
  expect(nameFor(saved, [{ name: "busy", query: "reason=Loop" }])).toBe("busy (2)");
  const long = { name: "a".repeat(90), search: {} };
  const first = nameFor(long, []) ?? "";
  expect(first).toHaveLength(64);
  expect(nameFor(long, [{ name: first, query: "x=1" }])).toBe(`${"a".repeat(60)} (2)`);
});
