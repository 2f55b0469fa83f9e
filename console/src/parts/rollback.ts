import { client, content, ifVersion } from "../api/client";
import type { Done } from "./change";

/**
 * Put the rates of a version in force again, where `latest` is the latest one still; taken back, those that were in
 * force before. Version 0 is the deck without rates.
 */
export async function rollBack(
  group: string,
  to: number,
  latest: number,
  said: (version: number) => string,
  key?: string,
): Promise<Done> {
  const made = await content(
    client.POST("/decks/{rate_group}/rollback", {
      params: { path: { rate_group: group } },
      headers: { ...ifVersion(latest), ...(key ? { "Idempotency-Key": key } : {}) },
      body: { to },
    }),
  );
  const before = made.replaced;
  return {
    said: said(made.version),
    undo: before === null ? undefined : () => rollBack(group, before, made.version, said),
  };
}
