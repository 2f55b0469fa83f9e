import { gzipSync } from "node:zlib";
import { expect, it } from "vitest";
import { type BillMap, beginningOf, begun, billMapText, isWorkbook, lookOf } from "./bill";

const utf8 = (text: string) => new TextEncoder().encode(text);
const NONE: BillMap = { columns: {}, format: "", zone: "" };
const headerOf = (bytes: Uint8Array<ArrayBuffer>, said: Partial<BillMap> = {}) =>
  lookOf(bytes, { ...NONE, ...said }).columns.map(({ label }) => label);
const headerIn = (text: string, said: Partial<BillMap> = {}) => headerOf(utf8(text), said);

it("reads the header of a bill as the switch does: blanks within a title stay, and its first line is the header", () => {
  expect(headerIn('Number, Start  Time ,"Duration, s",Price\r\n44,,,')).toEqual([
    "Number",
    "Start  Time",
    "Duration, s",
    "Price",
  ]);
  expect(headerIn("Number|Start, local|Duration\n")).toEqual(["Number", "Start, local", "Duration"]);
  expect(headerIn("Number\tStart\r44\t1")).toEqual(["Number", "Start"]);
  expect(headerIn("sep=;\r\nNumber, from;Start")).toEqual(["Number, from", "Start"]);
  expect(headerIn('"SEP=,"\nNumber;Start', { separator: ";" })).toEqual(["Number", "Start"]);
  expect(headerIn("Number, from;Start", { separator: ";" })).toEqual(["Number, from", "Start"]);
  expect(headerIn("")).toEqual([]);
});

it("names a column by its number where the title does not say which one is meant", () => {
  const { columns } = lookOf(utf8("Number,Amount,,7,Amount\n"), NONE);
  expect(columns.map(({ value }) => value)).toEqual(["Number", "2", "3", "4", "5"]);
  expect(columns.map(({ label }) => label)).toEqual(["Number", "2: Amount", "3: ", "4: 7", "5: Amount"]);
  expect(headerIn("4930,60\n", { isUntitled: true })).toEqual(["1: 4930", "2: 60"]);
});

it("decodes a bill by the encoding that is entered, else by its beginning", () => {
  const latin = new Uint8Array([0x4e, 0xb0, 0x3b, 0x44]);
  expect(lookOf(latin, NONE).encoding).toBe("windows-1252");
  expect(headerOf(latin, { encoding: "windows-1252" })).toEqual(["N°", "D"]);
  expect(headerOf(latin, { encoding: "cp850" })).toEqual(["N°", "D"]);
  expect(lookOf(latin, { ...NONE, encoding: " iso-8859-5 " }).encoding).toBe("iso-8859-5");
  expect(headerOf(latin, { encoding: "iso-8859-5" })).toEqual(["NА", "D"]);
  expect(lookOf(utf8("\ufeffN°"), NONE).encoding).toBe("utf-8");
  expect(headerIn("\ufeffN°")).toEqual(["N°"]);
  expect(headerOf(new Uint8Array([0xff, 0xfe, 0x4e, 0, 0xb0, 0]))).toEqual(["N°"]);
});

it("finds out the decimal sign and the unit of durations, and asks the switch for them", () => {
  const bill = utf8("Called number;Start;Duration;Amount\n4930;1;1:05;0,122908\n4931;2;0:42;1\n");
  const map = begun(null, bill);
  expect(map.columns).toMatchObject({ callee: "Called number", price: "Amount", billed: "" });
  const look = lookOf(bill, map);
  expect([look.decimal, look.unit]).toEqual([",", "clock"]);
  expect(JSON.parse(billMapText(map, look))).toEqual({
    columns: { callee: "Called number", start: "Start", duration: "Duration", price: "Amount" },
    decimal_comma: true,
    duration_unit: "clock",
  });
  const points = utf8("Number;Start;Duration;Amount\n4930;1;65;0.12\n");
  expect(lookOf(points, begun(null, points))).toMatchObject({ decimal: ".", unit: "seconds" });
  expect(lookOf(bill, { ...map, decimal: ".", unit: "minutes" })).toMatchObject({ decimal: ".", unit: "minutes" });
});

