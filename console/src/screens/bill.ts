/** A vendor's bill before it is sent: its beginning as the switch reads it, and the map of its columns. */

import { decimalOf, encodingOf, firstRows, textOf } from "./sheet";

export const FIELDS = ["callee", "start", "duration", "billed", "price", "caller"] as const;
export const NEEDED: ReadonlySet<string> = new Set(["callee", "start", "duration"]);
export const UNITS = ["seconds", "milliseconds", "minutes", "clock"] as const;
const WORDS: Record<string, readonly string[]> = {
  callee: ["callee", "called", "called number", "number", "destination", "b-number", "dnis"],
  start: ["start", "start time", "connect time", "begin", "date", "answer time"],
  duration: ["duration", "seconds", "length"],
  billed: ["billed", "billed seconds", "charged duration"],
  price: ["price", "amount", "cost", "charge"],
  caller: ["caller", "calling", "calling number", "a-number", "ani", "source"],
};

const COMPRESSED = /\.gz$/i;
const READ_BYTES = 65_536;
/** Those of the switch, in its order: the first of them wins where a line has as many of several. */
export const SEPARATORS = [",", ";", "\t", "|"];
const UTF_8 = "utf-8";
/** Beginnings of workbooks: archives, such as XLSX and ODS, and XLS. */
const BINARY = [
  [0x50, 0x4b, 0x03, 0x04],
  [0xd0, 0xcf, 0x11, 0xe0],
];
/** Rows by which the decimal sign and the unit are guessed: few enough to end before what is read of a long file. */
const JUDGED = 100;
const NUMBER = /^\d+$/;
/** Durations such as 1:02:03 or 62:03. */
const CLOCK = /^\d+(:\d{1,2}){1,2}$/;

/** Whether a bill is decompressed, by its name as on the switch. */
export const isCompressed = (name: string): boolean => COMPRESSED.test(name);

/** The beginning of a bill, decompressed; fails where it is no gzip. */
export async function beginningOf(file: File): Promise<Uint8Array<ArrayBuffer>> {
  if (!isCompressed(file.name)) return new Uint8Array(await file.slice(0, READ_BYTES).arrayBuffer());
  const reader = file.stream().pipeThrough(new DecompressionStream("gzip")).getReader();
  const read: number[] = [];
  try {
    while (read.length < READ_BYTES) {
      const { done, value } = await reader.read();
      if (done) break;
      for (const byte of value.subarray(0, READ_BYTES - read.length)) read.push(byte);
    }
    await reader.cancel();
  } catch (failure) {
    // a file of several parts, which the switch reads, fails behind the first one
    if (read.length === 0) throw failure;
  }
  return new Uint8Array(read);
}

/** Whether the beginning is that of a workbook, which the switch does not read as a bill. */
export const isWorkbook = (bytes: Uint8Array): boolean =>
  BINARY.some((signs) => signs.every((sign, at) => bytes[at] === sign));

/** What a person has said about the bills of a vendor; what is not said is found out. */
export interface BillMap {
  /** Our columns with theirs: a title, or a number from 1. */
  columns: Record<string, string>;
  format: string;
  zone: string;
  encoding?: string;
  separator?: string;
  /** The first line is a call. */
  isUntitled?: boolean;
  decimal?: string;
  unit?: string;
  billedUnit?: string;
  /** Beginnings of numbers that are taken off, with commas or blanks between them. */
  strip?: string;
  strip_ours?: string;
  includesTax?: boolean;
  startsAtInvite?: boolean;
}

interface BillColumn {
  /** The name in the map. */
  value: string;
  label: string;
}

/** The beginning of a bill as a map has it read. */
export interface BillLook {
  encoding: string;
  columns: BillColumn[];
  decimal: string;
  unit: string;
  /** Missing where a person has to say it: beside such durations files have either. */
  billedUnit?: string;
}

