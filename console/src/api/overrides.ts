/** Overrides of accounts, gateways and phones, and what takes each back. */

import { pageOf, type Row, send, unlessChanged } from "./client";

export interface Terms {
  until?: string;
  memo?: string;
}

/** Gateways, groups of them and phones have the same operations. */
type Target = "accounts" | "gateways";
type Undo = () => Promise<unknown>;

const BLOCKED = "blocked";
const LIMIT = "overdraft_limit";

/** The kind of objects that a setting which is entered by its name belongs to. */
export const targetOf = (setting: string): Target => (setting === LIMIT ? "accounts" : "gateways");

function set(target: Target, name: string, values: Record<string, string>, terms: Terms, key?: string) {
  const place = `/${target}/${encodeURIComponent(name)}`;
  const headers = key ? { "Idempotency-Key": key } : undefined;
  if (BLOCKED in values) return send("post", `${place}/block`, { headers, body: terms });
  const body = target === "accounts" ? { ...values, ...terms } : { values, ...terms };
  return send("post", `${place}/overrides`, { headers, body });
}

function clear(target: Target, name: string, setting: string): Promise<unknown> {
  if (setting === BLOCKED) return send("delete", `/${target}/${encodeURIComponent(name)}/block`);
  return send("delete", "/overrides", { query: { name, setting, confirm: true } });
}

/** Those of an object for some settings, as they are in force. */
async function found(name: string, settings: readonly string[]): Promise<Row[]> {
  return (await pageOf("/overrides", { name })).items.filter((row) => settings.includes(String(row.setting)));
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

/**
 * Change overrides. Where the person may see and clear them, return what has those before hold again, unless another
 * person has changed one since.
 */
async function changed(
  may: ReadonlySet<string>,
  target: Target,
  name: string,
  settings: readonly string[],
  act: () => Promise<unknown>,
): Promise<Undo | undefined> {
  const canUndo = may.has("GET /overrides") && may.has("DELETE /overrides");
  const before = canUndo ? await found(name, settings) : [];
  await act();
  if (!canUndo) return undefined;
  return unlessChanged(
    () => found(name, settings),
    () => restore(target, name, settings, before),
  );
}

/** Set overrides of an object; a block is the setting `blocked`. */
export function override(
  may: ReadonlySet<string>,
  target: Target,
  name: string,
  values: Record<string, string>,
  terms: Terms,
  key?: string,
): Promise<Undo | undefined> {
  return changed(may, target, name, Object.keys(values), () => set(target, name, values, terms, key));
}

/** Clear an override of an object. */
export function cleared(
  may: ReadonlySet<string>,
  target: Target,
  name: string,
  setting: string,
): Promise<Undo | undefined> {
  return changed(may, target, name, [setting], () => clear(target, name, setting));
}
