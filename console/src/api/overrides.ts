/** Overrides of accounts, gateways and phones, and what takes each back. */

import { keyed, pageOf, type Row, type Schemas, send, unlessChanged, unlessOther } from "./client";

export interface Terms {
  until?: string;
  memo?: string;
}

/** Gateways, groups of them and phones have the same operations. */
export type Target = "accounts" | "gateways" | "destinations";
type Undo = () => Promise<unknown>;

const BLOCKED = "blocked";
/** Value of a block of an account that refuses the calls to its phones and numbers, too; another one has none. */
export const INCOMING = "incoming";
const LIMIT = "overdraft_limit";
/** An account is closed at the terminal alone. */
const CLOSED = "closed";
/** What the rows of a target say: an account and a gateway may have one name. */
const KINDS: Record<Target, readonly string[]> = {
  accounts: ["account"],
  gateways: ["mapping", "routing"],
  destinations: ["destination"],
};

/** The target that an override is of. */
export const targetOfRow = (row: Row): Target =>
  (Object.keys(KINDS) as Target[]).find((target) => KINDS[target].includes(String(row.target))) ?? "gateways";

/** The overrides of an object as they are in force. */
export async function overridesOf(target: Target, name: string): Promise<Row[]> {
  return (await pageOf("/overrides", { name })).items.filter((row) => targetOfRow(row) === target);
}

/** The kind of objects that a setting which is entered by its name belongs to. */
export const targetOf = (setting: string): Target => (setting === LIMIT ? "accounts" : "gateways");

/** Set overrides of an object, and return them as they are in force then. */
async function set(target: Target, name: string, values: Record<string, string>, terms: Terms, key?: string) {
  const place = `/${target}/${encodeURIComponent(name)}`;
  const headers = key ? keyed(key) : undefined;
  if (BLOCKED in values) {
    const body = values[BLOCKED] === INCOMING ? { ...terms, incoming: true } : terms;
    return (await send<Schemas["OverrideOutcome"]>("post", `${place}/block`, { headers, body })).overrides;
  }
  const body = target === "accounts" ? { ...values, ...terms } : { values, ...terms };
  return (await send<Schemas["OverrideOutcome"]>("post", `${place}/overrides`, { headers, body })).overrides;
}

/** What an order to clear has beside the override: its key, and the begin of the block that was seen. */
interface Clearing {
  key?: string;
  since?: string;
  /** The key, too, where the answer to the same order was lost. */
  again?: string;
}

function clear(target: Target, name: string, setting: string, { key, since }: Clearing = {}): Promise<unknown> {
  const headers = key ? keyed(key) : undefined;
  // a block of a destination of an account has a name that nothing else has
  if (setting === BLOCKED && target !== "destinations")
    return send("delete", `/${target}/${encodeURIComponent(name)}/block`, { headers, query: { since } });
  return send("delete", "/overrides", { query: { name, setting, confirm: true }, headers });
}

/** Whether the person may clear a setting; a block has a right of its own, which those have who may do nothing else. */
function mayClear(may: ReadonlySet<string>, target: Target, setting: string): boolean {
  const block = target === "accounts" ? "DELETE /accounts/{account}/block" : "DELETE /gateways/{name}/block";
  return may.has(setting === BLOCKED ? block : "DELETE /overrides");
}

/** Those of an object for some settings. */
async function found(target: Target, name: string, settings: readonly string[]): Promise<Row[]> {
  return (await overridesOf(target, name)).filter((row) => settings.includes(String(row.setting)));
}

/** Have overrides hold again as they were; settings that had none are cleared. */
async function restore(target: Target, name: string, settings: readonly string[], before: readonly Row[]) {
  for (const setting of settings) {
    const row = before.find((each) => each.setting === setting);
    const terms = { until: row?.until as string | undefined, memo: row?.memo as string | undefined };
    if (row) await set(target, name, { [setting]: String(row.value) }, terms);
    else await clear(target, name, setting);
  }
}

/** The marks by which overrides differ from those that replace them, whoever has set them and to what. */
const begins = (rows: readonly Row[]) => JSON.stringify(rows.map((row) => row.since).sort());

/**
 * Change overrides by what returns those that it leaves in force. Where the person may see and clear them, return what
 * has those before hold again, unless another person has changed one since. A repeat may have been carried out: before
 * it were those that were `shown`, if any, unless they are its own.
 */
async function changed(
  may: ReadonlySet<string>,
  target: Target,
  name: string,
  settings: readonly string[],
  act: () => Promise<readonly Row[]>,
  { again, shown }: { again?: string; shown?: readonly Row[] },
): Promise<Undo | undefined> {
  const isSettable = target !== "destinations" && !settings.includes(CLOSED);
  const canUndo =
    isSettable && may.has("GET /overrides") && settings.every((setting) => mayClear(may, target, setting));
  const read = () => found(target, name, settings);
  const before = again ? shown : canUndo && (await read());
  const after = begins(await act());
  if (!canUndo || !before) return undefined;
  if (again && (begins(before) === after || begins(await read()) !== after)) return undefined;
  return unlessChanged(read, () => restore(target, name, settings, before));
}

/** The surroundings of an order to set overrides: its key, also where the answer to the same one was lost. */
interface Setting {
  key?: string;
  again?: string;
  /** Overrides of the object that the page has shown: no other one of the same settings is replaced. */
  seen?: readonly Row[];
}

/** Set overrides of an object; a block is the setting `blocked`. Who may not see overrides replaces what there is. */
export function override(
  may: ReadonlySet<string>,
  target: Target,
  name: string,
  values: Record<string, string>,
  terms: Terms,
  { key, again, seen }: Setting = {},
): Promise<Undo | undefined> {
  const settings = Object.keys(values);
  const act = () => set(target, name, values, terms, key);
  if (!seen || !may.has("GET /overrides")) return changed(may, target, name, settings, act, { again });
  const shown = seen.filter((row) => settings.includes(String(row.setting)));
  const read = () => found(target, name, settings);
  return changed(may, target, name, settings, () => unlessOther(shown, read, act, again), { again, shown });
}

/** Clear an override of an object; where one was `seen`, nothing else than that, and no block that began after `since`. */
export function cleared(
  may: ReadonlySet<string>,
  target: Target,
  name: string,
  setting: string,
  { seen, key, again, since = seen?.since as string | undefined }: Clearing & { seen?: Row } = {},
): Promise<Undo | undefined> {
  const act = async () => {
    await clear(target, name, setting, { key, since });
    return [];
  };
  const seenOnly = () =>
    unlessOther(
      seen,
      async () => (await found(target, name, [setting])).find((row) => row.target === seen?.target),
      act,
      again,
    );
  return changed(may, target, name, [setting], seen ? seenOnly : act, { again, shown: seen && [seen] });
}
