/** The roots of a server that is to become an agent, as they are written into the line to run there. */

import { t } from "../../i18n";
import type { Root } from "../../types";

export const MAX_ROOTS = 64;

/** What begins the list. */
export const NEW_ROOT: Root = { path: "", access: "rw" };

/** What would need quoting where roots are written. */
const UNSUPPORTED_CHARACTERS = /["\\\p{C}]|(?! )\p{Z}/u;

/** The same directory has one text. */
function normalized(path: string): string {
  const names = path.trim().split("/");
  return `/${names.filter((name) => name !== "" && name !== ".").join("/")}`;
}

export function given(roots: readonly Root[]): Root[] {
  return roots.map(({ path, access }) => ({ path: normalized(path), access }));
}

/** What is wrong with one of them, as `RootWish` and agent.toml have it; empty when nothing is. */
export function rootError(roots: readonly Root[], number: number): string {
  const path = roots[number]?.path.trim() ?? "";
  const words = t().addAgent;
  if (!path.startsWith("/")) return words.rootFault;
  if (path.split("/").includes("..")) return t().location.dots;
  if (UNSUPPORTED_CHARACTERS.test(path)) return words.rootUnsupportedCharacters;
  const twice = roots.some((one, at) => at < number && normalized(one.path) === normalized(path));
  return twice ? words.rootTwice : "";
}
