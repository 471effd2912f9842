// What the page's scripts keep to. Paths are seen from the repository's top, where `check` starts it.
import js from "@eslint/js";
import globals from "globals";

const page = { webbduckFacts: "readonly", webbduckModule: "readonly", webbduckTheme: "readonly" };

export default [
  js.configs.recommended,
  {
    rules: {
      "max-len": ["error", { code: 110 }],
      "max-lines": ["error", 400],
      curly: ["error", "multi-line"],
      eqeqeq: "error",
      "no-restricted-properties": [
        "error",
        ...["innerHTML", "outerHTML", "insertAdjacentHTML"].map((property) => ({ property })),
      ],
      "no-use-before-define": ["error", { functions: false, variables: false }],
      "one-var": ["error", "never"],
      "prefer-const": "error",
      "sort-imports": ["error", { ignoreDeclarationSort: true }],
    },
  },
  {
    files: ["webbduck_gradio/**/*.js"],
    languageOptions: { sourceType: "module", globals: { ...globals.browser, ...page } },
  },
  { files: ["tests/js/*.mjs"], languageOptions: { globals: { ...globals.node } } },
  {
    files: ["webbduck_gradio/**/*.js"],
    ignores: ["**/preferences.js", "**/theme.js"],
    rules: { "no-restricted-globals": ["error", "localStorage", "sessionStorage"] },
  },
];
