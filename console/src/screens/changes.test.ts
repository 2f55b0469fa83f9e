import { expect, it } from "vitest";
import { madeBy } from "./changes";

it("reads the objects of a change, whose names may have blanks", () => {
  expect(madeBy({ versions: ["accounts shop 3", "templates night shift 12"] })).toEqual([
    { kind: "accounts", name: "shop", version: "3" },
    { kind: "templates", name: "night shift", version: "12" },
  ]);
  expect(madeBy({ versions: { "phones 49301": 1 } })).toEqual([{ kind: "phones", name: "49301", version: "1" }]);
  expect(madeBy(null)).toEqual([]);
});
