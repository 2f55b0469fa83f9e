import { createTheme, DirectionProvider, MantineProvider, Modal, Tabs } from "@mantine/core";
import "./mantine.css";
import "uplot/dist/uPlot.min.css";
import "./console.css";
import { notifyManager, QueryClient, QueryClientProvider } from "@tanstack/react-query";
import { RouterProvider } from "@tanstack/react-router";
import { type ReactNode, StrictMode } from "react";
import { createRoot } from "react-dom/client";
import { isLate, Problem } from "./api/client";
import { brand, shadesOf } from "./brand";
import { useIsPrinted } from "./parts/paper";
import { router } from "./router";
import { SessionGate, sessionQuery } from "./sessiongate";
import { beginTexts } from "./text";
import { useIsOnWall } from "./wall";
import { beginZone } from "./zone";

const FRESH_MS = 2_000;
const SERVER_ERROR = 500;

/** What the server will refuse again is not asked again, nor is what it has let wait. */
const isWorthARepeat = (count: number, error: Error) =>
  count < 2 && !(error instanceof Problem && error.status < SERVER_ERROR) && !isLate(error);
// the page knows of an order before the next click: by a timer, the second click of a busy browser would give it again
notifyManager.setScheduler(queueMicrotask);
const queries = new QueryClient({
  defaultOptions: {
    // without a network a query fails, and its page says so: it must not wait beside figures that are old
    queries: {
      staleTime: FRESH_MS,
      retry: isWorthARepeat,
      refetchOnWindowFocus: true,
      refetchOnReconnect: true,
      networkMode: "always",
    },
    // orders have passwords in them, and answers have secrets: none is kept when it is done. Without a network an order
    // fails at once: it must not wait, and go out behind the back of who gave it
    mutations: { gcTime: 0, networkMode: "always" },
  },
});
/** Fields that have a list of options. */
const LISTS = ["Select", "MultiSelect", "Autocomplete", "TagsInput"];
const theme = createTheme({
  ...(brand.colour ? { colors: { brand: shadesOf(brand.colour) }, primaryColor: "brand" } : {}),
  primaryShade: 8,
  respectReducedMotion: true,
  defaultRadius: "sm",
  autoContrast: true,
  components: {
    // a form in another tab of a page is kept with its effects: it asks before it is left
    Tabs: Tabs.extend({ defaultProps: { keepMountedMode: "display-none" } }),
    // the field says that it has a list
    ComboboxChevron: { defaultProps: { "aria-hidden": true } },
    // what was typed is shown by the keyboard, too
    PasswordInput: { defaultProps: { visibilityToggleFocusable: true } },
    // the first item gets the focus: a place for it before the items is not allowed in a menu
    Menu: { defaultProps: { withInitialFocusPlaceholder: false } },
    // the list itself scrolls: an area in it would have to take the focus of the keyboard
    ...Object.fromEntries(LISTS.map((list) => [list, { defaultProps: { withScrollArea: false } }])),
    Modal: Modal.extend({
      defaultProps: {
        // its lock of scrolling writes styles that the policy of the server does not let in
        lockScroll: false,
        transitionProps: { duration: 0 },
      },
    }),
  },
});
/** The number by which the policy of the server lets the library's style in. */
const nonce = document.querySelector<HTMLMetaElement>('meta[property="csp-nonce"]')?.nonce ?? "";
const place = document.getElementById("console");

beginZone();
function Looks({ children }: { children: ReactNode }) {
  const isOnWall = useIsOnWall();
  // paper is white: what is light for a dark page is hardly seen there, and browsers leave charts as they are
  const colours = useIsPrinted() ? "light" : isOnWall ? "dark" : undefined;
  return (
    <MantineProvider theme={theme} defaultColorScheme="auto" forceColorScheme={colours} getStyleNonce={() => nonce}>
      {children}
    </MantineProvider>
  );
}

void queries.prefetchQuery(sessionQuery); // at once with the texts
await beginTexts();
if (place) {
  createRoot(place).render(
    <StrictMode>
      <DirectionProvider>
        <Looks>
          <QueryClientProvider client={queries}>
            <SessionGate>
              <RouterProvider router={router} />
            </SessionGate>
          </QueryClientProvider>
        </Looks>
      </DirectionProvider>
    </StrictMode>,
  );
}
