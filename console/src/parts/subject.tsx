/** The subject of an alarm, with the way to the page of what it is about. */

import { useMay, useSession } from "../session";
import { Go } from "./go";
import { Gateway, useStateWord, Value } from "./values";

type Lead = "gateway" | "account" | "call" | "phone" | "calendar" | "source" | "report" | "search";

/** Leads of the first fact in the subject of each alarm: `KINDS` of vosd/obs/alarms.py has the facts. */
const LEADS: Readonly<Record<string, Lead>> = {
  gateway_down: "gateway",
  gateway_resting: "gateway",
  source_conflict: "gateway",
  gateway_unregistered: "gateway",
  registration_lost: "gateway",
  registration_refused: "gateway",
  account_refused: "gateway",
  asr_low: "gateway",
  customer_asr_low: "gateway",
  pdd_high: "gateway",
  media_loss_high: "gateway",
  customer_media_loss_high: "gateway",
  short_calls: "gateway",
  acd_low: "gateway",
  session_refresh_failed: "gateway",
  cps_high: "gateway",
  answer_unheard: "gateway",
  caller_blacklisted: "gateway",
  overdraft_high: "account",
  balance_low: "account",
  loss_calls: "account",
  spend_limit_reached: "account",
  fraud_suspected: "account",
  destination_new: "account",
  account_expires: "account",
  account_close_unfinished: "account",
  bilateral_differs: "account",
  bilateral_away: "account",
  call_too_long: "call",
  phone_offline: "phone",
  holidays_missing: "calendar",
  auth_lockout: "source",
  source_blocked: "source",
  report_failed: "report",
  gateway_name_lost: "search",
  bye_unanswered: "search",
  bye_refused: "search",
  auth_user_attacked: "search",
  source_denied: "search",
  access_refused: "search",
};

/** A name with the way to its page, for those who may open that. */
function Led({ lead, name }: { lead: Lead; name: string }) {
  const { may } = useSession();
  const path = encodeURIComponent(name);
  const pages = {
    call: ["GET /cdrs/{call_id}", `/cdrs/${path}`],
    phone: ["GET /phones/{name}", `/objects/phones/${path}`],
    calendar: ["GET /calendars/{name}", `/objects/calendars/${path}`],
    source: ["GET /sources", `/lists/sources?source=${path}`],
    report: ["GET /scheduled-reports", "/lists/scheduled"],
  } as const;
  if (lead === "gateway") return <Gateway name={name} />;
  if (lead === "account") return <Value row={{ account: name }} name="account" kind="account" />;
  if (lead === "search") return <Go to={`/found?q=${path}`}>{name}</Go>;
  const [needs, to] = pages[lead];
  return may.has(needs) ? <Go to={to}>{name}</Go> : name;
}

export function Subject({ alarm, subject }: { alarm: string; subject: string }) {
  const word = useStateWord();
  const lead = LEADS[alarm];
  const [name = "", ...others] = subject.split(" ");
  if (!lead || !name) return word(subject);
  return (
    <>
      <Led lead={lead} name={name} />
      {others.length > 0 && ` ${others.join(" ")}`}
    </>
  );
}

/** Pages that help with alarms of the whole installation, beside what they say. */
const HELP: Readonly<Record<string, readonly [needs: string, to: string, text: string]>> = {
  caller_blacklisted: ["GET /blacklist", "/lists/blacklist", "nav.blacklist"],
  invoices_overdue: ["GET /invoices", "/invoices?state=overdue", "nav.invoices"],
  reload_refused: ["POST /configuration/check", "/health", "nav.health"],
  nightly_failed: ["GET /jobs", "/lists/jobs", "nav.jobs"],
};

/** The page that helps with an alarm, as path and key of its text; none for those who may not open it. */
export function useHelp(alarm: string): { to: string; text: string } | null {
  const [needs = "", to = "", text = ""] = HELP[alarm] ?? [];
  return useMay(needs) ? { to, text } : null;
}
