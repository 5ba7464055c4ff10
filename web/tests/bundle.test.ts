/** Size of the files that a browser must fetch before the first page works. */
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import { expect, it } from "vitest";

const DIST = join(import.meta.dirname, "../dist");
const FIRST_LOAD = 300 * 1024;
const MOST_OF_ONE = 130 * 1024;

/** Return the files fetched with a file: static imports and style sheets. */
function needed(entry: string, seen = new Set<string>()): Set<string> {
  if (seen.has(entry)) return seen;
  seen.add(entry);
  const text = readFileSync(join(DIST, entry), "utf8");
  const named = entry.endsWith(".html")
    ? [...text.matchAll(/(?:src|href)="\.\/(assets\/[^"]+)"/g)]
    : entry.endsWith(".js")
      ? [...text.matchAll(/(?:from|import)\s*"\.\/([^"]+\.js)"/g)].map((one) => [one[0], `assets/${one[1]}`])
      : [];
  for (const [, file] of named) if (file) needed(file, seen);
  return seen;
}

const weight = (file: string) => gzipSync(readFileSync(join(DIST, file))).length;

it("is built", () => {
  expect(existsSync(join(DIST, "index.html")), "run `infra/local/setup.sh node web` first").toBe(true);
});

it("is below 300 KB compressed up to the sign-in page", () => {
  const first = [...needed("index.html")];
  const total = first.reduce((sum, file) => sum + weight(file), 0);
  console.info(`first load: ${Math.round(total / 1024)} KB in ${first.length} files`);
  expect(total).toBeLessThan(FIRST_LOAD);
});

it("is split: no file is large, and chart, MQTT client and languages are loaded on demand", () => {
  const scripts = readdirSync(join(DIST, "assets")).filter((file) => file.endsWith(".js"));
  const heavy = scripts.filter((file) => weight(`assets/${file}`) > MOST_OF_ONE);
  expect(heavy).toEqual([]);
  const first = [...needed("index.html")].join(" ");
  expect(first).not.toMatch(/mqtt|all\.de|Overview|Template|SpeedPlot/);
});

it("has nothing inline that the content security policy would refuse", () => {
  const page = readFileSync(join(DIST, "index.html"), "utf8");
  expect(page).not.toMatch(/<script(?![^>]*\bsrc=)|<style|\sstyle=|\son\w+=/);
  expect(page).toContain("Content-Security-Policy");
});
