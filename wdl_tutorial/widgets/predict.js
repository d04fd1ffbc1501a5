// @ts-check
/* A prediction: the reader commits to an option and to how sure they are; the answer opens after
 * that, further down.
 *
 * The same module shows both parts of a question: `part` is "vote" or "answer". Folded answers
 * to other questions that stand between this vote and the next one open only after it, too. In
 * class: raised hands are counted, and the answer opens.
 */

import { LETTERS, inline, keep, orderOf, recall, tell } from "./votes.js";

const make = (tag, attributes = {}, ...children) => {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes))
    if (value !== false && value !== null) node.setAttribute(name, value === true ? "" : value);
  node.append(...children.flat());
  return node;
};
const idOf = (key, part) => `wdl-${part}-${key}`;
const follows = (a, b) => Boolean(a.compareDocumentPosition(b) & Node.DOCUMENT_POSITION_FOLLOWING);

function scheme() {
  const html = document.documentElement;
  const lab = document.body.dataset.jpThemeLight;
  const dark = html.dataset.theme
    ? html.dataset.theme === "dark"
    : lab !== undefined
      ? lab === "false"
      : matchMedia("(prefers-color-scheme: dark)").matches;
  return dark ? "dark" : "light";
}

/* Keep a summary called "Answer" shut until the question before it has a vote. */
function guard(root, key, opened) {
  const listen = (event) => {
    const summary = event.target.closest?.("summary");
    if (
      !summary ||
      !root.isConnected ||
      opened() ||
      summary.textContent.trim() !== "Answer" ||
      !follows(root, summary)
    )
      return;
    const nearer = [...document.querySelectorAll(".wdl-predict[data-part=vote]")].filter(
      (other) => other !== root && follows(root, other) && follows(other, summary),
    );
    if (nearer.length || summary.parentElement.open) return;
    event.preventDefault();
    summary.parentElement.querySelector(".wdl-first-vote")?.remove();
    summary.append(
      make(
        "span",
        { class: "wdl-first-vote", role: "status" },
        " \u2013 opens after your vote above",
      ),
    );
  };
  document.addEventListener("click", listen, true);
  return () => document.removeEventListener("click", listen, true);
}

function voteOf(key) {
  return recall().votes[key] ?? null;
}

function putVote(key, vote) {
  const record = recall();
  if (vote) record.votes[key] = vote;
  else delete record.votes[key];
  const kept = keep(record);
  tell();
  return kept;
}

/* Hands that were counted in class: a matter of this page and this hour. */
const hands = () => (globalThis.wdlHands ??= new Map());

function renderVote(root, { key, question, options }, redraw) {
  const order = orderOf(options.length, recall().reader, key);
  const vote = voteOf(key);
  const counting = hands().get(key);
  const legend = make("legend", {}, make("strong", {}, "Your prediction"));
  const body = make(
    "fieldset",
    { class: "wdl-options" },
    legend,
    make("p", { class: "wdl-question", hidden: !counting }, ...inline(question)),
  );
  if (counting) body.append(...countedOptions(key, options, order, counting, redraw));
  else
    body.append(
      ...order.map((index, k) => {
        const input = make("input", {
          type: "radio",
          name: root.dataset.group,
          value: String(index),
          disabled: vote !== null,
          "data-lm-suppress-shortcuts": "true",
        });
        input.checked = vote?.choice === index;
        input.addEventListener("change", () => {
          root.querySelector(".wdl-commit").disabled = false;
        });
        return make(
          "label",
          { class: "wdl-option" },
          input,
          make("span", {}, make("b", {}, `${LETTERS[k]}. `), ...inline(options[index])),
        );
      }),
    );
  root.append(body);
  if (!counting) root.append(vote ? committed(root, key, vote, order) : commit(root, key, redraw));
  const classroom = make(
    "button",
    { type: "button", class: "wdl-button wdl-hands" },
    counting ? "Back to one reader" : "Count hands",
  );
  classroom.addEventListener("click", () => {
    if (counting) hands().delete(key);
    else hands().set(key, { counts: options.map(() => 0), open: false });
    tell();
    redraw();
  });
  root.append(make("p", { class: "wdl-class" }, classroom));
}

function commit(root, key, redraw) {
  const sure = make("input", {
    type: "range",
    min: 0,
    max: 100,
    step: 10,
    value: 50,
    "aria-label": "how sure are you",
    "data-lm-suppress-shortcuts": "true",
  });
  const shown = make("output", { class: "wdl-value" }, "50 %");
  sure.addEventListener("input", () => {
    shown.textContent = `${sure.value}\u00a0%`;
    sure.setAttribute("aria-valuetext", shown.textContent);
  });
  const button = make(
    "button",
    { type: "button", class: "wdl-button wdl-commit", disabled: true },
    "Vote",
  );
  button.addEventListener("click", () => {
    const chosen = root.querySelector("input[type=radio]:checked");
    if (!chosen) return;
    const choice = Number(chosen.value);
    putVote(key, { choice, sure: Number(sure.value), right: choice === 0 });
    redraw();
    root.querySelector(".wdl-to-answer")?.focus();
  });
  return make(
    "div",
    { class: "wdl-commit-row" },
    make("label", { class: "wdl-sure" }, "How sure are you?", shown, sure),
    button,
  );
}

