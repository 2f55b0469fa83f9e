import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { isEnglish, sayer } from "./sentences";

const file = JSON.parse(readFileSync(new URL("./zh.json", import.meta.url), "utf8"));
const chinese = { ...file.switch, ...file.server };
const sign = (name: string): string => file.sign[name];
const VALUES = ["ada-1", "77.5", "b12", "+4930", "k9"];

/** Fill a template, or its translation; of two places side by side the second has what may follow. */
function filled(text: string, english: string): string {
  const value = (at: number) => (english.includes(`}{${at}}`) ? `, ${VALUES[at]}` : (VALUES[at] ?? ""));
  return text.replace(/\{(\d+)\}/g, (_, place) => value(Number(place)));
}

test("names and numbers stay, and stand where the other language has them", () => {
  const say = sayer({ "{0} of {1} calls": "{1} 个呼叫中的 {0} 个", "account {0} has expired": "账户 {0} 已过期" });
  expect(say("3 of 20 calls")).toBe("20 个呼叫中的 3 个");
  expect(say("account shop has expired")).toBe("账户 shop 已过期");
  expect(say("what a vendor says of its own")).toBe("what a vendor says of its own");
});

test("a sentence within a sentence is said, too", () => {
  const say = sayer({ "agent {0}: {1}": "代理 {0}：{1}", "account {0} has expired": "账户 {0} 已过期" });
  expect(say("agent north: account shop has expired")).toBe("代理 north：账户 shop 已过期");
});

test("of two templates the one that says more is taken", () => {
  const say = sayer({ "invoice {0} is {1}": "账单 {0} 是{1}", "invoice {0} is issued already": "账单 {0} 已经开具" });
  expect(say("invoice 17 is issued already")).toBe("账单 17 已经开具");
});

test("a sentence that goes on with its remedy is taken before a general one", () => {
  const say = sayer(chinese, undefined, undefined, sign);
  expect(say("`name` is no name of a view: 1 to 64 printable characters")).toBe(
    "`name` 不是视图的名称：1 至 64 个可打印字符",
  );
  expect(say("`query` has 3,007 characters: 2,000 at most")).toMatch(/^`query` 有 3,007 个字符：/);
  expect(say("`query` has characters that no address has: write them as % and two digits")).toMatch(
    /^`query` 含有地址中不允许的字符：/,
  );
  expect(say("3 calls of the period or before run, 2 are not booked yet")).toContain("3 个正在进行，2 个尚未入账");
});

test("parts are said where the whole is none: fields, places, reasons one behind the other", () => {
  const say = sayer(
    {
      "is empty": "为空",
      "expected {0}": "应为 {0}",
      "one of {0}": "{0} 之一",
      full: "已满",
      "{0} of {1}": "{1} 的 {0}",
    },
    (word) => ({ Busy: "忙" })[word],
    undefined,
    sign,
  );
  expect(say("`name` is empty: more")).toBe("`name` 为空：more");
  expect(say("vosd.yaml:12: accounts[shop].type: expected one of a, b")).toBe(
    "vosd.yaml:12：accounts[shop].type：应为 a, b 之一",
  );
  expect(say("Busy, 486: is empty")).toBe("忙，486：为空");
  expect(say("full: 3 of 2")).toBe("已满：2 的 3");
  expect(say("is empty\nunknown\nis empty")).toBe("为空\nunknown\n为空");
});

test("a long text of a peer costs little", () => {
  const say = sayer(chinese, undefined, undefined, sign);
  const text = Array.from({ length: 200 }, (_, at) => `part ${at}: more; and`).join(", ");
  expect(say(text)).toBe(text);
});

test("each sentence of the server is found by its own template", () => {
  const say = sayer(chinese, undefined, undefined, sign);
  const templates = Object.keys(chinese).filter((english) => english.includes("{0}"));
  expect(templates.length).toBeGreaterThan(700);
  expect(templates.filter((english) => say(filled(english, english)) !== filled(chinese[english], english))).toEqual(
    [],
  );
});

