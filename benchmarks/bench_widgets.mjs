/* Moves every slider of every demo in a page, by keyboard, and prints as JSON how long each picture took.
 *
 *   node bench_widgets.mjs PAGE CHROMIUM NODE_MODULES
 *
 * `draw` is the time a demo spent on computing and drawing; `seen` goes from the key's event to the finished drawing and
 * so includes the wait for the next animation frame.
 */
import { createRequire } from "node:module";
import { pathToFileURL } from "node:url";

const [page, executablePath, modules] = process.argv.slice(2);
const { chromium } = createRequire(`${modules}/x`)("playwright-core");
const MOVES = 24;

const browser = await chromium.launch({ executablePath, args: ["--no-sandbox", "--disable-gpu"] });
const tab = await browser.newPage({ viewport: { width: 1280, height: 900 } });
const errors = [];
tab.on("pageerror", (error) => errors.push(error.message));
await tab.goto(pathToFileURL(page).href);
await tab.waitForFunction(() => document.documentElement.dataset.widgets === "ready");
await tab.evaluate(() => {
  window.moves = [];
  let began = null;
  document.addEventListener("keydown", (event) => { began ??= event.timeStamp; }, true);
  for (const demo of document.querySelectorAll(".wdl-demo"))
    new MutationObserver(() => {
      if (began !== null) window.moves.push({ demo: demo.getAttribute("aria-label"), draw: Number(demo.dataset.ms), seen: performance.now() - began });
      began = null;
    }).observe(demo, { attributes: true, attributeFilter: ["data-ms"] });
});
for (const slider of await tab.locator("input[type=range]").all()) {
  if (!(await slider.isVisible())) continue;
  await slider.focus();
  await tab.keyboard.press("Home");
  for (let move = 0; move < MOVES; move++) {
    await tab.keyboard.press(move < MOVES / 2 ? "ArrowRight" : "ArrowLeft");
    await tab.waitForTimeout(25);
  }
}
const moves = await tab.evaluate(() => window.moves);
await browser.close();
if (errors.length) throw new Error(errors.join("; "));
console.log(JSON.stringify(moves));
