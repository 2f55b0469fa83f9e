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
  ["no account 'vosd' here, on vosd.example.org", "no account 'vosd' here, on vosd.example.org"],
  ["end it behind its close (vosd account close), or confirm", "end it behind its close, or confirm"],
  ["look at vosd account show; the customer has to pay", "the customer has to pay"],
  ["看 vosd account show；客户需付款", "客户需付款"],
  ["the token is unknown: send one that vosd token add has printed", "the token is unknown"],
  ["账户 a 欠 5：请登记其付款，或 vosd payment add --type zero", "账户 a 欠 5：请登记其付款"],
  ["请先登记退款（vosd payment add），由第二人确认", "请先登记退款，由第二人确认"],
  ["放回数据库、用 vosd restore FILE 恢复，或重新登记付款", "放回数据库，或重新登记付款"],
  ["no number 49: vosd did list has all, vosd did import FILE adds others", "no number 49"],
  ["no account 'vosd calls' of yours", "no account 'vosd calls' of yours"],
  ["没有账户'vosd calls'：请更改", "没有账户'vosd calls'：请更改"],
  [
    "the deck is not there. vosd rates import FILE adds one. Nothing was changed",
    "the deck is not there. Nothing was changed",
  ],
  ["vosd rates import FILE adds one. Rates are in 1.5 EUR", "Rates are in 1.5 EUR"],
  ["没有此价目表。vosd rates import FILE 可添加。未更改任何内容", "没有此价目表。未更改任何内容"],
  ["./acme.yaml has no account 49.5: see vosd account list", "./acme.yaml has no account 49.5"],
  ["version 2 of deck a: install the newer vosd again", "version 2 of deck a: install the newer vosd again"],
  ["customer acme has no account beta", "customer acme has no account beta"],
])("leaves the command out of %s", (said, shown) => {
  expect(withoutCommand(said)).toBe(shown);
});

it.each([" ", "'", ": ", ", '", "（vosd ", "' ；"])("takes no time for a long run of %j", (part) => {
  const before = performance.now();
  withoutCommand(`no agent 'x${part.repeat(20_000)}y': see vosd account list`);
  expect(performance.now() - before).toBeLessThan(2_000);
});
