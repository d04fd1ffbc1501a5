// @ts-check
/* The look of every picture: axes with units, curves told apart by dash as well as colour,
 * labels beside what they name.
 *
 * Colours are the Okabe-Ito palette; text in a colour is darkened (or, on a dark page,
 * lightened) until it reads at a contrast of 4.5, lines and marks until 3. Everything is drawn
 * in CSS pixels on a canvas of the screen's own density.
 */

const OKABE_ITO = {
  blue: "#0072B2",
  red: "#D55E00",
  green: "#009E73",
  purple: "#CC79A7",
  orange: "#E69F00",
  sky: "#56B4E9",
};
const DASHES = {
  solid: [],
  dash: [7, 4],
  dot: [2, 3.5],
  dashdot: [9, 3, 2, 3],
  long: [13, 4],
  sparse: [3, 7],
};
const PAPERS = {
  light: { paper: "#ffffff", ink: "#1b1f24", muted: "#525a64", line: "#c9ced6", soft: "#eef0f3" },
  dark: { paper: "#14181e", ink: "#eceff3", muted: "#aeb6c1", line: "#454c57", soft: "#232932" },
};

const channels = (hex) => [1, 3, 5].map((k) => parseInt(hex.slice(k, k + 2), 16));
const hex = (rgb) => "#" + rgb.map((v) => Math.round(v).toString(16).padStart(2, "0")).join("");
const mixed = (from, to, share) =>
  hex(channels(from).map((v, k) => v + share * (channels(to)[k] - v)));

function luminance(colour) {
  const [r, g, b] = channels(colour).map((v) =>
    (v /= 255) <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4,
  );
  return 0.2126 * r + 0.7152 * g + 0.0722 * b;
}

function contrast(one, other) {
  const [low, high] = [luminance(one), luminance(other)].sort((x, y) => x - y);
  return (high + 0.05) / (low + 0.05);
}

/* `colour` moved towards the ink until it stands out from the paper by `ratio`. */
export function readable(colour, { paper, ink }, ratio) {
  for (let share = 0; share < 1; share += 0.05) {
    const tried = mixed(colour, ink, share);
    if (contrast(tried, paper) >= ratio) return tried;
  }
  return ink;
}

/* Colours of a scheme, "light" or "dark": theme.blue for a line or mark, theme.text.blue for
 * words.
 */
const THEMES = Object.fromEntries(
  Object.entries(PAPERS).map(([name, base]) => {
    const theme = { ...base, dark: name === "dark", text: { ink: base.ink, muted: base.muted } };
    for (const [colour, value] of Object.entries(OKABE_ITO)) {
      theme[colour] = readable(value, base, theme.dark ? 5 : 3);
      theme.text[colour] = readable(value, base, theme.dark ? 6 : 4.5);
    }
    return [name, theme];
  }),
);

export function schemeOf(root = document) {
  const html = root.documentElement;
  const body = root.body;
  // the book, Colab
  if (html.dataset.theme === "dark" || html.dataset.theme === "light") return html.dataset.theme;
  if (html.getAttribute("theme")) return html.getAttribute("theme") === "dark" ? "dark" : "light";
  // JupyterLab
  if (body.dataset.jpThemeLight) return body.dataset.jpThemeLight === "false" ? "dark" : "light";
  return matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light";
}

/* Calls `changed` whenever the page turns dark or light; returns what stops it. */
export function watchScheme(changed) {
  const observer = new MutationObserver(changed);
  const media = matchMedia("(prefers-color-scheme: dark)");
  for (const node of [document.documentElement, document.body])
    observer.observe(node, {
      attributes: true,
      attributeFilter: ["data-theme", "theme", "data-jp-theme-light", "class"],
    });
  media.addEventListener("change", changed);
  return () => {
    observer.disconnect();
    media.removeEventListener("change", changed);
  };
}

/* At most `count` + 1 round numbers between lo and hi. */
export function ticks(lo, hi, count) {
  const raw = (hi - lo) / Math.max(1, count);
  const power = 10 ** Math.floor(Math.log10(raw));
  const step = power * ([1, 2, 2.5, 5, 10].find((m) => m * power >= raw * 0.999) ?? 10);
  const out = [];
  for (let k = Math.ceil(lo / step - 1e-9); k * step <= hi + 1e-9 * step; k++)
    out.push(Number((k * step).toPrecision(12)));
  return out;
}

