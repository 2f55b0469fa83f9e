/** The state of the switch: one reading for the frame and the pages, which show different parts of it. */

import { queryOptions } from "@tanstack/react-query";
import { client, content, type Row, type Schemas } from "../api/client";

export const statusQuery = queryOptions({
  queryKey: ["status"],
  queryFn: () => content(client.GET("/status")),
});

export const figure = (figures: unknown, name: string): string => String((figures as Row)[name] ?? 0);
export const percent = (value: unknown): string => (typeof value === "number" ? `${value.toFixed(0)} %` : "–");
const megabits = (bytes: unknown): string => (typeof bytes === "number" ? ((bytes * 8) / 1e6).toFixed(1) : "–");

/** Traffic that the network devices of the machine receive and send. */
export const networkUse = (machine: Schemas["MachineUse"]): string =>
  `${megabits(machine.received_bytes)} / ${megabits(machine.sent_bytes)}`;

/** Processes of the switch with their use of a core, in percent, the busiest first. */
export const processesOf = (machine: Schemas["MachineUse"]): [string, number][] =>
  Object.entries(machine.processes ?? {}).sort(([, one], [, other]) => other - one);
