import { expect, it } from "vitest";
import { neutralised } from "./client";

it("lets no cell of a download begin a formula, and leaves amounts as they are", () => {
  expect(neutralised('prefix,area\n44,=1+1\n49,"=HYPERLINK(1)"\n33,@x\n')).toBe(
    "prefix,area\n44,'=1+1\n49,\"'=HYPERLINK(1)\"\n33,'@x\n",
  );
  expect(neutralised("a,-0.50,+3\n-1,x\n")).toBe("a,-0.50,'+3\n-1,x\n");
  expect(neutralised("44,United Kingdom,0.012,30/6\n")).toBe("44,United Kingdom,0.012,30/6\n");
});
