// @ts-check
/* Runs the anywidget models of a built page with no kernel, from a web server or from file://.
 *
 * MyST-NB leaves two kinds of <script> in a page: one with the state of every model, and one for
 * each place where a model is shown. An anywidget model carries its own ES module in `_esm`; it
 * is imported from a Blob and rendered there. An element with the class "wdl-first-frame" in the
 * same cell is the picture for a reader without JavaScript: it goes when the live one has been
 * drawn.
 */
"use strict";
(() => {
  const STATE = 'script[type="application/vnd.jupyter.widget-state+json"]';
  const VIEW = 'script[type="application/vnd.jupyter.widget-view+json"]';

  class Model {
    constructor(entry) {
      this.values = { ...entry.state };
      this.listeners = new Map();
    }
    async unpack(buffers = []) {
      for (const buffer of buffers) this.#put(buffer.path, await decode(buffer));
    }
    #put(path, value) {
      const [...keys] = path;
      const last = keys.pop();
      let holder = this.values;
      for (const key of keys) holder = holder[key];
      holder[last] = value;
    }
    get(name) {
      return this.values[name];
    }
    set(name, value) {
      if (typeof name === "object") {
        for (const [key, v] of Object.entries(name)) this.set(key, v);
        return;
      }
      if (Object.is(this.values[name], value)) return;
      this.values[name] = value;
      this.#emit(`change:${name}`, value);
      this.#emit("change", value);
    }
    #emit(event, value) {
      for (const f of [...(this.listeners.get(event) ?? [])]) f(this, value);
    }
    on(event, f) {
      if (!this.listeners.has(event)) this.listeners.set(event, new Set());
      this.listeners.get(event).add(f);
    }
    off(event, f) {
      if (event == null) this.listeners.clear();
      else if (f == null) this.listeners.delete(event);
      else this.listeners.get(event)?.delete(f);
    }
    save_changes() {} // there is no kernel to tell
    send() {}
  }

  async function decode({ data, encoding }) {
    const bytes = Uint8Array.from(atob(data), (c) => c.charCodeAt(0));
    if (encoding !== "deflate") return new DataView(bytes.buffer);
    const unpacked = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("deflate"));
    return new DataView(await new Response(unpacked).arrayBuffer());
  }

  /* The code of a model, or the names of the parts that it is put together from
   * (book/_ext/slim_pages.py).
   */
  const code = (esm) =>
    typeof esm === "string" ? esm : esm.map((name) => window.wdlParts[name]).join("\n\n") + "\n";

  // source -> promise of the widget's definition: one import for equal sources
  const modules = new Map();
  function definition(source) {
    if (!modules.has(source)) {
      const url = URL.createObjectURL(new Blob([source], { type: "text/javascript" }));
      modules.set(
        source,
        import(url).then(async (module) => {
          URL.revokeObjectURL(url);
          return typeof module.default === "function"
            ? module.default()
            : (module.default ?? module);
        }),
      );
    }
    return modules.get(source);
  }

  function addStyle(css) {
    if (!css) return;
    const style = document.createElement("style");
    style.textContent = css;
    document.head.append(style);
  }

  function say(script, text) {
    const note = document.createElement("p");
    note.className = "wdl-widget-note";
    note.textContent = text;
    script.after(note);
  }

  async function start() {
    const state = {};
    for (const script of document.querySelectorAll(STATE))
      Object.assign(state, JSON.parse(script.textContent).state);
    const models = new Map();
    const styled = new Set();
    for (const script of document.querySelectorAll(VIEW)) {
      const id = JSON.parse(script.textContent).model_id;
      const entry = state[id];
      if (!entry?.state?._esm) {
        say(
          script,
          "This control needs a running kernel: open the chapter in JupyterLab (make lab).",
        );
        continue;
      }
      const widget = await definition(code(entry.state._esm));
      if (!styled.has(entry.state._css)) {
        styled.add(entry.state._css);
        addStyle(entry.state._css);
      }
      if (!models.has(id)) {
        models.set(id, new Model(entry));
        await models.get(id).unpack(entry.buffers);
        await widget.initialize?.({ model: models.get(id) });
      }
      const el = document.createElement("div");
      el.className = "wdl-widget";
      script.after(el);
      try {
        await widget.render({ model: models.get(id), el });
        el.dataset.ready = "true";
        for (const still of (
          script.closest(".cell_output") ?? script.parentElement
        ).querySelectorAll(".wdl-first-frame"))
          /** @type {HTMLElement} */ (still.closest(".output") ?? still).hidden = true;
      } catch (error) {
        say(script, `This demo could not start: ${error.message}`);
        setTimeout(() => {
          throw error;
        }); // reach window.onerror, but let the other demos start
      }
    }
    // The link for a keyboard leads past a vote, to what can be moved.
    const demo = document.querySelector(".wdl-demo:not(.wdl-predict)");
    const mark = document.getElementById("wdl-first-demo");
    if (demo && mark) demo.before(mark);
    document.documentElement.dataset.widgets = "ready";
  }

  // A page opened from the file system may not fetch another one for the lines around a search hit.
  if (location.protocol === "file:" && typeof DOCUMENTATION_OPTIONS !== "undefined")
    DOCUMENTATION_OPTIONS.SHOW_SEARCH_SUMMARY = false;

  if (document.readyState === "loading") document.addEventListener("DOMContentLoaded", start);
  else start();
})();
