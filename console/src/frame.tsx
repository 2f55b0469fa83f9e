/** What is around every page: where one can go, the search, the person. */

import {
  ActionIcon,
  AppShell,
  Burger,
  Button,
  Group,
  Kbd,
  Menu,
  Modal,
  NavLink,
  ScrollArea,
  Table,
  TextInput,
  useMantineColorScheme,
} from "@mantine/core";
import { useDisclosure, useHotkeys } from "@mantine/hooks";
import { Link, Outlet, useLocation, useNavigate } from "@tanstack/react-router";
import { type FormEvent, useRef, useState } from "react";
import { useTranslation } from "react-i18next";
import { searchFor } from "./format";
import { type List, lists } from "./screens/columns";
import { useLogOut, useSession } from "./session";
import { chooseLanguage, languages } from "./text";

interface Place {
  name: string;
  to: string;
  /** The operation that it is made of. */
  needs: string;
  isForOperators?: boolean;
}

function list(name: keyof typeof lists): Place {
  const { path, isForOperators }: List = lists[name];
  return { name, to: `/lists/${name}`, needs: `GET ${path}`, isForOperators };
}

const GROUPS: readonly (readonly [string, readonly Place[]])[] = [
  [
    "traffic",
    [
      { name: "overview", to: "/", needs: "GET /status" },
      { name: "calls", to: "/calls", needs: "GET /calls" },
      { name: "cdrs", to: "/cdrs", needs: "GET /cdrs" },
      { name: "try", to: "/try", needs: "POST /routes/explain" },
      { name: "reports", to: "/reports", needs: "GET /reports/{name}" },
    ],
  ],
  ["money", [{ name: "customers", to: "/accounts", needs: "GET /balances" }, list("ledger"), list("invoices")]],
  [
    "state",
    [
      { name: "gateways", to: "/gateways", needs: "GET /gateways/quality" },
      { name: "alarms", to: "/alarms", needs: "GET /alarms" },
      list("registrations"),
      list("overrides"),
      list("blacklist"),
    ],
  ],
  ["definitions", [list("mapping"), list("routing"), list("phones"), list("rates"), list("plans")]],
  ["installation", [list("audit"), list("jobs"), list("people"), list("tokens"), list("parameters")]],
];
const KEYS: readonly (readonly [string, string])[] = [
  ["o", "/"],
  ["c", "/calls"],
  ["r", "/cdrs"],
  ["a", "/accounts"],
  ["g", "/gateways"],
  ["l", "/alarms"],
];

export function Frame() {
  const { t } = useTranslation();
  const [isOpen, menu] = useDisclosure(false);
  const [showsKeys, keys] = useDisclosure(false);
  const search = useRef<HTMLInputElement>(null);
  const go = useNavigate();
  useHotkeys([
    ["/", () => search.current?.focus()],
    ["shift+?", keys.open],
    ["?", keys.open],
    ...KEYS.map(([key, to]) => [key, () => void go({ to })] as [string, () => void]),
  ]);
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
          <Link to="/" aria-label="vosd" className="figure-link">
            <img src="/icon.svg" alt="" width="28" height="28" />
          </Link>
          <Search input={search} />
          <Person />
        </Group>
      </AppShell.Header>
      <AppShell.Navbar>
        <ScrollArea component="nav" aria-label={t("frame.navigation")} type="hover">
          <Places onGo={menu.close} />
        </ScrollArea>
      </AppShell.Navbar>
      <AppShell.Main id="content">
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
              ["o c r a g l", t("frame.key_go")],
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
      </Modal>
    </AppShell>
  );
}

function Places({ onGo }: { onGo: () => void }) {
  const { t } = useTranslation();
  const { may, account } = useSession();
  const { pathname } = useLocation();
  return GROUPS.map(([group, places]) => {
    const open = places.filter((place) => may.has(place.needs) && !(place.isForOperators && account));
    if (open.length === 0) return null;
    return (
      <div key={group}>
        <p className="nav-group">{t(`nav.${group}`)}</p>
        {open.map((place) => (
          <NavLink
            key={place.name}
            component={Link}
            to={place.to}
            label={t(`nav.${place.name}`)}
            active={place.to === "/" ? pathname === "/" : pathname.startsWith(place.to)}
            aria-current={pathname === place.to ? "page" : undefined}
            onClick={onGo}
            py={4}
            variant="filled"
          />
        ))}
      </div>
    );
  });
}

function Search({ input }: { input: React.RefObject<HTMLInputElement | null> }) {
  const { t } = useTranslation();
  const go = useNavigate();
  const [text, setText] = useState("");
  const look = (event: FormEvent) => {
    event.preventDefault();
    const { to, value } = searchFor(text);
    if (!value) return;
    if (to === "call") void go({ to: "/cdrs/$call", params: { call: value } });
    else if (to === "callee") void go({ to: "/cdrs", search: { callee: value } });
    else void go({ to: "/accounts", search: { q: value } });
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
  const logOut = useLogOut();
  const { colorScheme, toggleColorScheme } = useMantineColorScheme();
  return (
    <>
      <ActionIcon variant="default" aria-label={t("frame.colours")} onClick={toggleColorScheme}>
        {colorScheme === "dark" ? "☀" : "☾"}
      </ActionIcon>
      <Menu>
        <Menu.Target>
          <Button variant="default" size="xs">
            {session.name}
          </Button>
        </Menu.Target>
        <Menu.Dropdown>
          <Menu.Label>
            {session.role} {session.account ?? ""}
          </Menu.Label>
          {languages.map((language) => (
            <Menu.Item key={language} lang={language} onClick={() => chooseLanguage(language)}>
              {i18n.language === language ? "✓ " : ""}
              {new Intl.DisplayNames([language], { type: "language" }).of(language)}
            </Menu.Item>
          ))}
          <Menu.Divider />
          <Menu.Item onClick={logOut}>{t("frame.logout")}</Menu.Item>
        </Menu.Dropdown>
      </Menu>
    </>
  );
}
