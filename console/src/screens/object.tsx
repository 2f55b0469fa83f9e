/** One object of the configuration: its form, its versions with before and after, its end. */

import { Alert, Button, Group, Tabs } from "@mantine/core";
import { useQuery } from "@tanstack/react-query";
import { useNavigate, useParams, useSearch } from "@tanstack/react-router";
import { useState } from "react";
import { ifVersion, keyed, Problem, type Schemas, send } from "../api/client";
import { Editor, placeOf, useKind } from "../forms/editor";
import { type Keys, type Kind, pathOf } from "../forms/keys";
import { readPlanned } from "../forms/versions";
import type { Narrowing } from "../narrowing";
import { Act } from "../parts/act";
import { History } from "../parts/history";
import { NotFound, Page } from "../parts/page";
import { ProblemText, Reading } from "../parts/problem";
import { type Change, LastDone } from "../parts/trial";
import { TriedAct } from "../parts/tried";
import { Moment, useDefinedAt } from "../parts/values";
import { useMay } from "../session";
import { useTranslation } from "../text/translation";
import { isKind } from "./kinds";

const DATABASE = "database";
const HTTP_NOT_FOUND = 404;

export function ObjectScreen() {
  const { kind, name } = useParams({ from: "/objects/$kind/$name" });
  return isKind(kind) ? <One key={`${kind} ${name}`} kind={kind} name={name} /> : <NotFound />;
}

/** Whether it is not there: of kinds, agents and customers have a few. */
const isAbsent = ({ error }: { error: Error | null }) => error instanceof Problem && error.status === HTTP_NOT_FOUND;

function One({ kind, name }: { kind: string; name: string }) {
  const { t } = useTranslation();
  const definedAt = useDefinedAt();
  const { tab, first, last } = useSearch({ from: "/objects/$kind/$name" });
  const go = useNavigate({ from: "/objects/$kind/$name" });
  const one = `${pathOf(kind)}/{name}`;
  const may = { change: useMay(`PUT ${one}`), end: useMay(`DELETE ${one}`), make: useMay(`POST ${pathOf(kind)}`) };
  const declared = useKind(kind);
  const found = useQuery({
    queryKey: ["object", kind, name],
    queryFn: () => send<Schemas["DefinitionSheet"]>("get", placeOf(kind, name)),
    // a form in which a person types is not drawn anew
    refetchOnWindowFocus: false,
  });
  const sheet = found.data;
  const [edited, setEdited] = useState(sheet);
  const [isChanged, setChanged] = useState(false);
  // what a person has typed stays where another version is read: saving it shows both
  if (sheet !== edited && (sheet?.version === edited?.version || !isChanged)) setEdited(sheet);
  const isGone = isAbsent(found);
  /** Whether the form is shown; also of an object that has ended, where it holds what is not saved. */
  const hasForm = !isGone || isChanged;
  const isOurs = sheet?.source === DATABASE;
  return (
    <Page
      title={name}
      needs={`GET ${one}`}
      lacks={isAbsent(declared) ? `GET ${one}` : undefined}
      actions={
        sheet && (
          <Group gap="xs">
            {may.make && (
              <Button
                size="xs"
                variant="default"
                onClick={() => go({ to: "/new/$kind", params: { kind }, search: { from: name } })}
              >
                {t("object.copy")}
              </Button>
            )}
            {kind === "phones" && isOurs && <Password number={name} />}
            {may.end && isOurs && (
              <End kind={kind} sheet={sheet} onDone={() => go({ to: "/objects/$kind", params: { kind } })} />
            )}
          </Group>
        )
      }
    >
      <LastDone />
      <span className="quiet">{t(`kind.${kind}`)}</span>
      <ProblemText error={declared.error} again={() => declared.refetch()} />
      {!isGone && <Reading of={found} />}
      {isGone && <Alert variant="outline">{t("object.gone", { name })}</Alert>}
      {sheet && !isOurs && <Alert variant="outline">{definedAt(sheet.source)}</Alert>}
      <Tabs
        value={tab ?? (hasForm ? "keys" : "history")}
        onChange={(to) => go({ search: { tab: to ?? undefined } })}
        keepMounted={false}
      >
        <Tabs.List>
          {hasForm && <Tabs.Tab value="keys">{t("definition.keys")}</Tabs.Tab>}
          {(isOurs || isGone) && <Tabs.Tab value="history">{t("definition.versions")}</Tabs.Tab>}
        </Tabs.List>
        {/* what was changed stays while the versions are looked at */}
        <Tabs.Panel value="keys" pt="sm" keepMounted>
          {isOurs && <PlannedVersions kind={kind} name={name} />}
          {sheet && edited && declared.data && (
            <Editor
              key={edited.version}
              declared={declared.data}
              sheet={edited}
              newest={sheet}
              isReadOnly={!isOurs || !may.change}
              onChanged={setChanged}
              onDone={() => setChanged(false)}
            />
          )}
        </Tabs.Panel>
        <Tabs.Panel value="history" pt="sm">
          <History
            kind={kind}
            name={name}
            pair={first && last ? [Number(first), Number(last)] : null}
            onPair={([one, other]) =>
              go({ search: (before) => ({ ...before, first: String(one), last: String(other) }) })
            }
          />
        </Tabs.Panel>
      </Tabs>
    </Page>
  );
}

