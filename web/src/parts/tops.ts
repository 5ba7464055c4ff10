/** Where browsing an agent begins. */
import { bytes } from "../format/sizes";
import { within } from "../locations";
import type { Agent } from "../types";
import { t } from "../words";

/** Something to begin at: a root of the agent, or a remote of its host, `archive:`. */
interface Top {
  path: string;
  access: "ro" | "rw";
  about: string;
}

export function topsOf(agent: Agent): Top[] {
  const { remotes } = agent.capabilities;
  const roots = agent.roots.map(({ path, access, free }) => {
    return { path, access, about: free === null ? t().browser.gone : bytes(free) };
  });
  return [
    ...roots,
    ...remotes.map(({ name, access, type }) => {
      return { path: `${name}:`, access, about: t().browser.remote(type) };
    }),
  ];
}

/** The directory the field names, if it lies in a root or on a remote; else what there is to begin at, or the
 * only one. */
export function startingAt(text: string, agent: Agent): string | null {
  const tops = topsOf(agent);
  const directory = directoryIn(text);
  if (text && tops.some((top) => within(directory, top.path))) return directory;
  const [only, ...others] = tops;
  return only && others.length === 0 ? only.path : null;
}

/** All but the last name, which may not be written to its end. */
function directoryIn(text: string): string {
  const slash = text.lastIndexOf("/");
  if (slash > 0) return text.slice(0, slash);
  return text.startsWith("/") ? "/" : text.slice(0, text.indexOf(":") + 1);
}
