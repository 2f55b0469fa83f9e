/** Which version of an object holds at a moment, and its keys. */

import { pageOf, type Schemas, send } from "../api/client";
import { present } from "../api/clock";

export const VERSIONS_READ = 200;

/** The version that began last; one that begins at once does so whatever the clock of the browser says. */
export function inForceOf(
  versions: readonly Schemas["KeysSheet"][],
  at = new Date(present()).toISOString(),
): number | undefined {
  const begun = versions.filter((each) => each.begins_at <= each.made_at || each.begins_at <= at);
  begun.sort((one, other) => one.begins_at.localeCompare(other.begins_at) || one.version - other.version);
  return begun.at(-1)?.version;
}

/** Read the object at `place` as it will be at a moment; without one, as it is now. */
export async function readObjectAt(place: string, at: string | undefined): Promise<Schemas["DefinitionSheet"]> {
  if (at === undefined) return send("get", place);
  const { items } = await pageOf(`${place}/versions`, { limit: VERSIONS_READ, sort: "-version" });
  return send("get", place, { query: { version: inForceOf(items as unknown as Schemas["KeysSheet"][], at) } });
}

/**
 * Read the versions of an object that begin later. Agents and customers may not list those of all objects; they read its
 * versions, whose lists are short.
 */
export async function readPlanned(
  kind: string,
  name: string,
  place: string,
  mayList: boolean,
): Promise<Schemas["KeysSheet"][]> {
  if (mayList) return (await pageOf("/planned-versions", { kind, name })).items as unknown as Schemas["KeysSheet"][];
  const { items } = await pageOf(`${place}/versions`, { limit: VERSIONS_READ, sort: "-version" });
  const now = new Date(present()).toISOString();
  const later = (items as unknown as Schemas["KeysSheet"][]).filter(
    (each) => each.begins_at > each.made_at && each.begins_at > now,
  );
  // of several for one moment the latest holds
  return [...new Map(later.toReversed().map((each) => [each.begins_at, each])).values()];
}
