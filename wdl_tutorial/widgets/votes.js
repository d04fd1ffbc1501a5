// @ts-check
/* What a reader has voted: kept in this browser, sent nowhere.
 *
 * One record { reader, votes: { key: { choice, sure, right } } } in localStorage; where the
 * browser keeps nothing (a private window, a strict setting) it lives as long as the page.
 * `choice` counts the options as they are written, the right one first; the order in which they
 * are shown is the reader's own.
 */

const NAME = "wdl-votes";
const SURE = 60; // per cent from which on a wrong vote was a sure one

function fresh() {
  return { reader: Math.floor(Math.random() * 2 ** 31), votes: {}, door: null };
}

function sound(kept) {
  return (
    kept && Number.isInteger(kept.reader) && typeof kept.votes === "object" && kept.votes !== null
  );
}

/* The record; each widget brings its own copy of this file, so what cannot be stored is shared
 * on the window.
 */
export function recall() {
  try {
    const kept = JSON.parse(localStorage.getItem(NAME));
    if (sound(kept)) return kept;
  } catch {
    /* no storage, or not ours: fall through */
  }
  if (!globalThis.wdlRecord) keep(fresh()); // a reader's order stays, also before the first vote
  return globalThis.wdlRecord;
}

export function keep(record) {
  globalThis.wdlRecord = record;
  try {
    localStorage.setItem(NAME, JSON.stringify(record));
    return true;
  } catch {
    return false;
  }
}

export function tell() {
  globalThis.dispatchEvent?.(new CustomEvent("wdl-votes"));
}

/* 0, 1, ..., n - 1 in an order that hangs on the reader and on the question, and on nothing
 * else.
 */
export function orderOf(n, reader, key) {
  let state = reader >>> 0;
  for (const letter of key) state = Math.imul(state ^ letter.codePointAt(0), 0x9e3779b1) >>> 0;
  const random = () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = Math.imul(state ^ (state >>> 15), state | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
  const order = Array.from({ length: n }, (_, k) => k);
  for (let k = n - 1; k > 0; k--) {
    const j = Math.floor(random() * (k + 1));
    [order[k], order[j]] = [order[j], order[k]];
  }
  return order;
}

/* The keys of the votes that were wrong and sure, the surest first. */
export function wrongAndSure(votes, sure = SURE) {
  return Object.entries(votes)
    .filter(([, v]) => v.right === false && v.sure >= sure)
    .sort(([, a], [, b]) => b.sure - a.sure)
    .map(([key]) => key);
}

export const LETTERS = "ABCDEFG";

/* Text with *emphasis* and `code`, as nodes: no markup of anybody else's is read. */
export function inline(text) {
  return text
    .split(/(\*[^*]+\*|`[^`]+`)/)
    .filter(Boolean)
    .map((part) => {
      const tag = /^\*.+\*$/.test(part) ? "em" : /^`.+`$/.test(part) ? "code" : null;
      if (!tag) return document.createTextNode(part);
      const node = document.createElement(tag);
      node.textContent = part.slice(1, -1);
      return node;
    });
}
