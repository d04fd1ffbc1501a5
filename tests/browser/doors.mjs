/* Votes, doors, addresses and the search of the built book in Chromium; prints one JSON report.
 *
 *   node doors.mjs FOLDER http|file CHROMIUM
 */
import { resolve } from "node:path";
import { launch, serve } from "./chromium.mjs";

const [folderArgument, scheme, executablePath] = process.argv.slice(2);
const folder = resolve(folderArgument);
const CHAPTER = "11_what_is_in_this_pixel.html";

const errors = [];
async function reader(browser, options = {}) {
  const context = await browser.newContext({ viewport: { width: 1280, height: 900 } });
  if (options.forgetful)
    await context.addInitScript(() => {
      for (const name of ["getItem", "setItem"])
        Storage.prototype[name] = () => {
          throw new DOMException("no storage here");
        };
    });
  const page = await context.newPage();
  page.setDefaultTimeout(120000);
  page.on("pageerror", (error) => errors.push(error.message));
  return { context, page };
}
const ready = (page) =>
  page.waitForFunction(
    () =>
      document.documentElement.dataset.widgets === "ready" &&
      document.documentElement.dataset.doors,
  );
const open = async (page, url) => {
  await page.goto(url, { waitUntil: "load" });
  await ready(page);
};
const answerOf = (page) => page.locator(".wdl-predict[data-part=answer]").first().innerText();
const options = (page) =>
  page.locator(".wdl-predict[data-part=vote]").first().locator(".wdl-option").allInnerTexts();
const fold = (page) => page.locator("details:has(> summary:has-text('Answer'))").first();
const tryFold = async (page) => {
  await fold(page).locator("summary").click();
  return fold(page).evaluate((d) => d.open);
};

/* With the keyboard alone: choose the option that holds `words`, set how sure, vote. */
async function vote(page, words, steps = 4) {
  const form = page.locator(".wdl-predict[data-part=vote]").first();
  const wanted = (await form.locator(".wdl-option").allInnerTexts()).findIndex((text) =>
    text.includes(words),
  );
  await form.locator("input[type=radio]").first().focus();
  await page.keyboard.press("Space");
  for (let k = 0; k < wanted; k++) await page.keyboard.press("ArrowDown");
  await page.keyboard.press("Tab");
  for (let k = 0; k < Math.abs(steps); k++)
    await page.keyboard.press(steps > 0 ? "ArrowRight" : "ArrowLeft");
  await page.keyboard.press("Tab");
  await page.keyboard.press("Enter");
  return form.locator(".wdl-committed").innerText();
}

async function votes(browser, base) {
  const { context, page } = await reader(browser);
  await open(page, base + CHAPTER);
  const order = await options(page);
  const shut = await answerOf(page);
  const foldBefore = await tryFold(page);
  const committed = await vote(page, "kept its shape");
  const opened = await answerOf(page);
  const foldAfter = await tryFold(page);
  await page.reload();
  await ready(page);
  const stays = await page.locator(".wdl-committed").first().innerText();
  const sameOrder = await options(page);
  await open(page, base + "13_call_it_a_histogram.html");
  await vote(page, "Two dips of half", 5); // right, and sure
  await open(page, base + "12_who_are_the_endmembers.html");
  await vote(page, "One: three corners", -3); // wrong, and not sure
  await open(page, base + "appendices/votes.html");
  const listed = await page
    .locator(".wdl-review li[data-key]")
    .evaluateAll((items) => items.map((item) => item.dataset.key));
  const back = await page.locator(".wdl-review li a").first().getAttribute("href");
  await context.close();
  return { order, shut, foldBefore, committed, opened, foldAfter, stays, sameOrder, listed, back };
}

/* Every question of the book: shut are its answer and the folded answers up to the next
 * question, before a vote; after it, open.
 */
async function everyQuestion(browser, base) {
  const { context, page } = await reader(browser);
  await open(page, base + "index.html");
  const chapters = [
    ...new Set(await page.evaluate(() => window.wdlPage.questions.map(([, chapter]) => chapter))),
  ];
  const found = [];
  for (const chapter of chapters) {
    await open(page, `${base}${chapter}.html`);
    found.push(
      ...(await page.evaluate(
        (chapter) =>
          [...document.querySelectorAll(".wdl-predict[data-part=vote]")].map((form, k, forms) => {
            const after = (a, b) =>
              Boolean(a.compareDocumentPosition(b) & Node.DOCUMENT_POSITION_FOLLOWING);
            const folds = [...document.querySelectorAll("details")].filter(
              (fold) =>
                fold.querySelector("summary")?.textContent.trim() === "Answer" &&
                after(form, fold) &&
                !(forms[k + 1] && after(forms[k + 1], fold)),
            );
            const answer = () =>
              document.querySelector(
                `.wdl-predict[data-part=answer][data-key="${form.dataset.key}"]`,
              ).innerText;
            const tried = () =>
              folds.map((fold) => {
                fold.querySelector("summary").click();
                return fold.open;
              });
            const shut = answer();
            const foldsBefore = tried();
            form.querySelector("input[type=radio]").click();
            form.querySelector(".wdl-commit").click();
            return {
              chapter,
              key: form.dataset.key,
              shut,
              foldsBefore,
              opened: answer(),
              foldsAfter: tried(),
            };
          }),
        chapter,
      )),
    );
  }
  await context.close();
  return found;
}

