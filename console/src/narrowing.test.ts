import { expect, test } from "vitest";
import { queryOf, searchOf } from "./narrowing";

test("a view has the query of its address and gets its search back, whatever that contains", () => {
  const search = { caller: "+44 20", area: "Größe & 中", columns: "a,b", empty: "", none: undefined };
  expect(queryOf(search)).toMatch(/^[\w.*%+&=-]+$/);
  expect(searchOf(queryOf(search))).toEqual({ caller: "+44 20", area: "Größe & 中", columns: "a,b" });
});
