import { expect, it } from "vitest";
import {
  beside,
  cleaned,
  conflicting,
  differences,
  fits,
  hasMistake,
  isFlawed,
  isSame,
  type Key,
  linesOf,
  mapLines,
  mapOf,
  merged,
  mistakeAt,
  mistakesOf,
  pairsOf,
  placesOfRows,
  shown,
} from "./keys";

function key(name: string, form = "text", more: Partial<Key> = {}): Key {
  return { name, meaning: "", form, many: false, required: false, keys: [], ...more } as unknown as Key;
}

it("shows lists that are written in either way, one item a line", () => {
  expect(linesOf("44")).toBe("44");
  expect(linesOf(["44", "49"])).toBe("44\n49");
  expect(linesOf([["1", "2"], ["3"]])).toBe("1, 2\n3");
  expect(linesOf(undefined)).toBe("");
});

it("shows rules that are written in either way", () => {
  expect(pairsOf(["00", ""])).toEqual([["00", ""]]);
  expect(
    pairsOf([
      ["00", ""],
      ["0", "49"],
    ]),
  ).toEqual([
    ["00", ""],
    ["0", "49"],
  ]);
  expect(pairsOf(undefined)).toEqual([]);
});

it("reads maps from lines, and shows them so", () => {
  const codes = { "486": "480", "5xx": "503" };
  expect(mapOf(mapLines(codes), false)).toEqual(codes);
  expect(mapOf("off", true)).toBe("off");
  expect(mapOf("min_margin: 0.001\nby: price", true)).toEqual({ min_margin: "0.001", by: "price" });
  expect(mapOf(" \n", true)).toBeUndefined();
});

it("sends no empty keys, and keeps those that it does not know", () => {
  const declared = [
    key("enabled", "switch"),
    key("hosts", "text", { many: true }),
    key("rules", "pair", { many: true }),
    key("auth", "keys", { keys: [key("username"), key("password", "secret")] }),
    key("limits", "keys", { many: true, keys: [key("per"), key("amount")] }),
  ];
  const values = {
    enabled: "",
    hosts: ["192.0.2.1", " ", ""],
    rules: [
      ["00", ""],
      ["", ""],
    ],
    auth: { username: "", password: "" },
    limits: [{ per: "day", amount: " 5 " }, {}],
    unknown: "",
    other: { kept: "as it is" },
  };
  expect(cleaned(declared, values)).toEqual({
    hosts: ["192.0.2.1"],
    rules: [["00", ""]],
    limits: [{ per: "day", amount: "5" }],
    other: { kept: "as it is" },
  });
});

it("sends what is empty on purpose as it was loaded, so that it holds against a template", () => {
  const inside = key("auth", "keys", { keys: [key("realm"), key("networks", "text", { many: true })] });
  const declared = [
    key("callee_deny", "text", { many: true }),
    key("rules", "pair", { many: true }),
    inside,
    key("memo"),
  ];
  const loaded = { callee_deny: [], rules: [], auth: { networks: [], realm: "a" }, memo: "old", unknown: "" };
  const changed = { memo: "new", auth: { networks: [], realm: "b" } };
  expect(cleaned(declared, { ...loaded, ...changed }, loaded)).toEqual({ ...loaded, ...changed });
  expect(cleaned(declared, { ...loaded, rules: [["", ""]], memo: " " }, { ...loaded, rules: [["00", ""]] })).toEqual({
    callee_deny: [],
    auth: loaded.auth,
    unknown: "",
  });
});

it("compares values without regard to the order of keys", () => {
  expect(isSame({ a: "1", b: ["2"] }, { b: ["2"], a: "1" })).toBe(true);
  expect(isSame({ a: ["1", "2"] }, { a: ["2", "1"] })).toBe(false);
});

it("lays what was changed here over what another person has made", () => {
  const base = { a: "1", b: "1", c: "1", d: "1" };
  const { keys, both } = merged(base, { a: "2", b: "2", c: "1", d: "2" }, { a: "1", b: "3", c: "9" });
  expect(keys).toEqual({ a: "2", b: "3", c: "9" });
  expect(both).toEqual(["b", "d"]);
});

