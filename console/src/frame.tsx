/** What is around every page: where one can go, the search, the person. */

import {
  ActionIcon,
  Alert,
  AppShell,
  Burger,
  Button,
  Group,
  Kbd,
  Menu,
  Modal,
  NavLink,
  ScrollArea,
  Select,
  Switch,
  Table,
  TextInput,
  useMantineColorScheme,
} from "@mantine/core";
import { useDisclosure, useHotkeys, useLocalStorage } from "@mantine/hooks";
import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { Link, Outlet, useLocation, useNavigate } from "@tanstack/react-router";
import { type FormEvent, memo, useRef, useState } from "react";
import { readAgain } from "./api/again";
import { setUntold, useUntold } from "./api/untold";
import { brand, logo } from "./brand";
import type { Narrowing } from "./narrowing";
import { Confirm } from "./parts/confirm";
import { giveFocus } from "./parts/focus";
import { useIsReplaced } from "./parts/loaded";
import { statusQuery } from "./parts/status";
import { groupsOf, keysOf } from "./places";
import { PasswordDialog, SecondFactorDialog } from "./screens/ownlogin";
import { useLogOut, useMay, useSession } from "./session";
import { chooseLanguage, languages } from "./text";
import { useServerText } from "./text/meanings";
import { useTranslation } from "./text/translation";
import { chooseZone, offsetText, useZone, zones } from "./zone";

const IN_FORCE_MS = 30_000;

/** A dialog has the keyboard alone: a key that leads away would take it along, with what becomes of its order. */
const unlessAsked = (act: () => void) => () => {
  if (!document.querySelector("[aria-modal=true], dialog[open]")) act();
};

export function Frame() {
  const { t } = useTranslation();
  const [isOpen, menu] = useDisclosure(false);
  const [showsKeys, keys] = useDisclosure(false);
  const [hasKeys, setHasKeys] = useLocalStorage({ key: "vosd.keys", defaultValue: true });
  const search = useRef<HTMLInputElement>(null);
  const go = useNavigate();
  const keyed = keysOf(useSession());
  useHotkeys(
    hasKeys
      ? [
          ["/", unlessAsked(() => search.current?.select())],
          ["shift+?", unlessAsked(keys.open)],
          ["?", unlessAsked(keys.open)],
          ...keyed.map(([key, { to }]) => [key, unlessAsked(() => void go({ to }))] as [string, () => void]),
        ]
      : [],
  );
  const { pathname, search: narrowed } = useLocation();
  if (pathname === "/" && (narrowed as Narrowing).wall) {
    return (
      <main className="wall-page">
        <Outlet />
      </main>
    );
  }
  return (
    <AppShell
      header={{ height: 48 }}
      navbar={{ width: 200, breakpoint: "sm", collapsed: { mobile: !isOpen } }}
      padding="sm"
    >
      <AppShell.Header>
        <a className="skip" href="#content">
          {t("frame.skip")}
        </a>
        <Group h="100%" px="sm" gap="xs" wrap="nowrap">
          <Burger opened={isOpen} onClick={menu.toggle} hiddenFrom="sm" size="sm" aria-label={t("frame.menu")} />
          <Link to="/" aria-label={brand.name} className="brand">
            <img src={logo} alt="" height="28" />
            {brand.name !== "vosd" && <span>{brand.name}</span>}
          </Link>
          <Search input={search} />
          <Person />
        </Group>
      </AppShell.Header>
      <AppShell.Navbar className={isOpen ? undefined : "closed-menu"} aria-label={t("frame.navigation")}>
        <ScrollArea type="hover">
          <Places onGo={menu.close} />
        </ScrollArea>
      </AppShell.Navbar>
      <AppShell.Main id="content">
        <Replaced />
        <NotInForce />
        <Untold />
        <Outlet />
      </AppShell.Main>
      <Modal
        opened={showsKeys}
        onClose={keys.close}
        title={t("frame.keys")}
        closeButtonProps={{ "aria-label": t("act.close") }}
      >
        <Table>
          <Table.Tbody>
            {[
              ["/", t("frame.key_search")],
              ["?", t("frame.key_help")],
              [
                keyed.map(([key]) => key).join(" "),
                t("frame.key_go", {
                  places: keyed.map(([key, { name, text }]) => `${key} ${t(text ?? `nav.${name}`)}`).join(", "),
                }),
              ],
              ["↑ ↓", t("frame.key_rows")],
              ["Enter", t("frame.key_open")],
              ["Space", t("frame.key_choose")],
            ].map(([key, does]) => (
              <Table.Tr key={key}>
                <Table.Th>
                  <Kbd>{key}</Kbd>
                </Table.Th>
                <Table.Td>{does}</Table.Td>
              </Table.Tr>
            ))}
          </Table.Tbody>
        </Table>
        <Switch
          mt="sm"
          label={t("frame.key_single")}
          checked={hasKeys}
          onChange={(event) => setHasKeys(event.currentTarget.checked)}
        />
      </Modal>
    </AppShell>
  );
}

