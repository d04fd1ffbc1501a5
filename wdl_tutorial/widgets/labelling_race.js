// @ts-check
/* Chapter 15: ten pixels, chosen by you, by LAND and by chance; whose map is right? */

import { clamp, demo, element, fixed, list, percent } from "./shell.js";
import { decodeScore, encodeScore, labelSources } from "./diffusion.js";
import { Grid, int16Of, key, mapKeys, rgbOf } from "./maps.js";

const BUDGET = 10;
const median = (values) => {
  const s = [...values].sort((a, b) => a - b);
  const m = s.length >> 1;
  return s.length % 2 ? s[m] : (s[m - 1] + s[m]) / 2;
};

export default demo(
  {
    name: "labelling-race",
    title: "Ten clicks against the machine",
    keys: ["clicks", "cursor", "shown", "draw", "truth_shown"],
  },
  (ui) => {
    const grid = new Grid(ui);
    const parents = int16Of(ui.get("parents"));
    const coordinates = int16Of(ui.get("coordinates"));
    const dims = ui.get("dims");
    const land = ui.get("queries");
    const draws = ui.get("draws");
    const names = grid.names;
    const rated = grid.pixelOf.filter((k) => grid.truth[k] > 0);
    const asked = (k) => grid.classOf(k);
    const [image, maps] = ui.row(
      { label: "The scene in colours", height: (w, f) => grid.ratio * w + 2 * f },
      {
        label: "Four maps: yours, LAND's, a random draw's, and the truth",
        height: (w, f) => grid.ratio * w + 3.6 * f,
      },
    );
    ui.board.append(key(names, ui.get("colours")));
    mapKeys(ui, image, grid, {
      act: click,
      label:
        "The scene: arrow keys move the cursor, Shift by eight pixels, Enter asks " +
        "for the class of the pixel.",
    });
    ui.slider("draw", {
      label: "random draw",
      min: 1,
      max: draws.length,
      step: 1,
      text: (v) => `${v} of ${draws.length}`,
    });
    ui.slider("shown", {
      label: "labels in each map",
      min: 0,
      max: BUDGET,
      step: 1,
      text: (v) => `${v}`,
    });
    ui.toggle("truth_shown", { label: "show the truth" });
    const score = scoreBoard(ui);
    const accept = (v) => {
      const pixels = Array.isArray(v) ? v.filter((x) => x !== "").map(Number) : null;
      return pixels &&
        pixels.length <= BUDGET &&
        new Set(pixels).size === pixels.length &&
        pixels.every((k) => grid.truth[k] > 0 && grid.rowOf[k] >= 0)
        ? pixels
        : null;
    };
    ui.controls.set("clicks", [{ show() {}, accept }]);

    function click(k) {
      const clicks = ui.get("clicks");
      if (clicks.includes(k)) {
        ui.set({ cursor: k });
        return tell(`You have asked for ${grid.where(k)} before.`);
      }
      if (clicks.length >= BUDGET) return tell("Your ten clicks are spent. Reset to start again.");
      if (grid.rowOf[k] < 0 || grid.truth[k] === 0)
        return tell(`Nobody knows the class at ${grid.where(k)}; ask elsewhere.`);
      ui.set({ clicks: [...clicks, k], cursor: k, shown: clicks.length + 1 });
    }
    let remark = "";
    const tell = (words) => {
      remark = `${words} `;
      ui.schedule();
    };

    /* The map and its accuracy from pixels whose class was asked for; kept, for the twenty
     * random draws.
     */
    const kept = new Map();
    function outcome(pixels) {
      const name = pixels.join();
      if (!kept.has(name)) {
        const source = labelSources(
          parents,
          coordinates,
          dims,
          pixels.map((k) => grid.rowOf[k]),
        );
        const classes = Int16Array.from(source, (row) => (row < 0 ? -1 : asked(grid.pixelOf[row])));
        const right = rated.filter((k) => classes[grid.rowOf[k]] === grid.classOf(k)).length;
        if (kept.size > 500) kept.clear();
        kept.set(name, {
          pixels,
          classes,
          share: right / rated.length,
          found: new Set(pixels.map(asked)),
        });
      }
      return kept.get(name);
    }

    return () => {
      const clicks = ui.get("clicks");
      const shown = clamp(Math.round(ui.get("shown")), 0, BUDGET);
      const draw = draws[clamp(Math.round(ui.get("draw")), 1, draws.length) - 1];
      const [yours, lands, random] = [clicks, land, draw].map((pixels) =>
        outcome(pixels.slice(0, shown)),
      );
      const middle = median(draws.map((pixels) => outcome(pixels.slice(0, shown)).share));
      drawImage(clicks, shown);
      drawMaps([yours, lands, random], draw, ui.get("truth_shown"));
      const full = [clicks, land, draw].map(
        (pixels) => outcome(pixels.slice(0, clicks.length)).share,
      );
      score.show(clicks.length, full);
      const before = remark;
      const cursor = ui.get("cursor");
      const at = clicks.indexOf(cursor);
      remark = "";
      const met = at >= 0 ? `: ${names[asked(cursor)]}, your click ${at + 1}` : "";
      const place = `Cursor at ${grid.where(cursor)}${met}.`;
      if (shown === 0)
        return (
          `${before}Click on the picture, or move with the arrow keys and press ` +
          `Enter: you are told the class of that pixel, ten times. ${place}`
        );
      const missed = names.filter((_, c) => ![yours, lands, random].some((o) => o.found.has(c)));
      const mine = names.filter((_, c) => !yours.found.has(c));
      const told = missed.length
        ? `No one has asked for ${list(missed)}. `
        : mine.length && clicks.length
          ? `You have not met ${list(mine)}. `
          : "";
      const used = Math.min(shown, clicks.length);
      const short = used && used < shown ? ` (${used} clicks)` : "";
      return (
        `${before}Right, with ${shown} ${shown === 1 ? "label" : "labels"}: you ` +
        `${used ? percent(yours.share, 1) : "no map yet"}${short}, ` +
        `LAND ${percent(lands.share, 1)}, this random draw ` +
        `${percent(random.share, 1)} (median of ${draws.length} draws ` +
        `${percent(middle, 1)}). ${told}${place}`
      );
    };

    function drawImage(clicks, shown) {
      grid.show(image, `Ask here: ${BUDGET - clicks.length} clicks left`);
      clicks.slice(0, shown).forEach((k, j) => grid.mark(image, k, { text: String(j + 1) }));
      grid.mark(image, ui.get("cursor"), { big: true });
    }

    function drawMaps([yours, lands, random], draw, truth) {
      const { cols, rows } = grid;
      const gap = 0.06 * cols;
      const f = maps.font;
      const scale = Math.min(
        (maps.width - f) / (2 * cols + gap),
        (maps.height - 4.5 * f) / (2 * rows),
      );
      const head = (1.75 * f) / Math.max(0.1, scale); // room for a line of words
      const blank = rgbOf(maps.theme.soft);
      const low = rows + head;
      maps.begin({
        x: [0, 2 * cols + gap],
        y: [2 * low, 0],
        square: true,
        xTicks: false,
        yTicks: false,
      });
      const places = [
        [0, head],
        [cols + gap, head],
        [0, low + head],
        [cols + gap, low + head],
      ];
      const named = [
        ["you", yours],
        ["LAND", lands],
        ["random", random],
      ];
      named.forEach(([name, { pixels, classes, share }], m) => {
        const [x, y] = places[m];
        grid.paint(
          maps,
          grid.classColours((row) => classes[row], blank),
          [x, y, x + cols, y + rows],
        );
        maps.label(pixels.length ? `${name} ${fixed(100 * share, 1)}\u00a0%` : name, x, y, {
          align: "left",
          dy: -0.75,
          bold: true,
          patch: false,
        });
        for (const k of pixels) grid.mark(maps, k, { dx: x, dy: y });
        if (m === 2)
          for (const k of draw.slice(pixels.length))
            maps.dot((k % cols) + 0.5 + x, Math.floor(k / cols) + 0.5 + y, {
              colour: "muted",
              radius: 2,
            });
      });
      const [x, y] = places[3];
      grid.paint(
        maps,
        grid.classColours((row) => (truth ? grid.classOf(grid.pixelOf[row]) : -1), blank),
        [x, y, x + cols, y + rows],
      );
      maps.label(truth ? "truth" : "truth (hidden)", x, y, {
        align: "left",
        dy: -0.75,
        bold: true,
        patch: false,
      });
    }
  },
);

