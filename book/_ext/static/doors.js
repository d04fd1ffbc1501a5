// @ts-check
/* Walk a door: its previous and next, the place in it, and a tick for each chapter that was
 * voted on.
 *
 * A page knows its own name and the doors (window.wdlPage). The door is chosen by ?door=spectra
 * in the address, once; it is remembered in this browser, and carried in the links for a browser
 * that remembers nothing.
 */
import { keep, recall } from "./votes.js";

const page = window.wdlPage;
const make = (tag, attributes = {}, ...children) => {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes))
    if (value !== null) node.setAttribute(name, value);
  node.append(...children);
  return node;
};
const voted = (name) =>
  page.questions.filter(([, chapter]) => chapter === name).some(([key]) => recall().votes[key]);

function doorNow() {
  const asked = new URLSearchParams(location.search).get("door");
  const record = recall();
  if (asked === null) return record.door in page.doors ? record.door : null;
  const door = asked in page.doors ? asked : null;
  record.door = door;
  keep(record);
  return door;
}

/* Where this reader was last behind the door: a page beside it, say an appendix, leads back. */
function lastPlace(at, pages) {
  const record = recall();
  if (at < 0)
    return Math.max(
      0,
      pages.findIndex(([name]) => name === record.at),
    );
  record.at = page.name;
  keep(record);
  return at;
}

function href(name, door) {
  return `${page.root}${name}.html${door ? `?door=${door}` : ""}`;
}

function walk(door) {
  const { title, pages } = page.doors[door];
  const at = pages.findIndex(([name]) => name === page.name);
  const last = lastPlace(at, pages);
  const link = (k, rel, words) =>
    k < 0 || k >= pages.length
      ? ""
      : make(
          "a",
          { href: href(pages[k][0], door), rel, class: `wdl-door-${rel}` },
          words(pages[k][1]),
        );
  const place =
    at < 0 ? `${title}: this page is not behind it.` : `${title}: ${at + 1} of ${pages.length}`;
  const leave = make(
    "a",
    { href: href(page.name, "none"), class: "wdl-door-leave" },
    "Leave this door",
  );
  const list = make(
    "ol",
    {},
    ...pages.map(([name, words], k) =>
      make(
        "li",
        { "aria-current": k === at ? "page" : null },
        make("a", { href: href(name, door) }, words),
        voted(name) ? make("span", { class: "wdl-tick" }, " \u2713 voted") : "",
      ),
    ),
  );
  const bar = make(
    "nav",
    { class: "wdl-door", "aria-label": title },
    make("span", { class: "wdl-door-place" }, place),
    link(at < 0 ? -1 : at - 1, "prev", (words) => `\u2190 ${words}`),
    link(at < 0 ? last : at + 1, "next", (words) =>
      at < 0 ? `Go on with ${words}` : `${words} \u2192`,
    ),
    make(
      "details",
      { class: "wdl-door-all" },
      make("summary", {}, "All chapters behind this door"),
      list,
      leave,
    ),
  );
  document
    .querySelector(".bd-article h1, article h1")
    ?.closest("section")
    ?.querySelector("h1")
    ?.before(bar);
  const footer = document.querySelector(".prev-next-footer .prev-next-area, .prev-next-area");
  if (footer && at >= 0)
    footer.replaceChildren(
      link(at - 1, "prev", (words) => `\u2190 ${words}`),
      link(at + 1, "next", (words) => `${words} \u2192`),
    );
}

function ticks() {
  for (const anchor of document.querySelectorAll(".bd-sidebar-primary a.reference.internal")) {
    const name = /** @type {HTMLAnchorElement} */ (anchor).href
      .replace(/[?#].*$/, "")
      .split("/")
      .pop()
      .replace(/\.html$/, "");
    if (voted(name) && !anchor.querySelector(".wdl-tick"))
      anchor.append(make("span", { class: "wdl-tick", title: "you voted here" }, " \u2713"));
  }
}

/* The page of errors: the votes that were wrong and sure, each with a link back to its question. */
function review(place) {
  const { votes } = recall();
  const sure = 60;
  const asked = page.questions.filter(([key]) => votes[key]);
  const wrong = asked
    .filter(([key]) => !votes[key].right && votes[key].sure >= sure)
    .sort(([a], [b]) => votes[b].sure - votes[a].sure);
  const times = (n) => (n === 1 ? "once" : `${n} times`);
  const told =
    asked.length === 0
      ? "You have not voted yet in this browser."
      : wrong.length === 0
        ? `You have voted ${times(asked.length)} and were never wrong and sure. Sure or lucky?`
        : `You have voted ${times(asked.length)}. You were wrong, and ${sure}\u00a0% ` +
          `sure or more, ${times(wrong.length)}:`;
  const items = wrong.map(([key, chapter, title, question, options]) =>
    make(
      "li",
      { "data-key": key },
      make("p", {}, make("strong", {}, title), `: ${question}`),
      make(
        "p",
        {},
        `You said, ${votes[key].sure}\u00a0% sure: \u201c${options[votes[key].choice]}\u201d `,
        make(
          "a",
          { href: `${page.root}${chapter}.html#wdl-answer-${key}` },
          "Back to the question",
        ),
      ),
    ),
  );
  const forget = make("button", { type: "button", class: "wdl-forget" }, "Forget all my votes");
  forget.addEventListener("click", () => {
    const record = recall();
    record.votes = {};
    keep(record);
    review(place);
    ticks();
  });
  place.replaceChildren(
    make("p", { role: "status" }, told),
    ...(items.length ? [make("ul", {}, ...items)] : []),
    ...(asked.length ? [make("p", {}, forget)] : []),
  );
}

function start() {
  const door = doorNow();
  if (door) walk(door);
  ticks();
  const place = document.querySelector(".wdl-review");
  if (place) review(place);
  window.addEventListener("wdl-votes", ticks);
  document.documentElement.dataset.doors = door ?? "none";
}

if (document.readyState === "loading") document.addEventListener("DOMContentLoaded", start);
else start();
