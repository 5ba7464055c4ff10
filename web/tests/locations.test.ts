import { describe, expect, it } from "vitest";
import { agentPlace, s3Place, startPath } from "../src/components/browsablePlaces";
import { chosenPath } from "../src/components/DirectoryBrowser";
import {
  arrivalText,
  bucketOf,
  directoryOf,
  draftError,
  draftOf,
  draftText,
  joined,
  S3,
  trail,
  withTypedPath,
} from "../src/model/locations";
import { hrefWith, parseRoute } from "../src/router";
import { agent as sampleAgent } from "./samples";

const at = (path: string, place = "server-b") => ({ place, path });

describe("a location draft", () => {
  it.each([
    [at("/data"), ""],
    [at("data"), "Write an absolute path that begins with /, or remote:path"],
    [at("archive:photos/"), ""],
    [at("archive:../x"), "The path has '..' in it: write the directory itself."],
    [at("/a/../b"), "The path has '..' in it: write the directory itself."],
    [at("", ""), "Choose an agent or S3."],
    [at("media-uploads/new/", S3), ""],
    [at("/media", S3), "Write the bucket's name, then / and a prefix: media-uploads/new-videos/"],
  ])("%j: %s", (draft, fault) => {
    expect(draftError(draft)).toBe(fault);
  });

  it("converts to the API's text and back", () => {
    const draft = at("media/new videos/", S3);
    expect(draftText(draft)).toBe("s3://media/new videos/");
    expect(draftOf({ kind: "s3", bucket: "media", prefix: "new videos/" })).toEqual(draft);
  });

  it("may be on a remote of an agent", () => {
    const draft = at("archive:photos/2026/");
    expect(draftText(draft)).toBe("server-b:archive:photos/2026/");
    expect(
      draftOf({ kind: "remote", agent_id: "server-b", remote: "archive", path: "photos/2026/" }),
    ).toEqual(draft);
    expect(draftError(at("archive:"), true)).toBe("");
  });

  it("must be a directory in a template", () => {
    expect(draftError(at("/data"), true)).toBe("This must be a directory: end it with /");
  });
});

it("changes to S3 when a bucket address is pasted", () => {
  const pasted = { place: "s3://", path: "media/raw/" };
  expect(withTypedPath({ place: "s3://", path: "" }, "s3://media/raw/")).toEqual(pasted);
  expect(withTypedPath({ place: "server-b", path: "/data/" }, "s3://media/raw/")).toEqual(pasted);
  expect(withTypedPath({ place: "server-b", path: "" }, "/data/")).toEqual({
    place: "server-b",
    path: "/data/",
  });
  const agents = ["server-b", "server-c"];
  const other = { place: "server-c", path: "/archive/" };
  expect(withTypedPath({ place: "server-b", path: "" }, " server-c:/archive/", agents)).toEqual(other);
  const remote = { place: "server-c", path: "archive:photos/" };
  expect(withTypedPath({ place: "", path: "" }, "server-c:archive:photos/", agents)).toEqual(remote);
  expect(withTypedPath({ place: "server-b", path: "" }, "archive:photos/", agents).place).toBe("server-b");
});

describe("where things arrive", () => {
  it.each([
    ["/a/b/", "/x/", "The contents of b arrive in /x/"],
    ["/a/b/", "/x", "The contents of b arrive in /x/"],
    ["/a/b", "/x/", "b itself arrives as /x/b"],
    ["/a/b", "/x", "b itself arrives under the name /x"],
    ["/a/b", "x", ""],
    ["archive:a/b", "/x/", "b itself arrives as /x/b"],
    ["archive:b", "/x/", "b itself arrives as /x/b"],
    ["archive:", "/x/", "The contents arrive in /x/"],
    ["/a/b", "archive:", "b itself arrives as archive:b"],
  ])("%s to %s: %s", (source, destination, words) => {
    expect(arrivalText(at(source), at(destination, "server-c"))).toBe(words);
  });
});

