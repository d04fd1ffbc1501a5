/* Opens notebooks in a running JupyterLab, runs every cell, moves the first slider, and prints a
 * JSON report.
 *
 *   node lab.mjs BASE_URL TOKEN CHROMIUM [--screenshots FOLDER] notebook ...
 */
import { join } from "node:path";
import { launch } from "./chromium.mjs";
import { endSessions, openNotebook, runAll } from "./jupyterlab.mjs";

const [base, token, executablePath, ...rest] = process.argv.slice(2);
const shots = rest[0] === "--screenshots" ? rest.splice(0, 2)[1] : null;
const MOVES = 20;

/* What the demo beside the slider shows: its canvases, drawings and pictures. */
const drawn = (slider) =>
  slider.evaluate((input) => {
    const output = input.closest(".jp-OutputArea-output") ?? input.closest(".jp-OutputArea");
    const parts = [...output.querySelectorAll("canvas")].map((canvas) => canvas.toDataURL());
    for (const image of output.querySelectorAll("img")) parts.push(image.src);
    for (const drawing of output.querySelectorAll("svg")) parts.push(drawing.outerHTML);
    return parts.join("|");
  });

/* Notes in the page how long each picture took, from the key's event to the finished drawing: no
 * driver in between.
 */
const watch = (slider) =>
  slider.evaluate((input) => {
    const demo = input.closest(".wdl-demo");
    let began = null;
    window.moves = [];
    document.addEventListener(
      "keydown",
      (event) => {
        began = event.timeStamp;
      },
      true,
    );
    new MutationObserver(() => {
      if (began !== null) window.moves.push(performance.now() - began);
      began = null;
    }).observe(demo, { attributes: true, attributeFilter: ["data-ms"] });
  });

async function moveSlider(page) {
  await page.evaluate(() => {
    // a notebook keeps in the page only the cells that are in view
    const view = "application/vnd.jupyter.widget-view+json";
    const notebook = window.jupyterapp.shell.currentWidget.content;
    const demo = notebook.widgets.findIndex(
      (cell) =>
        !cell.model.sharedModel.source.includes("Predict") &&
        (cell.model.sharedModel.outputs ?? []).some((output) => output.data?.[view]),
    );
    if (demo >= 0) return notebook.scrollToItem(demo, "center");
  });
  const slider = page.locator(".wdl-demo:not(.wdl-predict) input[type=range]").first();
  await slider.waitFor(); // a view is drawn a moment after its cell has run
  await slider.scrollIntoViewIfNeeded();
  await slider.focus();
  await page.keyboard.press("Home");
  await page.waitForTimeout(400);
  const before = await drawn(slider);
  await watch(slider);
  for (let move = 0; move < MOVES; move++) {
    await page.keyboard.press("ArrowRight");
    await page.waitForTimeout(50);
  }
  const moved = (await drawn(slider)) !== before;
  return { moved, milliseconds: await page.evaluate(() => window.moves) };
}

async function run(context, notebook) {
  const report = { notebook, errors: [], cells: 0 };
  const page = await context.newPage();
  page.setDefaultTimeout(90000);
  page.on("pageerror", (error) => report.errors.push(`page error: ${error.message}`));
  await openNotebook(page, base, token, notebook);
  const start = performance.now();
  report.errors.push(...(await runAll(page)));
  report.seconds = (performance.now() - start) / 1000;
  report.cells = await page.locator(".jp-CodeCell").count();
  Object.assign(report, await moveSlider(page));
  report.dialogs = await page
    .locator(".jp-Dialog, .jp-toastContainer .Toastify__toast")
    .allTextContents();
  if (shots) await page.screenshot({ path: join(shots, `${notebook.replace(/\W/g, "-")}.png`) });
  await page.close();
  return report;
}

const browser = await launch(executablePath);
try {
  const context = await browser.newContext({ viewport: { width: 1300, height: 900 } });
  const outside = [];
  await context.route(
    (u) => /^(https?|wss?):$/.test(u.protocol) && !["127.0.0.1", "localhost"].includes(u.hostname),
    (route) => {
      outside.push(route.request().url());
      return route.abort();
    },
  );
  const notebooks = [];
  for (const notebook of rest) {
    await endSessions(base, token);
    notebooks.push(await run(context, notebook));
  }
  await endSessions(base, token);
  console.log(JSON.stringify({ notebooks, outside }));
} finally {
  await browser.close();
}
