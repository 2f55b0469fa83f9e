/** Versions of an object: who made each, when, why, what it changed, and the way back to it. */

import { Button, Group, NativeSelect, Stack, Title } from "@mantine/core";
import { useMutation, useQuery } from "@tanstack/react-query";
import { useState } from "react";
import { useTranslation } from "react-i18next";
import { ifVersion, pageOf, type Schemas, send } from "../api/client";
import { placeOf } from "../forms/editor";
import { pathOf } from "../forms/keys";
import { useMay } from "../session";
import { Confirm } from "./confirm";
import { ProblemText } from "./problem";
import { type Change, ChangeWords, KeyWords, useSay } from "./trial";
import { Moment } from "./values";

const VERSIONS_READ = 200;

/** Numbers of two versions: what the second one changed of the first is shown. */
export type Pair = readonly [number, number];

interface Compared {
  pair: Pair | null;
  onPair: (pair: Pair) => void;
}

export function History({ kind, name, pair, onPair }: { kind: string; name: string } & Compared) {
  const { t } = useTranslation();
  const place = placeOf(kind, name);
  const mayRevert = useMay(`POST ${pathOf(kind)}/{name}/revert`);
  const found = useQuery({
    queryKey: ["versions", kind, name],
    queryFn: () => pageOf(`${place}/versions`, { limit: VERSIONS_READ, sort: "-version" }),
  });
  const versions = (found.data?.items ?? []) as unknown as Schemas["KeysSheet"][];
  const inForce = inForceOf(versions);
  return (
    <Stack gap="sm">
      <ProblemText error={found.error} again={() => found.refetch()} />
      {versions.length > 1 && (
        <Compare place={place} versions={versions.map((each) => each.version)} pair={pair} onPair={onPair} />
      )}
      <ol className="versions" reversed>
        {versions.map((each) => (
          <li key={each.version} value={each.version}>
            <Group gap="xs" align="baseline">
              <b>{t(each.defined ? "history.version" : "history.end", { version: each.version })}</b>
              <Moment value={each.made_at} />
              <span>{each.operator}</span>
              {each.memo && <i>{each.memo}</i>}
              {each.begins_at > each.made_at && (
                <span className="quiet">
                  {t("change.begins")} <Moment value={each.begins_at} />
                </span>
              )}
              {mayRevert && each.version !== inForce && (
                <Revert place={place} name={name} version={each.version} inForce={inForce} />
              )}
            </Group>
            <KeyWords keys={each.keys} />
          </li>
        ))}
      </ol>
      {found.data?.next && <p className="quiet">{t("state.rows_more", { count: versions.length })}</p>}
    </Stack>
  );
}

/** The version that began last; one that begins at once does so whatever the clock of the browser says. */
function inForceOf(versions: readonly Schemas["KeysSheet"][]): number | undefined {
  const now = new Date().toISOString();
  const begun = versions.filter((each) => each.begins_at <= each.made_at || each.begins_at <= now);
  begun.sort((one, other) => one.begins_at.localeCompare(other.begins_at) || one.version - other.version);
  return begun.at(-1)?.version;
}

function Revert({ place, name, version, inForce }: { place: string; name: string; version: number; inForce?: number }) {
  const { t } = useTranslation();
  const say = useSay();
  const [trial, setTrial] = useState<Change | null>(null);
  const revert = useMutation({
    mutationFn: (isTrial: boolean) =>
      send<Change>("post", `${place}/revert`, {
        query: isTrial ? { dry_run: true } : { confirm: true },
        headers: ifVersion(inForce),
        body: { version },
      }),
    onSuccess: (made, isTrial) => {
      if (isTrial) {
        setTrial(made);
        return;
      }
      setTrial(null);
      say(t("history.reverted", { name, version }), () =>
        send("post", `${place}/revert`, {
          query: { confirm: true },
          headers: ifVersion(made.changes[0]?.version),
          body: { version: inForce },
        }),
      );
    },
  });
  return (
    <>
      <Button size="compact-xs" variant="default" loading={revert.isPending} onClick={() => revert.mutate(true)}>
        {t("history.revert_to", { version })}
      </Button>
      <Confirm
        opened={trial !== null || revert.error !== null}
        title={t("history.confirm", { name, version })}
        lead={trial && <ChangeWords change={trial} />}
        act={t("history.revert")}
        isAtWork={revert.isPending}
        error={revert.error}
        onAct={() => revert.mutate(trial === null)}
        onClose={() => {
          setTrial(null);
          revert.reset();
        }}
      />
    </>
  );
}

/** Two versions beside each other. */
function Compare({ place, versions, pair, onPair }: { place: string; versions: readonly number[] } & Compared) {
  const { t } = useTranslation();
  const [first, last] = pair ?? [versions.at(1) ?? 0, versions[0] ?? 0];
  const found = useQuery({
    queryKey: ["compared", place, first, last],
    queryFn: () => send<Schemas["ComparedVersions"]>("get", `${place}/diff`, { query: { first, last } }),
    enabled: pair !== null,
  });
  const choices = versions.map((version) => ({ value: String(version), label: t("history.version", { version }) }));
  return (
    <section>
      <Title order={2} size="h5">
        {t("history.compare")}
      </Title>
      <Group align="end" gap="xs">
        <NativeSelect
          size="xs"
          label={t("history.from")}
          data={choices}
          value={String(first)}
          onChange={(event) => onPair([Number(event.currentTarget.value), last])}
        />
        <NativeSelect
          size="xs"
          label={t("history.to")}
          data={choices}
          value={String(last)}
          onChange={(event) => onPair([first, Number(event.currentTarget.value)])}
        />
      </Group>
      <ProblemText error={found.error} />
      {found.data && <KeyWords keys={found.data.keys} />}
      {found.data && Object.keys(found.data.keys).length === 0 && <p className="quiet">{t("history.same")}</p>}
    </section>
  );
}