async function orders(browser, base) {
  const found = [];
  for (let k = 0; k < 6; k++) {
    const { context, page } = await reader(browser);
    await open(page, base + CHAPTER);
    const first = (await options(page)).join("|");
    await page.reload();
    await ready(page);
    found.push([first, (await options(page)).join("|")]);
    await context.close();
  }
  return found;
}

async function forgetful(browser, base) {
  const { context, page } = await reader(browser, { forgetful: true });
  await open(page, base + CHAPTER + "?door=spectra");
  const committed = await vote(page, "kept its shape");
  const opened = await answerOf(page);
  const next = await page.locator(".wdl-door .wdl-door-next").getAttribute("href");
  await context.close();
  return { committed, opened, next };
}

async function classroom(browser, base) {
  const { context, page } = await reader(browser);
  await open(page, base + CHAPTER);
  const form = page.locator(".wdl-predict[data-part=vote]").first();
  await form.locator(".wdl-hands").click();
  for (let k = 0; k < 3; k++)
    await form.getByRole("button", { name: "one more hand for A" }).click();
  const counted = await form.locator(".wdl-count").first().innerText();
  await form.locator(".wdl-open").click();
  const opened = await answerOf(page);
  await context.close();
  return { counted, opened };
}

/* A page beside the door leads back to where the reader was. */
async function beside(browser, base) {
  const { context, page } = await reader(browser);
  await open(page, `${base}${CHAPTER}?door=spectra`);
  await open(page, `${base}appendices/votes.html`);
  const back = await page.locator(".wdl-door > .wdl-door-next").getAttribute("href");
  await context.close();
  return back;
}

/* From the index to the end of a door, by "next" alone. */
async function walk(browser, base, door) {
  const { context, page } = await reader(browser);
  await open(page, base + "index.html");
  await page.locator(`.wdl-enter a[href*="door=${door}"]`).click();
  const seen = [];
  for (let k = 0; k < 40; k++) {
    await ready(page);
    seen.push([
      await page.evaluate(() => window.wdlPage.name),
      await page.locator(".wdl-door-place").innerText(),
    ]);
    const next = page.locator(".wdl-door > .wdl-door-next");
    if (!(await next.count())) break;
    await Promise.all([page.waitForNavigation(), next.click()]);
  }
  await context.close();
  return seen;
}

async function addresses(browser, base) {
  const { context, page } = await reader(browser);
  const found = {};
  for (const hash of [
    "#%",
    "#shade=weights:Infinity_0_0",
    "#shade=shade:0.8",
    "#100%&shade=shade:0.8",
  ]) {
    await page.goto("about:blank");
    await open(page, base + CHAPTER + hash);
    found[hash] = await page
      .locator(".wdl-demo:not(.wdl-predict) .wdl-readout")
      .first()
      .innerText();
  }
  await page
    .locator(".wdl-demo:not(.wdl-predict)")
    .first()
    .getByRole("button", { name: /Copy link/ })
    .click();
  const said = await page
    .waitForFunction(
      () => {
        const demo = document.querySelector(".wdl-demo:not(.wdl-predict)");
        const words = demo.innerText;
        return words.includes("is copied") || demo.querySelector(".wdl-link") ? words : null;
      },
      null,
      { timeout: 10000 },
    )
    .then((words) => words.jsonValue())
    .catch(() => "");
  const field = (await page.locator(".wdl-link").count())
    ? await page.locator(".wdl-link").first().inputValue()
    : null;
  await context.close();
  return { found, said, field };
}

async function tabs(browser, base) {
  const { context, page } = await reader(browser);
  await open(page, base + CHAPTER);
  await page.keyboard.press("Tab");
  const first = await page.evaluate(() => document.activeElement.textContent.trim());
  await page.keyboard.press("Enter");
  let count = 1;
  for (; count < 12; count++) {
    await page.keyboard.press("Tab");
    if (
      await page.evaluate(() =>
        Boolean(document.activeElement.closest(".wdl-demo:not(.wdl-predict)")),
      )
    )
      break;
  }
  await context.close();
  return { first, count: count + 1 };
}

async function search(browser, base) {
  const { context, page } = await reader(browser);
  await page.goto(base + "search.html?q=blur_width", { waitUntil: "load" });
  await page.waitForSelector("ul.search li a", { timeout: 30000 }).catch(() => {});
  const links = await page
    .locator("ul.search li a")
    .evaluateAll((items) => items.map((item) => item.getAttribute("href")));
  await context.close();
  return links;
}

const server = await serve(folder, scheme);
const browser = await launch(executablePath);
try {
  const { base } = server;
  const report = {
    votes: await votes(browser, base),
    questions: await everyQuestion(browser, base),
    orders: await orders(browser, base),
    forgetful: await forgetful(browser, base),
    classroom: await classroom(browser, base),
    beside: await beside(browser, base),
    doors: {
      spectra: await walk(browser, base, "spectra"),
      mathematics: await walk(browser, base, "mathematics"),
    },
    addresses: await addresses(browser, base),
    tabs: await tabs(browser, base),
    search: await search(browser, base),
  };
  console.log(JSON.stringify({ ...report, errors }));
} finally {
  await browser.close();
  server.close();
}
