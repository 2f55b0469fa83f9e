/** Changes of the configuration in the database, the newest first: who, when, why, and what of which object. */

import { Button, Title } from "@mantine/core";
import { useQuery } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";
import { useState } from "react";
import { ifVersion, pageOf, type Query, type Row, type Schemas, send, unlessOther } from "../api/client";
import { placeOf } from "../forms/editor";
import { pathOf } from "../forms/keys";
import { KeyWords } from "../parts/keywords";
import { Note } from "../parts/note";
import { Page } from "../parts/page";
import { ProblemText } from "../parts/problem";
import { type Change, LastDone } from "../parts/trial";
import { TriedAct } from "../parts/tried";
import { Moment } from "../parts/values";
import { useMay, useSession } from "../session";
import { ServerText } from "../text/meanings";
import { useTranslation } from "../text/translation";

const ACTIONS = [
  "SetObjects",
  "EndObject",
  "RevertObject",
  "SetPhonePassword",
  "ProvisionCustomer",
  "ChangeObjects",
  "ImportSheet",
  "WithdrawChange",
];
const LINES_READ = 100;
const OBJECTS_SHOWN = 20;
const PLANNED_READ = 200;

interface Made {
  kind: string;
  name: string;
  version: string;
}

/** Objects of a line of the audit: `accounts shop 3`, or by name with their version. */
export function madeBy(detail: unknown): readonly Made[] {
  const versions = (detail as Row | null)?.versions;
  const lines = Array.isArray(versions)
    ? versions.map(String)
    : Object.entries((versions ?? {}) as Record<string, unknown>).map(([name, version]) => `${name} ${version}`);
  return lines.map((line) => {
    const [kind = "", ...rest] = line.split(" ");
    const version = rest.pop() ?? "";
    return { kind, name: rest.join(" "), version };
  });
}

/** What a line is about: an object with the word for its kind, or how many; else as the line has it. */
export function subjectOf(line: Row, kindWord: (kind: string) => string, countWords: (count: number) => string) {
  const subject = String(line.subject);
  const [only, ...others] = madeBy(line.detail);
  if (only && others.length === 0 && subject === `${only.kind} ${only.name}`)
    return `${kindWord(only.kind)}: ${only.name}`;
  const count = /^(\d+) objects$/.exec(subject)?.[1];
  return count && others.length > 0 ? countWords(Number(count)) : subject;
}

export function ChangesScreen() {
  const { t } = useTranslation();
  const found = useQuery({
    queryKey: ["audit", "changes"],
    queryFn: async () => {
      const pages = await Promise.all(ACTIONS.map((action) => pageOf("/audit", { action, limit: LINES_READ })));
      const lines = pages.flatMap((page) => page.items).sort((one, other) => Number(other.id) - Number(one.id));
      // behind the last line of an action that has more, those of the others have a gap
      const cut = Math.max(0, ...pages.map((page) => (page.next ? Number(page.items.at(-1)?.id) : 0)));
      return { lines: lines.filter((line) => Number(line.id) >= cut), hasMore: cut > 0 };
    },
  });
  return (
    <Page title={t("nav.changes")} needs="GET /audit">
      <LastDone />
      <Planned />
      <ProblemText error={found.error} again={() => found.refetch()} />
      {found.data?.lines.length === 0 && <Note why="empty">{t("changes.none")}</Note>}
      <ol className="changes">
        {found.data?.lines.map((line) => (
          <Line key={String(line.id)} line={line} />
        ))}
      </ol>
      {found.data?.hasMore && <p className="quiet">{t("state.rows_more", { count: found.data.lines.length })}</p>}
    </Page>
  );
}

/** Versions that begin later, the first to begin first. */
function Planned() {
  const { t } = useTranslation();
  const { may } = useSession();
  const found = useQuery({
    queryKey: ["planned-versions"],
    queryFn: () => pageOf("/planned-versions", { limit: PLANNED_READ }),
    enabled: may.has("GET /planned-versions"),
  });
  const planned = (found.data?.items ?? []) as unknown as Schemas["PlannedSheet"][];
  if (planned.length === 0 && !found.error) return null;
  return (
    <section aria-label={t("changes.planned")}>
      <Title order={2} size="h4">
        {t("changes.planned")}
      </Title>
      <ProblemText error={found.error} again={() => found.refetch()} />
      <ol className="changes">
        {planned.map((each) => (
          <li key={`${each.kind} ${each.name} ${each.version}`}>
            <Moment value={each.begins_at} /> <VersionLink kind={each.kind} name={each.name} version={each.version} />{" "}
            <b>{each.operator}</b> {each.memo ? <i>{each.memo}</i> : null} <CallOff planned={each} />
            <Later planned={each} />
          </li>
        ))}
      </ol>
      {found.data?.next && <p className="quiet">{t("state.rows_more", { count: planned.length })}</p>}
      <Title order={2} size="h4">
        {t("changes.made")}
      </Title>
    </section>
  );
}

