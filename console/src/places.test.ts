import { expect, it } from "vitest";
import { groupsOf, homeOf, keysOf, placesOfCommands } from "./places";

const person = (account: string | null, ...operations: string[]) => ({
  account,
  may: new Set(operations),
  isCustomer: false,
});
const names = (of: ReturnType<typeof person>) => groupsOf(of).flatMap(([, places]) => places.map(({ name }) => name));

it("leads a person to the first place that it may open", () => {
  expect(homeOf(person(null, "GET /status", "GET /calls"))).toBe("/");
  expect(homeOf(person(null, "GET /invoices", "GET /alarms"))).toBe("/invoices");
  expect(homeOf(person("acme", "GET /accounts/{account}/balance", "GET /status"))).toBe("/");
  expect(homeOf(person("acme", "GET /cdrs", "GET /status"))).toBe("/cdrs");
  expect(homeOf(person(null))).toBe("/");
});

it("has a key for each place that a person may open", () => {
  const keys = (of: ReturnType<typeof person>) => keysOf(of).map(([key, { to }]) => `${key} ${to}`);
  expect(keys(person(null, "GET /status", "GET /alarms", "GET /balances"))).toEqual([
    "o /",
    "a /accounts",
    "l /alarms",
  ]);
  expect(keys(person(null, "GET /rates/groups"))).toEqual(["o /rates"]);
  expect(keys(person("acme", "GET /accounts/{account}/balance", "GET /cdrs"))).toEqual(["o /", "r /cdrs"]);
});

it("has no places of operators for agents and customers, and none of these for operators", () => {
  expect(names(person("acme", "GET /accounts/{account}/balance", "GET /phones", "GET /calendars"))).toEqual([
    "portal",
    "phones",
  ]);
  expect(names(person(null, "GET /accounts/{account}/balance", "GET /calendars"))).toEqual(["calendars"]);
});

it("has the accounts below others for operators and agents, not for customers", () => {
  const of = (account: string | null, isCustomer: boolean) =>
    names({ ...person(account, "GET /balances"), isCustomer });
  expect(of(null, false)).toEqual(["customers", "agents"]);
  expect(of("reseller", false)).toEqual(["customers", "agents"]);
  expect(of("acme", true)).toEqual(["customers"]);
});

it("leads to the pages that do what the commands of a sentence do", () => {
  const operator = person(null, "GET /cdrs", "GET /status", "GET /invoices", "GET /dids");
  const paths = (text: string, of = operator) => placesOfCommands(text, of).map(({ to }) => to);
  expect(paths("vosd cdr list --gateway NAME: codes; vosd call test; vosd gateway block NAME --for 1h")).toEqual([
    "/cdrs",
  ]);
  expect(paths("there is no number 44: vosd did list has all; vosd did import FILE, vosd status")).toEqual([
    "/",
    "/objects/dids",
  ]);
  expect(paths("look at the name server")).toEqual([]);
  expect(paths("vosd cdr list", person("acme", "GET /cdrs"))).toEqual([]);
});
