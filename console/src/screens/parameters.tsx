/** Parameters of the switch: value, source, default and meaning; set in the database and taken back. */

import { Button, Group, Modal, Select, TextInput } from "@mantine/core";
import { useQuery } from "@tanstack/react-query";
import { useNavigate, useSearch } from "@tanstack/react-router";
import { ifNone, ifVersion, pageOf, type Row, type Schemas, send } from "../api/client";
import { useKind } from "../forms/editor";
import { Meaning } from "../forms/fields";
import type { Key } from "../forms/keys";
import { Act } from "../parts/act";
import { History, type Pair } from "../parts/history";
import { Page } from "../parts/page";
import { ProblemText } from "../parts/problem";
import { Table } from "../parts/table";
import { LastDone } from "../parts/trial";
import { useMay } from "../session";
import { useServerText } from "../text/meanings";
import { useTranslation } from "../text/translation";

const ROWS_READ = 1_000;

export function ParametersScreen() {
  const { t } = useTranslation();
  const { q, source } = useSearch({ from: "/parameters" });
  const go = useNavigate({ from: "/parameters" });
  const mayDeclare = useMay("GET /definitions/{kind}");
  const found = useQuery({ queryKey: ["parameters"], queryFn: () => pageOf("/parameters", { limit: ROWS_READ }) });
  const declared = useKind("parameters", mayDeclare);
  const keys = new Map(declared.data?.keys.map((key) => [key.name, key]));
  const wanted = (q ?? "").toLowerCase();
  const inLanguage = useServerText();
  const rows = (found.data?.items ?? [])
    .map((row): Row => ({ ...row, meaning: inLanguage(String(row.meaning)) }))
    .filter(
      (row) =>
        [row.name, row.meaning].some((text) => String(text).toLowerCase().includes(wanted)) &&
        (!source || sourceOf(row) === source),
    );
  const set = (field: "q" | "source", value: string | null) =>
    // a text that is typed is one step
    go({ search: (before) => ({ ...before, [field]: value || undefined }), replace: field === "q" });
  return (
    <Page title={t("nav.parameters")} needs="GET /parameters">
      <LastDone />
      <Group align="end" gap="xs">
        <TextInput
          label={t("calls.filter")}
          value={q ?? ""}
          onChange={(event) => set("q", event.currentTarget.value)}
        />
        <Select
          label={t("column.source")}
          data={["default", "file", "database"]}
          clearable
          clearButtonProps={{ "aria-label": t("act.clear") }}
          value={source ?? null}
          onChange={(value) => set("source", value)}
        />
        <span className="quiet" role="status">
          {t("state.rows", { count: rows.length })}
        </span>
      </Group>
      <ProblemText error={found.error} again={() => found.refetch()} />
      <Table
        label={t("nav.parameters")}
        columns={[
          { name: "name", kind: "words" },
          { name: "value" },
          { name: "usual", show: (row) => keys.get(String(row.name))?.default.join(", ") ?? "–" },
          { name: "source", kind: "state" },
          { name: "acts", show: (row) => <Acts row={row} declared={keys.get(String(row.name))} /> },
          { name: "meaning", kind: "words" },
        ]}
        rows={rows}
        rowKey={(row) => String(row.name)}
        read={found.status}
      />
      <Versions />
    </Page>
  );
}

function sourceOf(row: Row): string {
  const source = String(row.source);
  if (source.startsWith("default")) return "default";
  return source.startsWith("database") ? "database" : "file";
}

type Made = Schemas["ChangeSheet"];

/** The version of the database that holds; none where the value is from elsewhere. */
function versionOf(row: Row): number | undefined {
  const [, version] = /^database, version (\d+)$/.exec(String(row.source)) ?? [];
  return version === undefined ? undefined : Number(version);
}

function Acts({ row, declared }: { row: Row; declared: Key | undefined }) {
  const { t } = useTranslation();
  const open = useOpenVersions();
  const name = String(row.name);
  const place = `/parameters/${encodeURIComponent(name)}`;
  const source = sourceOf(row);
  if (source === "file") return <span className="quiet">{t("parameters.in_files")}</span>;
  // another person may have set since what has its default here
  const shown = source === "database" ? ifVersion(versionOf(row)) : ifNone;
  const terms = (key: string) => ({ query: { confirm: true }, headers: { ...shown, "Idempotency-Key": key } });
  /** The value, or none, that it had before; only where the change is still the latest one. */
  const again = (made: Made) => () => {
    const onlyOurs = { query: { confirm: true }, headers: ifVersion(made.changes[0]?.version) };
    return source === "database"
      ? send("put", place, { ...onlyOurs, body: { value: row.value } })
      : send("delete", place, onlyOurs);
  };
  return (
    <Group gap={4} wrap="nowrap">
      {declared && (
        <Act<Made>
          isSmall
          needs="PUT /parameters/{name}"
          act={t("parameters.set")}
          title={t("parameters.set_title", { name })}
          lead={<Meaning text={String(row.meaning)} />}
          asks={[
            {
              name: "value",
              label: t("column.value"),
              hint: [
                declared.expected,
                declared.default.length && t("form.usual", { value: declared.default.join(", ") }),
              ]
                .filter(Boolean)
                .join("; "),
              begin: String(row.value),
            },
            { name: "memo", label: t("object.memo") },
          ]}
          run={({ value, memo }, key) =>
            send("put", place, { ...terms(key), body: { value, memo: memo || undefined } })
          }
          said={(_, { value }) => t("parameters.is_set", { name, value })}
          undo={again}
        />
      )}
      {source === "database" && (
        <>
          <Act<Made>
            isSmall
            needs="DELETE /parameters/{name}"
            act={t("parameters.take_back")}
            title={t("parameters.take_back_title", { name })}
            lead={t("parameters.take_back_lead", { value: declared?.default.join(", ") ?? "–" })}
            run={(_, key) => send("delete", place, terms(key))}
            said={() => t("parameters.taken_back", { name })}
            undo={again}
          />
          <Button size="compact-xs" variant="default" onClick={() => open(name)}>
            {t("definition.versions")}
          </Button>
        </>
      )}
    </Group>
  );
}

/** The versions of a parameter; the address says whose are open, and which two are compared. */
function Versions() {
  const { t } = useTranslation();
  const { versions, first, last } = useSearch({ from: "/parameters" });
  const open = useOpenVersions();
  return (
    <Modal
      opened={versions !== undefined}
      onClose={() => open()}
      title={versions}
      size="lg"
      closeButtonProps={{ "aria-label": t("act.close") }}
    >
      {versions && (
        <History
          kind="parameters"
          name={versions}
          pair={first && last ? [Number(first), Number(last)] : null}
          onPair={(pair) => open(versions, pair)}
        />
      )}
    </Modal>
  );
}

function useOpenVersions() {
  const go = useNavigate({ from: "/parameters" });
  return (name?: string, pair?: Pair) =>
    go({
      search: (before) => ({ ...before, versions: name, first: pair?.[0].toString(), last: pair?.[1].toString() }),
      replace: name === undefined,
    });
}
