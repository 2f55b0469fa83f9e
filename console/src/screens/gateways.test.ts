import { expect, it } from "vitest";
import { ofGateway, withUnit } from "./gateways";

it("has no figures of a gateway that is not chosen: the row without a name is of calls that reached none", () => {
  const rows = [
    { routing_gateway: "", calls: 0 },
    { routing_gateway: "out", calls: 4 },
  ];
  expect(ofGateway(rows, "")).toBeUndefined();
  expect(ofGateway(rows, "out")?.calls).toBe(4);
  expect(ofGateway(undefined, "out")).toBeUndefined();
});

it("has a unit behind a figure that is known alone", () => {
  expect(withUnit("1234.50", "EUR")).toBe("1\u202f234.50 EUR");
  expect(withUnit(null, "%")).toBe("–");
});
