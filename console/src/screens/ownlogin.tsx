/** The proofs by which the person of the page logs in: its password and its second factor. */

import {
  Alert,
  Anchor,
  Button,
  Center,
  Code,
  Group,
  Modal,
  Paper,
  PasswordInput,
  Stack,
  TextInput,
  Title,
} from "@mantine/core";
import { useMutation, useQueryClient } from "@tanstack/react-query";
import { type FormEvent, useEffect, useState } from "react";
import { readAgain } from "../api/again";
import { client, content, type Schemas, type Session } from "../api/client";
import { mayBeCarriedOut } from "../api/orders";
import { Copy } from "../parts/copy";
import { useOpened } from "../parts/dialogs";
import { isPasswordDoubtful, notePasswordDoubt } from "../parts/doubt";
import { leaveField, useForgotten } from "../parts/forgotten";
import { OrderButton } from "../parts/orderbutton";
import { ProblemText } from "../parts/problem";
import { useUnsaved } from "../parts/unsaved";
import { useLogOut } from "../session";
import { useTranslation } from "../text/translation";
import { isRefused, PerhapsSet } from "./login";

/** How far a second factor is: nothing entered yet, something that would be lost, in force with its codes shown. */
type Step = "begin" | "begun" | "in_force";

const NO_PROOF = { password: "", code: "" };

/** The secret as it is typed into a telephone. */
const inFours = (secret: string) => secret.match(/.{1,4}/g)?.join(" ") ?? "";

/** What stands instead of the console while the role of the person demands a second factor that it has not set up. */
export function SecondFactorPage({
  session,
  onDone,
  onLogOut,
}: {
  session: Session;
  onDone: () => void;
  onLogOut: () => Promise<void>;
}) {
  const { t } = useTranslation();
  const role = t([`role.${session.role}`], { defaultValue: session.role });
  const [step, setStep] = useState<Step>("begin");
  const areShown = step === "in_force";
  const leaving = useMutation({ mutationFn: onLogOut });
  useEffect(() => {
    if (!areShown) return;
    const ask = (event: BeforeUnloadEvent) => event.preventDefault();
    window.addEventListener("beforeunload", ask);
    return () => window.removeEventListener("beforeunload", ask);
  }, [areShown]);
  return (
    <Center mih="100vh" p="md" component="main">
      <Paper withBorder p="lg" w={420} maw="100%">
        <Stack>
          <Title order={1} size="h2">
            {t("own.factor_title")}
          </Title>
          <div>{t("own.demanded", { role, name: session.name })}</div>
          <SecondFactor hasOne={session.has_totp} onStep={setStep} onDone={onDone} />
          {!areShown && (
            <Group>
              <Button variant="subtle" size="compact-sm" onClick={() => leaving.mutate()}>
                {t("frame.logout")}
              </Button>
            </Group>
          )}
          <ProblemText error={leaving.error} />
        </Stack>
      </Paper>
    </Center>
  );
}

/** A first or another second factor, from the menu of the person. */
export function SecondFactorDialog({ session, onClose }: { session: Session; onClose: () => void }) {
  const { t } = useTranslation();
  const queries = useQueryClient();
  const [isOpen, setOpen] = useOpened();
  const [step, setStep] = useState<Step>("begin");
  const unsaved = useUnsaved(isOpen && step !== "begin");
  const done = () => {
    setOpen(false);
    readAgain(queries);
  };
  const close = () => unsaved.leave(step === "in_force" ? done : () => setOpen(false));
  return (
    <>
      <Modal
        opened={isOpen}
        onClose={close}
        onExitTransitionEnd={onClose}
        closeOnClickOutside={step !== "in_force"}
        title={t("own.factor_title")}
        closeButtonProps={{ "aria-label": t("act.close") }}
      >
        <Stack>
          <div>{t(session.has_totp ? "own.has_factor" : "own.has_no_factor")}</div>
          <SecondFactor hasOne={session.has_totp} onStep={setStep} onDone={done} />
        </Stack>
      </Modal>
      {unsaved.question}
    </>
  );
}

