/**
 * Print, as JSON, the texts that exist only in English, and patterns of those with arguments (`Loading .*`).
 * The e2e tests search the German console for them.
 */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import ts from "typescript";

const GIVEN = "\u0001";

async function textsOf(language) {
  const words = await import(moduleUrl(language));
  return new Set(texts(words[language]));
}

/** Return a module URL for a file of texts, with its imports inlined. */
function moduleUrl(name) {
  const source = readFileSync(join(import.meta.dirname, `../src/i18n/${name}.ts`), "utf8");
  const { outputText } = ts.transpileModule(source, {
    compilerOptions: { module: ts.ModuleKind.ESNext, target: ts.ScriptTarget.ES2022 },
  });
  const whole = outputText.replace(/from "\.\/([\w.]+)"/g, (_, other) => `from "${moduleUrl(other)}"`);
  return `data:text/javascript,${encodeURIComponent(whole)}`;
}

function texts(words) {
  if (typeof words === "string") return [words];
  if (typeof words === "function") return [textWithMarks(words)].filter(Boolean);
  return Object.values(words).flatMap(texts);
}

/** Return the text for marked arguments, or null if it needs other arguments than strings. */
function textWithMarks(word) {
  try {
    const text = word(...Array(word.length).fill(GIVEN));
    return typeof text === "string" && !text.includes("undefined") ? text : null;
  } catch {
    return null;
  }
}

const [english, german] = await Promise.all(["en", "de"].map(textsOf));
const letters = (text) => text.replaceAll(GIVEN, "").match(/\p{L}/gu)?.length ?? 0;
/** A single lowercase word may be a name given by a person, such as the policy `admin`. */
const name = /^\p{Ll}+$/u;
const own = [...english].filter((text) => !german.has(text) && letters(text) > 3 && !name.test(text));
const escaped = (text) => text.replace(/[.*+?^${}()|[\]\\]/g, "\\$&").replaceAll(GIVEN, ".+");
console.log(
  JSON.stringify({
    texts: own.filter((text) => !text.includes(GIVEN)),
    patterns: own.filter((text) => text.includes(GIVEN)).map((text) => `^${escaped(text)}$`),
  }),
);
