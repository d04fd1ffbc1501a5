/* Labels a scene by keyboard in a running JupyterLab, closes everything, opens it again, and
 * prints a JSON report.
 *
 *   node labelling.mjs BASE_URL TOKEN CHROMIUM NOTEBOOK DIGITS [--screenshots FOLDER]
 *
 * DIGITS are the keys to press, one answer each. The notebook's last cell shows the widget.
 */
import { createRequire } from "node:module";
import { join } from "node:path";
import { launch } from "./chromium.mjs";
import { endSessions, openNotebook, runAll } from "./jupyterlab.mjs";

const [base, token, executablePath, notebook, digits, , shots] = process.argv.slice(2);
/* What the widget shows: its canvases, its words, its buttons, and how many answers the kernel
 * has dealt with.
 */
const seen = (page) =>
  page.locator(".wdl-demo").evaluate((demo) => ({
    canvases: [...demo.querySelectorAll("canvas")].map((canvas) => canvas.toDataURL()),
    words: demo.querySelector(".wdl-readout").textContent,
    spoken: demo.querySelector("[aria-live]").textContent,
    buttons: [...demo.querySelectorAll(".wdl-controls button")].map((button) => button.textContent),
    answered: Number(demo.dataset.answered),
  }));

/* Wait until the kernel has dealt with `count` answers and the picture is drawn; the time it
 * took in milliseconds.
 */
async function until(page, count) {
  const start = performance.now();
  await page.waitForFunction(
    (n) => Number(document.querySelector(".wdl-demo")?.dataset.answered) === n,
    count,
    { polling: 10 },
  );
  return performance.now() - start;
}

async function open(context, errors) {
  await endSessions(base, token);
  const page = await context.newPage();
  page.setDefaultTimeout(120000);
  page.on("pageerror", (error) => errors.push(`page error: ${error.message}`));
  await openNotebook(page, base, token, notebook);
  errors.push(...(await runAll(page)));
  await page.waitForSelector(".wdl-demo canvas");
  return page;
}

/* By keyboard alone: the next class buttons are reached from the one tool above the picture. */
async function reach(page) {
  await page.locator(".wdl-demo .wdl-tools button").first().focus();
  await page.keyboard.press("Tab");
  return page.evaluate(
    () =>
      document.activeElement.closest('[role="group"]')?.getAttribute("aria-label") ??
      document.activeElement.outerHTML.slice(0, 200),
  );
}

async function scan(page) {
  await page.addScriptTag({ path: createRequire(import.meta.url).resolve("axe-core/axe.min.js") });
  const result = await page.evaluate(() =>
    window.axe.run(".wdl-demo", { resultTypes: ["violations"], preload: false }),
  );
  return result.violations
    .filter((v) => ["serious", "critical"].includes(v.impact))
    .map((v) => `${v.id}: ${v.nodes[0].target}`);
}

const browser = await launch(executablePath);
try {
  const context = await browser.newContext({ viewport: { width: 1300, height: 1000 } });
  const errors = [];
  let page = await open(context, errors);
  const report = { errors, first: await seen(page), focus: await reach(page), steps: [] };
  for (const [k, digit] of [...digits].entries()) {
    await page.keyboard.press(digit);
    const milliseconds = await until(page, k + 1);
    report.steps.push({ milliseconds, ...(await seen(page)) });
  }
  await page.keyboard.press("Backspace");
  await until(page, digits.length - 1);
  report.undone = await seen(page);
  await page.keyboard.press(digits.at(-1));
  await until(page, digits.length);
  await page.waitForTimeout(1000);
  report.last = await seen(page);
  report.accessibility = await scan(page);
  report.cells = await page
    .locator(".jp-Cell")
    .evaluateAll((cells) =>
      cells.map((cell) => cell.className.match(/jp-(Code|Markdown|Raw)Cell/)[0]),
    );
  if (shots) await page.screenshot({ path: join(shots, "labelling.png") });
  await page.close();
  page = await open(context, errors);
  await until(page, digits.length);
  await page.waitForTimeout(200);
  report.resumed = await seen(page);
  if (shots) {
    await page.evaluate(() => window.jupyterapp.commands.execute("application:toggle-left-area"));
    for (const [width, theme] of [
      [400, "JupyterLab Light"],
      [1300, "JupyterLab Dark"],
    ]) {
      await page.evaluate(
        (name) => window.jupyterapp.commands.execute("apputils:change-theme", { theme: name }),
        theme,
      );
      await page.setViewportSize({ width, height: 1000 });
      await page.waitForTimeout(1500);
      await page
        .locator(".wdl-demo")
        .screenshot({ path: join(shots, `labelling-${width}-${theme.split(" ")[1]}.png`) });
    }
  }
  await page.close();
  await endSessions(base, token);
  console.log(JSON.stringify(report));
} finally {
  await browser.close();
}
