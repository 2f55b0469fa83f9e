/** What can be done with the lists of `columns.ts` and their rows. */

import { Button, Group, Modal } from "@mantine/core";
import { useQuery } from "@tanstack/react-query";
import { useNavigate, useSearch } from "@tanstack/react-router";
import type { ComponentType, ReactNode } from "react";
import {
  ChangedSince,
  keyed,
  Problem,
  pageOf,
  type Row,
  type Schemas,
  send,
  unlessChanged,
  unlessOther,
} from "../api/client";
import { cleared, override, overridesOf, targetOf, targetOfRow } from "../api/overrides";
import { Act, type Asked, entryLines, type ReadChoices } from "../parts/act";
import { Download } from "../parts/download";
import { Note } from "../parts/note";
import { Facts } from "../parts/page";
import { ProblemText } from "../parts/problem";
import { Schedule } from "../parts/schedule";
import { useSession } from "../session";
import { useTranslation } from "../text/translation";
import { Tree } from "./call";
import type { List } from "./columns";
import { SEEN_BY } from "./rights";

const SETTINGS = ["priority", "weight", "max_concurrent", "max_cps", "overdraft_limit"];
const UNFINISHED = new Set(["queued", "running"]);
const HTTP_CONFLICT = 409;
const NAMES_READ = 1_000;

type Headed = ReturnType<typeof keyed>;

const text = (row: Row, name: string) => String(row[name] ?? "");
const part = (name: string) => encodeURIComponent(name);

const allRoles = async () => (await pageOf("/roles", { limit: NAMES_READ })).items;
const ROLE_NAMES: ReadChoices = {
  key: "roles",
  read: async () => (await allRoles()).map((role) => text(role, "name")),
};
/** All that the roles have. */
const PERMISSIONS: ReadChoices = {
  key: "permissions",
  read: async () => [...new Set((await allRoles()).flatMap((role) => role.permissions as string[]))].sort(),
};

interface RowProps {
  row: Row;
}

function Registration({ row }: RowProps) {
  const { t } = useTranslation();
  const name = text(row, "name");
  if (row.direction !== "inbound") {
    if (row.state === "registered") return null;
    return (
      <Act
        isSmall
        needs="POST /registrations/{name}/retry"
        act={t("act.ask_now")}
        title={t("acts.retry_title", { name })}
        lead={t("acts.retry_lead")}
        run={(_, key) => send("post", `/registrations/${part(name)}/retry`, { headers: keyed(key) })}
        said={() => t("acts.retried", { name })}
      />
    );
  }
  return (
    <Act
      isSmall
      needs="DELETE /registrations/{name}"
      act={t("act.forget")}
      title={t("acts.forget_title", { name })}
      lead={t("acts.forget_lead")}
      run={(_, key) => send("delete", `/registrations/${part(name)}`, { headers: keyed(key) })}
      said={() => t("acts.forgotten", { name })}
    />
  );
}

function Listed({ row }: RowProps) {
  const { t } = useTranslation();
  const caller = text(row, "caller");
  return (
    <Act
      isSmall
      needs="DELETE /blacklist"
      act={t("act.clear")}
      title={t("acts.clear_title", { name: caller })}
      run={(_, key) => send("delete", "/blacklist", { query: { number: caller }, headers: keyed(key) })}
      said={() => t("acts.cleared", { name: caller })}
    />
  );
}

function AllListed() {
  const { t } = useTranslation();
  return (
    <Act
      isDanger
      needs="DELETE /blacklist"
      act={t("acts.clear_all")}
      title={t("acts.clear_all_title")}
      run={(_, key) => send("delete", "/blacklist", { headers: keyed(key) })}
      said={() => t("acts.cleared_all")}
    />
  );
}

function Source({ row }: RowProps) {
  const { t } = useTranslation();
  const address = text(row, "source");
  return (
    <Act
      isSmall
      needs="DELETE /sources"
      act={t("act.unblock")}
      title={t("acts.unblock_title", { name: address })}
      run={(_, key) => send("delete", "/sources", { query: { address }, headers: keyed(key) })}
      said={() => t("acts.unblocked", { name: address })}
    />
  );
}