function committed(root, key, vote, order) {
  const to = make("a", { href: `#${idOf(key, "answer")}`, class: "wdl-to-answer" }, "The answer");
  const again = make("button", { type: "button", class: "wdl-button" }, "Take it back");
  again.addEventListener("click", () => putVote(key, null));
  return make(
    "p",
    { class: "wdl-committed", role: "status" },
    `You said ${LETTERS[order.indexOf(vote.choice)]}, ${vote.sure}\u00a0% sure. Look at ` +
      "what comes next; then: ",
    to,
    ". ",
    again,
  );
}

/* Projector: a number for each option, and a button that opens the answer for all. */
function countedOptions(key, options, order, counting, redraw) {
  const rows = order.map((index, k) => {
    const value = make("output", { class: "wdl-count" }, String(counting.counts[index]));
    const step = (by, name) => {
      const button = make(
        "button",
        { type: "button", class: "wdl-button", "aria-label": `${name} hand for ${LETTERS[k]}` },
        by > 0 ? "+" : "\u2212",
      );
      button.addEventListener("click", () => {
        counting.counts[index] = Math.max(0, counting.counts[index] + by);
        value.textContent = String(counting.counts[index]);
      });
      return button;
    };
    return make(
      "div",
      { class: "wdl-counted" },
      make("span", {}, make("b", {}, `${LETTERS[k]}. `), ...inline(options[index])),
      make("span", { class: "wdl-stepper" }, step(-1, "one less"), value, step(1, "one more")),
    );
  });
  const open = make(
    "button",
    { type: "button", class: "wdl-button wdl-open" },
    counting.open ? "The answer is open below" : "Open the answer",
  );
  open.addEventListener("click", () => {
    counting.open = true;
    tell();
    redraw();
  });
  return [...rows, make("p", {}, open)];
}

function renderAnswer(root, { key, options, answer, told }) {
  const vote = voteOf(key);
  const counting = hands().get(key);
  const open = vote !== null || counting?.open;
  root.id = idOf(key, "answer");
  if (!open) {
    root.append(
      make(
        "p",
        { class: "wdl-shut" },
        make("strong", {}, "The prediction. "),
        "The answer opens here after your ",
        make("a", { href: `#${idOf(key, "vote")}` }, "vote"),
        ".",
      ),
    );
    return;
  }
  const order = orderOf(options.length, recall().reader, key);
  const letter = (index) => LETTERS[order.indexOf(index)];
  const verdict =
    vote === null
      ? ""
      : vote.right
        ? `You said ${letter(vote.choice)}, and so it is. `
        : `You said ${letter(vote.choice)}; it is ${letter(0)}. `;
  const tally = counting
    ? order.map((index) => `${letter(index)}: ${counting.counts[index]}`).join(", ")
    : "";
  root.append(
    make(
      "p",
      {},
      make("strong", {}, "The prediction. "),
      verdict,
      make("b", {}, `${letter(0)}. `),
      ...inline(options[0]),
    ),
    make("p", {}, ...inline(answer)),
  );
  if (tally) root.append(make("p", { class: "wdl-tally" }, `Hands: ${tally}.`));
  root.append(
    make(
      "ul",
      { class: "wdl-told" },
      ...order
        .filter((index) => index !== 0)
        .map((index) =>
          make(
            "li",
            { class: vote?.choice === index ? "wdl-yours" : null },
            make("b", {}, `${letter(index)}. `),
            ...inline(options[index]),
            " ",
            make("span", { class: "wdl-belief" }, ...inline(told[index - 1])),
          ),
        ),
    ),
  );
}

export default {
  render({ model, el }) {
    const read = () =>
      Object.fromEntries(
        ["key", "question", "options", "answer", "told"].map((name) => [name, model.get(name)]),
      );
    const part = model.get("part");
    const question = /** @type {any} */ (read());
    globalThis.wdlPredictions = (globalThis.wdlPredictions ?? 0) + 1;
    const root = make("div", {
      class: "wdl-demo wdl-predict",
      "data-part": part,
      "data-key": question.key,
      "data-group": `wdl-predict-${globalThis.wdlPredictions}`,
      role: "group",
      "aria-label":
        part === "vote" ? `Your prediction: ${question.question}` : "The answer to the prediction",
    });
    if (part === "vote") root.id = idOf(question.key, "vote");
    el.append(root);
    const draw = () => {
      const focused = root.contains(document.activeElement);
      root.dataset.scheme = scheme();
      root.replaceChildren();
      if (part === "vote") renderVote(root, question, draw);
      else renderAnswer(root, question);
      if (focused && !root.contains(document.activeElement))
        root.querySelector("input, button, a")?.focus();
    };
    const unguard =
      part === "vote"
        ? guard(
            root,
            question.key,
            () => voteOf(question.key) !== null || hands().get(question.key)?.open,
          )
        : () => {};
    const watcher = new MutationObserver(() => {
      root.dataset.scheme = scheme();
    });
    watcher.observe(document.documentElement, {
      attributes: true,
      attributeFilter: ["data-theme"],
    });
    watcher.observe(document.body, { attributes: true, attributeFilter: ["data-jp-theme-light"] });
    const other = (event) => {
      if (event.type !== "storage" || event.key === "wdl-votes") draw();
    };
    globalThis.addEventListener("wdl-votes", other);
    globalThis.addEventListener("storage", other);
    draw();
    return () => {
      unguard();
      watcher.disconnect();
      globalThis.removeEventListener("wdl-votes", other);
      globalThis.removeEventListener("storage", other);
    };
  },
};
