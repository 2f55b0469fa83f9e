import { renderToStaticMarkup } from "react-dom/server";
import { expect, it } from "vitest";
import { Value } from "./values";

it.each([
  [0, "0.0"],
  [0.617, "61.7"],
  [0.999, "99.9"],
  [1, "100.0"],
])("the share %s is shown in percent", (value, shown) => {
  expect(renderToStaticMarkup(<Value row={{ value }} name="value" kind="share" />)).toBe(shown);
});
