/** Changes of the configuration in the database, the newest first: who, when, why, and what of which object. */

import { Button } from "@mantine/core";
import { useQuery } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";
import { useState } from "react";
import { useTranslation } from "react-i18next";
import { pageOf, type Row, type Schemas } from "../api/client";
import { placeOf } from "../forms/editor";
import { Note } from "../parts/note";
import { Page } from "../parts/page";
import { ProblemText } from "../parts/problem";
import { KeyWords } from "../parts/trial";
import { Moment } from "../parts/values";

const ACTIONS = ["SetObjects", "EndObject", "RevertObject", "ProvisionCustomer", "ChangeObjects"];
const LINES_READ = 100;
const OBJECTS_SHOWN = 20;

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

export function ChangesScreen() {
  const { t } = useTranslation();
  const found = useQuery({
    queryKey: ["audit", "changes"],
    queryFn: async () => {
      const pages = await Promise.all(ACTIONS.map((action) => pageOf("/audit", { action, limit: LINES_READ })));
      return pages.flatMap((page) => page.items).sort((one, other) => Number(other.id) - Number(one.id));
    },
  });
  return (
    <Page title={t("nav.changes")} needs="GET /audit">
      <ProblemText error={found.error} again={() => found.refetch()} />
      {found.data?.length === 0 && <Note why="empty">{t("changes.none")}</Note>}
      <ol className="changes">
        {found.data?.map((line) => (
          <Line key={String(line.id)} line={line} />
        ))}
      </ol>
    </Page>
  );
}

function Line({ line }: { line: Row }) {
  const { t } = useTranslation();
  const [isOpen, setOpen] = useState(false);
  const made = madeBy(line.detail);
  const memo = (line.detail as Row | null)?.memo;
  return (
    <li>
      <Moment value={line.at} /> <b>{String(line.principal)}</b> <span className="quiet">{String(line.means)}</span>{" "}
      {String(line.subject)} {memo ? <i>{String(memo)}</i> : null}{" "}
      {made.length > 0 && (
        <Button size="compact-xs" variant="default" aria-expanded={isOpen} onClick={() => setOpen(!isOpen)}>
          {t("changes.show")}
        </Button>
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
  const { t } = useTranslation();
  const { kind, name, version } = made;
  const found = useQuery({
    queryKey: ["versions", kind, name, version],
    queryFn: () => pageOf(`${placeOf(kind, name)}/versions`, { version }),
  });
  const [sheet] = (found.data?.items ?? []) as unknown as Schemas["KeysSheet"][];
  const label = t("changes.version_of", { kind: t(`kind.${kind}`), name, version });
  return (
    <>
      {kind === "parameters" ? (
        <Link to="/parameters" search={{ q: name }}>
          {label}
        </Link>
      ) : (
        <Link to="/objects/$kind/$name" params={{ kind, name }} search={{ tab: "history" }}>
          {label}
        </Link>
      )}
      <ProblemText error={found.error} />
      {sheet && <KeyWords keys={sheet.keys} />}
    </>
  );
}
