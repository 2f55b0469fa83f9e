import { beforeEach, expect, it, vi } from "vitest";
import { ChangedSince, type Row } from "./client";
import { cleared, override, overridesOf } from "./overrides";

const inForce = new Map<string, Row>();
const sent: string[] = [];
/** An answer as the first one of a repeated order got it: the switch does nothing more. */
let carriedOut: Row | undefined;

/** A switch with overrides by kind, name and setting. */
vi.mock("./client", async (original) => ({
  ...(await original()),
  pageOf: async (_path: string, { name }: Row) => ({
    items: [...inForce.values()].filter((row) => row.name === name),
    next: null,
  }),
  send: async (method: string, path: string, { body, query }: { body?: Row; query?: Row } = {}) => {
    sent.push(`${method} ${path}${query?.since ? `?since=${query.since}` : ""}`);
    const [, list, name = ""] = path.split("/");
    const target = list === "accounts" ? "account" : "routing";
    if (carriedOut) return { overrides: [carriedOut] };
    if (method === "delete") inForce.delete(`${target} ${name}`);
    else
      inForce.set(`${target} ${name}`, {
        target,
        name,
        setting: "blocked",
        value: body?.incoming ? "incoming" : null,
        memo: body?.memo,
      });
    return { overrides: [inForce.get(`${target} ${name}`)] };
  },
}));

/** What a role may that ends blocks and clears no other override. */
const MAY_END_BLOCKS = new Set(["GET /overrides", "DELETE /accounts/{account}/block", "DELETE /gateways/{name}/block"]);
const MAY = new Set([...MAY_END_BLOCKS, "DELETE /overrides"]);
const ACCOUNT = { target: "account", name: "acme", setting: "blocked", value: null, memo: "does not pay" };

beforeEach(() => {
  inForce.clear();
  sent.length = 0;
  carriedOut = undefined;
});

it("takes the block of a gateway back where an account of the same name is blocked", async () => {
  inForce.set("account acme", ACCOUNT);
  const undo = await override(MAY, "gateways", "acme", { blocked: "yes" }, {});
  expect((await overridesOf("gateways", "acme")).map((row) => row.target)).toEqual(["routing"]);
  await undo?.();
  expect([...inForce.values()]).toEqual([ACCOUNT]);
});

it("takes the end of a block back with its reason", async () => {
  inForce.set("account acme", ACCOUNT);
  const undo = await cleared(MAY, "accounts", "acme", "blocked");
  expect(inForce.size).toBe(0);
  await undo?.();
  expect([...inForce.values()]).toEqual([ACCOUNT]);
});

it("takes the end of a block back with the calls that it refuses", async () => {
  inForce.set("account acme", { ...ACCOUNT, value: "incoming" });
  const undo = await cleared(MAY, "accounts", "acme", "blocked");
  await undo?.();
  expect([...inForce.values()]).toEqual([{ ...ACCOUNT, value: "incoming" }]);
  await override(MAY, "accounts", "acme", { blocked: "yes" }, { memo: "does not pay" });
  expect([...inForce.values()]).toEqual([ACCOUNT]);
});

it("offers the undo of a block, and of no other setting, to a role that may end blocks alone", async () => {
  const undo = await override(MAY_END_BLOCKS, "accounts", "acme", { blocked: "yes" }, {});
  await undo?.();
  expect(sent).toEqual(["post /accounts/acme/block", "delete /accounts/acme/block"]);
  expect(await override(MAY_END_BLOCKS, "gateways", "acme", { max_calls: "5" }, {})).toBeUndefined();
});

it("clears no override that another person has set since it was seen", async () => {
  inForce.set("account acme", { ...ACCOUNT, memo: "fraud" });
  await expect(cleared(MAY, "accounts", "acme", "blocked", { seen: ACCOUNT })).rejects.toBeInstanceOf(ChangedSince);
  inForce.delete("account acme");
  await expect(cleared(MAY, "accounts", "acme", "blocked", { seen: ACCOUNT })).rejects.toBeInstanceOf(ChangedSince);
  expect(sent).toEqual([]);
  inForce.set("account acme", ACCOUNT);
  await cleared(MAY, "accounts", "acme", "blocked", { seen: ACCOUNT });
  expect(inForce.size).toBe(0);
});

