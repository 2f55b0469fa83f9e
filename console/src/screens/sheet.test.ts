import { expect, it } from "vitest";
import { contentType, fieldsOf, guessed, headerLine, linesOf, mapText } from "./sheet";

const SHEET = 'Carrier A;;\nRates;;\nDial Code;Destination;Rate\n44;"United ""K""; London";0,01\n';

it("splits the lines of a sheet by the separator that it has", () => {
  expect(linesOf(SHEET)[3]).toEqual(["44", 'United "K"; London', "0,01"]);
  expect(linesOf("\ufeffprefix,rate\r\n44,1")).toEqual([
    ["prefix", "rate"],
    ["44", "1"],
  ]);
  expect(fieldsOf("a,,b", ",")).toEqual(["a", "", "b"]);
});

it("finds the header below other lines, and takes columns by their names", () => {
  const lines = linesOf(SHEET);
  expect(headerLine(lines)).toBe(3);
  expect(guessed(lines[2] ?? [])).toEqual({ prefix: "Dial Code", area: "Destination", billing_rate: "Rate" });
  expect(guessed(["billing_rate", "prefix", "Comment"])).toEqual({ billing_rate: "billing_rate", prefix: "prefix" });
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
});