it("shows mistakes at their keys", () => {
  const found = mistakesOf("accounts", "a.b", [
    { field: "accounts[a.b].currency", detail: "the change: accounts[a.b].currency: value 'x': expected an ISO code" },
    { field: "accounts[a.b].spend_limits[0].amount", detail: "database:1: expected an amount" },
    {
      field: "rate_groups[b].deck",
      detail: "rate_groups b (version 1): warning: rate_groups[b].deck: expected a deck",
    },
    { field: "keys.name", detail: "is a number, and text is expected" },
    { field: "mapping_gateways[x].account", detail: "elsewhere" },
  ]);
  expect(found.get("currency")).toBe("value 'x': expected an ISO code");
  expect(found.get("spend_limits[0].amount")).toBe("database:1: expected an amount");
  expect(found.get("name")).toBe("is a number, and text is expected");
  expect(found.get("")).toBe("elsewhere");
});

it("says each of the mistakes of a key by itself in the language of the console", () => {
  const errors = ["expected rates", "expected a file"].map((detail) => ({ field: "keys.rates_file", detail }));
  const found = mistakesOf("rate_groups", "a", errors, (english) => english.replace(/^expected (.*)$/, "应为 $1"));
  expect(found.get("rates_file")).toBe("应为 rates\n应为 a file");
});

it("counts the rows of a list as they are sent, without the empty ones", () => {
  const pairs = [
    ["", ""],
    ["x", ""],
    ["y", "z"],
  ];
  const empty = "rewrite[empty]";
  expect(placesOfRows(key("rewrite", "pair"), pairs, "rewrite")).toEqual([empty, "rewrite[0]", "rewrite[1]"]);
  const rates = key("rates", "keys", { many: true, keys: [key("prefix"), key("price")] });
  const rows = [{ prefix: "1" }, { prefix: " " }, { price: "x" }];
  expect(placesOfRows(rates, rows, "a.rates")).toEqual(["a.rates[0]", "a.rates[empty]", "a.rates[1]"]);
});

it("shows mistakes together that no field has", () => {
  const mistakes = new Map([
    ["", "elsewhere"],
    ["number", "no emergency number"],
  ]);
  expect(beside(mistakes, ["", "number"])).toBe("elsewhere\nno emergency number");
  expect(beside(mistakes, ["name"])).toBeUndefined();
});

it("shows mistakes of items of a list at the list", () => {
  const mistakes = new Map([
    ["hosts[1]", "no address"],
    ["limits[0].amount", "no amount"],
  ]);
  expect(mistakeAt(mistakes, "hosts")).toBe("no address");
  expect(mistakeAt(mistakes, "limits")).toBeUndefined();
  expect(mistakeAt(mistakes, "host")).toBeUndefined();
  const places = ["hosts", "limits", "limits[0]", "limits[1]", "host"];
  expect(places.map((place) => hasMistake(mistakes, place))).toEqual([true, true, true, false, false]);
});

it("shows mistakes of names of a map at the map, each with its name", () => {
  const mistakes = new Map([
    ["codes.486", "no code"],
    ["codes.5xx", "no class"],
    ["codes_of_others.486", "no code"],
  ]);
  expect(mistakeAt(mistakes, "codes")).toBe("486: no code\n5xx: no class");
  expect(hasMistake(mistakes, "codes")).toBe(true);
});

it("finds keys by name, meaning, and keys inside", () => {
  const inside = key("auth", "keys", { meaning: "Credentials", keys: [key("username")] });
  expect([fits(inside, "CRED"), fits(inside, "user"), fits(inside, "codec"), fits(inside, "")]).toEqual([
    true,
    true,
    false,
    true,
  ]);
});

