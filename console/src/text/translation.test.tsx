import i18next, { type TFunction } from "i18next";
import { renderToStaticMarkup } from "react-dom/server";
import { beforeAll, expect, test } from "vitest";
import { useTranslation } from "./translation";

const words = (close: string) => ({ translation: { act: { close } } });
const used: TFunction[] = [];

function Word() {
  const { t, i18n } = useTranslation();
  used.push(t);
  return <p lang={i18n.language}>{t("act.close")}</p>;
}

beforeAll(async () => {
  await i18next.init({
    lng: "en",
    resources: { en: words("Close"), zh: words("关闭") },
    showSupportNotice: false,
  });
});

test("what is drawn has the words of the present language, by the same means in each place", async () => {
  const drawn = () =>
    renderToStaticMarkup(
      <>
        <Word />
        <Word />
      </>,
    );
  expect(drawn()).toBe('<p lang="en">Close</p><p lang="en">Close</p>');
  await i18next.changeLanguage("zh");
  expect(drawn()).toBe('<p lang="zh">关闭</p><p lang="zh">关闭</p>');
  expect(used[0]).toBe(used[1]);
  expect(used[2]).toBe(used[3]);
  expect(used[0]).not.toBe(used[2]);
});
