import { expect, it } from "vitest";
import { withoutCommand } from "./withoutcommand";

it.each([
  [
    "the database defines no accounts beta: see vosd definitions list accounts",
    "the database defines no accounts beta",
  ],
  ["数据库没有定义 accounts beta：见 vosd definitions list accounts", "数据库没有定义 accounts beta"],
  ["there is no invoice 7: vosd invoice list has them", "there is no invoice 7"],
  ["make it again (vosd invoice run)", "make it again"],
  ["vosd ledger verify finds what does not agree", ""],
  ["customer acme has no account beta", "customer acme has no account beta"],
])("leaves the command out of %s", (said, shown) => {
  expect(withoutCommand(said)).toBe(shown);
});
