import Button from "@cloudscape-design/components/button";
import { useState } from "react";
import { BucketBrowser } from "../../components/DirectoryBrowser";
import { t } from "../../i18n";
import { bucketOf } from "../../model/locations";

interface Props {
  bucket: string;
  prefix: string;
  onChoose(chosen: { bucket: string; prefix: string }): void;
}

/** Browse for the bucket and prefix of a template's trigger. */
export function BrowseTrigger({ bucket, prefix, onChoose }: Props) {
  const [browsing, setBrowsing] = useState(false);
  return (
    <>
      <Button iconName="folder" formAction="none" onClick={() => setBrowsing(true)}>
        {t().location.browse}
      </Button>
      {browsing && (
        <BucketBrowser
          start={bucket && `${bucket}/${prefix}`}
          end="destination"
          onClose={() => setBrowsing(false)}
          onChoose={(path) => {
            onChoose(bucketOf(path));
            setBrowsing(false);
          }}
        />
      )}
    </>
  );
}