const MINUS = "\u2212";

const raised = (n) =>
  String(n).replace(/./g, (d) =>
    d === "-" ? "\u207b" : "\u2070\u00b9\u00b2\u00b3\u2074\u2075\u2076\u2077\u2078\u2079"[d],
  );
export const tenTo = (n) => `10${raised(n)}`;

/* A number as a reader would write it: a true minus, a thousands' space, a power of ten, no long
 * tail of digits.
 */
export function number(value, digits = 3) {
  if (!Number.isFinite(value))
    return value > 0 ? "infinity" : value < 0 ? `${MINUS}infinity` : "not a number";
  const size = Math.abs(value);
  if (size !== 0 && (size < 1e-3 || size >= 1e6)) {
    const [head, tail] = value.toExponential(Math.max(0, digits - 1)).split("e");
    const lead = String(Number(head)).replace("-", MINUS);
    return lead === "1" ? tenTo(Number(tail)) : `${lead}\u00b7${tenTo(Number(tail))}`;
  }
  const [whole, rest] = String(Number.isInteger(value) ? value : Number(value.toPrecision(digits)))
    .replace("-", MINUS)
    .split(".");
  const grouped = whole.replace(/\d{5,}/, (run) => run.replace(/\B(?=(\d{3})+$)/g, "\u202f"));
  return rest === undefined ? grouped : `${grouped}.${rest}`;
}

export const fixed = (value, digits) =>
  (Object.is(Number(value.toFixed(digits)), -0) ? 0 : value).toFixed(digits).replace("-", MINUS);
export const percent = (share, digits = 0) => `${fixed(100 * share, digits)}\u00a0%`;

/* One panel: a canvas with a pair of axes. `begin` says what they span; the rest draws in their
 * units.
 */
export class Plot {
  /** @param {HTMLCanvasElement} canvas */
  constructor(canvas) {
    this.canvas = canvas;
    this.c = /** @type {CanvasRenderingContext2D} */ (canvas.getContext("2d"));
    /** @type {HTMLCanvasElement | undefined} what a map is drawn from */
    this.tile = undefined;
  }

  /* Give the canvas its size in CSS pixels; done before each drawing. */
  resize(width, height, scheme, font) {
    const density = Math.min(window.devicePixelRatio || 1, 3);
    this.width = width;
    this.height = height;
    this.font = font;
    this.theme = THEMES[scheme];
    const w = Math.max(1, Math.round(width * density));
    const h = Math.max(1, Math.round(height * density));
    if (this.canvas.width !== w || this.canvas.height !== h) {
      this.canvas.width = w;
      this.canvas.height = h;
    }
    this.c.setTransform(density, 0, 0, density, 0, 0);
    this.canvas.style.height = `${height}px`;
  }

  colour(name) {
    return this.theme[name] ?? name;
  }
  textColour(name) {
    return this.theme.text[name] ?? name;
  }
  face(bold = false, scale = 1) {
    this.c.font =
      `${bold ? "600 " : ""}${this.font * scale}px system-ui, -apple-system, ` +
      `"Segoe UI", "DejaVu Sans", sans-serif`;
  }
  X(x) {
    const [lo, hi] = this.x;
    return this.left + ((x - lo) / (hi - lo)) * (this.right - this.left);
  }
  Y(y) {
    const [lo, hi] = this.y;
    return this.bottom - ((y - lo) / (hi - lo)) * (this.bottom - this.top);
  }
  invX(px) {
    const [lo, hi] = this.x;
    return lo + ((px - this.left) / (this.right - this.left)) * (hi - lo);
  }
  invY(py) {
    const [lo, hi] = this.y;
    return lo + ((this.bottom - py) / (this.bottom - this.top)) * (hi - lo);
  }

