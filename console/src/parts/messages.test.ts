import { expect, it } from "vitest";
import { type Message, nameOf, picture } from "./messages";

const said = (leg: number, way: string, at: string, message: string): Message => ({
  at: `2026-03-01T12:00:0${at}Z`,
  way,
  leg,
  remote_host: "192.0.2.1",
  remote_port: 5060 + leg,
  message,
});

it("names requests by their method and responses by their status", () => {
  expect(nameOf("INVITE sip:44@192.0.2.1 SIP/2.0\r\nTo: x\r\n\r\n")).toBe("INVITE");
  expect(nameOf("SIP/2.0 486 Busy Here\r\nTo: x\r\n\r\n")).toBe("486 Busy Here");
});

it("draws each leg in a column of its own, with the switch behind the caller", () => {
  const found = picture(
    {
      mapping_gateway: "pbx",
      gateways: ["first", "second"],
      messages: [
        said(0, "in", "0.000", "INVITE sip:44@host SIP/2.0\r\nCSeq: 1 INVITE\r\n\r\nv=0"),
        said(1, "out", "0.004", "INVITE sip:44@host SIP/2.0\r\nCSeq: 1 INVITE\r\n\r\n"),
        said(1, "in", "0.100", "SIP/2.0 503 Away\r\nCSeq: 1 INVITE\r\n\r\n"),
        said(2, "out", "0.101", "INVITE sip:44@host SIP/2.0\r\nCSeq: 1 INVITE\r\n\r\n"),
      ],
    },
    "switch",
  );
  expect(found.columns.map((column) => column.name)).toEqual(["pbx", "switch", "first", "second"]);
  expect(found.columns[3]?.address).toBe("192.0.2.1:5062");
  expect(found.rungs.map((rung) => [rung.ms, rung.from, rung.to])).toEqual([
    [0, 0, 1],
    [4, 1, 2],
    [100, 2, 1],
    [101, 1, 3],
  ]);
  expect(found.rungs.map((rung) => [rung.of, rung.hasBody])).toEqual([
    ["", true],
    ["", false],
    ["INVITE", false],
    ["", false],
  ]);
});

it("has no rungs where there are no messages", () => {
  expect(picture({}, "switch").rungs).toEqual([]);
});
