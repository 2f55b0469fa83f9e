import { Alert, Switch } from "@mantine/core";
import { useQuery } from "@tanstack/react-query";
import { useNavigate, useSearch } from "@tanstack/react-router";
import { useTranslation } from "react-i18next";
import { client, content, type Row } from "../api/client";
import { Page } from "../parts/page";
import { ProblemText } from "../parts/problem";
import { Table } from "../parts/table";

const READ_MS = 2_000;

export function AlarmsScreen() {
  const { t } = useTranslation();
  const { history, level } = useSearch({ from: "/alarms" });
  const go = useNavigate({ from: "/alarms" });
  const found = useQuery({
    queryKey: ["alarms", Boolean(history)],
    queryFn: () => content(client.GET("/alarms", { params: { query: history ? { history: true } : {} } })),
    refetchInterval: READ_MS,
  });
  const all = (found.data?.alarms ?? []) as unknown as Row[];
  const rows = level ? all.filter((row) => row.level === level) : all;
  return (
    <Page
      title={t("nav.alarms")}
      needs="GET /alarms"
      actions={
        <Switch
          label={t("alarms.history")}
          checked={Boolean(history)}
          onChange={(event) =>
            go({ search: { level, history: event.currentTarget.checked ? "1" : undefined }, replace: true })
          }
        />
      }
    >
      <ProblemText error={found.error} again={() => found.refetch()} />
      {rows
        .filter((row) => !row.cleared_at)
        .map((row) => (
          <Alert
            key={`${row.alarm} ${row.subject}`}
            variant="outline"
            color="yellow"
            title={`${row.alarm} ${row.subject}: ${row.text}`}
          >
            <b>{t("alarms.do")}:</b> {String(row.do)}
          </Alert>
        ))}
      <Table
        label={t("nav.alarms")}
        columns={[
          { name: "alarm" },
          { name: "subject" },
          { name: "level", kind: "state" },
          { name: "since", kind: "moment" },
          { name: "last", kind: "moment" },
          { name: "count", kind: "number" },
          { name: "cleared_at", kind: "moment" },
          { name: "text" },
        ]}
        rows={rows}
        rowKey={(row, index) => `${row.alarm} ${row.subject} ${row.since} ${index}`}
        isLoading={found.isPending}
        onClear={level ? () => go({ search: { history }, replace: true }) : undefined}
      />
    </Page>
  );
}
