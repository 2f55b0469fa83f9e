import { expect, it } from "vitest";
import { paymentsOf } from "./paymentfile";

it("reads payments by the names of their columns, or in the usual order", () => {
  const named = paymentsOf("Reference;Amount;Account;Memo\nb-1;12.50;acme;bank\n");
  expect(named).toEqual([{ line: 2, account: "acme", amount: "12.50", reference: "b-1", memo: "bank", problem: "" }]);
  expect(paymentsOf("acme,1,b-1\r\n\r\n")[0]).toMatchObject({ line: 1, account: "acme", problem: "" });
});

it("says which rows cannot be booked", () => {
  const found = paymentsOf('account,amount,reference\n,1,a\nacme,"1,50",b\nacme,2,\nacme,3,c\nacme,4,c\nacme,-5,d\n');
  expect(found.map((each) => each.problem)).toEqual(["account", "amount", "reference", "", "repeated", "amount"]);
});