describe("browsing", () => {
  const entry = (type: "file" | "directory") => ({
    name: "raw",
    utf8: true,
    type,
    size: null,
    modified: null,
  });

  it("chooses the directory's contents, or the selected entry", () => {
    expect(chosenPath("/data", [], false)).toBe("/data/");
    expect(chosenPath("/data", [entry("directory")], false)).toBe("/data/raw");
    expect(chosenPath("/data", [entry("file")], false)).toBe("/data/raw");
    expect(chosenPath("/data", [entry("directory")], true)).toBe("/data/raw/");
    expect(chosenPath("/data", [entry("file"), entry("directory")], false)).toBe("/data/");
    expect(chosenPath("/", [], false)).toBe("/");
  });

  it("shows breadcrumbs from the containing root", () => {
    expect(joined("/", "a")).toBe("/a");
    expect(trail("/data/videos/raw", ["/data", "/database"])).toEqual([
      { text: "/data", path: "/data" },
      { text: "videos", path: "/data/videos" },
      { text: "raw", path: "/data/videos/raw" },
    ]);
  });
});

describe("browsing a remote", () => {
  const remotes = [{ name: "archive", access: "ro" as const, type: "s3" }];
  const plain = sampleAgent();
  const agent = { ...plain, capabilities: { ...plain.capabilities, remotes } };

  it("has paths that begin with its name", () => {
    expect(joined("archive:", "photos")).toBe("archive:photos");
    expect(joined("archive:photos", "2026")).toBe("archive:photos/2026");
    expect(chosenPath("archive:", [], false)).toBe("archive:");
    expect(chosenPath("archive:photos", [], false)).toBe("archive:photos/");
    expect(joined("/odd:", "name")).toBe("/odd:/name");
  });

  it("shows breadcrumbs from the remote", () => {
    expect(trail("archive:photos/2026", ["/data", "archive:"])).toEqual([
      { text: "archive:", path: "archive:" },
      { text: "photos", path: "archive:photos" },
      { text: "2026", path: "archive:photos/2026" },
    ]);
  });

  it("requests a path on the remote", () => {
    expect(directoryOf("archive:")).toEqual({ remote: "archive", path: "/" });
    expect(directoryOf("archive:photos/2026")).toEqual({ remote: "archive", path: "/photos/2026" });
    expect(directoryOf("/data")).toEqual({ remote: null, path: "/data" });
  });

  it.each([
    ["archive:", "archive:"],
    ["archive:photos/20", "archive:photos"],
    ["archive:ph", "archive:"],
    ["private:photos/", null],
    ["/data/videos", "/data"],
    ["/elsewhere/x", null],
    ["", null],
  ])("starts at the path in the field: %s", (text, directory) => {
    expect(startPath(text, agentPlace(agent))).toBe(directory);
  });
});

describe("browsing S3", () => {
  it("requests a prefix of a bucket", () => {
    expect(bucketOf("media")).toEqual({ bucket: "media", prefix: "" });
    expect(bucketOf("media/raw/Zoë's")).toEqual({ bucket: "media", prefix: "raw/Zoë's" });
  });

  it("shows breadcrumbs from the bucket", () => {
    expect(trail("media/raw/2026", ["media", "media-old"])).toEqual([
      { text: "media", path: "media" },
      { text: "raw", path: "media/raw" },
      { text: "2026", path: "media/raw/2026" },
    ]);
    expect(chosenPath("media", [], false)).toBe("media/");
    expect(chosenPath("media/raw", [], false)).toBe("media/raw/");
  });

  it.each([
    ["media/raw/20", "media/raw"],
    ["media/", "media"],
    ["media-old/x", "media-old"],
    ["media-old", "media-old"],
    ["med", null],
    ["someone-elses/raw/", null],
    ["", null],
  ])("starts at the path in the field: %s", (text, directory) => {
    expect(startPath(text, s3Place(["media", "media-old"]))).toBe(directory);
  });

  it("starts in the only bucket", () => {
    expect(startPath("", s3Place(["media"]))).toBe("media");
  });
});

it("parses hash routes", () => {
  expect(parseRoute("").path).toEqual([]);
  expect(parseRoute("#/transfers/abc").path).toEqual(["transfers", "abc"]);
  expect(parseRoute(hrefWith("transfers", { status: "running", agent: null })).query.get("status")).toBe(
    "running",
  );
  expect(parseRoute("#/templates/%E0%A4%A/edit").path).toEqual(["templates", "%E0%A4%A", "edit"]);
});
