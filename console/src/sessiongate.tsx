/** The log-in before the pages: the session is a cookie that scripts cannot read; its token for changes is in memory alone. */

import { Button, Center, Loader, Modal, Stack } from "@mantine/core";
import { queryOptions, useQuery, useQueryClient } from "@tanstack/react-query";
import { type ReactNode, useCallback, useEffect, useMemo, useRef, useState } from "react";
import { SESSION } from "./api/again";
import { client, content, NotKept, noteSession, Problem, renewed, type Session } from "./api/client";
import { keep, recall } from "./kept";
import { notePasswordDoubt } from "./parts/doubt";
import { rescueFocus } from "./parts/focus";
import { leaveField, useForgotten } from "./parts/forgotten";
import { ProblemText } from "./parts/problem";
import { Renewals } from "./parts/renewals";
import { formsEntered } from "./parts/unsaved";
import { Login, LoginAgain } from "./screens/login";
import { SecondFactorPage } from "./screens/ownlogin";
import { forgetAll, isOfPages, type Person, SessionContext, useLogOut, waiting } from "./session";
import { useTranslation } from "./text/translation";

const HTTP_UNAUTHORIZED = 401;
/** Whether a person was logged in here last: what it may do is asked for at once with the session then. */
const WAS_OPEN = "vosd.session";
/** The other windows of the browser, one of which may be seen and never get the focus: each looks who has logged in or out. */
const windows = new BroadcastChannel("session");

/**
 * Show the log-in until a person has logged in. Where a session ends while a form holds what is not saved, the page is
 * hidden until the same person has logged in again; else it is gone.
 */
export function SessionGate({ children }: { children: ReactNode }) {
  const { t } = useTranslation();
  const queries = useQueryClient();
  const logOut = useLogOut();
  const asked = useQuery(sessionQuery);
  const session = asked.data ?? null;
  useForgotten(session !== null);
  const [other, setOther] = useState("");
  const [isHidden, setHidden] = useState(false);
  const [hasEnded, setEnded] = useState(false);
  const [renewals, setRenewals] = useState(0);
  /** Forms that the page had at the log-in: those of rights that the person has no more go with the new session. */
  const entered = useRef(0);
  const [hasLost, setLost] = useState(false);
  const name = session?.name;
  useEffect(() => {
    if (session && formsEntered() < entered.current) setLost(true);
    entered.current = 0;
  }, [session]);
  useMemo(() => {
    const forget = () => {
      setHidden(false);
      forgetAll(queries);
    };
    noteSession(
      session,
      async () => {
        if (formsEntered() === 0) {
          forget();
          // a refusal behind the first one finds no session any more
          if (session) setEnded(true);
          return false;
        }
        setHidden(true);
        await new Promise<void>((resolve) => waiting.push(resolve));
        return true;
      },
      (by) => {
        forget();
        setOther(by);
      },
    );
  }, [session, queries]);
  const goOn = useCallback(() => {
    setHidden(false);
    setRenewals((number) => number + 1);
    for (const each of waiting.splice(0)) each();
    void queries.invalidateQueries({ predicate: isOfPages });
  }, [queries]);
  useEffect(() => {
    // without a network, the next request says so
    const look = () =>
      void renewed().then(
        (isSame) => {
          if (isSame && isHidden) goOn();
          // its refusal ends what is shown of a session that is over
          else if (name && !isSame && !isHidden) ownRights().catch(() => {});
        },
        () => false,
      );
    window.addEventListener("focus", look);
    windows.addEventListener("message", look);
    return () => {
      window.removeEventListener("focus", look);
      windows.removeEventListener("message", look);
    };
  }, [isHidden, goOn, name]);
  useEffect(() => {
    if (!name) return;
    windows.postMessage(name);
    return () => windows.postMessage("");
  }, [name]);
  const mayAsk = session !== null && !session.wants_totp;
  useEffect(() => {
    if (mayAsk || !asked.isPending) keep(WAS_OPEN, mayAsk ? "true" : null);
  }, [mayAsk, asked.isPending]);
  const logIn = async (opened: Session) => {
    const person = await withOperations(opened).catch((error) => {
      throw isUnauthorized(error) ? new NotKept() : error;
    });
    leaveField();
    notePasswordDoubt(false);
    setEnded(false);
    const isSame = person.name === session?.name;
    if (isSame) entered.current = formsEntered();
    else forgetAll(queries);
    queries.setQueryData(SESSION, person);
    if (isSame) goOn();
    else setHidden(false);
  };
  if (other) return <OtherPerson name={other} />;
  if (asked.isPending) {
    return (
      <Center h="100vh">
        <Loader aria-label="vosd" />
      </Center>
    );
  }
  // rights that could not be read again must not take away a page with what was entered, or with what is shown once
  if (asked.error && (!session || session.wants_totp)) {
    return (
      <Center h="100vh" component="main">
        <ProblemText error={asked.error} again={() => asked.refetch()} />
      </Center>
    );
  }
  if (!session) return <Login hasEnded={hasEnded} onDone={logIn} />;
  if (session.wants_totp) {
    return <SecondFactorPage session={session} onDone={() => void asked.refetch()} onLogOut={logOut} />;
  }
  return (
    <SessionContext value={session} key={session.name}>
      <Renewals value={renewals}>{children}</Renewals>
      {isHidden && <LoginAgain name={session.name} onDone={logIn} />}
      <Modal
        opened={hasLost}
        onClose={() => setLost(false)}
        onExitTransitionEnd={() => rescueFocus()}
        title={t("login.lost")}
        closeButtonProps={{ "aria-label": t("act.close") }}
      >
        {t("login.lost_lead")}
      </Modal>
    </SessionContext>
  );
}

/** What stands instead of a page whose browser has the session of another person by now. */
function OtherPerson({ name }: { name: string }) {
  const { t } = useTranslation();
  return (
    <Center h="100vh" component="main">
      <Stack role="alert">
        {t("login.other", { name })}
        <Button autoFocus onClick={() => window.location.reload()}>
          {t("login.anew")}
        </Button>
      </Stack>
    </Center>
  );
}

/** The person of the browser's session, with what it may do; null where there is none. */
export const sessionQuery = queryOptions({
  queryKey: SESSION,
  queryFn: () => {
    const own = recall(WAS_OPEN) ? ownRights() : undefined;
    own?.catch(() => {}); // why it fails is said where it is waited for
    return content(client.GET("/session"))
      .then((session) => withOperations(session, own))
      .catch(nullWhereNone);
  },
  staleTime: Number.POSITIVE_INFINITY,
});

const ownRights = () => content(client.GET("/me"));

async function withOperations(session: Session, own?: ReturnType<typeof ownRights>): Promise<Person> {
  // until its second factor is set up, it may do nothing, nor ask what it may do
  if (session.wants_totp) return { ...session, may: new Set(), isCustomer: false };
  const { operations, acts_for } = await (own ?? ownRights());
  const may = new Set(operations.map(({ method, path }) => `${method} ${path}`));
  return { ...session, may, isCustomer: acts_for === "customer" };
}

const isUnauthorized = (error: unknown) => error instanceof Problem && error.status === HTTP_UNAUTHORIZED;

function nullWhereNone(error: unknown): null {
  if (isUnauthorized(error)) return null;
  throw error;
}
