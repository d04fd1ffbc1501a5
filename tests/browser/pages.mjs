/* Opens every page of the built book in the system's Chromium and prints one JSON report on
 * standard output.
 *
 *   node pages.mjs FOLDER http|file CHROMIUM
 *
 * Every request to another host is refused and reported. Each slider is moved to both of its
 * ends by keyboard, and the picture beside it has to change; the search has to find something.
 * Over http each page is light, from file:// it is dark, and scanned by axe-core in both. Over http
 * one with demos is also opened without JavaScript, where each has to show its first frame.
 */
import { createRequire } from "node:module";
import { readdir } from "node:fs/promises";
import { join, relative, resolve } from "node:path";
import { launch, serve } from "./chromium.mjs";

const [folderArgument, scheme, executablePath] = process.argv.slice(2);
const folder = resolve(folderArgument);
const VIEW = 'script[type="application/vnd.jupyter.widget-view+json"]';
const LOOPBACK = new Set(["127.0.0.1", "localhost", "[::1]"]);

async function pagesBelow(directory) {
  const found = [];
  for (const entry of await readdir(directory, { withFileTypes: true })) {
    if (entry.isDirectory() && !entry.name.startsWith("_") && entry.name !== "kit")
      found.push(...(await pagesBelow(join(directory, entry.name))));
    else if (entry.isFile() && entry.name.endsWith(".html"))
      found.push(relative(folder, join(directory, entry.name)));
  }
  return found.sort();
}

/* A page in a context of its own settings, with a record of what went wrong on it. */
async function open(browser, url, options) {
  const context = await browser.newContext({ viewport: { width: 1280, height: 900 }, ...options });
  const record = { errors: [], outside: [], bytes: 0 };
  await context.route(
    (u) => /^(https?|wss?):$/.test(u.protocol) && !LOOPBACK.has(u.hostname),
    (route) => {
      record.outside.push(route.request().url());
      return route.abort();
    },
  );
  const page = await context.newPage();
  page.setDefaultTimeout(120000); // a busy machine is not a broken page
  page.on("pageerror", (error) => record.errors.push(`page error: ${error.message}`));
  page.on("console", (message) => {
    if (message.type() === "error") record.errors.push(`console: ${message.text()}`);
  });
  page.on("requestfinished", (request) => {
    if (/^(blob|data):/.test(request.url())) return;
    record.sizes = [
      ...(record.sizes ?? []),
      request
        .response()
        .then((r) => r?.body())
        .then(
          (b) => {
            record.bytes += b?.length ?? 0;
          },
          () => {},
        ),
    ];
  });
  page.on("response", (r) => {
    if (r.status() >= 400) record.errors.push(`${r.status()} for ${r.url()}`);
  });
  await page.goto(url, { waitUntil: "load", timeout: 120000 });
  if (options.javaScriptEnabled !== false)
    await page.waitForFunction(() => document.documentElement.dataset.widgets === "ready");
  return { page, context, record };
}

/* What a reader sees of a demo, without its handles: canvases, pictures and drawings. */
const picture = (slider) =>
  slider.evaluate((input) => {
    const demo = input.closest(".wdl-widget") ?? input.closest(".cell_output") ?? document.body;
    const parts = [];
    for (const canvas of demo.querySelectorAll("canvas")) parts.push(canvas.toDataURL());
    for (const image of demo.querySelectorAll("img")) parts.push(image.src);
    for (const drawing of demo.querySelectorAll("svg")) parts.push(drawing.outerHTML);
    return { drawn: parts.join("|"), text: demo.innerText };
  });

/* True once `drawn` differs from `before`; a demo may draw in the next animation frame. */
async function changed(slider, before) {
  for (let wait = 0; wait < 40; wait++) {
    const now = await picture(slider);
    if (now.drawn !== before) return now;
    await slider.page().waitForTimeout(50);
  }
  return null;
}

/* How often Tab is pressed until the focus is in the page's first demo, by way of the link that
 * leads there.
 */
async function tabsToDemo(page) {
  if (!(await page.locator(".wdl-demo:not(.wdl-predict)").count())) return 0;
  for (let count = 1; count <= 12; count++) {
    await page.keyboard.press("Tab");
    if (count === 1 && (await page.evaluate(() => document.activeElement.matches(".wdl-skip"))))
      await page.keyboard.press("Enter");
    if (
      await page.evaluate(() =>
        Boolean(document.activeElement.closest(".wdl-demo:not(.wdl-predict)")),
      )
    )
      return count;
  }
  return 99;
}