it("has the unit of billed time said where that of durations is not seconds, and finds clocks out", () => {
  const bill = utf8("Number;Start;Duration;Billed\n4930;1;1.5;120\n");
  const map = begun(null, bill);
  const saidOf = (said: Partial<BillMap>, of = bill) => {
    const { duration_unit, billed_unit } = JSON.parse(
      billMapText({ ...map, ...said }, lookOf(of, { ...map, ...said })),
    );
    return [duration_unit, billed_unit];
  };
  expect(saidOf({})).toEqual([undefined, "seconds"]);
  expect(saidOf({ unit: "clock" })).toEqual(["clock", "seconds"]);
  expect(saidOf({ unit: "minutes" })).toEqual(["minutes", undefined]);
  expect(saidOf({ unit: "minutes", billedUnit: "minutes" })).toEqual(["minutes", "minutes"]);
  const clocks = utf8("Number;Start;Duration;Billed\n4930;1;1.5;2:00\n");
  expect(saidOf({ unit: "minutes" }, clocks)).toEqual(["minutes", "clock"]);
  expect(saidOf({ columns: { ...map.columns, billed: "" } })).toEqual([undefined, undefined]);
});

it("says to the switch what a person has said of the file", () => {
  const map: BillMap = {
    columns: { callee: "1", start: "2", duration: "3", billed: "3", price: "" },
    format: "unix",
    zone: "Europe/Berlin",
    separator: "\t",
    isUntitled: true,
    billedUnit: "minutes",
    strip: "00, +",
    strip_ours: " 99 ",
    includesTax: true,
    startsAtInvite: true,
  };
  expect(JSON.parse(billMapText(map, lookOf(utf8("4930\t1\t60\n"), map)))).toEqual({
    columns: { callee: "1", start: "2", duration: "3", billed: "3" },
    start: { format: "unix", zone: "Europe/Berlin", of: "invite" },
    delimiter: "tab",
    header: false,
    billed_unit: "minutes",
    strip: ["00", "+"],
    strip_ours: ["99"],
    price_includes_tax: true,
  });
});

it("takes the map of the vendor's last bill as long as the columns are there", () => {
  const last: BillMap = { ...NONE, columns: { callee: "Number", start: "2", price: "" }, zone: "UTC", strip: "00" };
  expect(begun(last, utf8("Number,Begin,Begin\n"))).toBe(last);
  expect(begun(last, utf8("Callee,Begin,Amount\n"))).toMatchObject({
    columns: { callee: "Callee", start: "Begin", price: "Amount" },
    zone: "",
  });
});

it("knows a workbook by its beginning", () => {
  expect(isWorkbook(new Uint8Array([0x50, 0x4b, 3, 4, 20]))).toBe(true);
  expect(isWorkbook(utf8("PK,Number"))).toBe(false);
  expect(isWorkbook(new Uint8Array())).toBe(false);
});

it("reads the beginning of a compressed bill, of which no more than its beginning may be whole", async () => {
  const text = `Number,Start\n${"44,1\n".repeat(50_000)}`;
  const of = async (name: string, ...parts: Uint8Array<ArrayBuffer>[]) =>
    new TextDecoder().decode(await beginningOf(new File(parts, name)));
  const zipped = new Uint8Array(gzipSync(text));
  expect(await of("bill.CSV.GZ", zipped)).toBe(text.slice(0, 65_536));
  expect(await of("bill.csv", utf8(text))).toBe(text.slice(0, 65_536));
  expect(await of("bill.csv.gz", new Uint8Array(gzipSync("Number,")), new Uint8Array(gzipSync("Start")))).toMatch(
    /^Number,/,
  );
  await expect(of("bill.csv.gz", utf8(text))).rejects.toThrow();
});
