import { Alert, Button, Center, Paper, PasswordInput, Stack, TextInput, Title } from "@mantine/core";
import { useMutation } from "@tanstack/react-query";
import { type FormEvent, useLayoutEffect, useRef, useState } from "react";
import { client, content, Problem, type Session } from "../api/client";
import { mayBeCarriedOut } from "../api/orders";
import { brand, logo } from "../brand";
import { isPasswordDoubtful, notePasswordDoubt } from "../parts/doubt";
import { leaveField } from "../parts/forgotten";
import { ProblemText } from "../parts/problem";
import { useTranslation } from "../text/translation";

const FIRST_LOG_IN = "#/first-login/";

/** The one-time link of a person: what is behind the # never reaches a log of a server. */
function linkOfPage(): string | null {
  const { hash } = window.location;
  return hash.startsWith(FIRST_LOG_IN) ? `/${hash}` : null;
}

interface LoginTerms {
  /** A session has ended by itself, and what it showed is gone. */
  hasEnded: boolean;
  onDone: (session: Session) => Promise<void>;
}

export function Login({ hasEnded, onDone }: LoginTerms) {
  const { t } = useTranslation();
  const [link, setLink] = useState(linkOfPage);
  const [known, setKnown] = useState("");
  const ended = isPasswordDoubtful() ? t("login.perhaps_set") : hasEnded ? t("login.ended") : "";
  const said = known ? t("login.set_done", { name: known }) : ended;
  const used = (name: string) => {
    window.history.replaceState(null, "", "/");
    setKnown(name);
    setLink(null);
  };
  return (
    <Center mih="100vh" p="md" component="main">
      <Paper withBorder p="lg" w={380} maw="100%">
        <p className="brand">
          <img src={logo} alt="" height="28" /> <span>{brand.name}</span>
        </p>
        {link ? <FirstPassword link={link} onDone={used} /> : <Name known={known} said={said} onDone={onDone} />}
      </Paper>
    </Center>
  );
}

/** The attribute of an element with the focus at which Escape closes no dialog of the page. */
const KEEPS_ESCAPE = ["data-mantine-stop-propagation", "true"] as const;

/** The log-in over a page that is hidden, because its session has ended while a form was filled in. */
export function LoginAgain({ name, onDone }: { name: string; onDone: (session: Session) => Promise<void> }) {
  const { t } = useTranslation();
  const dialog = useRef<HTMLDialogElement>(null);
  useLayoutEffect(() => {
    const shown = dialog.current;
    shown?.showModal();
    shown?.querySelector<HTMLInputElement>("input[type=password]")?.focus();
    document.body.setAttribute(...KEEPS_ESCAPE);
    return () => {
      document.body.removeAttribute(KEEPS_ESCAPE[0]);
      shown?.close(); // the focus goes back to the field that was filled in
    };
  }, []);
  return (
    <dialog
      ref={dialog}
      className="login-again"
      aria-label={t("login.title")}
      closedby="none"
      // early browsers close a dialog when Escape is pressed a second time, and those of the page would be closed, too
      onClose={(event) => event.currentTarget.isConnected && event.currentTarget.showModal()}
      onFocus={(event) => event.target.setAttribute(...KEEPS_ESCAPE)}
    >
      <Name
        known={name}
        said={[t("login.again", { name }), ...(isPasswordDoubtful() ? [t("login.perhaps_set")] : [])].join(" ")}
        onDone={onDone}
      />
    </dialog>
  );
}

function Name({ known, said, onDone }: { known: string; said: string; onDone: (session: Session) => Promise<void> }) {
  const { t } = useTranslation();
  const [form, setForm] = useState({ name: known, password: "", code: "" });
  const logIn = useMutation({
    mutationFn: () => content(client.POST("/session", { body: form })).then(onDone),
  });
  const submit = (event: FormEvent) => {
    event.preventDefault();
    logIn.mutate();
  };
  return (
    <form onSubmit={submit}>
      <Stack>
        <Title order={1} size="h2">
          {t("login.title")}
        </Title>
        {said && <Alert color="green">{said}</Alert>}
        <TextInput
          label={t("login.name")}
          autoComplete="username"
          autoFocus
          required
          value={form.name}
          onChange={(event) => setForm({ ...form, name: event.currentTarget.value })}
        />
        <PasswordInput
          visibilityToggleButtonProps={{ "aria-label": t("login.show") }}
          label={t("login.password")}
          autoComplete="current-password"
          required
          value={form.password}
          onChange={(event) => setForm({ ...form, password: event.currentTarget.value })}
        />
        <TextInput
          label={t("login.code")}
          autoComplete="one-time-code"
          inputMode="numeric"
          value={form.code}
          onChange={(event) => setForm({ ...form, code: event.currentTarget.value })}
        />
        <ProblemText error={logIn.error} />
        <Button type="submit" loading={logIn.isPending}>
          {t("login.go")}
        </Button>
      </Stack>
    </form>
  );
}

/** The page of a one-time link; `onDone` has the name of the person, or none where it is not known whether it is set. */
function FirstPassword({ link, onDone }: { link: string; onDone: (name: string) => void }) {
  const { t } = useTranslation();
  const [password, setPassword] = useState("");
  const use = useMutation({
    mutationFn: () => content(client.POST("/session/link", { body: { link, password } })),
    onSuccess: (person) => {
      leaveField();
      notePasswordDoubt(false);
      onDone(person.name);
    },
    onError: (failure) => mayBeCarriedOut(failure) && notePasswordDoubt(true),
  });
  const submit = (event: FormEvent) => {
    event.preventDefault();
    use.mutate();
  };
  return (
    <form onSubmit={submit}>
      <Stack>
        <Title order={1} size="h2">
          {t("login.link_title")}
        </Title>
        <span>{t("login.link_lead")}</span>
        <PasswordInput
          visibilityToggleButtonProps={{ "aria-label": t("login.show") }}
          label={t("login.new_password")}
          autoComplete="new-password"
          autoFocus
          required
          minLength={12}
          value={password}
          onChange={(event) => setPassword(event.currentTarget.value)}
        />
        <ProblemText error={use.error} />
        {isRefused(use.error, "link_refused") && isPasswordDoubtful() && (
          <PerhapsSet
            onLogIn={() => {
              leaveField();
              onDone("");
            }}
          />
        )}
        <Button type="submit" loading={use.isPending}>
          {t("login.set")}
        </Button>
      </Stack>
    </form>
  );
}

/** What stands behind a refusal that a password may have brought about whose answer was lost. */
export function PerhapsSet({ onLogIn }: { onLogIn: () => void }) {
  const { t } = useTranslation();
  return (
    <Alert color="yellow" role="status">
      <Stack align="flex-start">
        {t("login.perhaps_set")}
        <Button variant="default" onClick={onLogIn}>
          {t("login.go")}
        </Button>
      </Stack>
    </Alert>
  );
}

/** Whether an order was refused with a code. */
export const isRefused = (error: Error | null, code: string): boolean =>
  error instanceof Problem && error.code === code;