/** Why the running switch has not taken the last change yet, on whatever page that was made. */
function Untold() {
  const { t } = useTranslation();
  const inLanguage = useServerText();
  const why = useUntold();
  if (!why) return null;
  return (
    <Alert
      variant="outline"
      color="orange"
      p={6}
      mb="sm"
      role="alert"
      withCloseButton
      closeButtonLabel={t("act.close")}
      onClose={() => setUntold("")}
    >
      {t("change.untold", { why: inLanguage(why) })}
    </Alert>
  );
}

/** Say that the switch has other pages by now: what this one shows of the brand or of answers may not be so any more. */
function Replaced() {
  const { t } = useTranslation();
  if (!useIsReplaced()) return null;
  return (
    <Alert variant="outline" color="orange" p={6} mb="sm" role="status">
      <Group gap="sm">
        {t("frame.replaced")}
        <Button size="compact-xs" variant="default" onClick={() => window.location.reload()}>
          {t("login.anew")}
        </Button>
      </Group>
    </Alert>
  );
}

/** Why the switch goes by an earlier configuration, on every page but the one that says more of it. */
function NotInForce() {
  const { t } = useTranslation();
  const inLanguage = useServerText();
  const { pathname } = useLocation();
  const { data: why } = useQuery({
    ...statusQuery,
    select: ({ catalogue }) => catalogue.error,
    enabled: useMay("GET /status"),
    refetchInterval: IN_FORCE_MS,
    refetchOnWindowFocus: false,
  });
  const mayCheck = useMay("POST /configuration/check");
  if (!why || pathname === "/health") return null;
  const [first = why] = why.split("\n", 1);
  return (
    <Alert variant="outline" color="red" p={6} mb="sm" role="alert" title={t("health.earlier")}>
      {inLanguage(first)} {mayCheck && <Link to="/health">{t("nav.health")}</Link>}
    </Alert>
  );
}

function Places({ onGo }: { onGo: () => void }) {
  const { t } = useTranslation();
  const { pathname } = useLocation();
  return groupsOf(useSession()).map(([group, open]) => {
    return (
      <div key={group}>
        <p className="nav-group">{t(`nav.${group}`)}</p>
        {open.map((place) => (
          <PlaceLink
            key={place.name}
            to={place.to}
            label={t(place.text ?? `nav.${place.name}`)}
            isAbove={place.to === "/" ? pathname === "/" : pathname.startsWith(place.to)}
            isHere={pathname === place.to}
            onGo={onGo}
          />
        ))}
      </div>
    );
  });
}

interface PlaceLinkProps {
  to: string;
  label: string;
  /** Whether the page is this place or one below it. */
  isAbove: boolean;
  isHere: boolean;
  onGo: () => void;
}

/** A link to a place. There are dozens on every page: only those that a step enters or leaves are drawn again. */
const PlaceLink = memo(({ to, label, isAbove, isHere, onGo }: PlaceLinkProps) => (
  <NavLink
    component={Link}
    to={to}
    label={label}
    active={isAbove}
    aria-current={isHere ? "page" : undefined}
    onClick={onGo}
    py={4}
    variant="filled"
  />
));