it("says which block was seen where it ends one", async () => {
  const since = "2026-11-27T09:00:00.000Z";
  inForce.set("account acme", { ...ACCOUNT, since });
  await cleared(MAY, "accounts", "acme", "blocked", { seen: { ...ACCOUNT, since } });
  await cleared(MAY, "accounts", "acme", "blocked", { since });
  expect(sent).toEqual(Array(2).fill(`delete /accounts/acme/block?since=${since}`));
});

it("offers no undo of opening an account, which it cannot close again", async () => {
  inForce.set("account acme", { ...ACCOUNT, setting: "closed" });
  expect(await cleared(MAY, "accounts", "acme", "closed")).toBeUndefined();
  expect(sent).toEqual(["delete /overrides"]);
});

it("ends the block of a destination of an account by its name", async () => {
  expect(await cleared(MAY, "destinations", "acme/premium", "blocked")).toBeUndefined();
  expect(sent).toEqual(["delete /overrides"]);
});

it("sets no override over one that another person has set since the page was read", async () => {
  const fraud = { ...ACCOUNT, value: "incoming", memo: "fraud" };
  inForce.set("account acme", fraud);
  const block = (seen: Row[], again?: string) =>
    override(MAY, "accounts", "acme", { blocked: "yes" }, {}, { key: "key", again, seen });
  await expect(block([])).rejects.toBeInstanceOf(ChangedSince);
  await expect(block([{ ...ACCOUNT, setting: "overdraft_limit" }])).rejects.toBeInstanceOf(ChangedSince);
  expect(sent).toEqual([]);
  const undo = await block([fraud, { ...ACCOUNT, setting: "overdraft_limit" }]);
  await undo?.();
  expect([...inForce.values()]).toEqual([fraud]);
});

it("orders a block again whose answer was lost, though it is in force by now", async () => {
  inForce.set("account acme", ACCOUNT);
  const undo = await override(MAY, "accounts", "acme", { blocked: "yes" }, {}, { key: "key", again: "key", seen: [] });
  expect(sent).toEqual(["post /accounts/acme/block"]);
  await undo?.();
  expect(sent).toEqual(["post /accounts/acme/block", "delete /accounts/acme/block"]);
});

it.each([
  ["that the page has shown by now", [{ since: "now" }], { since: "now" }],
  ["over which a colleague has set another one", [], { since: "later", memo: "fraud" }],
  ["that a colleague has taken back", [{ since: "before" }], undefined],
])("takes back no repeated order %s", async (_, seen, found) => {
  carriedOut = { ...ACCOUNT, since: "now" };
  if (found) inForce.set("account acme", { ...ACCOUNT, ...found });
  const shown = seen.map((row) => ({ ...ACCOUNT, ...row }));
  const order = { key: "key", again: "key", seen: shown };
  expect(await override(MAY, "accounts", "acme", { blocked: "yes" }, {}, order)).toBeUndefined();
});

it("takes back no end that was repeated where a colleague has set another block since", async () => {
  inForce.set("account acme", { ...ACCOUNT, since: "later" });
  carriedOut = { ...ACCOUNT, since: "before" };
  const order = { seen: carriedOut, key: "key", again: "key" };
  expect(await cleared(MAY, "accounts", "acme", "blocked", order)).toBeUndefined();
});

it("takes back no order that was repeated where it is not known what was before", async () => {
  inForce.set("account acme", { ...ACCOUNT, setting: "overdraft_limit", value: "55" });
  const limit = (again?: string) =>
    override(MAY, "accounts", "acme", { overdraft_limit: "55" }, {}, { key: "key", again });
  expect(await limit("key")).toBeUndefined();
  expect(await limit()).toBeDefined();
});

it("has an override hold again that was cleared before the answer was lost", async () => {
  const seen = { ...ACCOUNT, value: "incoming", memo: "fraud" };
  const undo = await cleared(MAY, "accounts", "acme", "blocked", { seen, key: "key", again: "key" });
  await undo?.();
  expect([...inForce.values()]).toEqual([seen]);
});

it("sets an override over what there is for a role that sees none", async () => {
  inForce.set("account acme", ACCOUNT);
  await override(new Set(), "accounts", "acme", { blocked: "yes" }, {}, { seen: [] });
  expect(sent).toEqual(["post /accounts/acme/block"]);
});
