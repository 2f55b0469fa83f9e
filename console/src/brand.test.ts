import { expect, it, vi } from "vitest";

vi.stubGlobal("document", { querySelector: () => ({ content: "BRAND_OF_OPERATOR" }) });
const { brand, logo, shadesOf } = await import("./brand");

it("has ten shades, of which the ninth is the colour itself", () => {
  const shades = shadesOf("#1864ab");
  expect(shades).toHaveLength(10);
  expect(shades[8]).toBe("#1864ab");
  expect(shades[0]).toBe("#f1f6fa");
  expect(shades[9]).toBe("#145591");
});

it("is the console's own where the server has written none", () => {
  expect([brand.name, logo]).toEqual(["vosd", "/icon.svg"]);
});
