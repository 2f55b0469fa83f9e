/** Single values: money, moments, states. */

import { createContext, useContext } from "react";
import type { Row } from "../api/client";
import { present } from "../api/clock";
import { amount, moment, utc } from "../format";
import { useMay, useSession } from "../session";
import { saidFacts } from "../text/facts";
import { ServerText, useServerText } from "../text/meanings";
import { useTranslation } from "../text/translation";
import { useZone } from "../zone";
import { useQuarter } from "./age";
import { Go } from "./go";
import { KeyWords } from "./keywords";

export type Kind =
  | "text"
  | "money"
  | "number"
  | "moment"
  | "state"
  | "account"
  | "gateway"
  | "call"
  | "percent"
  | "share"
  | "sentence"
  | "words"
  | "facts"
  | "act"
  | "role"
  | "permissions"
  | "keys"
  | "report"
  | "schedule";

const BAD = new Set(["down", "blocked", "disabled", "unregistered", "not located", "failed", "critical", "error"]);
const GOOD = new Set(["up", "registered", "well", "done", "paid", "in force", "talking"]);

export function Money({ value, currency }: { value: unknown; currency?: unknown }) {
  const { t } = useTranslation();
  if (value === null || value === undefined || value === "") return <span className="quiet">–</span>;
  const text = String(value);
  return (
    <bdi className={text.startsWith("-") ? "bad" : undefined}>
      {text === "unlimited" ? t("value.unlimited") : amount(text)}
      {currency && /\d/.test(text) ? ` ${currency}` : ""}
    </bdi>
  );
}

/** Whether a value stands in a row that can have the focus: then it is no stop of the keyboard itself. */
export const InRow = createContext(false);

/**
 * A moment in the viewer's zone, or in one that is named behind it then; in UTC where the mouse points, and where the
 * focus of the keyboard is.
 */
export function Moment({
  value,
  zone,
  hasDay,
}: {
  value: unknown;
  zone?: string | null;
  /** Whether the day stands there also where it is today: bounds of a period are days. */
  hasDay?: boolean;
}) {
  const viewers = useZone();
  const isInRow = useContext(InRow);
  useQuarter();
  if (!value) return <span className="quiet">–</span>;
  const text = String(value);
  return (
    // its UTC has to be reached by the keyboard, as it is by the mouse
    <time dateTime={text} title={utc(text)} data-utc={utc(text)} tabIndex={isInRow ? undefined : 0}>
      {moment(text, new Date(hasDay ? 0 : present()), zone ?? viewers)}
      {zone && ` ${zone}`}
    </time>
  );
}

/** Words for states and kinds, which the server sends as names. */
export function useStateWord(): (name: string) => string {
  const { t } = useTranslation();
  const inLanguage = useServerText();
  return (name) => t([`value.${name}`], { defaultValue: inLanguage(name) });
}

/** Words for an object that files define, with the place; agents and customers are shown none, and get `files`. */
export function useDefinedAt(): (source: string) => string {
  const { t } = useTranslation();
  return (source) => (source === "files" ? t("definition.read_only_operator") : t("definition.read_only", { source }));
}

export function State({ value }: { value: unknown }) {
  const word = useStateWord();
  const text = value === true ? "✓" : value === false ? "–" : String(value ?? "–");
  return <span className={BAD.has(text) ? "bad" : GOOD.has(text) ? "good" : undefined}>{word(text)}</span>;
}

/** Words for names of the server that commands and the API take: the name is there where the mouse points. */
export function Named({
  names,
  words,
}: {
  names: readonly string[];
  words: "action" | "role" | "permission" | "reportname";
}) {
  const { t } = useTranslation();
  return (
    <span title={names.join(", ")}>
      {names.map((name) => t([`${words}.${name}`, `actor.${name}`], { defaultValue: name })).join(", ")}
    </span>
  );
}

/** The facts of an alarm in the language of the console. */
export function useFacts(): (text: string) => string {
  const { t, i18n } = useTranslation();
  const inLanguage = useServerText();
  return (text) =>
    saidFacts(text, (name) => (i18n.exists(`fact.${name}`) ? t([`fact.${name}`]) : undefined), inLanguage);
}

function Facts({ text }: { text: string }) {
  return <>{useFacts()(text)}</>;
}

function Account({ name }: { name: string }) {
  const leads = useMay("GET /accounts/{account}/balance");
  return leads ? <Go to={`/accounts/${encodeURIComponent(name)}`}>{name}</Go> : name;
}

/** A gateway with the way to its state, or to its keys for those who may see these alone, as agents do. */
export function Gateway({ name, kind }: { name: string; kind?: "mapping_gateways" | "routing_gateways" }) {
  const { may } = useSession();
  const path = encodeURIComponent(name);
  if (may.has("GET /gateways/quality")) return <Go to={`/gateways/${path}`}>{name}</Go>;
  if (kind && may.has(`GET /${kind.replace("_", "-")}/{name}`)) return <Go to={`/objects/${kind}/${path}`}>{name}</Go>;
  return name;
}

/** A report at a fixed time, with the way to its definition. */
function Scheduled({ name }: { name: string }) {
  const leads = useMay("GET /report-schedules/{name}");
  return leads ? <Go to={`/objects/reports/${encodeURIComponent(name)}`}>{name}</Go> : name;
}

function Call({ id }: { id: string }) {
  const shown = `${id.slice(0, 8)}…`;
  if (!useMay("GET /cdrs/{call_id}")) return <span title={id}>{shown}</span>;
  return (
    <Go to={`/cdrs/${encodeURIComponent(id)}`} title={id} isOfRow>
      {shown}
    </Go>
  );
}

/** A field of a row in the form that its kind has. */
export function Value({ row, name, kind }: { row: Row; name: string; kind: Kind }) {
  const value = row[name];
  if (value === null || value === undefined || value === "") return <span className="quiet">–</span>;
  const isOfTexts = Array.isArray(value) && value.every((each) => typeof each !== "object");
  const text = isOfTexts ? value.join(", ") : typeof value === "object" ? JSON.stringify(value) : String(value);
  switch (kind) {
    case "money":
      return <Money value={value} currency={row.currency} />;
    case "moment":
      return <Moment value={value} />;
    case "state":
      return <State value={value} />;
    case "sentence":
      return <ServerText text={text} />;
    case "facts":
      return <Facts text={text} />;
    case "act":
      return <Named names={[text]} words="action" />;
    case "role":
      return <Named names={[text]} words="role" />;
    case "permissions":
      return <Named names={text.split(", ")} words="permission" />;
    case "keys":
      return <KeyWords keys={value} />;
    case "report":
      return <Named names={[text]} words="reportname" />;
    case "percent":
      return <>{typeof value === "number" ? value.toFixed(1) : text}</>;
    case "share": // a part of 1, under a heading that says percent
      return <>{(100 * Number(value)).toFixed(1)}</>;
    case "account":
      return <Account name={text} />;
    case "gateway":
      return <Gateway name={text} kind={name === "mapping_gateway" ? "mapping_gateways" : undefined} />;
    case "call":
      return <Call id={text} />;
    case "schedule":
      return <Scheduled name={text} />;
    default:
      return <>{text}</>;
  }
}
