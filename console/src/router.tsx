/** Every view is a link: its path, and in the query what narrows it. */

import { Button } from "@mantine/core";
import { useMutation, useQuery } from "@tanstack/react-query";
import {
  createRootRoute,
  createRoute,
  createRouter,
  type ErrorComponentProps,
  lazyRouteComponent,
  type RouteComponent,
} from "@tanstack/react-router";
import { useEffect } from "react";
import { Frame } from "./frame";
import { keep, recall } from "./kept";
import { narrowing, queryOf, searchOf } from "./narrowing";
import { isAnswering, isReplaced, loaded, NotLoaded } from "./parts/loaded";
import { Note } from "./parts/note";
import { NotFound, Page } from "./parts/page";
import { ProblemText } from "./parts/problem";
import { OverviewScreen } from "./screens/overview";
import { useTranslation } from "./text/translation";

function Pending() {
  const { t } = useTranslation();
  return <Note why="loading">{t("state.loading")}</Note>;
}

const RELOADED = "vosd.reloaded";
const RELOADED_KEPT = 20;

/** The console as the browser has it, at its address. */
const loadedPage = () =>
  `${document.querySelector("script[type=module]")?.getAttribute("src")} ${window.location.href}`;

/**
 * The pages of this tab that were loaded anew by themselves: the last one alone would not do, as two versions behind a
 * proxy may come in turn, and each be the first one again.
 */
const loadedAnew = () => recall(RELOADED, "sessionStorage")?.split("\n") ?? [];
const noteLoadedAnew = (page: string) =>
  keep(RELOADED, [...new Set([page, ...loadedAnew()])].slice(0, RELOADED_KEPT).join("\n"), "sessionStorage");

/**
 * A screen that could not be loaded: the switch was away for a moment, or has another console by now. A browser asks for a
 * script once, so the page is loaded anew, where the switch answers; by itself once, as the script may be broken.
 */
function Missing() {
  const { t } = useTranslation();
  const reload = useMutation({
    mutationFn: async (isAsked: boolean) => {
      if (!(await isAnswering())) return;
      // by itself it is loaded anew once, which has to be known then
      if (noteLoadedAnew(loadedPage()) || isAsked) window.location.reload();
    },
  });
  const { mutate } = reload;
  useEffect(() => {
    if (!loadedAnew().includes(loadedPage())) mutate(false);
  }, [mutate]);
  const again = (
    <Button variant="default" loading={reload.isPending} onClick={() => mutate(true)}>
      {t("state.again")}
    </Button>
  );
  return (
    <Page title={t("state.not_loaded")}>
      <Note why="not_found" action={again}>
        {t("state.away")}
      </Note>
    </Page>
  );
}

/**
 * A defect of a screen: the rest of the console goes on. The page of an earlier version may fail at answers that have
 * other fields by now: it is loaded anew.
 */
function Failed({ error, reset }: ErrorComponentProps) {
  const { t } = useTranslation();
  const isOld = useQuery({ queryKey: ["replaced", error], queryFn: isReplaced }).data;
  if (error instanceof NotLoaded || isOld) return <Missing />;
  return (
    <Page title={t("state.defect")}>
      <ProblemText error={error instanceof Error ? error : new Error(String(error))} again={reset} />
    </Page>
  );
}

const root = createRootRoute({ component: Frame, notFoundComponent: NotFound });
const view = <Path extends string>(path: Path, component: RouteComponent) =>
  createRoute({ getParentRoute: () => root, path, component, validateSearch: narrowing });
/** Screens besides the first are loaded when they are opened, or pointed at. */
function load<Name extends string>(read: () => Promise<Record<Name, RouteComponent>>, name: Name) {
  return lazyRouteComponent(() => loaded(read()), name);
}

// biome-ignore format: a line a screen
const tree = root.addChildren([
  view("/", OverviewScreen),
  view("/calls", load(() => import("./screens/calls"), "CallsScreen")),
  view("/cdrs", load(() => import("./screens/cdrs"), "CdrsScreen")),
  view("/cdrs/$call", load(() => import("./screens/call"), "CallScreen")),
  view("/trace", load(() => import("./screens/trace"), "TraceScreen")),
  view("/try", load(() => import("./screens/try"), "TryScreen")),
  view("/accounts", load(() => import("./screens/accounts"), "AccountsScreen")),
  view("/accounts/$name", load(() => import("./screens/account"), "AccountScreen")),
  view("/rates", load(() => import("./screens/rates"), "RatesScreen")),
  view("/rates/$group", load(() => import("./screens/deck"), "DeckScreen")),
  view("/payments", load(() => import("./screens/payments"), "PaymentsScreen")),
  view("/invoices", load(() => import("./screens/invoices"), "InvoicesScreen")),
  view("/invoices/$id", load(() => import("./screens/invoices"), "InvoiceScreen")),
  view("/bills", load(() => import("./screens/bills"), "BillsScreen")),
  view("/bills/$id", load(() => import("./screens/bills"), "BillScreen")),
  view("/months", load(() => import("./screens/months"), "MonthsScreen")),
  view("/gateways", load(() => import("./screens/gateways"), "GatewaysScreen")),
  view("/gateways/$name", load(() => import("./screens/gateways"), "GatewayScreen")),
  view("/found", load(() => import("./screens/found"), "FoundScreen")),
  view("/compare", load(() => import("./screens/gateways"), "CompareScreen")),
  view("/alarms", load(() => import("./screens/alarms"), "AlarmsScreen")),
  view("/reports", load(() => import("./screens/reports"), "ReportsScreen")),
  view("/objects/$kind", load(() => import("./screens/objects"), "ObjectsScreen")),
  view("/objects/$kind/$name", load(() => import("./screens/object"), "ObjectScreen")),
  view("/new/$kind", load(() => import("./screens/object"), "NewObjectScreen")),
  view("/customers/new", load(() => import("./screens/newcustomer"), "NewCustomerScreen")),
  view("/agents", load(() => import("./screens/agents"), "AgentsScreen")),
  view("/parameters", load(() => import("./screens/parameters"), "ParametersScreen")),
  view("/changes", load(() => import("./screens/changes"), "ChangesScreen")),
  view("/health", load(() => import("./screens/health"), "HealthScreen")),
  view("/lists/$list", load(() => import("./screens/lists"), "ListScreen")),
]);

export const router = createRouter({
  routeTree: tree,
  defaultPreload: "intent",
  defaultErrorComponent: Failed,
  defaultPendingComponent: Pending,
  scrollRestoration: true,
  // nothing that was entered or chosen for one object is shown with another
  defaultRemountDeps: ({ params }) => params,
  parseSearch: searchOf,
  stringifySearch: (search) => {
    const query = queryOf(search);
    return query && `?${query}`;
  },
});

declare module "@tanstack/react-router" {
  interface Register {
    router: typeof router;
  }
  interface HistoryState {
    /** The begin of the time of a search that no one has entered. */
    filled?: string;
  }
}
