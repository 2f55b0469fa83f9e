/** What the switch would do with a call: each step, each candidate, and why the others not. */

import { Autocomplete, Button, CopyButton, Group, TextInput, Title } from "@mantine/core";
import { useQuery } from "@tanstack/react-query";
import { useNavigate, useSearch } from "@tanstack/react-router";
import type { FormEvent } from "react";
import { explained, type Row } from "../api/client";
import { localMinute } from "../format";
import { NAMES_SHOWN, useNames } from "../forms/fields";
import type { Narrowing } from "../narrowing";
import { NotShown } from "../parts/lacking";
import { MediaSteps } from "../parts/mediasteps";
import { MomentInput } from "../parts/minute";
import { useEntered } from "../parts/narrow";
import { OrderButton } from "../parts/orderbutton";
import { Page } from "../parts/page";
import { ProblemText } from "../parts/problem";
import { TestCall } from "../parts/testcall";
import { State } from "../parts/values";
import { useMay } from "../session";
import { ServerText } from "../text/meanings";
import { useTranslation } from "../text/translation";
import { Candidates, Left, Whole } from "./call";

const NUMBERS = ["caller", "callee"] as const;
const FIELDS = ["gateway", ...NUMBERS] as const;

export function TryScreen() {
  const { t } = useTranslation();
  const search = useSearch({ from: "/try" });
  const go = useNavigate({ from: "/try" });
  // what is no moment cannot be seen in its field: an error says it, and the next question leaves it out
  const [wanted, setWanted] = useEntered<Narrowing>({ ...search, at: localMinute(search.at) ? search.at : undefined });
  const isWhole = FIELDS.every((field) => search[field]);
  const found = useQuery({
    queryKey: ["explain", search],
    queryFn: () => explained(Object.fromEntries(Object.entries(search).filter(([, value]) => value))),
    enabled: isWhole,
  });
  const explain = (event: FormEvent) => {
    event.preventDefault();
    void go({ search: wanted });
    if (JSON.stringify(wanted) === JSON.stringify(search)) void found.refetch();
  };
  const mayCall = useMay("POST /calls/test");
  const sheet = found.data?.sheet as Row | undefined;
  const rate = sheet?.rate as Row | null | undefined;
  return (
    <Page title={t("nav.try")} needs="POST /routes/explain">
      <span className="quiet">{t("try.lead")}</span>
      <form onSubmit={explain}>
        <Group align="end" gap="xs">
          <GatewayInput value={wanted.gateway ?? ""} onChange={(gateway) => setWanted({ ...wanted, gateway })} />
          {NUMBERS.map((field) => (
            <TextInput
              key={field}
              label={t(`try.${field}`)}
              required
              value={wanted[field] ?? ""}
              onChange={(event) => setWanted({ ...wanted, [field]: event.currentTarget.value })}
            />
          ))}
          <MomentInput
            label={t("try.at")}
            value={wanted.at}
            onChange={(at) => setWanted({ ...wanted, at: at || undefined })}
          />
          <OrderButton type="submit" isAtWork={found.isFetching}>
            {t("try.go")}
          </OrderButton>
          {isWhole && (
            <CopyButton value={window.location.href}>
              {({ copied, copy }) => (
                <Button variant="default" onClick={copy}>
                  {t(copied ? "try.copied" : "try.share")}
                </Button>
              )}
            </CopyButton>
          )}
        </Group>
      </form>
      <ProblemText error={found.error} />
      {sheet && (
        <>
          {search.at && <p role="status">{t("try.at_moment")}</p>}
          {!search.at && found.data?.isLive === false && <p role="status">{t("try.not_live")}</p>}
          <p>
            {t("try.result")}: <State value={sheet.result} /> <ServerText text={sheet.detail} />
          </p>
          {rate && (
            <p>
              {t("try.rate")}:{" "}
              {t("try.price", {
                price: rate.price_per_minute,
                currency: rate.currency,
                prefix: rate.rate_prefix,
                group: rate.rate_group,
              })}
            </p>
          )}
          <Admission steps={(sheet.steps ?? []) as Row[]} detail={String(sheet.detail ?? "")} />
          <Candidates rows={(sheet.candidates ?? []) as Row[]} label={t("try.candidates")} currency={rate?.currency} />
          <Left rows={(sheet.left ?? []) as Row[]} />
          <MediaSteps rows={(sheet.candidates ?? []) as Row[]} />
          <NotShown lacking={found.data?.lacking} />
          {mayCall &&
            ((sheet.candidates ?? []) as Row[]).map((each) => (
              <section key={String(each.routing_gateway)}>
                <Title order={2} size="h4">
                  {t("testcall.through", { via: each.routing_gateway })}
                </Title>
                <TestCall
                  key={`${each.routing_gateway} ${search.callee}`}
                  via={String(each.routing_gateway)}
                  number={search.callee}
                  caller={search.caller}
                />
              </section>
            ))}
          <Whole value={sheet} />
        </>
      )}
    </Page>
  );
}

/** Where the call comes from: gateways of customers are offered, and phones by the beginning of their numbers. */
function GatewayInput({ value, onChange }: { value: string; onChange: (value: string) => void }) {
  const { t } = useTranslation();
  const gateways = useNames("mapping_gateways", value);
  const phones = useNames("phones", value);
  return (
    <Autocomplete
      label={t("try.gateway")}
      required
      data={[...new Set([...gateways, ...phones])]}
      limit={NAMES_SHOWN}
      value={value}
      onChange={onChange}
    />
  );
}

/** The steps of the set-up, each with its outcome; a refusal has its reason beside it. */
function Admission({ steps, detail }: { steps: readonly Row[]; detail: string }) {
  const { t } = useTranslation();
  const marks: Record<string, string> = { passed: "✓", refused: "✗", not_reached: "–" };
  return (
    <details open={steps.some((each) => each.outcome === "refused")}>
      <summary>{t("try.steps")}</summary>
      <ol aria-label={t("try.steps")}>
        {steps.map(({ step, outcome }) => (
          <li key={String(step)} className={outcome === "refused" ? "bad" : outcome === "passed" ? "" : "quiet"}>
            {marks[String(outcome)]} {t(`try.step.${step}`, { defaultValue: String(step) })}:{" "}
            {t(`try.outcome.${outcome}`)}
            {outcome === "refused" && detail && (
              <>
                {" "}
                (<ServerText text={detail} />)
              </>
            )}
          </li>
        ))}
      </ol>
    </details>
  );
}
