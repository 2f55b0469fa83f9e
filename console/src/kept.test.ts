import { afterEach, expect, it, vi } from "vitest";
import { keep, recall } from "./kept";

const refuses = () => {
  throw new DOMException("The quota has been exceeded.", "QuotaExceededError");
};

afterEach(() => vi.unstubAllGlobals());

it("keeps a text until it is taken away", () => {
  const texts = new Map<string, string>();
  vi.stubGlobal("localStorage", {
    getItem: (key: string) => texts.get(key) ?? null,
    setItem: (key: string, text: string) => texts.set(key, text),
    removeItem: (key: string) => texts.delete(key),
  });
  expect([keep("zone", "UTC"), recall("zone"), keep("zone", null), recall("zone")]).toEqual([true, "UTC", true, null]);
});

it.each([
  ["full", { getItem: () => null, setItem: refuses, removeItem: () => {} }],
  ["broken", { getItem: refuses, setItem: refuses, removeItem: refuses }],
  ["switched off", null],
])("does without a storage that is %s", (_, storage) => {
  vi.stubGlobal("localStorage", storage);
  expect([keep("zone", "UTC"), recall("zone")]).toEqual([false, null]);
});
