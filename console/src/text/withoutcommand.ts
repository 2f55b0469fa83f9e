/** Verbs of the command line: COMMANDS of vosd/api/problems.py. */
const COMMANDS = [
  "account",
  "alarms",
  "api",
  "audit",
  "backup",
  "blacklist",
  "call",
  "calls",
  "cdr",
  "check",
  "definitions",
  "did",
  "events",
  "gateway",
  "hangup",
  "help",
  "invoice",
  "jobs",
  "ledger",
  "migrate",
  "month",
  "overrides",
  "parameters",
  "payment",
  "rate",
  "rates",
  "reconcile",
  "registrations",
  "reload",
  "report",
  "rerate",
  "restart",
  "restore",
  "retention",
  "route",
  "run",
  "spool",
  "status",
  "token",
  "trace",
  "trunk",
  "unblock",
  "user",
  "webhooks",
  "why",
];
const SEPARATORS = ";:,()；：，、（）。";
/** Parts of a sentence: a text in quotes, a separator of clauses, a command, a word, or what is between words. */
const PARTS = new RegExp(
  String.raw`(?<!\w)'[^']*'(?!\w)|[${SEPARATORS}]|(\.(?=\s))|(vosd (?:${COMMANDS.join("|")})\b)|\w+|[^\w'${SEPARATORS}.]+|.`,
  "gs",
);
const AROUND = /^[\s;:,；：，、。]*(\. )?/;

/**
 * A sentence of the server without its clauses with a command, as `: see vosd definitions list accounts`: agents and
 * customers have no terminal. The API leaves the same clauses out for their programs.
 */
export function withoutCommand(text: string): string {
  if (!text.includes("vosd ")) return text;
  let shown = "";
  let keptFrom = 0;
  let clause: number | undefined = 0; // its beginning; undefined = it has ended by a parenthesis
  let isLeftOut = false;
  for (const { 0: part, 1: stop, 2: command, index } of text.matchAll(PARTS)) {
    if (command && clause !== undefined && !isLeftOut) {
      shown += text.slice(keptFrom, clause).trimEnd();
      isLeftOut = true;
      keptFrom = text.length;
    } else if (";,；，、。".includes(part) || stop || (":(：（".includes(part) && !isLeftOut)) {
      if (isLeftOut) {
        isLeftOut = false;
        keptFrom = index;
      }
      clause = index;
    } else if (")）".includes(part)) {
      if (isLeftOut) {
        isLeftOut = false;
        keptFrom = index + part.length;
      }
      clause = undefined;
    }
  }
  return (shown + text.slice(keptFrom)).replace(AROUND, "");
}