function Override({ row }: RowProps) {
  const { t } = useTranslation();
  const [name, setting] = [text(row, "name"), text(row, "setting")];
  const { may } = useSession();
  return (
    <Act
      isSmall
      needs="DELETE /overrides"
      act={t("act.clear")}
      title={t("acts.override_clear_title", { name, setting })}
      lead={t("acts.override_clear_lead")}
      run={(_, key, again) => cleared(may, targetOfRow(row), name, setting, { seen: row, key, again })}
      said={() => t("acts.override_cleared", { name, setting })}
      undo={(undo) => undo}
    />
  );
}

/** A new override; one that is in force, such as a colleague's, is not replaced by who does not see it. */
function NewOverride() {
  const { t } = useTranslation();
  const { may } = useSession();
  const saidOf = (other: Row) => {
    const value = [other.value, other.memo].filter(Boolean).join(", ");
    return t("acts.override_exists", { name: text(other, "name"), setting: text(other, "setting"), value });
  };
  return (
    <Act
      needs="POST /gateways/{name}/overrides"
      act={t("acts.override")}
      title={t("acts.override")}
      lead={t("acts.override_lead")}
      asks={[
        { name: "name", label: t("acts.override_of"), required: true },
        { name: "setting", label: t("column.setting"), kind: "choice", choices: SETTINGS, required: true },
        { name: "value", label: t("column.value"), required: true },
        { name: "until", label: t("acts.until"), kind: "moment" },
        { name: "memo", label: t("column.memo") },
      ]}
      run={async ({ name = "", setting = "", value = "", until, memo }, key, again) => {
        const target = targetOf(setting);
        const found = again ? [] : await overridesOf(target, name);
        const other = found.find((row) => row.setting === setting);
        if (other) throw new ChangedSince(saidOf(other));
        const terms = { until: until || undefined, memo: memo || undefined };
        return override(may, target, name, { [setting]: value }, terms, { key, again, seen: [] });
      }}
      said={(_, { name, setting, value }) => t("acts.overridden", { name, setting, value })}
      undo={(undo) => undo}
    />
  );
}

/** Opens all that a row has; the address says of which row it is shown, so that it can be sent to others. */
function Details({ row }: RowProps) {
  const { t } = useTranslation();
  const go = useNavigate({ from: "/lists/$list" });
  return (
    <Button
      size="compact-xs"
      variant="default"
      onClick={() => go({ search: (before) => ({ ...before, open: text(row, "id") }) })}
    >
      {t("act.details")}
    </Button>
  );
}

/** All that the row of the address has, also where the table has not drawn or read it. */
export function OpenedRow({ list, rows, isRead }: { list: List; rows: readonly Row[]; isRead: boolean }) {
  const { t } = useTranslation();
  const { open } = useSearch({ from: "/lists/$list" });
  const go = useNavigate({ from: "/lists/$list" });
  const listed = open ? rows.find((each) => text(each, "id") === open) : undefined;
  const alone = useQuery({
    queryKey: [list.path, "one", open],
    queryFn: () => pageOf(list.path, { [list.opens ?? ""]: open }),
    enabled: Boolean(list.opens && open && isRead && !listed),
    refetchInterval: list.readMs,
  });
  const row = listed ?? alone.data?.items[0];
  return (
    <Modal
      opened={row !== undefined || alone.isFetched}
      onClose={() => go({ search: (before) => ({ ...before, open: undefined }), replace: true })}
      title={
        row?.action
          ? `${text(row, "action")} ${text(row, "subject")}`
          : row
            ? t("acts.job", { id: open })
            : t("act.details")
      }
      size="lg"
      closeButtonProps={{ "aria-label": t("act.close") }}
    >
      {row && <Tree value={row} />}
      {alone.data && !row && <Note why="not_found">{t("acts.no_row", { id: open })}</Note>}
      <ProblemText error={alone.error} again={() => alone.refetch()} />
    </Modal>
  );
}

