import { expect, it } from "vitest";
import { keptColumns, keptOf, searchOf, shownOf } from "./cdrs";

const NOW = Date.parse("2026-11-28T10:00:30.500Z");

it.each([
  [{ answered: "false" }, { answered: "false", since: "2026-11-27T10:00:00.000Z" }],
  [
    { area: "Germany", rate_type: "local", until: "2026-11-20T00:00:00.000Z", columns: "fee" },
    {
      area: "Germany",
      rate_type: "local",
      since: "2026-11-19T00:00:00.000Z",
      until: "2026-11-20T00:00:00.000Z",
      columns: "fee",
    },
  ],
  [
    { area: "Germany", until: "2026-12-20T00:00:00.000Z" },
    { area: "Germany", since: "2026-11-27T10:00:00.000Z", until: "2026-12-20T00:00:00.000Z" },
  ],
  [
    { answered: "false", account: "acme" },
    { answered: "false", account: "acme" },
  ],
  [
    { answered: "false", since: "2026-11-01T00:00:00.000Z" },
    { answered: "false", since: "2026-11-01T00:00:00.000Z" },
  ],
  [
    { agent: "reseller", all: "true", answered: "true" },
    { agent: "reseller", all: "true", answered: "true", since: "2026-11-27T10:00:00.000Z" },
  ],
  [{ loss: "0.05" }, { loss: "0.05", since: "2026-11-27T10:00:00.000Z" }],
  [
    { agent: "reseller", answered: "true", caller: "44" },
    { agent: "reseller", answered: "true", caller: "44" },
  ],
  [{ until: "2026-11-20T00:00:00.000Z" }, { until: "2026-11-20T00:00:00.000Z" }],
  [
    { answered: undefined, columns: "fee" },
    { answered: undefined, columns: "fee" },
  ],
])("searches for %j as %j: calls of a day, where each would be read", (entered, search) => {
  expect(searchOf(entered, NOW)).toEqual(search);
});

it("keeps under a name no begin that was filled in, unless the search would be of all times without it", () => {
  const search = searchOf({ answered: "true", columns: "fee" }, NOW);
  const { since } = search;
  expect(keptOf(search, since)).toEqual({ answered: "true", columns: "fee", since: undefined });
  expect(keptOf({ ...search, account: "acme" }, since)).toEqual({ ...search, account: "acme" });
  expect(keptOf({ ...search, since: "2026-11-01T00:00:00.000Z" }, since)).toHaveProperty("since");
  expect(keptOf(search, undefined)).toEqual(search);
});

it("shows the columns that are chosen and there, and those of the beginning where there is none of them", () => {
  const known = [{ name: "started_at" }, { name: "fee" }, { name: "pdd_ms" }];
  expect(shownOf(known, ["pdd_ms", "cost", "fee"])).toEqual(["fee", "pdd_ms"]);
  expect(shownOf(known, [""])).toEqual(["started_at", "fee"]);
});

it("keeps the columns that another person of the browser has chosen and this one does not know", () => {
  const known = [{ name: "started_at" }, { name: "fee" }];
  expect(keptColumns(known, ["fee", "cost"], ["started_at"])).toEqual(["started_at", "cost"]);
});
