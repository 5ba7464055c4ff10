import Link from "@cloudscape-design/components/link";
import { useSurroundings } from "../context";
import { href } from "../router";
import { mayAct } from "../session/claims";

/** A template's name; it leads to the template for who may change it. */
export function TemplateLink({ id }: { id: string }) {
  const { role } = useSurroundings();
  return mayAct(role, "operator") ? <Link href={href("templates", id, "edit")}>{id}</Link> : id;
}
