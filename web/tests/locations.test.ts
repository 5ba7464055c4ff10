import { describe, expect, it } from "vitest";
import { draftFault, draftOf, draftText, joined, landingWords, S3, trail } from "../src/locations";
import { chosenPath } from "../src/parts/DirectoryBrowser";
import { hrefWith, parseRoute } from "../src/router";

const at = (path: string, place = "server-b") => ({ place, path });

describe("a location that is being written", () => {
  it.each([
    [at("/data"), ""],
    [at("data"), "Write an absolute path that begins with /, or remote:path"],
    [at("archive:photos/"), ""],
    [at("archive:../x"), "The path has '..' in it: name the directory itself."],
    [at("/a/../b"), "The path has '..' in it: name the directory itself."],
    [at("", ""), "Choose an agent or S3."],
    [at("media-uploads/new/", S3), ""],
    [at("/media", S3), "Write the bucket's name, then / and a prefix: media-uploads/new-videos/"],
  ])("%j: %s", (draft, fault) => {
    expect(draftFault(draft)).toBe(fault);
  });

  it("is text for the API and back", () => {
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
    expect(draftFault(at("archive:"), true)).toBe("");
  });

  it("has to be a directory in a template", () => {
    expect(draftFault(at("/data"), true)).toBe("This has to be a directory: end it with /");
  });
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
    expect(landingWords(at(source), at(destination, "server-c"))).toBe(words);
  });
});

describe("browsing", () => {
  const entry = (type: "file" | "directory") => ({ name: "raw", type, size: null, modified: null });

  it("chooses the directory's contents, or the thing itself", () => {
    expect(chosenPath("/data", null, "source")).toBe("/data/");
    expect(chosenPath("/data", entry("directory"), "source")).toBe("/data/raw");
    expect(chosenPath("/data", entry("file"), "source")).toBe("/data/raw");
    expect(chosenPath("/data", entry("directory"), "destination")).toBe("/data/raw/");
    expect(chosenPath("/", null, "source")).toBe("/");
  });

  it("shows the way from the root that holds it", () => {
    expect(joined("/", "a")).toBe("/a");
    expect(trail("/data/videos/raw", ["/data", "/database"])).toEqual([
      { text: "/data", path: "/data" },
      { text: "videos", path: "/data/videos" },
      { text: "raw", path: "/data/videos/raw" },
    ]);
  });
});

it("routes by what follows the #", () => {
  expect(parseRoute("").path).toEqual([]);
  expect(parseRoute("#/transfers/abc").path).toEqual(["transfers", "abc"]);
  expect(parseRoute(hrefWith("transfers", { status: "running", agent: null })).query.get("status")).toBe(
    "running",
  );
  expect(parseRoute("#/templates/%E0%A4%A/edit").path).toEqual(["templates", "%E0%A4%A", "edit"]);
});
