/**
 * What Lighthouse says of the build. Standard input: `{"browser": program, "api_url", "pages": [{"path", "session"}]}`,
 * where `session` is what the tab keeps of who is signed in, or null. Standard output: a line of JSON a page.
 */
import { join } from "node:path";
import { text } from "node:stream/consumers";
import lighthouse, { desktopConfig } from "lighthouse";
import puppeteer from "puppeteer-core";
import { served } from "./served.mjs";

const CATEGORIES = ["performance", "accessibility", "best-practices"];

const { browser: program, api_url, pages } = JSON.parse(await text(process.stdin));
const site = await served(join(import.meta.dirname, "../dist"), JSON.stringify({ api_url }));
const browser = await puppeteer.launch({
  executablePath: program,
  args: ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update"],
});
try {
  for (const page of pages) console.log(JSON.stringify(await audit(page)));
} finally {
  await browser.close();
  site.close();
}

async function audit({ path, session }) {
  const page = await browser.newPage();
  if (session) await page.evaluateOnNewDocument(keep, session);
  const flags = { onlyCategories: CATEGORIES, disableStorageReset: true, logLevel: "error" };
  const { lhr } = await lighthouse(site.address + path, flags, desktopConfig, page);
  await page.close();
  const found = Object.values(lhr.audits).filter(({ score }) => score !== null && score < 0.9);
  return {
    path,
    scores: Object.fromEntries(
      CATEGORIES.map((name) => [name, Math.round(lhr.categories[name].score * 100)]),
    ),
    below: found.map(({ id, displayValue }) => [id, displayValue].filter(Boolean).join(": ")),
  };
}

/** Store the session before the page's own scripts run; about:blank has no storage. */
function keep(session) {
  if (location.protocol.startsWith("http")) sessionStorage.setItem("crosshaul.session", session);
}
