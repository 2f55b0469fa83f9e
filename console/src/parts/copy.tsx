import { Button } from "@mantine/core";
import { useState } from "react";
import { useTranslation } from "../text/translation";

/** A button that copies a text, and says whether the browser has let it. */
export function Copy({ text }: { text: string }) {
  const { t } = useTranslation();
  const [said, setSaid] = useState("");
  const copy = async () => {
    try {
      await navigator.clipboard.writeText(text);
      setSaid(t("act.copied"));
    } catch {
      setSaid(t("act.not_copied")); // refused, or there is none without HTTPS
    }
  };
  return (
    <>
      <span role="status" className="quiet">
        {said}
      </span>
      <Button variant="default" onClick={() => void copy()}>
        {t("act.copy")}
      </Button>
    </>
  );
}
