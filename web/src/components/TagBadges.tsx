import Badge from "@cloudscape-design/components/badge";
import SpaceBetween from "@cloudscape-design/components/space-between";
import { tagText } from "../format/names";
import { Name } from "./text";

/** Tags of an agent as badges. */
export function TagBadges({ tags }: { tags: Readonly<Record<string, string>> }) {
  const pairs = Object.entries(tags);
  if (pairs.length === 0) return null;
  return (
    <SpaceBetween direction="horizontal" size="xxs">
      {pairs.map(([key, value]) => (
        <Badge key={key}>
          <Name>{tagText(key, value)}</Name>
        </Badge>
      ))}
    </SpaceBetween>
  );
}
