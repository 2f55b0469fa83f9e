import { QueryClient, QueryClientProvider } from "@tanstack/react-query";
import i18next from "i18next";
import { renderToStaticMarkup } from "react-dom/server";
import { beforeAll, expect, it } from "vitest";
import texts from "../text/en.json";
import { alike, answerOf, MediaSteps } from "./mediasteps";

beforeAll(async () => {
  await i18next.init({ lng: "en", resources: { en: { translation: texts } }, showSupportNotice: false });
});

it.each([
  [6, null, "unknown"],
  [7, true, "yes"],
  [7, false, "no"],
  [8, false, "otherwise"],
])("step %s with the answer %s is shown as %s", (step, relayed, word) => {
  expect(answerOf({ step, relayed, reason: "" })).toBe(word);
});

const steps = [{ step: 6, relayed: null, reason: "the address of the caller is known in the call alone" }];
const rows = [
  { routing_gateway: "a", relayed: null, media_step: null, media_steps: steps },
  { routing_gateway: "b", relayed: true, media_step: 3 },
  { routing_gateway: "c", relayed: null, media_step: null, media_steps: steps },
  { routing_gateway: "d", relayed: false, media_step: 0 },
  { routing_gateway: "e" },
];

it("puts gateways with the same steps together, and leaves out those without an engine", () => {
  expect(alike(rows).map((each) => each.gateways)).toEqual([["a", "c"], ["b"], ["d"]]);
});

it("shows the decision of each gateway, and the steps by networks and NAT with their reasons", () => {
  const shown = renderToStaticMarkup(
    <QueryClientProvider client={new QueryClient()}>
      <MediaSteps rows={rows} />
    </QueryClientProvider>,
  );
  expect(shown).toContain("a, c: decided in the call, by steps 6 to 8");
  expect(shown).toContain("Step 6: not known before the call (the address of the caller is known in the call alone)");
  expect(shown).toContain("b: relayed, step 3");
  expect(shown).toContain("d: direct, by SS_MEDIAPROXYMODE");
});
