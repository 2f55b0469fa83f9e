import { expect, it } from "vitest";
import { isGone, stood } from "./still";

const keyOf = (row: Record<string, unknown>) => String(row.id);

it("keeps each row where it is, as it is now, and marks those that are gone", () => {
  const shown = [{ id: 1, state: "ringing" }, { id: 2 }, { id: 3 }];
  const [first, second, third] = [{ id: 1, state: "talking" }, { id: 9 }, { id: 3 }];
  const found = stood(shown, [second, third, first], keyOf);
  expect(found.map(keyOf)).toEqual(["1", "2", "3"]);
  expect(found.map(isGone)).toEqual([false, true, false]);
  expect([found[0], found[2]]).toEqual([first, third]);
});

it("leaves a row that was gone before the same, which is not drawn again", () => {
  const gone = stood([{ id: 2 }], [], keyOf);
  expect(stood(gone, [], keyOf)[0]).toBe(gone[0]);
});

it("shows a row that is there again as any other", () => {
  const back = { id: 2 };
  expect(stood(stood([{ id: 2 }], [], keyOf), [back], keyOf)).toEqual([back]);
});
