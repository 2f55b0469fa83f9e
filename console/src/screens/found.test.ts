import { expect, it } from "vitest";
import type { Row } from "../api/client";
import { invoiceRow, isOfSource, singleOf } from "./found";

it("finds the source of an address, with its port, and the site of an IPv6 address", () => {
  expect(isOfSource("192.0.2.7", "192.0.2.7:5060")).toBe(true);
  expect(isOfSource("192.0.2.7", "192.0.2.70")).toBe(false);
  expect(isOfSource("2001:db8:0:1::/64", "[2001:DB8:0000:1::5]:5060")).toBe(true);
  expect(isOfSource("2001:db8:0:1::/64", "2001:db8:0:2::5")).toBe(false);
  expect(isOfSource("2001:db8::/64", "2001:db8::7")).toBe(true);
});

it("leads to the one object of a name among those that have it in theirs, and to none beside calls", () => {
  const objects = (...names: string[]) => ({
    place: { one: ({ name }: Row) => ({ to: `/objects/dids/${name}` }) },
    rows: names.map((name) => ({ name })),
  });
  const calls = {
    place: { one: () => ({ to: "/cdrs", search: { callee: "4420" } }), isOfCalls: true },
    rows: [{ call_id: "a" }, { call_id: "b" }],
  };
  expect(singleOf([objects("4420", "44201")], "4420")).toEqual({ to: "/objects/dids/4420" });
  expect(singleOf([calls, objects("4420")], "4420")).toBeNull();
  expect(singleOf([calls], "4420")).toEqual({ to: "/cdrs", search: { callee: "4420" } });
});

it("leads to an invoice by its number, and to none by its id, which another thing may be called", () => {
  const invoices = {
    place: { one: ({ invoice }: Row) => ({ to: `/invoices/${invoice}` }) },
    rows: [{ id: 117, number: "2026-000017", account: "acme" }].map(invoiceRow),
  };
  const accounts = {
    place: { one: ({ id }: Row) => ({ to: `/accounts/${id}` }) },
    rows: [{ id: "2026-000017 north" }],
  };
  expect(singleOf([invoices, accounts], "2026-000017")).toEqual({ to: "/invoices/117" });
  expect(singleOf([invoices, accounts], "117")).toBeNull();
});
