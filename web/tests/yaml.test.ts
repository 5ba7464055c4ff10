import { readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, it } from "vitest";
import { setLanguage } from "../src/i18n";
import { requestOf } from "../src/pages/templates/request";
import { sampleEvent, testUpload, uploadsIn } from "../src/pages/templates/testTemplate";
import { lineOffset, marked, parseYaml, toYaml } from "../src/pages/templates/yaml";
import { template } from "./samples";

const GOOD = `name: new-videos
trigger: {bucket: media, prefix: new-videos/}
shape: chain
destinations:
  - server-b:/primary/storage/
  - server-d:/backup/storage/
`;

function faults(text: string): string[] {
  const found = parseYaml(text);
  return "errors" in found ? found.errors.map(({ line, what }) => `${line}: ${what}`) : [];
}

it("reads the same text as the command line, with defaults for missing fields", () => {
  const found = parseYaml(GOOD);
  expect(found).toMatchObject({
    request: { name: "new-videos", enabled: true, options: { overwrite: "always" }, trigger: { suffix: "" } },
  });
});

it("writes text that it can read", () => {
  const request = requestOf(template());
  expect(parseYaml(toYaml(request))).toEqual({ request });
});

it.each([
  ["no YAML at all", "name: [", /^1: /],
  ["a list", "- a", /mapping/],
  ["a name that is missing", GOOD.replace("name: new-videos\n", ""), /^1: name/],
  ["an unknown field", `${GOOD}colour: red\n`, /^7: colour/],
  ["a shape there is none of", GOOD.replace("chain", "star"), /^3: shape .*fan_out, chain/],
  ["a destination that is a file", GOOD.replace("/backup/storage/", "/backup/storage"), /^6: .*directory/],
  ["a place that is none", GOOD.replace("server-b:/", "/"), /^5: /],
  [
    "a template that gathers for too long",
    GOOD.replace("new-videos/}", "new-videos/, gather_seconds: 301}"),
    /^2: trigger\.gather_seconds .*300/,
  ],
  ["a storage class that S3 does not have", `${GOOD}options: {storage_class: COLD}\n`, /^7: .*GLACIER_IR/],
  ["tags that are none", `${GOOD}options: {object_tags: {project: 7}}\n`, /^7: options\.object_tags.*texts/],
  ["an option of the wrong kind", `${GOOD}options: {streams: many}\n`, /^7: options\.streams/],
])("reports the line of an error: %s", (_, text, expected) => {
  expect(faults(text).join("\n")).toMatch(expected);
});

it("predicts what an upload would start", () => {
  const order = {
    ...requestOf(template()),
    trigger: { bucket: "media", prefix: "new/ma", suffix: ".mov", gather_seconds: 0 },
    destinations: ["server-b:/primary/"],
  };
  expect(testUpload(order, { key: "new/mars/one.mov" })).toEqual({
    arrives: ["server-b:/primary/mars/one.mov"],
  });
  expect(testUpload(order, { key: "old/one.mp4" })).toEqual({ misses: ["prefix", "suffix"] });
  expect(testUpload(order, { bucket: "other", key: "new/mars/.rclone1.mov" })).toEqual({
    misses: ["bucket", "unfinished"],
  });
  expect(testUpload(order, { key: "new/mars//one.mov" })).toEqual({ misses: ["unfit"] });
});

it("reads S3 events as the control plane does", () => {
  const batch = readFileSync(join(import.meta.dirname, "../../events/samples/aws/s3_objects_created.json"));
  const uploads = uploadsIn(batch.toString()) ?? [];
  expect(uploads.map(({ key }) => key)).toContain("new-videos/Köln + Bonn 100%.mov");
  expect(uploads[0]).toEqual({ bucket: "media-uploads", key: "new-videos/plain.mov", size: 1_048_576 });
  const request = requestOf(template());
  expect(uploadsIn(sampleEvent(request))?.map((upload) => "arrives" in testUpload(request, upload))).toEqual([
    true,
  ]);
  expect(uploadsIn("new-videos/{1}.mov")).toEqual([{ key: "new-videos/{1}.mov" }]);
  for (const text of ["{", "{}", "[1]", '{"Records": [{"body": "x"}]}']) expect(uploadsIn(text)).toBeNull();
});

it("marks the line that is wrong, without its indentation, and leads to it", () => {
  const text =
    "name: nightly\ntrigger:\n  bucket: media\n  colour: blue\ndestinations: ['server-b:/data/']\n";
  const read = parseYaml(text);
  const errors = "errors" in read ? read.errors : [];
  expect(errors.map(({ line }) => line)).toEqual([4]);
  const pieces = marked(text, errors);
  expect(pieces.map((one) => one.text).join("")).toBe(text);
  expect(pieces.filter((one) => one.wrong).map((one) => one.text)).toEqual(["colour: blue"]);
  expect(text.slice(lineOffset(text, 4))).toMatch(/^ {2}colour/);
  expect(lineOffset(text, 1)).toBe(0);
});

it.each([
  ["a: 1\na: 2\n", "Dieses Feld kommt zweimal vor"],
  ['a: "b\n', "Hier fehlt ein Zeichen"],
  ["a: b: c\n", "Hier ist ein „:“ zu viel"],
  ["a:\n\t- b\n", "Einrückungen bestehen aus Leerzeichen"],
  ["a: @b\n", "braucht Anführungszeichen"],
  ['a: "\\q"\n', "ist in doppelten Anführungszeichen ungültig"],
])("says what is wrong with %j in German alone", async (text, words) => {
  await setLanguage("de");
  const read = parseYaml(text);
  const whole = "errors" in read ? read.errors.map(({ what }) => what).join(". ") : "";
  await setLanguage("en");
  expect(whole).toContain(words);
  expect(whole).not.toMatch(/\b(the|is|must|not|are)\b/);
});
