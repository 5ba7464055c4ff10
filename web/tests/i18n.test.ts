/** Translations: both languages have all texts, and no component contains a literal text. */
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import ts from "typescript";
import { afterEach, describe, expect, it } from "vitest";
import { problemWords } from "../src/format/problems";
import { bytes, duration, files } from "../src/format/sizes";
import { stateDisplay } from "../src/format/states";
import { setLanguage, t } from "../src/i18n";
import { de } from "../src/i18n/de";
import { en } from "../src/i18n/en";
import wordings from "./wordings.json";

const SOURCES = join(import.meta.dirname, "../src");

afterEach(() => setLanguage("en"));

/** Return the key of every text, as `a.b.c`. */
function keys(words: object, above = ""): string[] {
  return Object.entries(words).flatMap(([name, word]) => {
    const key = above ? `${above}.${name}` : name;
    return typeof word === "object" ? keys(word, key) : [key];
  });
}

describe("the two languages", () => {
  it("have the same keys", () => {
    expect(keys(de)).toEqual(keys(en));
  });

  it("have the same empty texts", () => {
    const empty = (words: object) =>
      JSON.stringify(words, (_, word) => (word === "" ? null : word)).split("null");
    expect(empty(de).length).toBe(empty(en).length);
  });

  it("format numbers by their own rules", async () => {
    expect([files(1234), bytes(1536), duration(3_900)]).toEqual(["1,234 files", "1.5 KiB", "1 h 5 min"]);
    await setLanguage("de");
    expect(document.documentElement.lang).toBe("de");
    expect([files(1234), bytes(1536), duration(3_900)]).toEqual([
      "1.234 Dateien",
      "1,5 KiB",
      "1 Std. 5 Min.",
    ]);
    expect(stateDisplay("failed").label).toBe("Fehlgeschlagen");
    expect(t().nav.overview).toBe("Übersicht");
  });
});

describe("texts from the API and the agents", () => {
  it.each([
    ["requested", "angefordert"],
    ["hop 1 queued", "Etappe 1 in der Warteschlange"],
    ["hop 12 queued again, attempt 3", "Etappe 12 wieder in der Warteschlange, Versuch 3"],
    ["hop 1 offered to server-c", "Etappe 1 wurde server-c angeboten"],
    [
      "hop 1 started (direct, server-c dialed 10.0.0.2:4460)",
      "Etappe 1 begonnen (direkt, server-c hat sich mit 10.0.0.2:4460 verbunden)",
    ],
    ["hop 2 started (s3)", "Etappe 2 begonnen (S3)"],
    ["hop 2 has arrived, is being read back", "Etappe 2 angekommen, wird zur Prüfung zurückgelesen"],
    ["something that nobody has foreseen", undefined],
    ["hop 2 does what no hop did before", undefined],
  ])("translates the timeline event: %s", (what, german) => {
    expect(de.reported.event(what)).toBe(german);
  });

  it.each(["constructor", "toString", "__proto__"])("does not translate %s", (word) => {
    expect([de.reported.title(word), de.reported.event(word)]).toEqual([undefined, undefined]);
    expect(de.reported.words(word, {})).toBe(undefined);
    expect(de.reported.event(`hop 1 started (${word})`)).toBe(`Etappe 1 begonnen (${word})`);
  });
});