/**
 * The titles of a bill's columns: its first line, without the blanks around each. Those within a title stay, as the map
 * names it. A column is named by its number where another one has its title.
 */
function columnsOf(first: readonly string[], isUntitled: boolean): BillColumn[] {
  const isName = (title: string) => title && !NUMBER.test(title) && first.indexOf(title) === first.lastIndexOf(title);
  return first.map((title, at) =>
    isName(title) && !isUntitled
      ? { value: title, label: title }
      : { value: `${at + 1}`, label: `${at + 1}: ${title}` },
  );
}

export function lookOf(bytes: Uint8Array<ArrayBuffer>, map: BillMap): BillLook {
  const encoding = map.encoding?.trim() || encodingOf(bytes);
  const [first = [], ...behind] =
    bytes.length > 0 ? firstRows(textOf(bytes, encoding), SEPARATORS, map.separator || undefined) : [];
  const columns = columnsOf(first, map.isUntitled ?? false);
  const cells = (field: string) => {
    const at = columns.findIndex(({ value }) => value === map.columns[field]);
    return at < 0 ? [] : behind.slice(0, JUDGED).flatMap((row) => row[at] || []);
  };
  const isClock = (field: string) => {
    const times = cells(field);
    return times.length > 0 && times.every((text) => CLOCK.test(text));
  };
  const unit = map.unit ?? (isClock("duration") ? "clock" : "seconds");
  const secondsOrNone = unit === "milliseconds" || unit === "minutes" ? undefined : "seconds";
  return {
    encoding,
    columns,
    decimal: map.decimal ?? decimalOf(cells("price")) ?? ".",
    unit,
    billedUnit: map.billedUnit ?? (isClock("billed") ? "clock" : secondsOrNone),
  };
}

/** The map of the vendor's last bill where it fits this one, else what the titles of columns say. */
export function begun(last: BillMap | null, bytes: Uint8Array<ArrayBuffer>): BillMap {
  const empty: BillMap = { columns: {}, format: "", zone: "", encoding: last?.encoding };
  const fitting = new Set(lookOf(bytes, last ?? empty).columns.map(({ value }) => value));
  if (last && Object.values(last.columns).every((theirs) => !theirs || fitting.has(theirs))) return last;
  const { columns } = lookOf(bytes, empty);
  const named = (words: readonly string[]) =>
    columns.find(({ value }) => words.includes(value.toLowerCase()))?.value ?? "";
  return { ...empty, columns: Object.fromEntries(FIELDS.map((field) => [field, named(WORDS[field] ?? [])])) };
}

/** The map as the API takes it: what the switch takes for granted is left out. */
export function billMapText(map: BillMap, { encoding, decimal, unit, billedUnit }: BillLook): string {
  const start = {
    ...(map.format ? { format: map.format } : {}),
    ...(map.zone ? { zone: map.zone } : {}),
    ...(map.startsAtInvite ? { of: "invite" } : {}),
  };
  const words = (text = "") => text.split(/[\s,]+/).filter(Boolean);
  const [strip, strip_ours] = [words(map.strip), words(map.strip_ours)];
  return JSON.stringify({
    columns: Object.fromEntries(Object.entries(map.columns).filter(([, theirs]) => theirs)),
    ...(encoding === UTF_8 ? {} : { encoding }),
    ...(Object.keys(start).length > 0 ? { start } : {}),
    ...(map.separator ? { delimiter: map.separator === "\t" ? "tab" : map.separator } : {}),
    ...(map.isUntitled ? { header: false } : {}),
    ...(decimal === "," ? { decimal_comma: true } : {}),
    ...(unit === "seconds" ? {} : { duration_unit: unit }),
    ...(map.columns.billed && billedUnit ? { billed_unit: billedUnit } : {}),
    ...(strip.length > 0 ? { strip } : {}),
    ...(strip_ours.length > 0 ? { strip_ours } : {}),
    ...(map.includesTax ? { price_includes_tax: true } : {}),
  });
}