it("tells a number that cannot be one before it is sent", () => {
  const number = key("max_cps", "number", { lowest: "1", highest: "100" });
  expect(["1", "100", "$" + "{CPS}", ""].map((text) => isFlawed(number, text))).toEqual([false, false, false, false]);
  expect(["0", "101", "x", "1.5"].map((text) => isFlawed(number, text))).toEqual([true, true, true, true]);
  const seconds = key("timeout", "seconds", { lowest: "0.1", highest: "60" });
  expect(["0.1", "4", "0.05", "1.2345"].map((text) => isFlawed(seconds, text))).toEqual([false, false, true, true]);
  expect(isFlawed(key("overdraft_limit", "text"), "unlimited")).toBe(false);
  expect(isFlawed(key("price", "amount", { lowest: "0" }), "-1")).toBe(true);
});

it("names the keys inside of a key that differ", () => {
  const before = { auth: { username: "a", password: "(hidden)" }, currency: "EUR" };
  const after = { auth: { username: "b", password: "(hidden)" }, max_cps: "3" };
  expect(differences("", before, after)).toEqual([
    ["auth.username", "a", "b"],
    ["currency", "EUR", undefined],
    ["max_cps", undefined, "3"],
  ]);
});

it("names the rows of a long list that differ", () => {
  const rates = Array.from({ length: 1_000 }, (_, at) => ({
    prefix: String(1_000_000 + at),
    area: "x",
    price: "0.01",
  }));
  const changed = { ...rates[499], price: "0.1" };
  const found = differences("rates", rates, [...rates.slice(1, 499), changed, ...rates.slice(500), { prefix: "2" }]);
  expect(found).toEqual([
    ["rates #1", rates[0], undefined],
    ["rates #499.price", "0.01", "0.1"],
    ["rates #1000", undefined, { prefix: "2" }],
  ]);
  const [first, ...others] = rates;
  const isFirst = ["rates #1", first, undefined];
  expect(differences("rates", rates, [...others, first])).toEqual([isFirst, ["rates #1000", undefined, first]]);
  const last = ["rates #1000", first, undefined];
  expect(differences("rates", [...others, first], rates)).toEqual([["rates #1", undefined, first], last]);
  expect(differences("rates", undefined, rates)).toHaveLength(1_000);
  expect(differences("rates", rates, [])).toHaveLength(1_000);
  expect(differences("hosts", ["a", "b"], ["b"])).toEqual([["hosts", ["a", "b"], ["b"]]]);
});

it("has the three values of a key that two people have changed, whatever its name is", () => {
  const base = { headers: { "X-A.1": "a", "X-B": "b" }, auth: { username: "a" }, currency: "EUR" };
  const theirs = { headers: { "X-A.1": "c", "X-B": "b" }, currency: "EUR" };
  const mine = { headers: { "X-A.1": "d", "X-B": "b" }, auth: { username: "b" }, currency: "EUR", max_cps: "3" };
  expect(conflicting("", base, theirs, mine)).toEqual([
    ["headers.X-A.1", "a", "c", "d"],
    ["auth", { username: "a" }, undefined, { username: "b" }],
    ["max_cps", undefined, undefined, "3"],
  ]);
  expect(conflicting("", base, base, base)).toEqual([]);
});

it("has of long lists the rows that one of two people has changed, with those of before for the other", () => {
  const rates = Array.from({ length: 1_000 }, (_, at) => ({ prefix: String(1_000 + at), price: "0.1" }));
  const [first, second, third] = rates;
  const changed = { ...second, price: "0.2" };
  const theirs = { rates: rates.map((row) => (row === second ? changed : row)) };
  const mine = { rates: rates.filter((row) => row !== third).map((row) => (row === second ? first : row)) };
  expect(conflicting("", { rates }, theirs, { rates })).toEqual([["rates #2.price", "0.1", "0.2", "0.1"]]);
  expect(conflicting("", { rates }, { rates }, { rates: rates.slice(1) })).toEqual([
    ["rates #1", first, first, undefined],
  ]);
  expect(conflicting("", { rates }, theirs, mine)).toHaveLength(3);
});

it("writes values in a line", () => {
  expect(shown([["00", "49"]])).toBe("00 → 49");
  expect(shown([{ per: "day", amount: "5" }])).toBe("per: day; amount: 5");
  expect(shown(undefined)).toBe("");
});