function Job({ row }: RowProps) {
  const { t } = useTranslation();
  const id = text(row, "id");
  return (
    <Group gap={4} wrap="nowrap">
      <Details row={row} />
      {row.has_result === true && (
        <Download size="compact-xs" path={`/jobs/${id}/result`} accept="*/*" name={`${text(row, "kind")}-${id}`}>
          {t("acts.result")}
        </Download>
      )}
      {UNFINISHED.has(text(row, "state")) && !row.committed && (
        <Act
          isSmall
          isDanger
          needs="DELETE /jobs/{id}"
          act={t("acts.job_cancel")}
          title={t("acts.job_cancel_title", { id, kind: text(row, "kind") })}
          run={(_, key) => send("delete", `/jobs/${id}`, { headers: keyed(key) })}
          said={() => t("acts.job_cancelled", { id })}
        />
      )}
    </Group>
  );
}

const linkOf = ({ link }: Schemas["PersonLink"]) => window.location.origin + link;

function useRoleFields(account?: string): readonly Asked[] {
  const { t } = useTranslation();
  return [
    { name: "role", label: t("column.role"), kind: "choice", choices: ROLE_NAMES, words: "role", required: true },
    { name: "account", label: t("column.account"), hint: t("acts.account_hint"), begin: account },
  ];
}

export function NewPerson({ account }: { account?: string }) {
  const { t } = useTranslation();
  const fields = useRoleFields(account);
  return (
    <Act<Schemas["PersonLink"]>
      needs="POST /people"
      act={t("acts.person")}
      title={t("acts.person")}
      lead={t("acts.person_lead")}
      asks={[{ name: "name", label: t("column.name"), required: true }, ...fields]}
      run={({ name, role, account }, key) =>
        send("post", "/people", { headers: keyed(key), body: { name, role, account: account || undefined } })
      }
      said={(_, { name }) => t("acts.person_made", { name })}
      secret={linkOf}
    />
  );
}

function Person({ row }: RowProps) {
  const { t } = useTranslation();
  const name = text(row, "name");
  const fields = useRoleFields();
  const isDisabled = row.state === "disabled";
  const set = (state: "enable" | "disable", headers?: Headed) =>
    send("post", `/people/${part(name)}/${state}`, { headers });
  const setRole = (body: Row, headers?: Headed) => send("put", `/people/${part(name)}/role`, { headers, body });
  const roleNow = async () => {
    const { role, account } = await send<Row>("get", `/people/${part(name)}`);
    return [role, account];
  };
  const stateNow = async () => (await send<Row>("get", `/people/${part(name)}`)).state;
  const isDisabledNow = async () => (await stateNow()) === "disabled";
  return (
    <Group gap={4} wrap="nowrap">
      <Act
        isSmall
        needs="PUT /people/{name}/role"
        act={t("acts.role")}
        title={t("acts.role_title", { name })}
        lead={t("acts.role_lead")}
        asks={fields.map((ask) => ({ ...ask, begin: text(row, ask.name) }))}
        run={async ({ role, account }, key, again) => {
          const act = () => setRole({ role, account: account || undefined }, keyed(key));
          await unlessOther([row.role, row.account], roleNow, act, again);
          return unlessChanged(roleNow, () => setRole({ role: row.role, account: row.account ?? undefined }), again);
        }}
        said={(_, { role }) => t("acts.role_set", { name, role })}
        undo={(undo) => undo}
      />
      <Act
        isSmall
        isDanger={!isDisabled}
        needs={isDisabled ? "POST /people/{name}/enable" : "POST /people/{name}/disable"}
        act={t(isDisabled ? "acts.enable" : "acts.disable")}
        title={t(isDisabled ? "acts.enable_title" : "acts.disable_title", { name })}
        run={async (_, key, again) => {
          const act = () => set(isDisabled ? "enable" : "disable", keyed(key));
          // where another person has done it, there is nothing to take back
          await unlessOther(isDisabled, isDisabledNow, act, again);
          return unlessChanged(isDisabledNow, () => set(isDisabled ? "disable" : "enable"), again);
        }}
        said={() => t(isDisabled ? "acts.enabled" : "acts.disabled", { name })}
        undo={(undo) => undo}
      />
      <Act<Schemas["PersonLink"]>
        isSmall
        isDanger
        needs="POST /people/{name}/reset"
        act={t("acts.reset")}
        title={t("acts.reset_title", { name })}
        lead={t("acts.reset_lead")}
        run={(_, key, again) => {
          const reset = () =>
            send<Schemas["PersonLink"]>("post", `/people/${part(name)}/reset`, { headers: keyed(key) });
          // the link of a colleague, who has reset the same person meanwhile, would lead nowhere any more
          return unlessOther(row.state, stateNow, reset, again);
        }}
        said={() => t("acts.reset_done", { name })}
        secret={linkOf}
      />
    </Group>
  );
}

