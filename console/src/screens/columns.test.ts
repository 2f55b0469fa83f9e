import { expect, it } from "vitest";
import texts from "../text/en.json";
import { gatewayColumns, knownFirst, lists } from "./columns";

const headings: Record<string, string> = texts.column;

it("has a heading for each column of a list", () => {
  const names = [gatewayColumns, ...Object.values(lists).map(({ columns }) => columns)].flat().map(({ name }) => name);
  expect([...new Set(names)].filter((name) => !(name in headings))).toEqual([]);
});

it("puts gateways without a figure behind the worst one", () => {
  const rows = [{ asr: null }, { asr: 0 }, { asr: 40 }, {}];
  expect(knownFirst(rows, "asr").map((row) => row.asr)).toEqual([0, 40, null, undefined]);
  expect(knownFirst(rows, undefined)).toBe(rows);
});

it("reads lists again that change by themselves", () => {
  expect(lists.registrations.readMs).toBe(10_000);
  expect(lists.blacklist.readMs).toBe(10_000);
  expect(lists.sources.readMs).toBe(10_000);
});