describe("problems in German", () => {
  const english: Record<string, { message: string; advice: string }> = wordings.problems;
  const names = (text: string) => [...text.matchAll(/\{(\w+)\}/g)].map(([, name]) => name ?? "");
  /** Parameters that are sent for translations only. */
  const MORE = ["action", "object", "checks"];

  it.each(Object.entries(english))(
    "%s is filled with the parameters that are sent",
    (wording, { message, advice }) => {
      const sent = names(message + advice).concat(MORE);
      const filled = de.reported.words(wording, Object.fromEntries(sent.map((name) => [name, `<${name}>`])));
      const shown = `${filled?.message} ${filled?.advice}`;
      expect(shown, "every placeholder is filled").not.toMatch(/[{}]|undefined/);
      const empty = de.reported.words(wording, {});
      const unfilled = shown.replace(/<\w+>/g, "");
      expect(`${empty?.message} ${empty?.advice}`, "no parameter that is not sent").toBe(unfilled);
    },
  );

  it.each(Object.entries(wordings.inputs))(
    "an error in a field (%s) is filled with what is sent",
    (wording, message) => {
      const sent = Object.fromEntries(names(message).map((name) => [name, `<${name}>`]));
      const shown = de.reported.input(wording, sent) ?? "";
      expect(shown).not.toMatch(/[{}]/);
      expect(names(message).sort()).toEqual([...shown.matchAll(/<(\w+)>/g)].map(([, name]) => name).sort());
    },
  );

  it("names the checks that a new version failed, without the English that they print", () => {
    const parameters = {
      version: "2.0.0",
      seconds: "300",
      checks: "root /srv/data; lane port; clock",
      troubles: "root /srv/data: /srv/data does not exist; lane port: nothing answers; clock: 400 s ahead",
    };
    expect(de.reported.words("update-checks-failed", parameters)?.message).toBe(
      "2.0.0 hat sich nicht binnen 300 Sekunden als gesund gemeldet. " +
        "Fehlgeschlagen: Freigabe /srv/data, Port der Lane, Uhr.",
    );
  });

  it("has no English sentence in the middle of a German one", async () => {
    await setLanguage("de");
    const problem = {
      code: "previous-hop-ended",
      message: "Hop 2 continues hop 1, which failed.",
      advice: "Fix the problem of hop 1, then retry the transfer.",
      wording: "previous-hop-ended",
      parameters: { hop: "Hop 2", previous: "hop 1", state: "failed" },
    };
    expect(problemWords(problem)).toEqual({
      title: "Die vorige Etappe ist nicht angekommen",
      message: "Etappe 2 setzt Etappe 1 fort, und deren Zustand ist „Fehlgeschlagen“.",
      advice: "Das Problem von Etappe 1 beheben, dann die Übertragung wiederholen.",
    });
    expect(problemWords({ ...problem, wording: "of-a-newer-agent" })).toMatchObject({
      message: problem.message,
      lang: "en",
    });
  });

  it("takes no name for a placeholder, and repeats the path only once on the way", () => {
    const parameters = { path: "/data/{reason}/$&", reason: "{path}" };
    expect(de.reported.words("io-error", parameters)?.message).toBe(
      "/data/{reason}/$& kann nicht verwendet werden. Meldung: {path}",
    );
  });
});

/** Properties whose literal values are visible or read aloud. */
const SEEN = new Set(
  "ariaLabel aria-label alt title label header headerText headerDescription description constraintText placeholder loadingText empty errorText recoveryText copyButtonText noMatch".split(
    " ",
  ),
);
/** Names and examples that are the same in every language. */
const SAME_EVERYWHERE = new Set(["Crosshaul", "S3", "/data/videos/raw/", "bucket/prefix/", "server-b"]);
const EXAMPLES = new Set([
  "/data",
  "new-videos",
  "media-uploads",
  "new-videos/",
  ".mov",
  "ann@example.org",
  "server-b:/data/videos/",
  "server-c:/archive/",
]);

function literal(node: ts.Node | undefined): string | null {
  return node && (ts.isStringLiteral(node) || ts.isNoSubstitutionTemplateLiteral(node)) ? node.text : null;
}

/** Return the literal texts in a file. */
function loose(path: string): string[] {
  const text = readFileSync(path, "utf8");
  const tree = ts.createSourceFile(path, text, ts.ScriptTarget.Latest, true, ts.ScriptKind.TSX);
  const found: string[] = [];
  const note = (said: string | null) => {
    const word = said?.trim() ?? "";
    if (/\p{L}{2}/u.test(word) && !SAME_EVERYWHERE.has(word) && !EXAMPLES.has(word)) found.push(word);
  };
  const look = (node: ts.Node): void => {
    if (ts.isJsxText(node)) note(node.text);
    if (ts.isJsxAttribute(node) && SEEN.has(node.name.getText())) note(literal(node.initializer));
    if (ts.isPropertyAssignment(node) && SEEN.has(node.name.getText())) note(literal(node.initializer));
    if (ts.isJsxExpression(node)) note(literal(node.expression));
    ts.forEachChild(node, look);
  };
  look(tree);
  return found;
}

const pages = readdirSync(SOURCES, { recursive: true, encoding: "utf8" })
  .filter((file) => file.endsWith(".tsx"))
  .sort();

it.each(pages)("%s contains no literal text", (file) => {
  expect(loose(join(SOURCES, file))).toEqual([]);
});
