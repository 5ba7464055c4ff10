/** Serve the build as CloudFront does: compressed, and cached forever if the file name has a digest. */
import { readFile } from "node:fs/promises";
import { createServer } from "node:http";
import { extname, join, normalize } from "node:path";
import { gzipSync } from "node:zlib";

const KINDS = { ".html": "text/html", ".js": "text/javascript", ".css": "text/css", ".svg": "image/svg+xml" };

/** Start a server on loopback. `config` is the content of config.json. */
export async function served(folder, config) {
  const server = createServer(async ({ url }, answer) => {
    const path = normalize(new URL(url, "http://localhost").pathname);
    try {
      const body =
        path === "/config.json" ? config : await readFile(join(folder, path === "/" ? "index.html" : path));
      answer.writeHead(200, {
        "content-type": KINDS[extname(path === "/" ? "index.html" : path)] ?? "application/json",
        "content-encoding": "gzip",
        "cache-control": path.startsWith("/assets/") ? "public, max-age=31536000, immutable" : "no-cache",
      });
      answer.end(gzipSync(body));
    } catch {
      answer.writeHead(404).end();
    }
  });
  await new Promise((ready) => server.listen(0, "127.0.0.1", ready));
  return { address: `http://127.0.0.1:${server.address().port}`, close: () => server.close() };
}