/* Your score as a code, and a place for a neighbour's. */
function scoreBoard(ui) {
  const mine = element("output", { class: "wdl-value" });
  const theirs = element("span", { role: "status" });
  const input = element("input", {
    type: "text",
    size: 11,
    maxlength: 12,
    autocomplete: "off",
    spellcheck: "false",
    "aria-label": "a neighbour's code",
    "data-lm-suppress-shortcuts": "true",
  });
  const words = ({ clicks, shares }) =>
    `${clicks} clicks: ${percent(shares[0], 1)}, LAND ${percent(shares[1], 1)}, random ` +
    `${percent(shares[2], 1)}`;
  input.addEventListener("keydown", (event) => event.stopPropagation());
  input.addEventListener("input", () => {
    const told = decodeScore(input.value);
    const full = input.value.replace(/[\s-]/g, "").length >= 8;
    theirs.textContent = told ? words(told) : full ? "this code was misread" : "";
  });
  ui.panel.append(
    element(
      "div",
      { class: "wdl-score" },
      element("span", { class: "wdl-name" }, "your score as a code"),
      mine,
    ),
    element(
      "label",
      { class: "wdl-score" },
      element("span", { class: "wdl-name" }, "a neighbour's code"),
      input,
      theirs,
    ),
  );
  return {
    show(clicks, shares) {
      mine.textContent = clicks ? encodeScore(clicks, shares) : "after your first click";
    },
  };
}
