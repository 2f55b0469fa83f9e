/** Whether switch and configuration are well, and what would be loaded. */

import { Alert, Title } from "@mantine/core";
import { useQuery } from "@tanstack/react-query";
import { client, content, keyed, type Row, type Schemas, send } from "../api/client";
import { Act } from "../parts/act";
import { Facts, Page, Part } from "../parts/page";
import { ProblemText, Reading } from "../parts/problem";
import { figure, networkUse, percent, processesOf, statusQuery } from "../parts/status";
import { Table } from "../parts/table";
import { LastDone } from "../parts/trial";
import { Moment, State } from "../parts/values";
import { ServerText } from "../text/meanings";
import { useTranslation } from "../text/translation";
import { Whole } from "./call";

const READ_MS = 5_000;
/** Figures of what is not in the database yet. */
const WAITING = ["spool_rows", "spool_oldest_s", "spool_mb", "cdr_queue", "journal_backlog", "quarantined"];

export function HealthScreen() {
  const { t } = useTranslation();
  const status = useQuery({ ...statusQuery, refetchInterval: READ_MS });
  const ready = useQuery({
    queryKey: ["ready"],
    queryFn: () => content(client.GET("/ready")),
    refetchInterval: READ_MS,
    retry: false,
  });
  const checked = useQuery({
    queryKey: ["checked"],
    queryFn: () => send<Schemas["CheckedConfiguration"]>("post", "/configuration/check"),
    staleTime: Number.POSITIVE_INFINITY,
    refetchOnWindowFocus: false,
  });
  const row = status.data;
  return (
    <Page
      title={t("nav.health")}
      needs="POST /configuration/check"
      actions={
        <Act<Schemas["Done_ReloadOutcome_"]>
          needs="POST /configuration/reload"
          act={t("health.reload")}
          title={t("health.reload_title")}
          lead={t("health.reload_lead")}
          run={(_, key) => send("post", "/configuration/reload", { query: { confirm: true }, headers: keyed(key) })}
          said={({ outcome }) => t("health.reloaded", { version: outcome.version, count: outcome.problems.length })}
        />
      }
    >
      <LastDone />
      <ProblemText error={status.error} again={() => status.refetch()} />
      <Facts
        facts={[
          [t("health.ready"), <State key="ready" value={ready.isError ? "down" : ready.data ? "up" : "…"} />],
          ...(row
            ? ([
                [t("overview.node"), `${row.node} ${row.version}`],
                [t("column.since"), <Moment key="since" value={row.started_at} />],
                [t("overview.database"), <State key="database" value={row.database.state} />],
                [t("health.catalogue"), row.catalogue.version],
                [t("health.loaded"), <Moment key="loaded" value={row.catalogue.loaded_at} />],
                [t("health.file"), row.configuration],
              ] as const)
            : []),
        ]}
      />
      {row?.catalogue.error && (
        <Alert color="red" variant="outline" title={t("health.not_loaded")}>
          <ServerText text={row.catalogue.error} />
        </Alert>
      )}
      {row && <Behind row={row} />}
      <Title order={2} size="h4">
        {t("health.check")}
      </Title>
      <Reading of={checked} />
      {checked.data && (
        <>
          <p>
            <State value={checked.data.valid} /> {t(checked.data.valid ? "health.valid" : "health.invalid")}
            {checked.data.more ? ` ${t("health.more")}` : ""}
          </p>
          <Table
            label={t("health.check")}
            columns={[
              { name: "severity", kind: "state" },
              { name: "file" },
              { name: "line", kind: "number" },
              { name: "key" },
              { name: "value", kind: "words" },
              { name: "expected", kind: "sentence" },
            ]}
            rows={checked.data.problems as unknown as Row[]}
            rowKey={(each, index) => `${each.file} ${each.line} ${index}`}
          />
        </>
      )}
    </Page>
  );
}

/** Details behind the figures of the machine and of the database on the overview. */
function Behind({ row }: { row: Schemas["StatusSheet"] }) {
  const { t } = useTranslation();
  const { machine, figures } = row;
  return (
    <>
      <Part title={t("health.machine")}>
        <Facts
          facts={[
            [t("overview.processor"), percent(machine.cpu_percent)],
            ...processesOf(machine).map(([name, value]) => [t("health.process", { name }), percent(value)] as const),
            [t("overview.memory"), percent(machine.memory_percent)],
            [t("overview.disk"), percent(machine.disk_free_percent)],
            [t("overview.network"), networkUse(machine)],
          ]}
        />
      </Part>
      <Part title={t("overview.backlog")}>
        <Facts facts={WAITING.map((name) => [t(`health.${name}`), figure(figures, name)])} />
      </Part>
      <Whole value={row} />
    </>
  );
}
