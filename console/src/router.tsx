/** Every view is a link: its path, and in the query what narrows it. */

import { createRootRoute, createRoute, createRouter } from "@tanstack/react-router";
import { useTranslation } from "react-i18next";
import { Frame } from "./frame";
import { Page } from "./parts/page";
import { AccountScreen } from "./screens/account";
import { AccountsScreen } from "./screens/accounts";
import { AlarmsScreen } from "./screens/alarms";
import { CallScreen } from "./screens/call";
import { CallsScreen } from "./screens/calls";
import { CdrsScreen } from "./screens/cdrs";
import { GatewayScreen, GatewaysScreen } from "./screens/gateways";
import { ListScreen } from "./screens/lists";
import { OverviewScreen } from "./screens/overview";
import { ReportsScreen } from "./screens/reports";
import { TryScreen } from "./screens/try";

/** What narrows a view: all of it is text, as in the address. */
export type Narrowing = Record<string, string | undefined>;

function narrowing(search: Record<string, unknown>): Narrowing {
  const known = Object.entries(search).filter(([, value]) => value !== undefined);
  return Object.fromEntries(known.map(([name, value]) => [name, String(value)]));
}

function NotFound() {
  const { t } = useTranslation();
  return <Page title={t("state.not_found")}>{null}</Page>;
}

const root = createRootRoute({ component: Frame, notFoundComponent: NotFound });
const view = <Path extends string>(path: Path, component: () => React.ReactNode) =>
  createRoute({ getParentRoute: () => root, path, component, validateSearch: narrowing });

const tree = root.addChildren([
  view("/", OverviewScreen),
  view("/calls", CallsScreen),
  view("/cdrs", CdrsScreen),
  view("/cdrs/$call", CallScreen),
  view("/try", TryScreen),
  view("/accounts", AccountsScreen),
  view("/accounts/$name", AccountScreen),
  view("/gateways", GatewaysScreen),
  view("/gateways/$name", GatewayScreen),
  view("/alarms", AlarmsScreen),
  view("/reports", ReportsScreen),
  view("/lists/$list", ListScreen),
]);

export const router = createRouter({
  routeTree: tree,
  // values stay as they are written: a number of a telephone is text
  parseSearch: (text) => Object.fromEntries(new URLSearchParams(text)),
  stringifySearch: (search) => {
    const known = Object.entries(search as Narrowing).filter(([, value]) => value !== undefined && value !== "");
    const text = new URLSearchParams(known as [string, string][]).toString();
    return text && `?${text}`;
  },
});

declare module "@tanstack/react-router" {
  interface Register {
    router: typeof router;
  }
}
