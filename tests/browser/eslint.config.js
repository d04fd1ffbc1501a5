import js from "@eslint/js";
import globals from "globals";

export default [
  js.configs.recommended,
  {
    languageOptions: { ecmaVersion: 2022, sourceType: "module" },
    linterOptions: { reportUnusedDisableDirectives: "error" },
    rules: {
      eqeqeq: ["error", "always", { null: "ignore" }],
      "no-var": "error",
      "prefer-const": "error",
      "one-var": ["error", "never"],
      "no-unused-vars": ["error", { argsIgnorePattern: "^_" }],
      "max-len": ["error", { code: 100, ignoreUrls: true }],
    },
  },
  {
    files: ["**/wdl_tutorial/widgets/*.js", "**/book/_ext/static/*.js"],
    languageOptions: { globals: { ...globals.browser, DOCUMENTATION_OPTIONS: "readonly" } },
  },
  {
    files: ["**/tests/**"],
    languageOptions: { globals: { ...globals.node, ...globals.browser } },
  },
];
