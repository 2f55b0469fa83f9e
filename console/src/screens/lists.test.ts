import { readFileSync } from "node:fs";
import { expect, it } from "vitest";
import { type List, lists, rowKeys } from "./columns";

interface Schema {
  $ref?: string;
  anyOf?: Schema[];
  items?: Schema;
  properties?: Record<string, Schema>;
}

const document = JSON.parse(readFileSync(new URL("../../../docs/openapi.json", import.meta.url), "utf8"));

function fieldsOf(schema: Schema): Set<string> {
  const known: Schema = schema.$ref ? document.components.schemas[schema.$ref.split("/").at(-1) ?? ""] : schema;
  return new Set([
    ...(known.anyOf ?? []).flatMap((each) => [...fieldsOf(each)]),
    ...Object.keys(known.properties ?? {}),
  ]);
}

it.each(Object.entries<List>(lists))("the list of %s asks for what the API has", (_name, list) => {
  const operation = document.paths[list.path].get;
  const answer: Schema = operation.responses["200"].content["application/json"].schema;
  const fields = fieldsOf(answer.items ?? answer.properties?.items?.items ?? {});
  expect(list.columns.map((column) => column.name).filter((name) => !fields.has(name))).toEqual([]);
  const parameters: { name: string; schema: { enum?: string[] } }[] = operation.parameters;
  const narrowing = new Set(parameters.map((each) => each.name));
  const narrowed = [...(list.filters ?? []).map((filter) => filter.name), ...(list.opens ? [list.opens] : [])];
  expect(narrowed.filter((name) => !narrowing.has(name))).toEqual([]);
  const orders = parameters.find((each) => each.name === "sort")?.schema.enum ?? [];
  const sortable = list.columns.filter((column) => column.isSortable).map((column) => column.name);
  expect(sortable.filter((name) => !orders.includes(name))).toEqual([]);
});

it("leaves a row its key where another comes before it", () => {
  const rows = [{ id: 20 }, { id: 17 }, { id: 17 }];
  expect(rowKeys([{ id: 21 }, ...rows], ["id"]).slice(1)).toEqual(rowKeys(rows, ["id"]));
  expect(new Set(rowKeys(rows, ["id"])).size).toBe(3);
});