function NewToken() {
  const { t } = useTranslation();
  const fields = useRoleFields();
  return (
    <Act<Schemas["NewToken"]>
      needs="POST /tokens"
      act={t("acts.token")}
      title={t("acts.token")}
      lead={t("acts.token_lead")}
      asks={[
        { name: "name", label: t("column.name"), required: true },
        ...fields,
        { name: "scopes", label: t("column.scopes"), kind: "lines", hint: t("acts.scopes_hint") },
        { name: "networks", label: t("acts.networks"), kind: "lines", hint: t("acts.networks_hint") },
        { name: "expires_at", label: t("column.expires"), kind: "moment" },
      ]}
      run={({ name, role, account, scopes, networks, expires_at }, key) =>
        send("post", "/tokens", {
          headers: keyed(key),
          body: {
            name,
            role,
            account: account || undefined,
            scopes: entryLines(scopes),
            networks: entryLines(networks),
            expires_at: expires_at || undefined,
          },
        })
      }
      said={(_, { name }) => t("acts.token_made", { name })}
      secret={({ token }) => token}
    />
  );
}

function Token({ row }: RowProps) {
  const { t } = useTranslation();
  const [id, name] = [text(row, "id"), text(row, "name")];
  if (row.revoked) return null;
  return (
    <Act
      isSmall
      isDanger
      needs="DELETE /tokens/{id}"
      act={t("acts.revoke")}
      title={t("acts.revoke_title", { name })}
      lead={t("acts.revoke_lead")}
      run={(_, key) => send("delete", `/tokens/${part(id)}`, { headers: keyed(key) })}
      said={() => t("acts.revoked", { name })}
    />
  );
}

/** What a role of one's own is, as the API takes it. */
const roleOf = ({ permissions, wants_totp, acts_for }: Row) => ({ permissions, wants_totp, acts_for });

/** What a person of a role must have to see beside what that role may do. */
function NeededBeside() {
  const { t } = useTranslation();
  const word = (name: string) => `${t([`permission.${name}`], { defaultValue: name })} (${name})`;
  return (
    <>
      {t("acts.role_rights")}
      <Facts
        facts={Object.entries(SEEN_BY).map(([right, seen]) => [word(right), seen.map(word).join(t("acts.role_and"))])}
      />
    </>
  );
}

function NewRole() {
  const { t } = useTranslation();
  return (
    <Act
      needs="PUT /roles/{name}"
      act={t("acts.new_role")}
      title={t("acts.new_role")}
      lead={<NeededBeside />}
      asks={[
        { name: "name", label: t("column.name"), required: true },
        {
          name: "permissions",
          label: t("column.permissions"),
          kind: "choices",
          choices: PERMISSIONS,
          words: "permission",
          required: true,
        },
      ]}
      run={async ({ name = "", permissions: chosen = "" }, key, again) => {
        if (!again && (await roleNamed(name)))
          throw new Problem(HTTP_CONFLICT, "role_exists", t("acts.role_exists"), "", "name");
        const body = { permissions: chosen.split(",") };
        const act = () => send("put", `/roles/${part(name)}`, { headers: keyed(key), body });
        await unlessOther(undefined, () => roleNamed(name), act, again);
        return unlessChanged(
          () => roleNamed(name),
          () => send("delete", `/roles/${part(name)}`),
          again,
        );
      }}
      said={(_, { name }) => t("acts.role_made", { name })}
      undo={(undo) => undo}
    />
  );
}