  /**
   * Clear, and draw the axes.
   *
   * @param {object} axes
   * @param {number[]} axes.x [lo, hi] in the units of the axis
   * @param {number[]} axes.y
   * @param {string} [axes.title] bold, top left
   * @param {string} [axes.yLabel] after it
   * @param {string} [axes.xLabel] below, with its unit
   * @param {boolean | any[]} [axes.xTicks] true, false, or [[value, text], ...]
   * @param {boolean | any[]} [axes.yTicks]
   * @param {boolean} [axes.square] the axes keep one scale: the smaller side decides
   * @param {boolean} [axes.grid]
   * @param {any[]} [axes.legend] [[text, { colour, dash, fill }], ...] in a row under the title,
   *   for what has no room for a label beside it
   * @param {{ top?: number, bottom?: number, left?: number, right?: number }} [axes.margin]
   */
  begin({
    x,
    y,
    title = "",
    xLabel = "",
    yLabel = "",
    xTicks = true,
    yTicks = true,
    square = false,
    grid = true,
    legend = [],
    margin = {},
  }) {
    const c = this.c;
    const f = this.font;
    const { width, height } = this;
    this.x = x;
    this.y = y;
    c.clearRect(0, 0, width, height);
    c.fillStyle = this.theme.paper;
    c.fillRect(0, 0, width, height);
    this.face();
    const heading = this.#heading(title, yLabel);
    const rows = heading.length ? heading[heading.length - 1].row + 1 : 0;
    this.face();
    const keys = this.#legendPlaces(legend, rows);
    const keyRows = keys.length ? keys[keys.length - 1].row + 1 : rows;
    this.top = keyRows * f * 1.35 + f * 0.45 + (margin.top ?? 0);
    this.bottom =
      height - (xTicks ? f * 1.5 : f * 0.4) - (xLabel ? f * 1.25 : 0) - (margin.bottom ?? 0);
    const yMarks =
      yTicks === true
        ? ticks(y[0], y[1], Math.max(2, (this.bottom - this.top) / (f * 2.6))).map((v) => [
            v,
            number(v),
          ])
        : yTicks || [];
    const widest = Math.max(0, ...yMarks.map(([, text]) => c.measureText(text).width));
    this.left = (margin.left ?? 0) + (yMarks.length ? widest + f * 0.7 : f * 0.4);
    this.right = width - f * 0.6 - (margin.right ?? 0);
    if (square) this.#keepSquare();
    const xMarks =
      xTicks === true
        ? ticks(x[0], x[1], Math.max(2, (this.right - this.left) / (f * 4.2))).map((v) => [
            v,
            number(v),
          ])
        : xTicks || [];
    c.lineWidth = 1;
    c.strokeStyle = this.theme.line;
    c.fillStyle = this.theme.muted;
    c.textBaseline = "middle";
    c.textAlign = "right";
    for (const [v, text] of yMarks) {
      if (grid) this.#stroke(this.left, this.Y(v), this.right, this.Y(v), this.theme.soft);
      c.fillText(text, this.left - f * 0.4, this.Y(v));
    }
    c.textAlign = "center";
    c.textBaseline = "top";
    let written = -Infinity;
    for (const [v, text] of xMarks) {
      this.#stroke(this.X(v), this.bottom, this.X(v), this.bottom + f * 0.3, this.theme.muted);
      const half = c.measureText(text).width / 2;
      const at = Math.min(Math.max(this.X(v), half + 1), width - half - 1);
      if (at - half < written + f * 0.4) continue; // no room for its number
      c.fillText(text, at, this.bottom + f * 0.45);
      written = at + half;
    }
    if (xTicks) this.#stroke(this.left, this.bottom, this.right, this.bottom, this.theme.muted);
    if (xLabel) {
      c.textAlign = "right";
      c.textBaseline = "bottom";
      c.fillText(xLabel, this.right, height - f * 0.15 - (margin.bottom ?? 0));
    }
    c.textAlign = "left";
    c.textBaseline = "alphabetic";
    for (const { text, bold, x: at, row } of heading) {
      this.face(bold);
      c.fillStyle = bold ? this.theme.ink : this.theme.muted;
      c.fillText(text, at, f * 1.2 + row * f * 1.35);
    }
    this.face();
    for (const key of keys) this.#legendKey(key);
    return this;
  }

