/** Overrides of accounts, gateways and phones, and what takes each back. */

import { pageOf, send } from "./client";

export interface Terms {
  until?: string;
  memo?: string;
}

type Undo = () => Promise<unknown>;

const isOfAccount = (setting: string) => setting === "overdraft_limit";

function set(name: string, setting: string, value: unknown, terms: Terms): Promise<unknown> {
  const part = encodeURIComponent(name);
  return isOfAccount(setting)
    ? send("post", `/accounts/${part}/overrides`, { body: { overdraft_limit: value, ...terms } })
    : send("post", `/gateways/${part}/overrides`, { body: { values: { [setting]: value }, ...terms } });
}

/** Set an override. Where the person may see and clear overrides, return what has the one before it hold again. */
export async function override(
  may: ReadonlySet<string>,
  name: string,
  setting: string,
  value: string,
  terms: Terms,
): Promise<Undo | undefined> {
  const canUndo = may.has("GET /overrides") && may.has("DELETE /overrides");
  const before = canUndo ? (await pageOf("/overrides", { name, setting })).items[0] : undefined;
  await set(name, setting, value, terms);
  if (!canUndo) return undefined;
  if (!before) return () => send("delete", "/overrides", { query: { name, setting } });
  const again = { until: before.until as string | undefined, memo: before.memo as string | undefined };
  return () => set(name, setting, before.value, again);
}
