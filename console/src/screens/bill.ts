/** A vendor's bill before it is sent: its beginning, its encoding and its header, as the switch reads them. */

import { encodingOf, firstRow, textOf } from "./sheet";

const COMPRESSED = /\.gz$/i;
const READ_BYTES = 65_536;
/** Those of the switch, in its order: the first of them wins where a line has as many of several. */
const SEPARATORS = [",", ";", "\t", "|"];

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

/** The encoding that a map says: the one that is entered, else that of the beginning. */
export const saidEncoding = (bytes: Uint8Array<ArrayBuffer>, entered: string): string =>
  entered.trim() || encodingOf(bytes);

/**
 * The titles of a bill's columns: its first line, also one that names a separator, without the blanks around each. Those
 * within a title stay, as the map names it.
 */
export const headerOf = (bytes: Uint8Array<ArrayBuffer>, encoding: string): string[] =>
  firstRow(textOf(bytes, encoding), SEPARATORS);
