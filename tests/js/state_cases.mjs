/* Reads and writes states in addresses: node state_cases.mjs FOLDER < problems.json */
import { readFileSync } from "node:fs";

const load = (name) =>
  import(
    `data:text/javascript;base64,${readFileSync(`${process.argv[2]}/${name}`).toString("base64")}`
  );
const S = await load("state.js");

const CASES = {
  read({ hash, name, initial }) {
    return S.readState(hash, name, initial);
  },
  write({ hash, name, values, initial }) {
    return S.writeState(hash, name, values, initial);
  },
};

let text = "";
for await (const part of process.stdin) text += part;
console.log(JSON.stringify(JSON.parse(text).map(({ run, ...problem }) => CASES[run](problem))));