async function moveSliders(page, page_name) {
  const complaints = [];
  const sliders = await page.locator("input[type=range]:not(.wdl-predict input)").all();
  for (const [index, slider] of sliders.entries()) {
    if (!(await slider.isVisible())) continue;
    const label = (await slider.getAttribute("aria-label")) ?? "no aria-label";
    const name = `${page_name}: slider ${index + 1} (${label})`;
    await slider.focus();
    await page.keyboard.press("Home");
    await page.waitForTimeout(150);
    const low = await picture(slider);
    await page.keyboard.press("End");
    const high = await changed(slider, low.drawn);
    if (high === null)
      complaints.push(`${name}: the picture at the right end is the one at the left end`);
    await page.keyboard.press("Home");
    if (high !== null && (await changed(slider, high.drawn)) === null)
      complaints.push(`${name}: it does not come back`);
    for (const seen of [low, high])
      if (seen && /\bNaN\b|\bundefined\b/.test(seen.text))
        complaints.push(
          `${name}: shows "${seen.text.match(/.{0,30}(NaN|undefined).{0,30}/)?.[0]}"`,
        );
  }
  return { count: sliders.length, complaints };
}

async function scan(page) {
  await page.addScriptTag({ path: createRequire(import.meta.url).resolve("axe-core/axe.min.js") });
  const result = await page.evaluate(() =>
    window.axe.run(document, { resultTypes: ["violations"], preload: false }),
  );
  return result.violations
    .filter((v) => ["serious", "critical"].includes(v.impact))
    .map(
      (v) =>
        `${v.impact} ${v.id}: ${v.nodes.length} x ${v.nodes[0].target.join(" ")}: ` +
        `${v.nodes[0].failureSummary.split("\n")[1] ?? ""}`,
    );
}

async function inspect(browser, base, name) {
  const report = {
    page: name,
    errors: [],
    outside: [],
    unchanged: [],
    accessibility: [],
    sliders: 0,
  };
  const gather = (record) => {
    report.errors.push(...record.errors);
    report.outside.push(...record.outside);
  };
  const colorScheme = scheme === "http" ? "light" : "dark";
  const { page, context, record } = await open(browser, base + name, { colorScheme });
  await Promise.all(record.sizes ?? []);
  report.bytes = record.bytes; // of the first load, uncompressed
  report.tabs = await tabsToDemo(page);
  const { count, complaints } = await moveSliders(page, name);
  report.sliders = count;
  report.unchanged.push(...complaints);
  const lines = await scan(page);
  report.accessibility.push(...lines.map((line) => `${colorScheme}: ${line}`));
  const views = await page.locator(VIEW).count();
  gather(record);
  await context.close();
  // what does not depend on where the page comes from
  if (scheme === "http" && views > 0) await inspectBare(browser, base, name, views, report, gather);
  return report;
}

/* A page with demos in a browser without JavaScript. */
async function inspectBare(browser, base, name, views, report, gather) {
  const bare = await open(browser, base + name, { javaScriptEnabled: false });
  const stills = await bare.page.locator(".wdl-first-frame:visible").count();
  if (stills < views)
    report.unchanged.push(
      `${name}: without JavaScript ${views - stills} of ${views} demos show no first frame`,
    );
  gather(bare.record);
  await bare.context.close();
}

async function search(browser, base) {
  const { page, context, record } = await open(browser, base + "search.html?q=barycenter", {});
  const hit = page.locator("#search-results li").first();
  const found = await hit.waitFor({ timeout: 10000 }).then(
    () => true,
    () => false,
  );
  await context.close();
  return { page: "search.html?q=barycenter", found, ...record };
}

const server = await serve(folder, scheme);
const browser = await launch(executablePath);
try {
  const pages = [];
  for (const name of await pagesBelow(folder))
    pages.push(await inspect(browser, server.base, name));
  console.log(JSON.stringify({ scheme, pages, search: await search(browser, server.base) }));
} finally {
  await browser.close();
  server.close();
}
