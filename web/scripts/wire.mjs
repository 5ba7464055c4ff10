// Writes src/wire.ts from the wire's own description, so that no type is written twice.
//   node scripts/wire.mjs           write it
//   node scripts/wire.mjs --check   fail when it is stale
import { execFileSync } from "node:child_process";
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import openapiTS, { astToString } from "openapi-typescript";

const root = join(dirname(fileURLToPath(import.meta.url)), "../..");
const file = join(root, "web/src/wire.ts");
const header = "// Generated from events/ by `npm run wire`: change the models there, not this file.\n\n";

function python() {
  const own = join(root, ".crosshaul/env/bin/python");
  return process.env.PYTHON ?? (existsSync(own) ? own : "python3");
}

function described() {
  const text = execFileSync(python(), ["-m", "events.schema"], { cwd: root, maxBuffer: 64 * 2 ** 20 });
  return JSON.parse(text.toString());
}

const fresh =
  header + astToString(await openapiTS(described(), { alphabetize: true, defaultNonNullable: true }));
if (!process.argv.includes("--check")) {
  writeFileSync(file, fresh);
} else if (!existsSync(file) || readFileSync(file, "utf8") !== fresh) {
  console.error("web/src/wire.ts is stale: the wire changed. Run `npm run wire` in web/ and commit it.");
  process.exit(1);
}
