import { gzipSync } from "node:zlib";
import { expect, it } from "vitest";
import { beginningOf, headerOf, saidEncoding } from "./bill";

const utf8 = (text: string) => new TextEncoder().encode(text);
const headerIn = (text: string) => headerOf(utf8(text), "utf-8");

it("reads the header of a bill as the switch does: blanks within a title stay, and its first line is the header", () => {
  expect(headerIn('Number, Start  Time ,"Duration, s",Price\r\n44,,,')).toEqual([
    "Number",
    "Start  Time",
    "Duration, s",
    "Price",
  ]);
  expect(headerIn("Number|Start, local|Duration\n")).toEqual(["Number", "Start, local", "Duration"]);
  expect(headerIn("Number\tStart\r44\t1")).toEqual(["Number", "Start"]);
  expect(headerIn("sep=;\nNumber;Start")).toEqual(["sep=", ""]);
  expect(headerIn("")).toEqual([""]);
});

it("decodes a bill by the encoding that is entered, else by its beginning", () => {
  const latin = new Uint8Array([0x4e, 0xb0, 0x3b, 0x44]);
  expect(saidEncoding(latin, "")).toBe("windows-1252");
  expect(headerOf(latin, "windows-1252")).toEqual(["N°", "D"]);
  expect(headerOf(latin, "cp850")).toEqual(["N°", "D"]);
  expect(saidEncoding(latin, " iso-8859-5 ")).toBe("iso-8859-5");
  expect(headerOf(latin, "iso-8859-5")).toEqual(["NА", "D"]);
  expect(saidEncoding(utf8("\ufeffN°"), "")).toBe("utf-8");
  expect(headerIn("\ufeffN°")).toEqual(["N°"]);
  const wide = new Uint8Array([0xff, 0xfe, 0x4e, 0, 0xb0, 0]);
  expect(headerOf(wide, saidEncoding(wide, ""))).toEqual(["N°"]);
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
