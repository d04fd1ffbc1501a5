/* What the scripts of this folder share: the browser as each of them starts it, and the built book
 * over http or from its files.
 */
import { createServer } from "node:http";
import { readFile, stat } from "node:fs/promises";
import { extname, resolve, sep } from "node:path";
import { pathToFileURL } from "node:url";
import { chromium } from "playwright-core";

const TYPES = {
  ".html": "text/html",
  ".js": "text/javascript",
  ".css": "text/css",
  ".json": "application/json",
  ".svg": "image/svg+xml",
  ".png": "image/png",
  ".woff": "font/woff",
  ".woff2": "font/woff2",
};

/* Without a sandbox, since continuous integration is root; no word to any other host; colours as
 * they are written.
 */
export const launch = (executablePath) =>
  chromium.launch({
    executablePath,
    args: [
      "--no-sandbox",
      "--disable-gpu",
      "--disable-quic",
      "--no-first-run",
      "--disable-background-networking",
      "--disable-component-update",
      "--disable-sync",
      "--force-color-profile=srgb",
    ],
  });

async function respond(folder, request, response) {
  const path = resolve(folder, "." + decodeURIComponent(new URL(request.url, "http://x").pathname));
  if (path.endsWith("favicon.ico")) return response.writeHead(204).end();
  const inside = path.startsWith(folder + sep);
  const isFile =
    inside &&
    (await stat(path).then(
      (s) => s.isFile(),
      () => false,
    ));
  if (!isFile) return response.writeHead(404).end("not found");
  response.writeHead(200, { "content-type": TYPES[extname(path)] ?? "application/octet-stream" });
  response.end(await readFile(path));
}

/* The address of a folder, "http" by a server of our own or "file", and how to end it. */
export async function serve(folder, scheme) {
  if (scheme !== "http") return { base: pathToFileURL(folder + sep).href, close() {} };
  const server = createServer((request, response) => respond(folder, request, response));
  await new Promise((done) => server.listen(0, "127.0.0.1", () => done(null)));
  return { base: `http://127.0.0.1:${server.address().port}/`, close: () => server.close() };
}
