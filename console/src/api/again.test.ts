import { QueryClient, QueryObserver } from "@tanstack/react-query";
import { expect, it, vi } from "vitest";
import { readAgain, SESSION } from "./again";
import { client } from "./client";

const BALANCES = ["/balances"];
const DONE = ["done"];

/** Tests of the readings that a change repeats. */
async function readAfter(change: () => Promise<unknown>): Promise<unknown[]> {
  vi.stubGlobal("fetch", async () => Response.json({}));
  const queries = new QueryClient();
  for (const key of [SESSION, BALANCES, DONE]) queries.setQueryData(key, {});
  await change();
  readAgain(queries, DONE[0]);
  return [SESSION, BALANCES, DONE].filter((key) => queries.getQueryState(key)?.isInvalidated);
}

const baseUrl = "https://switch.example/api/v1";
const put = (path: string) =>
  client.PUT(path as "/people/{name}/role", { baseUrl, params: { path: { name: "ann" } }, body: {} as never });

it("reads what is shown again behind a change, and the rights of the person not", async () => {
  expect(await readAfter(() => put("/accounts/{name}"))).toEqual([BALANCES]);
});

it("reads the rights again behind a change of people, of roles and of the session, once", async () => {
  for (const path of ["/people/{name}/role", "/roles/{name}", "/session/totp"]) {
    expect(await readAfter(() => put(path))).toEqual([SESSION, BALANCES]);
    expect(await readAfter(async () => {})).toEqual([BALANCES]);
  }
});

it("takes what was only read for no change", async () => {
  expect(await readAfter(() => client.GET("/people", { baseUrl }))).toEqual([BALANCES]);
});

it("begins a first reading anew that is under way, for it is of before the change", async () => {
  const queries = new QueryClient();
  const answers: ((balance: string) => void)[] = [];
  const queryFn = () => new Promise<string>((resolve) => answers.push(resolve));
  const end = new QueryObserver(queries, { queryKey: BALANCES, queryFn }).subscribe(() => {});
  readAgain(queries);
  expect(answers).toHaveLength(2);
  answers[0]?.("before");
  answers[1]?.("behind");
  await vi.waitFor(() => expect(queries.isFetching()).toBe(0));
  expect(queries.getQueryData(BALANCES)).toBe("behind");
  end();
});
