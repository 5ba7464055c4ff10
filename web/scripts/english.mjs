/**
 * Standard output: what nobody should read or hear where German is spoken, as JSON: texts that only English has,
 * and patterns of those that are made with something (`Loading .*`).
 */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import ts from "typescript";

const GIVEN = "\u0001";

async function spoken(language) {
  const words = await import(moduleOf(language));
  return new Set(texts(words[language]));
}

/** The address of a file of words, with what it imports from beside it. */
function moduleOf(name) {
  const source = readFileSync(join(import.meta.dirname, `../src/i18n/${name}.ts`), "utf8");
  const { outputText } = ts.transpileModule(source, {
    compilerOptions: { module: ts.ModuleKind.ESNext, target: ts.ScriptTarget.ES2022 },
  });
  const whole = outputText.replace(/from "\.\/([\w.]+)"/g, (_, other) => `from "${moduleOf(other)}"`);
  return `data:text/javascript,${encodeURIComponent(whole)}`;
}

function texts(words) {
  if (typeof words === "string") return [words];
  if (typeof words === "function") return [made(words)].filter(Boolean);
  return Object.values(words).flatMap(texts);
}

/** What it makes of things that are marked; null of what needs other things than texts. */
function made(word) {
  try {
    const text = word(...Array(word.length).fill(GIVEN));
    return typeof text === "string" && !text.includes("undefined") ? text : null;
  } catch {
    return null;
  }
}

const [english, german] = await Promise.all(["en", "de"].map(spoken));
const letters = (text) => text.replaceAll(GIVEN, "").match(/\p{L}/gu)?.length ?? 0;
/** A single small word may well be a name that somebody gave: `admin` is a policy's, too. */
const name = /^\p{Ll}+$/u;
const own = [...english].filter((text) => !german.has(text) && letters(text) > 3 && !name.test(text));
const escaped = (text) => text.replace(/[.*+?^${}()|[\]\\]/g, "\\$&").replaceAll(GIVEN, ".+");
console.log(
  JSON.stringify({
    texts: own.filter((text) => !text.includes(GIVEN)),
    patterns: own.filter((text) => text.includes(GIVEN)).map((text) => `^${escaped(text)}$`),
  }),
);
