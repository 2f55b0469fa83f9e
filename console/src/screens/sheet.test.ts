import { readFileSync } from "node:fs";
import { expect, it } from "vitest";
import {
  COLUMNS,
  contentType,
  decimalOf,
  fitting,
  guessed,
  headerLine,
  mapText,
  rowsFrom,
  textOf,
  withDecimal,
} from "./sheet";

const SHEET = 'Carrier A;;\nRates;;\nDial Code;Destination;Rate\n44;"United ""K""; London";0,01\n';

it("splits the rows of a sheet by the separator of its header, as the server does", () => {
  expect(rowsFrom(SHEET, 3)).toEqual([
    ["Dial Code", "Destination", "Rate"],
    ["44", 'United "K"; London', "0,01"],
    [""],
  ]);
  expect(rowsFrom("prefix;area;rate\n82;Korea, South, mobile, KT, SKT;0,05", 1)[0]).toEqual(["prefix", "area", "rate"]);
  expect(rowsFrom("prefix,rate;day\r44,,1", 1)).toEqual([
    ["prefix", "rate;day"],
    ["44", "", "1"],
  ]);
  expect(rowsFrom('sep=;\r\n"prefix";rate,USD\r\n44;1', 1)[0]).toEqual(["prefix", "rate,USD"]);
});

it("reads quoted fields over the ends of lines", () => {
  const sheet = 'Carrier "A"\nprefix;area;"Rate\r\nUSD/min"\n44;"";0.30\n';
  expect(headerLine(sheet)).toBe(2);
  expect(rowsFrom(sheet, 2).slice(0, 2)).toEqual([
    ["prefix", "area", "Rate USD/min"],
    ["44", "", "0.30"],
  ]);
});

it("decodes the beginning of a sheet as the server does", () => {
  const bytes = (...codes: number[]) => new Uint8Array(codes);
  const utf8 = new TextEncoder().encode("\ufeffPréfixe");
  expect(textOf(utf8)).toBe("Préfixe");
  expect(textOf(utf8.slice(0, 7))).toMatch(/^Pr/);
  expect(textOf(bytes(0x50, 0x72, 0xe9, 0x3b, 0x50))).toBe("Pré;P");
  expect(textOf(bytes(0xff, 0xfe, 0x50, 0, 0xe9, 0))).toBe("Pé");
  expect(textOf(bytes(0xfe, 0xff, 0, 0x50, 0, 0xe9))).toBe("Pé");
  expect(textOf(bytes(0x50, 0, 0x72, 0))).toBe("Pr");
  expect(textOf(bytes(0, 0x50, 0, 0x72))).toBe("Pr");
});

it("decodes it by the encoding that is said, where the browser knows it", () => {
  const bytes = new Uint8Array([0x38, 0x36, 0x2c, 0xd6, 0xd0, 0xb9, 0xfa]);
  expect(textOf(bytes)).toBe("86,ÖÐ¹ú");
  expect(textOf(bytes, " gb18030 ")).toBe("86,中国");
  expect(textOf(bytes, "gb1")).toBe("86,ÖÐ¹ú");
});

it("keeps columns that a header has, else takes those that its names say", () => {
  expect(fitting({ prefix: "Code", area: "" }, ["Code", "Rate"])).toEqual({ prefix: "Code", area: "" });
  expect(fitting({ prefix: "Code", area: "Zone" }, ["Code", "Rate"])).toEqual({ prefix: "Code", billing_rate: "Rate" });
});

it("finds the header below other lines, and takes columns by their names", () => {
  expect(headerLine(SHEET)).toBe(3);
  expect(headerLine("sep=;\nprefix;rate")).toBe(1);
  expect(guessed(rowsFrom(SHEET, 3)[0] ?? [])).toEqual({
    prefix: "Dial Code",
    area: "Destination",
    billing_rate: "Rate",
  });
  expect(guessed(["billing_rate", "prefix", "Comment"])).toEqual({ billing_rate: "billing_rate", prefix: "prefix" });
});

it("takes no shortest time or other day for a charge or the day of a rate", () => {
  const rated = { prefix: "Prefix", billing_rate: "Rate" };
  expect(guessed(["Prefix", "Rate", "Minimum", "Increment"])).toEqual({ ...rated, interval: "Increment" });
  expect(guessed(["From", "Prefix", "Rate", "Connection", "Until"])).toEqual(rated);
});

it.each(["en", "zh"])("takes the columns of a header in the words of the console in %s", (language) => {
  const file = readFileSync(new URL(`../text/${language}.json`, import.meta.url), "utf8");
  const words: Record<string, string> = JSON.parse(file).column;
  const theirs = Object.fromEntries(Object.keys(COLUMNS).map((ours) => [ours, words[ours]]));
  expect(guessed(Object.values(theirs) as string[])).toEqual(theirs);
  expect(headerLine(`Acme\n${Object.values(theirs).join(";")}\n`)).toBe(2);
});

it.each([
  [["0,30", "12", "", "1,5"], ","],
  [["1,25"], ","],
  [["0,012", "1,250"], ","],
  [["1,000", "2,500"], undefined], // may be thousands
  [["0.30", "0,5"], undefined],
  [["0,5", "much"], undefined],
  [["1", "2"], undefined],
  [[], undefined],
] as const)("takes %j as amounts with the decimal sign %s", (amounts, sign) => {
  expect(decimalOf(amounts)).toBe(sign);
});

it("takes the decimal sign of the column that is the price, also where that is chosen later, unless one is said", () => {
  const sheet = new TextEncoder().encode("Carrier\nCode;Rate USD;Tax\n44;0,5651;1.5\n49;1;2.5\n");
  const of = (column: string, said?: string) =>
    withDecimal({ columns: { prefix: "Code", billing_rate: column }, header_line: 2, decimal: said }, sheet).decimal;
  expect([of(""), of("Rate USD"), of("Tax"), of("Rate USD", "."), of("Tax", ",")]).toEqual([
    undefined,
    ",",
    undefined,
    ".",
    ",",
  ]);
});

it("sends workbooks by the type of their names, and other files as CSV", () => {
  expect(contentType("rates.XLSX")).toMatch(/spreadsheetml\.sheet$/);
  expect(contentType("rates.xlsm")).toBe("application/vnd.ms-excel.sheet.macroenabled.12");
  expect(contentType("rates.xlsx.txt")).toBe("text/csv");
});

it("writes the map as the API takes it", () => {
  expect(
    JSON.parse(mapText({ columns: { prefix: "Code", area: "" }, header_line: 3, decimal: ",", date_format: "" })),
  ).toEqual({ columns: { prefix: "Code" }, header_line: 3, decimal: "," });
  expect(JSON.parse(mapText({ columns: {}, header_line: 1, encoding: " gb18030 " }))).toEqual({
    columns: {},
    encoding: "gb18030",
  });
});
