import { expect, it } from "vitest";
import texts from "../text/en.json";
import { gatewayColumns, lists } from "./columns";

const headings: Record<string, string> = texts.column;

it("has a heading for each column of a list", () => {
  const names = [gatewayColumns, ...Object.values(lists).map(({ columns }) => columns)].flat().map(({ name }) => name);
  expect([...new Set(names)].filter((name) => !(name in headings))).toEqual([]);
});

it("reads lists again that change by themselves", () => {
  expect(lists.registrations.readMs).toBe(10_000);
  expect(lists.blacklist.readMs).toBe(10_000);
  expect(lists.sources.readMs).toBe(10_000);
});
