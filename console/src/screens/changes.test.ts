import { expect, it } from "vitest";
import { madeBy, subjectOf } from "./changes";

it("reads the objects of a change, whose names may have blanks", () => {
  expect(madeBy({ versions: ["accounts shop 3", "templates night shift 12"] })).toEqual([
    { kind: "accounts", name: "shop", version: "3" },
    { kind: "templates", name: "night shift", version: "12" },
  ]);
  expect(madeBy({ versions: { "phones 49301": 1 } })).toEqual([{ kind: "phones", name: "49301", version: "1" }]);
  expect(madeBy(null)).toEqual([]);
});

it("says what a change is about in words for the kinds of objects", () => {
  const said = (subject: string, versions: string[]) =>
    subjectOf(
      { subject, detail: { versions } },
      (kind) => `the ${kind}`,
      (count) => `all ${count}`,
    );
  expect(said("templates night shift", ["templates night shift 2"])).toBe("the templates: night shift");
  expect(said("2 objects", ["accounts shop 3", "phones 1001 1"])).toBe("all 2");
  expect(said("shop", ["accounts shop 3", "phones 1001 1"])).toBe("shop");
});
