/** Messages of a call as rows of a ladder: who sent each to whom, when, and its name. */

export interface Message {
  at: string;
  way: string;
  leg: number;
  remote_host: string;
  remote_port: number;
  message: string;
}

export interface Ladder {
  gateways?: string[];
  mapping_gateway?: string | null;
  messages?: Message[];
}

export interface Rung {
  /** Milliseconds since the first message. */
  ms: number;
  /** Columns of the sender and of the receiver. */
  from: number;
  to: number;
  /** Method, or status and reason. */
  name: string;
  /** Method that a response is about; empty for a request. */
  of: string;
  hasBody: boolean;
  text: string;
}

export interface Picture {
  /** The caller's side, the switch, then each vendor in the order of the attempts. */
  columns: { name: string; address: string }[];
  rungs: Rung[];
}

const SWITCH = 1;

/** The first line without address and version, such as `INVITE` or `486 Busy Here`. */
export function nameOf(message: string): string {
  const first = message.split("\r\n", 1)[0] ?? "";
  return first.startsWith("SIP/2.0 ") ? first.slice(8) : (first.split(" ", 1)[0] ?? "");
}

function methodOf(message: string): string {
  if (!message.startsWith("SIP/2.0 ")) return "";
  return /\r\nCSeq:\s*\d+\s+(\w+)/i.exec(message)?.[1] ?? "";
}

/** Lay messages out; each leg is a column of its own, the switch stands behind the caller's. */
export function picture({ gateways = [], mapping_gateway, messages = [] }: Ladder, inside: string): Picture {
  const columns = [
    { name: mapping_gateway ?? "", address: "" },
    { name: inside, address: "" },
  ];
  const places = new Map<number, number>([[0, 0]]);
  const begin = Date.parse(messages[0]?.at ?? "");
  const rungs = messages.map((each): Rung => {
    let place = places.get(each.leg);
    if (place === undefined) {
      place = columns.length;
      places.set(each.leg, place);
      columns.push({ name: gateways[each.leg - 1] ?? "", address: "" });
    }
    const column = columns[place];
    if (column && !column.address) column.address = `${each.remote_host}:${each.remote_port}`;
    const isIn = each.way === "in";
    return {
      ms: Date.parse(each.at) - begin,
      from: isIn ? place : SWITCH,
      to: isIn ? SWITCH : place,
      name: nameOf(each.message),
      of: methodOf(each.message),
      hasBody: /\r\n\r\n./.test(each.message),
      text: each.message,
    };
  });
  return { columns, rungs };
}
