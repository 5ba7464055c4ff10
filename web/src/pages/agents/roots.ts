/** Roots for a new agent, as the install command takes them. */

import { t } from "../../i18n";
import type { Root } from "../../types";

export const MAX_ROOTS = 64;

/** The initial root. */
export const NEW_ROOT: Root = { path: "", access: "rw" };

/** Characters that would need quoting in agent.toml. */
const UNSUPPORTED_CHARACTERS = /["\\\p{C}]|(?! )\p{Z}/u;

/** Return a path without empty and `.` parts. */
function normalized(path: string): string {
  const names = path.trim().split("/");
  return `/${names.filter((name) => name !== "" && name !== ".").join("/")}`;
}

export function rootsForApi(roots: readonly Root[]): Root[] {
  return roots.map(({ path, access }) => ({ path: normalized(path), access }));
}

/** Return what is wrong with one root, by the rules of `RootSpec` and agent.toml, or an empty string. */
export function rootError(roots: readonly Root[], number: number): string {
  const path = roots[number]?.path.trim() ?? "";
  const labels = t().addAgent;
  if (!path.startsWith("/")) return labels.rootError;
  if (path.split("/").includes("..")) return t().location.dots;
  if (UNSUPPORTED_CHARACTERS.test(path)) return labels.rootUnsupportedCharacters;
  const twice = roots.some((one, at) => at < number && normalized(one.path) === normalized(path));
  return twice ? labels.rootTwice : "";
}
