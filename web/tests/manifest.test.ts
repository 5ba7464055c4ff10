/** Manifests as agents write them, and as somebody could write them who means ill. */
import { Blob as NodeBlob } from "node:buffer";
import { gzipSync } from "node:zlib";
import { describe, expect, it } from "vitest";
import {
  type Criteria,
  DamagedManifestError,
  findLines,
  linesAsCsv,
  MAX_LINES,
  type ManifestLine,
} from "../src/model/manifest";

const EVERYTHING: Criteria = { path: "", outcome: null };

const CHANGED = {
  code: "source-changed",
  message: "it changed, twice",
  advice: "",
  path: null,
  retryable: true,
  wording: "",
  parameters: {},
};

function line(path: string, changes: Partial<ManifestLine> = {}): ManifestLine {
  return {
    hop_id: "00000000000000000001-0",
    path,
    kind: "f",
    size: 5,
    digest: "ab",
    outcome: "sent",
    problem: null,
    lost: [],
    at: "2026-11-30T07:00:00Z",
    ...changes,
  };
}

function packed(...lines: ManifestLine[]): Blob {
  return packedText(lines.map((one) => `${JSON.stringify(one)}\n`).join(""));
}

function packedText(text: string): Blob {
  // That of the simulated browser is no stream.
  return new NodeBlob([gzipSync(text)]) as unknown as Blob;
}

const lost = line("b/late.mov", { outcome: "failed", digest: null, problem: CHANGED });

describe("the files of a transfer", () => {
  it("are listed with those that did not arrive first, wherever they are", async () => {
    const many = Array.from({ length: 3 * MAX_LINES }, (_, number) => line(`a/${number}.mov`));
    const found = await findLines([packed(...many, lost), packed(line("next hop"))], EVERYTHING);
    expect(found.lines[0]).toEqual(lost);
    expect(found.lines).toHaveLength(MAX_LINES);
    expect(found.matches).toBe(3 * MAX_LINES + 2);
    expect(found.outcomes).toMatchObject({ sent: 3 * MAX_LINES + 1, failed: 1, removed: 0 });
  });

  it("are found by a part of the path and by outcome, and counted in all", async () => {
    const manifest = packed(line("Raw/EP1.mov"), line("raw/ep1.xml", { outcome: "unchanged" }), lost);
    const search = async (criteria: Partial<Criteria>) => {
      const found = await findLines([manifest], { ...EVERYTHING, ...criteria });
      expect(found.outcomes).toMatchObject({ sent: 1, unchanged: 1, failed: 1 });
      return found.lines.map(({ path }) => path);
    };
    expect(await search({ path: "ep1" })).toEqual(["Raw/EP1.mov", "raw/ep1.xml"]);
    expect(await search({ path: "ep1", outcome: "unchanged" })).toEqual(["raw/ep1.xml"]);
    expect(await search({ outcome: "not_arrived" })).toEqual(["b/late.mov"]);
    expect(await search({ path: "nothing" })).toEqual([]);
  });

  it("are exported as CSV that a spreadsheet takes for text", async () => {
    const odd = line('=1+1,"x"\nü', { lost: ["acl", "time"] });
    const text = await (
      await linesAsCsv([packed(line("a"), odd, lost)], { ...EVERYTHING, path: "=" })
    ).text();
    expect(text).toBe(
      "hop_id,path,kind,size,outcome,reason,digest,lost,at\r\n" +
        `00000000000000000001-0,"'=1+1,""x""\nü",f,5,sent,,ab,acl time,2026-11-30T07:00:00Z\r\n`,
    );
  });

  it("may be none, and a search that nobody waits for ends", async () => {
    expect(await findLines([packed()], EVERYTHING)).toMatchObject({ lines: [], matches: 0 });
    const search = findLines([packed(lost)], EVERYTHING, AbortSignal.abort());
    await expect(search).rejects.toThrow("aborted");
  });
});

describe("what is no manifest", () => {
  it.each([
    ["not gzip", new NodeBlob(["{}"]) as unknown as Blob, "cannot be unpacked"],
    ["cut off", packed(lost).slice(0, 60), "cannot be unpacked"],
    ["not JSON", packedText("{\n"), "not JSON"],
    ["about something else", packedText('{"path": 7}\n'), "not about a file"],
    [
      "of an unknown outcome",
      packedText(JSON.stringify({ ...lost, outcome: "__proto__" })),
      "not about a file",
    ],
    ["one endless line", packedText("x".repeat(5 * 2 ** 20)), "no end"],
    [
      "gigabytes of nothing",
      packedText(`${JSON.stringify(lost)}${" ".repeat(900_000)}\n`.repeat(45)),
      "far more",
    ],
  ])("is refused: %s", async (_, blob, reason) => {
    const search = findLines([blob], EVERYTHING);
    await expect(search).rejects.toThrow(DamagedManifestError);
    await expect(search).rejects.toThrow(reason);
  });
});
