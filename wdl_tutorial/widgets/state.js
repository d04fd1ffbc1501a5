// @ts-check
/* A demo's state in the page's address: #name=key:value,key:value&another-demo=... Lists are
 * joined by "_".
 *
 * An address is typed, cut and mangled on its way: whatever cannot be read is left out, and no
 * demo fails over it.
 */

const decoded = (text) => {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
};

/* `text` as the kind of value that `like` is; null where it is not one, or not finite. */
export function typed(text, like) {
  if (Array.isArray(like)) {
    const values =
      text === "" ? [] : text.split("_").map((part) => typed(part, like.length ? like[0] : 0));
    return values.includes(null) ? null : values;
  }
  if (typeof like === "number")
    return text.trim() !== "" && Number.isFinite(Number(text)) ? Number(text) : null;
  if (typeof like === "boolean") return { true: true, false: false }[text] ?? null;
  return text;
}

/* What the address holds for the demo `name`: { key: value } for the keys of `initial` alone. */
export function readState(hash, name, initial) {
  const found = {};
  for (const part of hash.replace(/^#/, "").split("&").map(decoded)) {
    if (!part.startsWith(`${name}=`)) continue;
    for (const pair of part.slice(name.length + 1).split(",")) {
      const [key, text = ""] = pair.split(":");
      const value = Object.hasOwn(initial, key) ? typed(text, initial[key]) : null;
      if (value !== null) found[key] = value;
    }
  }
  return found;
}

/* The address with what of `values` differs from `initial`; what it holds for other demos stays. */
export function writeState(hash, name, values, initial) {
  const shown = (value) =>
    [value]
      .flat()
      .map((v) => (typeof v === "number" ? Number(v.toPrecision(6)) : v))
      .join("_");
  const mine = Object.keys(values)
    .filter((key) => String(values[key]) !== String(initial[key]))
    .map((key) => `${key}:${shown(values[key])}`);
  const others = hash
    .replace(/^#/, "")
    .split("&")
    .filter((part) => part.includes("=") && !part.startsWith(`${name}=`));
  return [...others, ...(mine.length ? [`${name}=${mine.join(",")}`] : [])].join("&");
}
