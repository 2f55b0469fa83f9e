/** A file of payments as rows: account, amount, reference and memo, by the names of its columns. */

import { fieldsOf } from "./sheet";

export interface FilePayment {
  line: number;
  account: string;
  amount: string;
  reference: string;
  memo: string;
  /** Why it cannot be booked; empty = it can. */
  problem: "" | "account" | "amount" | "reference" | "repeated";
}

const AMOUNT = /^\d+(\.\d+)?$/;

/** Read the rows of a file; one without a header has its columns in the order account, amount, reference, memo. */
export function paymentsOf(text: string): FilePayment[] {
  const lines = text.replace(/^\ufeff/, "").split(/\r?\n/);
  const separator = (lines[0] ?? "").includes(";") ? ";" : ",";
  const first = fieldsOf(lines[0] ?? "", separator).map((name) => name.toLowerCase());
  const hasHeader = first.includes("account");
  const order = hasHeader ? first : ["account", "amount", "reference", "memo"];
  const seen = new Set<string>();
  const found: FilePayment[] = [];
  lines.forEach((line, index) => {
    if (!line.trim() || (hasHeader && index === 0)) return;
    const fields = fieldsOf(line, separator);
    const field = (name: string) => fields[order.indexOf(name)] ?? "";
    const [account, amount, reference] = [field("account"), field("amount"), field("reference")];
    const problem = !account
      ? "account"
      : !AMOUNT.test(amount)
        ? "amount"
        : !reference
          ? "reference"
          : seen.has(reference)
            ? "repeated"
            : "";
    seen.add(reference);
    found.push({ line: index + 1, account, amount, reference, memo: field("memo"), problem });
  });
  return found;
}
