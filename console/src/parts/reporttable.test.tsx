import { QueryClient, QueryClientProvider } from "@tanstack/react-query";
import i18next from "i18next";
import { renderToStaticMarkup } from "react-dom/server";
import { beforeAll, expect, it } from "vitest";
import texts from "../text/en.json";
import { Missing } from "./reporttable";

beforeAll(async () => {
  await i18next.init({ lng: "en", resources: { en: { translation: texts } }, showSupportNotice: false });
});

const whole = { columns: [], rows: [], totals: [], calls: [], missing: 0, missing_in_replica: 0 };
const without = "minimum, corrections: ledger entries from before 2026-10-22 were dropped";
const shown = (more: object) =>
  renderToStaticMarkup(
    <QueryClientProvider client={new QueryClient()}>
      <Missing report={{ ...whole, ...more }} />
    </QueryClientProvider>,
  );

it.each([{}, { without: "" }])("says nothing of a whole report", (more) => {
  expect(shown(more)).toBe("");
});

it("names the columns that a report lacks, and calls that are not added up", () => {
  expect(shown({ without })).toContain(`Without ${without}`);
  const both = shown({ without, missing: 2 });
  expect(both).toContain(`Without ${without}`);
  expect(both).toContain("2 calls are not added up yet.");
});