/** What a planned version does to the object that it finds. */
function Later({ planned }: { planned: Schemas["PlannedSheet"] }) {
  const { t } = useTranslation();
  const { kind, name, defined, replaces, keys } = planned;
  if (!defined && replaces !== null) return <p>{t("change.ended", { kind: t(`kind.${kind}`), name })}</p>;
  if (Object.keys(keys as Row).length === 0) return <p className="quiet">{t("changes.nothing")}</p>;
  return <KeyWords keys={keys} />;
}

/** The way to have the version that holds until then hold on: it is planned for the same moment. */
function CallOff({ planned }: { planned: Schemas["PlannedSheet"] }) {
  const { t } = useTranslation();
  const { kind, name, version, replaces, begins_at: at, defined } = planned;
  const may = { revert: useMay(`POST ${pathOf(kind)}/{name}/revert`), end: useMay(`DELETE ${pathOf(kind)}/{name}`) };
  const place = placeOf(kind, name);
  /** Have a version, or none, hold from that moment on. */
  const plan = (to: number | null, query: Query, headers?: Record<string, string>) =>
    to === null
      ? send<Change>("delete", place, { query: { ...query, at }, headers })
      : send<Change>("post", `${place}/revert`, { query, headers, body: { version: to, at } });
  /** The version that holds until then by now; one that was called off meanwhile is refused for its own version. */
  const replacedNow = async () => {
    const { items } = await pageOf("/planned-versions", { kind, name });
    const now = items.find((each) => each.version === version);
    return now ? now.replaces : replaces;
  };
  const changes = defined ? Object.keys(planned.keys as Row).length > 0 : replaces !== null;
  if (!changes || !may.end || !may.revert) return null;
  return (
    <TriedAct
      button={t("changes.call_off")}
      size="compact-xs"
      version={version}
      // a colleague may have changed what holds until then, which the version of the plan does not tell
      order={(query, headers) => unlessOther(replaces, replacedNow, () => plan(replaces, query, headers))}
      title={t("changes.call_off_title", { name, version })}
      act={t("changes.call_off")}
      said={t("changes.called_off", { name, version })}
      undo={(made) => plan(defined ? version : null, { confirm: true }, ifVersion(made.changes[0]?.version))}
    />
  );
}

function Line({ line }: { line: Row }) {
  const { t } = useTranslation();
  const [isOpen, setOpen] = useState(false);
  const made = madeBy(line.detail);
  const detail = line.detail as Row | null;
  const isWithdrawal = line.action === "WithdrawChange"; // its memo says no more
  const memo = isWithdrawal ? null : detail?.memo;
  return (
    <li>
      <Moment value={line.at} /> <b>{String(line.principal)}</b>{" "}
      <span className="quiet">
        {t("column.means")}: <ServerText text={String(line.means)} />
      </span>{" "}
      {subjectOf(
        line,
        (kind) => t(`kind.${kind}`),
        (count) => t("changes.objects", { count }),
      )}{" "}
      {isWithdrawal && <i>{t("changes.withdrawn")}</i>}
      {memo ? <i>{String(memo)}</i> : null} {detail?.file ? <span className="quiet">{String(detail.file)}</span> : null}{" "}
      {made.length > 0 && (
        <Button size="compact-xs" variant="default" aria-expanded={isOpen} onClick={() => setOpen(!isOpen)}>
          {t("changes.show")}
        </Button>
      )}
      {isOpen && isWithdrawal && Array.isArray(detail?.why) && (
        <ul>
          {detail.why.slice(0, OBJECTS_SHOWN).map((why) => (
            <li key={String(why)}>{String(why)}</li>
          ))}
        </ul>
      )}
      {isOpen && (
        <ul>
          {made.slice(0, OBJECTS_SHOWN).map((each) => (
            <li key={`${each.kind} ${each.name}`}>
              <One made={each} />
            </li>
          ))}
          {made.length > OBJECTS_SHOWN && <li>{t("form.more", { count: made.length - OBJECTS_SHOWN })}</li>}
        </ul>
      )}
    </li>
  );
}

function One({ made }: { made: Made }) {
  const { kind, name, version } = made;
  const found = useQuery({
    queryKey: ["versions", kind, name, version],
    queryFn: () => pageOf(`${placeOf(kind, name)}/versions`, { version }),
    enabled: useMay(`GET ${pathOf(kind)}/{name}/versions`),
  });
  const [sheet] = (found.data?.items ?? []) as unknown as Schemas["KeysSheet"][];
  return (
    <>
      <VersionLink {...made} />
      <ProblemText error={found.error} />
      {sheet && <KeyWords keys={sheet.keys} />}
    </>
  );
}

function VersionLink({ kind, name, version }: { kind: string; name: string; version: string | number }) {
  const { t } = useTranslation();
  const label = t("changes.version_of", { kind: t(`kind.${kind}`), name, version });
  if (!useMay(`GET ${pathOf(kind)}/{name}/versions`)) return label;
  return kind === "parameters" ? (
    <Link to="/parameters" search={{ q: name }}>
      {label}
    </Link>
  ) : (
    <Link to="/objects/$kind/$name" params={{ kind, name }} search={{ tab: "history" }}>
      {label}
    </Link>
  );
}