/** A role as it is now; nothing where there is none of the name. */
const roleNamed = async (name: string) => (await allRoles()).find((role) => role.name === name);

function Role({ row }: RowProps) {
  const { t } = useTranslation();
  const name = text(row, "name");
  if (row.ships === true) return null;
  /** Carry a change out, and return what gives the role its permissions of before. */
  const changed = async (change: () => Promise<unknown>, again?: string) => {
    await unlessOther(row, () => roleNamed(name), change, again);
    return unlessChanged(
      () => roleNamed(name),
      () => send("put", `/roles/${part(name)}`, { body: roleOf(row) }),
      again,
    );
  };
  return (
    <Group gap={4} wrap="nowrap">
      <Act
        isSmall
        needs="PUT /roles/{name}"
        act={t("acts.change")}
        title={t("acts.role_change_title", { name })}
        lead={<NeededBeside />}
        asks={[
          {
            name: "permissions",
            label: t("column.permissions"),
            kind: "choices",
            choices: PERMISSIONS,
            words: "permission",
            begin: (row.permissions as string[]).join(","),
          },
        ]}
        run={({ permissions: chosen = "" }, key, again) => {
          const body = { permissions: chosen.split(",").filter(Boolean) };
          return changed(() => send("put", `/roles/${part(name)}`, { headers: keyed(key), body }), again);
        }}
        said={() => t("acts.role_changed", { name })}
        undo={(undo) => undo}
      />
      <Act
        isSmall
        isDanger
        needs="DELETE /roles/{name}"
        act={t("form.remove")}
        title={t("acts.role_remove_title", { name })}
        run={(_, key, again) => changed(() => send("delete", `/roles/${part(name)}`, { headers: keyed(key) }), again)}
        said={() => t("acts.role_removed", { name })}
        undo={(undo) => undo}
      />
    </Group>
  );
}

function NewBackup() {
  const { t } = useTranslation();
  return (
    <Act<Schemas["BackupSheet"]>
      needs="POST /backups"
      act={t("acts.backup")}
      title={t("acts.backup")}
      lead={t("acts.backup_lead")}
      run={(_, key) => send("post", "/backups", { headers: keyed(key) })}
      said={({ file, bytes }) => t("acts.backup_made", { file, bytes })}
    />
  );
}

function Backup({ row }: RowProps) {
  const { t } = useTranslation();
  const name = text(row, "name");
  return (
    <Act<Schemas["BackupSheet"]>
      isSmall
      needs="POST /backups/{name}/verify"
      act={t("acts.verify")}
      title={t("acts.verify_title", { name })}
      lead={t("acts.verify_lead")}
      run={(_, key) => send("post", `/backups/${part(name)}/verify`, { headers: keyed(key) })}
      said={({ manifest }) =>
        t("acts.verified", {
          name,
          files: manifest.members.length,
          commits: manifest.commits,
          version: manifest.version,
        })
      }
    />
  );
}

export const rowActs: Readonly<Record<string, ComponentType<RowProps> | undefined>> = {
  registrations: Registration,
  blacklist: Listed,
  sources: Source,
  overrides: Override,
  audit: Details,
  jobs: Job,
  people: Person,
  tokens: Token,
  roles: Role,
  backups: Backup,
};

const listActs: Readonly<Record<string, ComponentType | undefined>> = {
  blacklist: AllListed,
  overrides: NewOverride,
  people: NewPerson,
  tokens: NewToken,
  roles: NewRole,
  scheduled: Schedule,
  backups: NewBackup,
};

/** Buttons of a list as a whole. */
export function ListActs({ list }: { list: string }): ReactNode {
  const Acts = listActs[list];
  return Acts ? <Acts /> : null;
}