test("what the small texts leave in English is told from names and numbers", () => {
  const unsaid: string[] = [];
  const say = sayer(file.switch, undefined, (rest) => unsaid.push(rest), sign);
  const isUnsaid = (english: string) => {
    unsaid.length = 0;
    say(english);
    return unsaid.some(isEnglish);
  };
  const ofSource = (english: string) => (english.includes("{0}") ? filled(english, english) : english);
  const all = (texts: object) => Object.keys(texts).map(ofSource);
  const sayAll = sayer(chinese, undefined, undefined, sign);
  const isLost = (english: string) => !isUnsaid(english) && say(english) !== sayAll(english);
  expect(all(file.server).filter(isLost)).toEqual([]);
  expect(all(file.switch).filter(isUnsaid)).toEqual([]);
  for (const english of ["line 3: a number", "is 5: expected 1 to 3", "full: invoice #17 is a draft"])
    expect(isUnsaid(english)).toBe(true);
});

test("the message about an amount of a rate sheet is said in Chinese", () => {
  const say = sayer(chinese, undefined, undefined, sign);
  const amount =
    "an amount of 0 or more with at most 8 decimals, such as 0.012, without exponent and thousands separators";
  const said = say(`${amount}; for another decimal sign say that of the sheet (\`decimal\` in a map)`);
  expect(said).toContain("小数最多 8 位的金额，例如 0.012");
  expect(said).not.toMatch(/[a-z]+ [a-z]+/);
  expect(say("line 3: 'x' is not an amount: at most 12 digits, then at most 8 decimals, such as 10.50")).not.toMatch(
    /[a-z]+ [a-z]+/,
  );
});

test("the refusal of another database than that of the running switch is said in Chinese", () => {
  const say = sayer(chinese, undefined, undefined, sign);
  const said = say(
    "database.url: expected the database on which the running switch works (/var/vosd.db) until vosd restart",
  );
  expect(said).toBe("database.url：应为 正在运行的交换机所用的数据库（/var/vosd.db），直到 vosd restart");
});

test("a refusal that begins with what is expected instead is said in Chinese", () => {
  const said = sayer(chinese, undefined, undefined, sign)("sip.realm: expected each codec once");
  expect(said).toBe("sip.realm：应为 每个编解码器只写一次");
});

test("two sentences of the server are each said by itself", () => {
  const say = sayer(chinese, undefined, undefined, sign);
  const both = [
    "expected a whole number from 1 to 5",
    "sip.realm: expected each codec once",
    "value 'x': expected a whole number from 1 to 5",
  ];
  expect(say(both.join("\n"))).toBe(both.map(say).join("\n"));
  expect(say(both.join("\n"))).not.toContain("expected");
});

test("why a gateway is tried is said behind a sentence about its quality, too", () => {
  const say = sayer(chinese, undefined, undefined, sign);
  const few = "as good as the best by quality, with 0 of the 20 attempts that are compared";
  const resting = `prefix 44, priority 1; ${few}; resting after failures, but there is no other`;
  expect(say(resting)).toMatch(/^前缀 44，优先级 1；质量.*0 次.*20 次.*；因失败而暂停，但没有其他网关$/);
  const guarded = `prefix 44, priority 1; protected, so behind the others or 5 s after the INVITE; ${few}`;
  expect(say(guarded)).not.toMatch(/[a-z]{4}/);
  expect(say(`${guarded}; after all others: too many of its answered calls are short`)).not.toMatch(/[a-z]{4}/);
});

test("what a report lacks, and an invoice whose records are gone, are said in Chinese", () => {
  const say = sayer(chinese, (word) => file.value[word], undefined, sign);
  const gone = "ledger entries from before 2026-10-22 were dropped, because their time was over";
  expect(say(`minimum, corrections: ${gone}`)).toBe("最低消费，更正：2026-10-22 之前的账目已按保留期删除");
  const sums = "sums for reports from before 2021-11-30T00:00:00.000Z were dropped, because their time was over";
  expect(say(sums)).toMatch(/^2021-11-30.* 之前的报表汇总已按保留期删除$/);
  expect(say("ask for a time from then on")).toBe("请查询此后的时间");
  expect(say(`invoice 7 cannot be made again: ${gone}`)).toBe(
    "账单 7 无法重新生成：2026-10-22 之前的账目已按保留期删除",
  );
});

test("what stands between parts is that of the language, not of another one", () => {
  const say = sayer({
    "account {0} has expired": "Konto {0} ist abgelaufen",
    "a day": "ein Tag",
    "a week": "eine Woche",
  });
  expect(say("account shop has expired: a day")).toBe("Konto shop ist abgelaufen: ein Tag");
  expect(say("a day, a week; of others")).toBe("ein Tag, eine Woche; of others");
});
