import { expect, test } from "vitest";
import { put } from "./saved";

const KEPT = ["a", "b", "c"].map((name) => ({ name, search: { account: name } }));

test("a view that is saved again has the new search, and one that is deleted comes back to its place", () => {
  expect(put(KEPT, "b", { account: "x" }).map((each) => each.search.account)).toEqual(["a", "c", "x"]);
  const without = put(KEPT, "b", undefined);
  expect(without.map((each) => each.name)).toEqual(["a", "c"]);
  expect(put(without, "b", { account: "b" }, 1)).toEqual(KEPT);
});