function Search({ input }: { input: React.RefObject<HTMLInputElement | null> }) {
  const { t } = useTranslation();
  const queries = useQueryClient();
  const go = useNavigate();
  const [text, setText] = useState("");
  const look = (event: FormEvent) => {
    event.preventDefault();
    const q = text.trim();
    if (!q) return;
    giveFocus(null); // the page that is gone to takes it from the title, and not from a search that is being typed
    // The same search may find what has come since; the lists of another one that are on the page are not read again.
    void queries.resetQueries({ queryKey: ["found"], predicate: ({ queryKey }) => queryKey[2] === q });
    void go({ to: "/found", search: { q } });
  };
  return (
    <search style={{ flex: 1, minWidth: 0 }}>
      <form onSubmit={look}>
        <TextInput
          ref={input}
          size="xs"
          maw={420}
          aria-label={t("frame.search")}
          placeholder={`/  ${t("frame.search")}`}
          value={text}
          onChange={(event) => setText(event.currentTarget.value)}
        />
      </form>
    </search>
  );
}

function Person() {
  const { t, i18n } = useTranslation();
  const session = useSession();
  const leaving = useMutation({ mutationFn: useLogOut() });
  const { colorScheme, toggleColorScheme } = useMantineColorScheme();
  const [choosesZone, choosing] = useDisclosure(false);
  const [setsPassword, setting] = useDisclosure(false);
  const [setsFactor, settingFactor] = useDisclosure(false);
  const button = useRef<HTMLButtonElement>(null);
  // the item of the menu that has opened a dialog is gone
  const closed = (dialog: { close: () => void }) => () => {
    dialog.close();
    button.current?.focus();
  };
  const zone = useZone();
  return (
    <>
      {choosesZone && <ZoneChoice onClose={closed(choosing)} />}
      {setsPassword && <PasswordDialog session={session} onClose={closed(setting)} />}
      {setsFactor && <SecondFactorDialog session={session} onClose={closed(settingFactor)} />}
      <Confirm
        opened={leaving.isError}
        opener={button}
        title={t("frame.logged_in_on")}
        lead={t("frame.logged_in_lead")}
        act={t("frame.logout")}
        isAtWork={leaving.isPending}
        error={leaving.error}
        onAct={() => leaving.mutate()}
        onClose={() => leaving.reset()}
      />
      <ActionIcon variant="default" aria-label={t("frame.colours")} onClick={toggleColorScheme}>
        {colorScheme === "dark" ? "☀" : "☾"}
      </ActionIcon>
      <Menu>
        <Menu.Target>
          <Button ref={button} variant="default" size="xs">
            {session.name}
          </Button>
        </Menu.Target>
        <Menu.Dropdown>
          <Menu.Label title={session.role} c="var(--quiet)">
            {t([`role.${session.role}`], { defaultValue: session.role })} {session.account ?? ""}
          </Menu.Label>
          {languages.map((language) => (
            <Menu.Item key={language} lang={language} onClick={() => chooseLanguage(language)}>
              {i18n.language === language ? "✓ " : ""}
              {new Intl.DisplayNames([language], { type: "language" }).of(language)}
            </Menu.Item>
          ))}
          <Menu.Divider />
          <Menu.Item onClick={choosing.open}>
            {t("frame.zone")}: {zone ?? offsetText(new Date(), undefined)}
          </Menu.Item>
          {session.has_password && (
            <>
              <Menu.Divider />
              <Menu.Item onClick={setting.open}>{t("own.password")}</Menu.Item>
              <Menu.Item onClick={settingFactor.open}>{t("own.factor")}</Menu.Item>
            </>
          )}
          <Menu.Divider />
          <Menu.Item onClick={() => leaving.mutate()}>{t("frame.logout")}</Menu.Item>
        </Menu.Dropdown>
      </Menu>
    </>
  );
}

/** The zone of all times that are shown, and of days that are asked for. */
function ZoneChoice({ onClose }: { onClose: () => void }) {
  const { t } = useTranslation();
  const zone = useZone();
  const queries = useQueryClient();
  return (
    <Modal opened onClose={onClose} title={t("frame.zone")} closeButtonProps={{ "aria-label": t("act.close") }}>
      <Select
        label={t("frame.zone_lead")}
        data={[{ value: "", label: t("frame.zone_browser", { zone: offsetText(new Date(), undefined) }) }, ...zones()]}
        value={zone ?? ""}
        searchable
        selectFirstOptionOnChange
        allowDeselect={false}
        data-autofocus
        onFocus={(event) => event.currentTarget.select()}
        onChange={(chosen) => {
          chooseZone(chosen || undefined);
          readAgain(queries);
          onClose();
        }}
      />
    </Modal>
  );
}
