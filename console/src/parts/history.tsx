/** Versions of an object: who made each, when, why, what it changed, and the way back to it. */

import { Group, NativeSelect, Stack, Title } from "@mantine/core";
import { useQuery } from "@tanstack/react-query";
import { ifVersion, pageOf, type Query, type Schemas, send } from "../api/client";
import { placeOf } from "../forms/editor";
import { pathOf } from "../forms/keys";
import { inForceOf, VERSIONS_READ } from "../forms/versions";
import { useMay } from "../session";
import { useTranslation } from "../text/translation";
import { KeyWords } from "./keywords";
import { ProblemText } from "./problem";
import type { Change } from "./trial";
import { TriedAct } from "./tried";
import { Moment } from "./values";

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
                <Revert kind={kind} name={name} version={each.version} inForce={inForce} />
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

function Revert({ kind, name, version, inForce }: { kind: string; name: string; version: number; inForce?: number }) {
  const { t } = useTranslation();
  const place = placeOf(kind, name);
  // an account that ends again by the undo may have got money since it was restored
  const confirmed: Query = kind === "accounts" ? {} : { confirm: true };
  const revert = (to: number | undefined, query: Query, headers?: Record<string, string>) =>
    send<Change>("post", `${place}/revert`, { query, headers, body: { version: to } });
  return (
    <TriedAct
      button={t("history.revert_to", { version })}
      size="compact-xs"
      version={inForce}
      order={(query, headers) => revert(version, query, headers)}
      title={t("history.confirm", { name, version })}
      act={t("history.revert")}
      said={t("history.reverted", { name, version })}
      undo={(made, before) => revert(before, confirmed, ifVersion(made.changes[0]?.version))}
    />
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