  #legendPlaces(legend, rows) {
    let at = 2;
    let row = rows;
    return legend.map(([text, look]) => {
      const needed = this.font * 2.2 + this.c.measureText(text).width;
      if (at > 2 && at + needed > this.width) {
        at = 2;
        row++;
      }
      const place = { text, look, at, row };
      at += needed + this.font * 0.9;
      return place;
    });
  }

  #legendKey({ text, look, at, row }) {
    const c = this.c;
    const f = this.font;
    const y = f * (0.85 + 1.35 * row);
    c.save();
    if (look.fill) {
      c.globalAlpha = look.alpha ?? 0.35;
      c.fillStyle = this.colour(look.fill);
      c.fillRect(at, y - f * 0.4, f * 1.7, f * 0.8);
      c.globalAlpha = 1;
    }
    if (look.colour) {
      c.setLineDash(DASHES[look.dash ?? "solid"]);
      this.#stroke(at, y, at + f * 1.7, y, this.colour(look.colour), 2);
    }
    c.restore();
    c.fillStyle = this.theme.ink;
    c.textAlign = "left";
    c.textBaseline = "middle";
    c.fillText(text, at + f * 2.1, y);
  }

  /* Title and the label of the y axis: on one row where they fit, the title broken at words
   * where it must be.
   */
  #heading(title, yLabel) {
    const pieces = [];
    const room = this.width - 4;
    const gap = this.font;
    this.face(true);
    for (const word of title ? title.split(" ") : []) {
      const last = pieces[pieces.length - 1];
      if (last && this.c.measureText(`${last.text} ${word}`).width <= room) last.text += ` ${word}`;
      else pieces.push({ text: word, bold: true, x: 2, row: pieces.length });
    }
    if (!yLabel) return pieces;
    const last = pieces[pieces.length - 1];
    const used = last ? this.c.measureText(last.text).width + gap : 0;
    this.face();
    const fits = last && used + this.c.measureText(yLabel).width < room;
    pieces.push({
      text: yLabel,
      bold: false,
      x: fits ? 2 + used : 2,
      row: fits ? last.row : pieces.length,
    });
    return pieces;
  }

  #keepSquare() {
    const across = Math.abs(this.x[1] - this.x[0]);
    const up = Math.abs(this.y[1] - this.y[0]);
    const scale = Math.min((this.right - this.left) / across, (this.bottom - this.top) / up);
    const w = scale * across;
    const h = scale * up;
    const middle = (this.left + this.right) / 2;
    const centre = (this.top + this.bottom) / 2;
    this.left = middle - w / 2;
    this.right = middle + w / 2;
    this.top = centre - h / 2;
    this.bottom = centre + h / 2;
  }

  #stroke(x0, y0, x1, y1, colour, width = 1) {
    const c = this.c;
    c.strokeStyle = colour;
    c.lineWidth = width;
    c.beginPath();
    c.moveTo(x0, y0);
    c.lineTo(x1, y1);
    c.stroke();
  }

  #path(xs, ys) {
    const c = this.c;
    c.beginPath();
    for (let i = 0; i < ys.length; i++) {
      const px = this.X(xs[i]);
      const py = this.Y(ys[i]);
      if (i) c.lineTo(px, py);
      else c.moveTo(px, py);
    }
  }

  curve(xs, ys, { colour = "ink", dash = "solid", width = 2, alpha = 1 } = {}) {
    const c = this.c;
    c.save();
    c.globalAlpha = alpha;
    c.setLineDash(DASHES[dash]);
    c.lineJoin = "round";
    c.lineWidth = width * Math.max(1, this.font / 14);
    c.strokeStyle = this.colour(colour);
    this.#path(xs, ys);
    c.stroke();
    c.restore();
  }

  /* The area between a curve and the level `base`, or between a curve and the array `base`. */
  area(xs, ys, { colour = "blue", alpha = 0.3, base = 0 } = {}) {
    const c = this.c;
    const low = (i) => (typeof base === "number" ? base : base[i]);
    c.save();
    c.globalAlpha = alpha;
    c.fillStyle = this.colour(colour);
    this.#path(xs, ys);
    for (let i = ys.length - 1; i >= 0; i--) c.lineTo(this.X(xs[i]), this.Y(low(i)));
    c.closePath();
    c.fill();
    c.restore();
  }

  segment(x0, y0, x1, y1, { colour = "muted", dash = "solid", width = 1, alpha = 1 } = {}) {
    const c = this.c;
    c.save();
    c.globalAlpha = alpha;
    c.setLineDash(DASHES[dash]);
    this.#stroke(
      this.X(x0),
      this.Y(y0),
      this.X(x1),
      this.Y(y1),
      this.colour(colour),
      width * Math.max(1, this.font / 14),
    );
    c.restore();
  }

  arrow(x0, y0, x1, y1, { colour = "ink", width = 2, head = 5 } = {}) {
    const c = this.c;
    const [ax, ay, bx, by] = [this.X(x0), this.Y(y0), this.X(x1), this.Y(y1)];
    const length = Math.hypot(bx - ax, by - ay);
    if (length < 0.5) return;
    const [ux, uy] = [(bx - ax) / length, (by - ay) / length];
    const h = Math.min((head * this.font) / 13, length);
    this.#stroke(ax, ay, bx - ux * h * 0.7, by - uy * h * 0.7, this.colour(colour), width);
    c.fillStyle = this.colour(colour);
    c.beginPath();
    c.moveTo(bx, by);
    c.lineTo(bx - ux * h - uy * h * 0.55, by - uy * h + ux * h * 0.55);
    c.lineTo(bx - ux * h + uy * h * 0.55, by - uy * h - ux * h * 0.55);
    c.fill();
  }

  dot(x, y, { colour = "ink", radius = 4, ring = null, alpha = 1, shape = "disc" } = {}) {
    const c = this.c;
    const px = this.X(x);
    const py = this.Y(y);
    const r = (radius * this.font) / 13;
    c.save();
    c.globalAlpha = alpha;
    c.beginPath();
    if (shape === "cross") {
      c.strokeStyle = this.colour(colour);
      c.lineWidth = Math.max(1.5, r / 2.5);
      for (const k of [-1, 1]) {
        c.moveTo(px - r, py - k * r);
        c.lineTo(px + r, py + k * r);
      }
      c.stroke();
    } else {
      if (shape === "square") c.rect(px - r * 0.9, py - r * 0.9, r * 1.8, r * 1.8);
      else if (shape === "triangle") {
        c.moveTo(px, py - r * 1.15);
        c.lineTo(px + r, py + r * 0.85);
        c.lineTo(px - r, py + r * 0.85);
        c.closePath();
      } else c.arc(px, py, r, 0, 2 * Math.PI);
      c.fillStyle = this.colour(colour);
      c.fill();
      if (ring) {
        c.strokeStyle = this.colour(ring);
        c.lineWidth = 2;
        c.stroke();
      }
    }
    c.restore();
  }

  /* A box between two corners in the units of the axes. */
  box(x0, y0, x1, y1, { fill = null, stroke = null, alpha = 1, width = 1, dash = "solid" } = {}) {
    const c = this.c;
    const [ax, bx] = [this.X(x0), this.X(x1)];
    const [ay, by] = [this.Y(y0), this.Y(y1)];
    /** @type {[number, number, number, number]} */
    const rect = [Math.min(ax, bx), Math.min(ay, by), Math.abs(bx - ax), Math.abs(by - ay)];
    c.save();
    c.globalAlpha = alpha;
    if (fill) {
      c.fillStyle = this.colour(fill);
      c.fillRect(...rect);
    }
    if (stroke) {
      c.strokeStyle = this.colour(stroke);
      c.lineWidth = width;
      c.setLineDash(DASHES[dash]);
      c.strokeRect(...rect);
    }
    c.restore();
  }

  polygon(points, { fill = null, stroke = null, alpha = 1, width = 2, dash = "solid" } = {}) {
    const c = this.c;
    c.save();
    c.globalAlpha = alpha;
    c.beginPath();
    points.forEach(([x, y], k) => {
      if (k) c.lineTo(this.X(x), this.Y(y));
      else c.moveTo(this.X(x), this.Y(y));
    });
    c.closePath();
    if (fill) {
      c.fillStyle = this.colour(fill);
      c.fill();
    }
    if (stroke) {
      c.strokeStyle = this.colour(stroke);
      c.lineWidth = width;
      c.setLineDash(DASHES[dash]);
      c.stroke();
    }
    c.restore();
  }

  /* Words at a point, kept inside the panel, on a patch of paper so that no line runs through
   * them.
   */
  label(
    text,
    x,
    y,
    {
      colour = "ink",
      align = "center",
      dx = 0,
      dy = 0,
      bold = false,
      patch = true,
      scale = 1,
    } = {},
  ) {
    const c = this.c;
    const f = this.font * scale;
    this.face(bold, scale);
    const w = c.measureText(text).width;
    let px = this.X(x) + dx * this.font;
    let py = this.Y(y) + dy * this.font;
    px = Math.min(
      Math.max(px - (align === "center" ? w / 2 : align === "right" ? w : 0), 2),
      this.width - w - 2,
    );
    py = Math.min(Math.max(py, f * 0.6), this.height - f * 0.6);
    if (patch) {
      c.save();
      c.globalAlpha = 0.8;
      c.fillStyle = this.theme.paper;
      c.fillRect(px - 2, py - f * 0.62, w + 4, f * 1.24);
      c.restore();
    }
    c.fillStyle = this.textColour(colour);
    c.textAlign = "left";
    c.textBaseline = "middle";
    c.fillText(text, px, py);
    this.face();
  }

  /* Name each curve beside itself, where the words lie on no curve if there is such a place. */
  nameCurves(xs, curves, names, colours, others = []) {
    const n = xs.length;
    const f = 0.95 * this.font;
    const lines = [...curves, ...others].map((curve) => Array.from(curve, (v) => this.Y(v)));
    const placed = [];
    this.face(false, 0.95);
    const widths = names.map((name) => this.c.measureText(name).width);
    curves.forEach((curve, k) => {
      let best = { room: -Infinity };
      for (let i = 0; i < n; i++) {
        const middle = this.X(xs[i]);
        const reach = widths[k] / 2 + 3;
        const under = [...xs.keys()].filter((j) => Math.abs(this.X(xs[j]) - middle) <= reach);
        if (middle - reach < this.left || middle + reach > this.right) continue;
        for (const side of [1, -1]) {
          // below and above, in pixels
          const own = under.map((j) => side * lines[k][j]);
          const y = side * Math.max(...own) + side * 0.75 * f;
          const gaps = lines.flatMap((line, m) =>
            m === k ? [] : under.map((j) => Math.abs(line[j] - y)),
          );
          const beside = placed.map((at) =>
            Math.max(Math.abs(at.y - y), Math.abs(at.x - middle) - reach - at.reach),
          );
          const slope = Math.max(...own) - Math.min(...own);
          const room =
            Math.min(...gaps, ...beside, y - this.top, this.bottom - y, 3 * f) - 0.35 * slope;
          if (room > best.room) best = { room, x: middle, y, reach };
        }
      }
      placed.push(best);
      this.label(names[k], this.invX(best.x), this.invY(best.y), {
        colour: colours[k],
        scale: 0.95,
        patch: best.room < 0.7 * f,
      });
    });
  }

  /* A matrix of values in [0, 1] between two corners, row 0 at the top; colour from paper to
   * `colour`.
   */
  image(
    values,
    rows,
    cols,
    { colour = "blue", corners = null, smooth = false, signed = null } = {},
  ) {
    const [x0, y0, x1, y1] = corners ?? [this.x[0], this.y[0], this.x[1], this.y[1]];
    const c = this.c;
    const tile = (this.tile ??= document.createElement("canvas"));
    tile.width = cols;
    tile.height = rows;
    const context = tile.getContext("2d");
    const pixels = context.createImageData(cols, rows);
    const paper = channels(this.theme.paper);
    const high = channels(this.colour(colour));
    const low = channels(this.colour(signed ?? colour));
    for (let k = 0; k < rows * cols; k++) {
      const v = Math.min(1, Math.abs(values[k]));
      const end = values[k] < 0 ? low : high;
      for (let channel = 0; channel < 3; channel++)
        pixels.data[4 * k + channel] = paper[channel] + v * (end[channel] - paper[channel]);
      pixels.data[4 * k + 3] = 255;
    }
    context.putImageData(pixels, 0, 0);
    c.save();
    c.imageSmoothingEnabled = smooth;
    const left = Math.round(Math.min(this.X(x0), this.X(x1)));
    const top = Math.round(Math.min(this.Y(y0), this.Y(y1)));
    c.drawImage(
      tile,
      left,
      top,
      Math.round(Math.abs(this.X(x1) - this.X(x0))),
      Math.round(Math.abs(this.Y(y1) - this.Y(y0))),
    );
    c.restore();
  }
}
