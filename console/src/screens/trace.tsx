/** Follow new calls: each that fits is shown with its messages as soon as it is complete. */

import { Button, Group, TextInput, Title } from "@mantine/core";
import { Link, useNavigate, useSearch } from "@tanstack/react-router";
import { type FormEvent, useEffect, useState } from "react";
import { queryText, type Row, stream } from "../api/client";
import { LadderPicture } from "../parts/ladder";
import type { Ladder } from "../parts/messages";
import { useEntered } from "../parts/narrow";
import { Page } from "../parts/page";
import { ProblemText } from "../parts/problem";
import { useTranslation } from "../text/translation";

const FIELDS = ["caller", "callee", "gateway", "address"] as const;
const WAITED_S = 600;
const SHOWN_MAX = 20;

interface Traced extends Ladder {
  call_id: string;
  caller: string;
  callee: string;
  outcome: Row | null;
}

export function TraceScreen() {
  const { t } = useTranslation();
  const search = useSearch({ from: "/trace" });
  const go = useNavigate({ from: "/trace" });
  const [wanted, setWanted] = useEntered(search);
  const [calls, setCalls] = useState<readonly Traced[]>([]);
  const [state, setState] = useState<"asked" | "open" | "over">("over");
  const [error, setError] = useState<Error | null>(null);
  const [round, setRound] = useState(0);
  const asked = FIELDS.filter((field) => search[field])
    .map((field) => `${field}=${search[field]}`)
    .join("&");
  // biome-ignore lint/correctness/useExhaustiveDependencies: a further round asks for the same again
  useEffect(() => {
    setCalls([]);
    if (!asked) return;
    const end = new AbortController();
    const query = Object.fromEntries(FIELDS.map((field) => [field, search[field]]));
    setState("asked");
    setError(null);
    stream(
      `/calls/trace?${queryText({ ...query, seconds: WAITED_S })}`,
      end.signal,
      () => setState("open"),
      (row) => setCalls((before) => [row as unknown as Traced, ...before].slice(0, SHOWN_MAX)),
    )
      .catch((failure: Error) => setError(failure))
      .finally(() => !end.signal.aborted && setState("over"));
    return () => end.abort();
  }, [asked, round]);
  const begin = (event: FormEvent) => {
    event.preventDefault();
    setRound(round + 1);
    void go({ search: wanted });
  };
  return (
    <Page title={t("nav.trace")} needs="GET /calls/trace">
      <span className="quiet">{t("trace.lead")}</span>
      <form onSubmit={begin}>
        <Group align="end" gap="xs">
          {FIELDS.map((field) => (
            <TextInput
              key={field}
              label={t(`trace.${field}`)}
              value={wanted[field] ?? ""}
              onChange={(event) => setWanted({ ...wanted, [field]: event.currentTarget.value || undefined })}
            />
          ))}
          <Button type="submit" disabled={!FIELDS.some((field) => wanted[field])}>
            {t("trace.go")}
          </Button>
        </Group>
      </form>
      <ProblemText error={error} />
      {asked && state !== "asked" && (
        <p role="status">
          {t(state === "open" ? "trace.waiting" : "trace.over", { minutes: WAITED_S / 60, count: calls.length })}
        </p>
      )}
      {calls.map((call) => (
        <section key={call.call_id}>
          <Title order={2} size="h4">
            <Link to="/cdrs/$call" params={{ call: call.call_id }}>
              <span dir="ltr">
                {call.caller} → {call.callee}
              </span>
            </Link>{" "}
            {String(call.outcome?.end_reason ?? "")}
          </Title>
          <LadderPicture ladder={call} />
        </section>
      ))}
    </Page>
  );
}