/** The steps of a second factor: its secret, a code of it, and the recovery codes, which are shown this once. */
function SecondFactor({
  hasOne,
  onStep,
  onDone,
}: {
  hasOne: boolean;
  onStep?: (step: Step) => void;
  onDone: () => void;
}) {
  const { t } = useTranslation();
  const [proof, setProof] = useState(NO_PROOF);
  const [begun, setBegun] = useState<Schemas["BegunTotp"] | null>(null);
  const [code, setCode] = useState("");
  const [codes, setCodes] = useState<readonly string[] | null>(null);
  useForgotten(begun !== null || codes !== null);
  const begin = useMutation({
    mutationFn: () => content(client.POST("/session/totp", { body: proof })),
    onSuccess: (secret) => {
      leaveField();
      setBegun(secret);
      setProof(NO_PROOF);
      onStep?.("begun");
      begin.reset(); // it has the secret
    },
  });
  const confirm = useMutation({
    mutationFn: () => content(client.PUT("/session/totp", { body: { code: code.replaceAll(" ", "") } })),
    onSuccess: (made) => {
      leaveField();
      setCodes(made.codes);
      setBegun(null);
      setCode("");
      onStep?.("in_force");
      confirm.reset(); // it has the codes
    },
  });
  const submit = (act: { mutate: () => void }) => (event: FormEvent) => {
    event.preventDefault();
    act.mutate();
  };
  if (codes) {
    const shown = codes.join("\n");
    return (
      <Stack>
        <Alert color="green" role="status">
          {t("own.codes_lead", { count: codes.length })}
        </Alert>
        <Code block>{shown}</Code>
        <Group justify="flex-end">
          <Copy text={shown} />
          <Button autoFocus onClick={onDone}>
            {t("own.codes_kept")}
          </Button>
        </Group>
      </Stack>
    );
  }
  if (begun) {
    return (
      <form onSubmit={submit(confirm)}>
        <Stack>
          <div>{t("own.secret_lead")}</div>
          <Code block style={{ whiteSpace: "pre-wrap" }}>
            {inFours(begun.secret)}
          </Code>
          <Anchor href={begun.uri}>{t("own.secret_open")}</Anchor>
          <TextInput
            label={t("own.new_code")}
            autoComplete="one-time-code"
            inputMode="numeric"
            autoFocus
            required
            value={code}
            onChange={(event) => setCode(event.currentTarget.value)}
          />
          <ProblemText error={confirm.error} />
          <Group justify="flex-end">
            <Button
              variant="default"
              onClick={() => {
                setBegun(null);
                confirm.reset();
                onStep?.("begin");
              }}
            >
              {t("own.begin_again")}
            </Button>
            <OrderButton type="submit" isAtWork={confirm.isPending}>
              {t("own.confirm")}
            </OrderButton>
          </Group>
        </Stack>
      </form>
    );
  }
  return (
    <form onSubmit={submit(begin)}>
      <Stack>
        {hasOne && (
          <Proof
            proof={proof}
            hasCode
            onChange={(entered) => {
              setProof(entered);
              onStep?.(entered.password || entered.code ? "begun" : "begin");
            }}
          />
        )}
        <ProblemText error={begin.error} />
        <Group justify="flex-end">
          <OrderButton
            type="submit"
            autoFocus={!hasOne}
            data-autofocus={!hasOne || undefined}
            isAtWork={begin.isPending}
          >
            {t("own.begin")}
          </OrderButton>
        </Group>
      </Stack>
    </form>
  );
}

/** Another password, from the menu of the person. */
export function PasswordDialog({ session, onClose }: { session: Session; onClose: () => void }) {
  const { t } = useTranslation();
  const [isOpen, setOpen] = useOpened();
  const [proof, setProof] = useState(NO_PROOF);
  const [chosen, setChosen] = useState("");
  const isEntered = chosen !== "" || proof.password !== "" || proof.code !== "";
  const unsaved = useUnsaved(isOpen && isEntered);
  const [isDone, setDone] = useState(false);
  useForgotten(isOpen && !isDone);
  const forget = () => {
    setProof(NO_PROOF);
    setChosen("");
  };
  const leaving = useMutation({ mutationFn: useLogOut() });
  const change = useMutation({
    mutationFn: () =>
      content(client.PUT("/session/password", { body: { old: proof.password, new: chosen, code: proof.code } })),
    onSuccess: () => {
      leaveField();
      forget();
      notePasswordDoubt(false);
      setDone(true);
    },
    onError: (failure) => mayBeCarriedOut(failure) && notePasswordDoubt(true),
  });
  const close = () =>
    change.isPending ||
    unsaved.leave(() => {
      forget();
      setOpen(false);
    });
  const submit = (event: FormEvent) => {
    event.preventDefault();
    change.mutate();
  };
  return (
    <>
      <Modal
        opened={isOpen}
        onClose={close}
        onExitTransitionEnd={onClose}
        title={t("own.password")}
        closeButtonProps={{ "aria-label": t("act.close") }}
      >
        {isDone ? (
          <Stack>
            <Alert color="green" role="status">
              {t("own.password_set")}
            </Alert>
            <Group justify="flex-end">
              <Button autoFocus onClick={close}>
                {t("act.close")}
              </Button>
            </Group>
          </Stack>
        ) : (
          <form onSubmit={submit}>
            <Stack>
              <div>{t("own.password_lead")}</div>
              <Proof proof={proof} hasCode={session.has_totp} onChange={setProof} />
              <PasswordInput
                visibilityToggleButtonProps={{ "aria-label": t("login.show") }}
                label={t("login.new_password")}
                autoComplete="new-password"
                required
                minLength={12}
                value={chosen}
                onChange={(event) => setChosen(event.currentTarget.value)}
              />
              <ProblemText error={change.error} />
              {isRefused(change.error, "log_in_refused") && isPasswordDoubtful() && (
                <PerhapsSet onLogIn={() => leaving.mutate()} />
              )}
              <ProblemText error={leaving.error} />
              <Group justify="flex-end">
                <Button variant="default" onClick={close} disabled={change.isPending}>
                  {t("act.cancel")}
                </Button>
                <OrderButton type="submit" isAtWork={change.isPending}>
                  {t("login.set")}
                </OrderButton>
              </Group>
            </Stack>
          </form>
        )}
      </Modal>
      {unsaved.question}
    </>
  );
}

/** The present proofs, without which a session that was left open could change them. */
function Proof({
  proof,
  hasCode,
  onChange,
}: {
  proof: typeof NO_PROOF;
  hasCode: boolean;
  onChange: (proof: typeof NO_PROOF) => void;
}) {
  const { t } = useTranslation();
  return (
    <>
      <PasswordInput
        visibilityToggleButtonProps={{ "aria-label": t("login.show") }}
        label={t("own.old_password")}
        autoComplete="current-password"
        data-autofocus
        required
        value={proof.password}
        onChange={(event) => onChange({ ...proof, password: event.currentTarget.value })}
      />
      {hasCode && (
        <TextInput
          label={t("own.old_code")}
          autoComplete="one-time-code"
          required
          value={proof.code}
          onChange={(event) => onChange({ ...proof, code: event.currentTarget.value })}
        />
      )}
    </>
  );
}
