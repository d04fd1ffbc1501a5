// @ts-check
/* Maps of a scene: its bytes from Python, its classes in colour, and a cursor that a keyboard
 * moves over it.
 */

import { clamp, element } from "./shell.js";

export const bytesOf = (view) =>
  new Uint8Array(view.buffer ?? view, view.byteOffset ?? 0, view.byteLength).slice();
export const int16Of = (view) => new Int16Array(bytesOf(view).buffer);
export const rgbOf = (hex) => [1, 3, 5].map((k) => parseInt(hex.slice(k, k + 2), 16));

export const MASKED = 255;

/* The grid of a scene. `truth` has a byte for each pixel: 0 without a label, 255 masked, else 1
 * + the class. A "row" is the number of a pixel among those that are not masked, as in
 * scene.pixels().
 */
export class Grid {
  constructor(ui) {
    this.rows = ui.get("rows");
    this.cols = ui.get("cols");
    this.names = ui.get("names");
    this.truth = bytesOf(ui.get("truth"));
    this.colours = ui.get("colours").map(rgbOf);
    this.picture = bytesOf(ui.get("picture"));
    this.size = this.rows * this.cols;
    this.rowOf = new Int32Array(this.size).fill(-1);
    this.pixelOf = [];
    this.truth.forEach((code, k) => {
      if (code !== MASKED) {
        this.rowOf[k] = this.pixelOf.length;
        this.pixelOf.push(k);
      }
    });
  }

  where(k) {
    return `row ${Math.floor(k / this.cols)}, column ${k % this.cols}`;
  }
  classOf(k) {
    return this.truth[k] === MASKED ? -1 : this.truth[k] - 1;
  }
  get ratio() {
    return clamp(this.rows / this.cols, 0.3, 1.5);
  }

  /* The colours of a map from the class of each row (-1: none), on `blank`. */
  classColours(classOfRow, blank) {
    const rgb = new Uint8Array(3 * this.size);
    for (let k = 0; k < this.size; k++) {
      const row = this.rowOf[k];
      const c = row < 0 ? -1 : classOfRow(row);
      rgb.set(c < 0 ? blank : this.colours[c], 3 * k);
    }
    return rgb;
  }

  /* A map between two corners in the units of the axes. */
  paint(plot, rgb, [x0, y0, x1, y1] = [0, 0, this.cols, this.rows]) {
    const tile = (plot.tile ??= document.createElement("canvas"));
    tile.width = this.cols;
    tile.height = this.rows;
    const context = tile.getContext("2d");
    const pixels = context.createImageData(this.cols, this.rows);
    for (let k = 0; k < this.size; k++) {
      pixels.data.set(rgb.subarray(3 * k, 3 * k + 3), 4 * k);
      pixels.data[4 * k + 3] = 255;
    }
    context.putImageData(pixels, 0, 0);
    const left = Math.round(plot.X(x0));
    const top = Math.round(plot.Y(y0));
    plot.c.save();
    plot.c.imageSmoothingEnabled = false;
    plot.c.drawImage(tile, left, top, Math.round(plot.X(x1)) - left, Math.round(plot.Y(y1)) - top);
    plot.c.restore();
  }

  /* The scene and nothing else on a fresh plot: one unit a pixel, the first row above. */
  show(plot, title, rgb = this.picture) {
    plot.begin({
      x: [0, this.cols],
      y: [this.rows, 0],
      square: true,
      xTicks: false,
      yTicks: false,
      title,
    });
    this.paint(plot, rgb);
  }

  /* A pixel as a white square with a black frame, seen on any colour; `big` for the cursor. */
  mark(plot, k, { dx = 0, dy = 0, big = false, text = "" } = {}) {
    const x = (k % this.cols) + 0.5 + dx;
    const y = Math.floor(k / this.cols) + 0.5 + dy;
    const c = plot.c;
    const f = plot.font;
    const half = big
      ? Math.max(0.7 * f, 0.9 * Math.abs(plot.X(1) - plot.X(0)))
      : text
        ? 0.55 * f
        : 0.24 * f;
    const [px, py] = [plot.X(x), plot.Y(y)];
    c.save();
    if (big) {
      for (const [colour, width] of [
        ["#000000", 4],
        ["#ffffff", 2],
      ]) {
        c.strokeStyle = colour;
        c.lineWidth = width;
        c.strokeRect(px - half, py - half, 2 * half, 2 * half);
      }
    } else {
      c.fillStyle = "#ffffff";
      c.fillRect(px - half, py - half, 2 * half, 2 * half);
      c.strokeStyle = "#000000";
      c.lineWidth = 1;
      c.strokeRect(px - half, py - half, 2 * half, 2 * half);
      plot.face(true, 0.75);
      c.fillStyle = "#000000";
      c.textAlign = "center";
      c.textBaseline = "middle";
      if (text) c.fillText(text, px, py + 0.5);
    }
    c.restore();
  }
}

/* The names of the classes beside their colours. */
export function key(names, colours) {
  const items = names.map((name, k) =>
    element(
      "li",
      {},
      element("span", {
        class: "wdl-swatch",
        style: `background:${colours[k]}`,
        "aria-hidden": "true",
      }),
      name,
    ),
  );
  return element("ul", { class: "wdl-key" }, ...items);
}

/* Make a panel answer to the mouse and to the keyboard: arrows move the cursor by a pixel, with
 * Shift by eight; Enter, Space or a click acts on the pixel. `label` tells who cannot see it
 * what it is.
 */
export function mapKeys(ui, plot, grid, { cursor = "cursor", act, label }) {
  const { canvas } = plot;
  for (const [name, value] of Object.entries({
    tabindex: 0,
    role: "application",
    "aria-label": label,
    "aria-roledescription": "map",
    "data-lm-suppress-shortcuts": "true",
  }))
    canvas.setAttribute(name, value);
  canvas.style.cursor = "crosshair";
  canvas.addEventListener("click", (event) => {
    const box = canvas.getBoundingClientRect();
    const x = Math.floor(plot.invX(((event.clientX - box.left) * plot.width) / box.width));
    const y = Math.floor(plot.invY(((event.clientY - box.top) * plot.height) / box.height));
    if (x >= 0 && y >= 0 && x < grid.cols && y < grid.rows) act(y * grid.cols + x);
  });
  canvas.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.altKey || event.metaKey) return;
    const step = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] }[
      event.key
    ];
    const k = ui.get(cursor);
    const by = event.shiftKey ? 8 : 1;
    if (step) {
      const x = clamp((k % grid.cols) + by * step[0], 0, grid.cols - 1);
      const y = clamp(Math.floor(k / grid.cols) + by * step[1], 0, grid.rows - 1);
      ui.set({ [cursor]: y * grid.cols + x });
    } else if (event.key === "Enter" || event.key === " ") act(k);
    else return;
    event.preventDefault();
    event.stopPropagation();
  });
  const accept = (v) => (Number.isInteger(v) && v >= 0 && v < grid.size ? v : null);
  ui.controls.set(cursor, [{ show() {}, accept }]);
}