/** Versions that are not in force yet: without them a form would seem to be what holds from now on. */
function PlannedVersions({ kind, name }: { kind: string; name: string }) {
  const { t } = useTranslation();
  const mayList = useMay("GET /planned-versions");
  const { data: planned = [] } = useQuery({
    queryKey: ["planned-versions", kind, name],
    queryFn: () => readPlanned(kind, name, placeOf(kind, name), mayList),
  });
  return planned.map((each) => (
    <Alert key={each.version} variant="outline" role="status" p={6} mb="sm">
      {t(each.defined ? "history.version" : "history.end", { version: each.version })} {t("change.begins")}{" "}
      <Moment value={each.begins_at} />
    </Alert>
  ));
}

/** Another password of a phone, which its customer may set, too. */
function Password({ number }: { number: string }) {
  const { t } = useTranslation();
  return (
    <Act
      needs="PUT /phones/{number}/password"
      act={t("object.password")}
      title={t("object.password_title", { number })}
      lead={t("object.password_lead")}
      asks={[{ name: "password", label: t("login.new_password"), kind: "secret", required: true }]}
      run={({ password }, key) =>
        send("put", `/phones/${encodeURIComponent(number)}/password`, { headers: keyed(key), body: { password } })
      }
      said={() => t("object.password_set", { number })}
    />
  );
}

/** A new object: from nothing, with the keys of another one, or with those that the address has. */
export function NewObjectScreen() {
  const { kind } = useParams({ from: "/new/$kind" });
  return isKind(kind) ? <NewObject kind={kind} /> : <NotFound />;
}

function NewObject({ kind }: { kind: string }) {
  const { t } = useTranslation();
  const { from, ...given } = useSearch({ from: "/new/$kind" });
  const go = useNavigate({ from: "/new/$kind" });
  const declared = useKind(kind);
  const copied = useQuery({
    queryKey: ["object", kind, from],
    queryFn: () => send<Schemas["DefinitionSheet"]>("get", placeOf(kind, from ?? "")),
    enabled: Boolean(from),
    staleTime: 0,
  });
  // the form begins with the object as it is by now, whatever was read before
  const isReady = declared.data && (!from || (copied.data && copied.isFetchedAfterMount));
  return (
    <Page
      title={t("object.new_of", { kind: t(`kind.${kind}`) })}
      needs={[`POST ${pathOf(kind)}`, "GET /definitions/{kind}"]}
      lacks={isAbsent(declared) ? `POST ${pathOf(kind)}` : undefined}
    >
      <Reading of={declared} />
      <ProblemText error={copied.error} again={() => copied.refetch()} />
      {isReady && declared.data && (
        <Editor
          key={kind}
          declared={declared.data}
          begin={copied.data ? withoutSecrets((copied.data.keys as Keys) ?? {}) : knownIn(declared.data, given)}
          isReadOnly={false}
          onDone={(name) => go({ to: "/objects/$kind/$name", params: { kind, name } })}
        />
      )}
    </Page>
  );
}

/** What an address has of the keys of a kind; never a password, which an address would keep. */
function knownIn(declared: Kind, given: Narrowing): Keys | undefined {
  const known = declared.keys.filter(({ name, form, many }) => given[name] && !many && form !== "secret");
  return known.length > 0 ? Object.fromEntries(known.map(({ name }) => [name, given[name]])) : undefined;
}

/** The keys of an object without its passwords, which a copy cannot have. */
function withoutSecrets(keys: Keys): Keys {
  return JSON.parse(JSON.stringify(keys), (_name, value) => (value === "(hidden)" ? undefined : value));
}

/** The end of an object, after a trial that says what it means. */
function End({ kind, sheet, onDone }: { kind: string; sheet: Schemas["DefinitionSheet"]; onDone: () => void }) {
  const { t } = useTranslation();
  const place = placeOf(kind, sheet.name);
  return (
    <TriedAct
      button={t("object.end")}
      size="xs"
      version={sheet.version ?? undefined}
      order={(query, headers) => send<Change>("delete", place, { query, headers })}
      title={t("object.end_title", { name: sheet.name })}
      refused={t("object.end_refused")}
      act={t("object.end")}
      said={t("object.ended", { name: sheet.name })}
      undo={(made, before) =>
        send("post", `${place}/revert`, { headers: ifVersion(made.changes[0]?.version), body: { version: before } })
      }
      onDone={onDone}
    />
  );
}
