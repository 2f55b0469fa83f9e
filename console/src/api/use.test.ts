import { afterEach, beforeEach, expect, it, vi } from "vitest";
import { client, noteSession } from "./client";
import { noteUse, noteWall } from "./use";

const AGAIN_MS = 30_000;
/** Whether each request was said to be one of a page that is left alone. */
let unattended: boolean[];
/** Whether each request was said to have time. */
let patient: boolean[];

beforeEach(() => {
  vi.useFakeTimers();
  unattended = [];
  patient = [];
  noteSession(null, async () => false);
  vi.stubGlobal("fetch", async (asked: Request) => {
    unattended.push(asked.headers.get("X-Unattended") === "true");
    patient.push(asked.headers.get("Prefer") === "wait=1");
    return Response.json({});
  });
});

afterEach(() => {
  noteWall(false);
  vi.useRealTimers();
});

const there = { baseUrl: "https://switch.example/api/v1" };

async function readAgain(): Promise<void> {
  await client.GET("/status", there);
  vi.advanceTimersByTime(AGAIN_MS);
}

it("says of what a page reads by itself that no one is there, and not of what a person asks or orders", async () => {
  noteUse();
  for (let number = 0; number < 4; number++) await readAgain();
  expect(unattended).toEqual([false, false, false, true]);
  await client.POST("/configuration/reload", there);
  noteUse();
  await readAgain();
  expect(unattended.slice(4)).toEqual([false, false]);
});

it("gives the switch time for what it reads by itself, and none where a person waits, nor for an order", async () => {
  noteUse();
  await readAgain();
  await readAgain();
  await client.POST("/configuration/reload", there);
  noteUse();
  await readAgain();
  expect(patient).toEqual([false, true, false, false]);
});

it("takes the wall for a page that is used: it is looked at alone", async () => {
  noteUse();
  vi.advanceTimersByTime(10 * AGAIN_MS);
  noteWall(true);
  await readAgain();
  noteWall(false);
  await readAgain();
  expect(unattended).toEqual([false, true]);
});
