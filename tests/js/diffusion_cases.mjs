/* Runs the numbers of chapter 15's demos on problems from Python: node diffusion_cases.mjs
 * FOLDER < problems.json
 */
import { readFileSync } from "node:fs";

const load = (name) =>
  import(
    `data:text/javascript;base64,${readFileSync(`${process.argv[2]}/${name}`).toString("base64")}`
  );
const D = await load("diffusion.js");
const int16 = (base64) => new Int16Array(Uint8Array.from(Buffer.from(base64, "base64")).buffer);

const CASES = {
  sources({ parents, coordinates, dims, labelled }) {
    return [...D.labelSources(int16(parents), int16(coordinates), dims, labelled)];
  },
  walk({ neighbors, n, k, start, times }) {
    const walk = D.walkFrom(D.neighborGraph(int16(neighbors), n, k), start);
    return times.map((t) => [...walk.at(t)]);
  },
  encode({ clicks, shares }) {
    return D.encodeScore(clicks, shares);
  },
  decode({ code }) {
    return D.decodeScore(code);
  },
};

let text = "";
for await (const part of process.stdin) text += part;
console.log(JSON.stringify(JSON.parse(text).map(({ run, ...problem }) => CASES[run](problem))));
