// What the page's scripts keep to. Paths are seen from the repository's top, where `check` starts it.
import js from "@eslint/js";
import globals from "globals";

// Gradio puts the script of a component into a function with these parameters.
const gradio = ["element", "props", "server", "trigger", "upload", "watch"];
const shared = ["webbduck", "webbduckTheme", "webbduckFacts"];
const scripts = Object.fromEntries([...gradio, ...shared].map((name) => [name, "writable"]));

export default [
  js.configs.recommended,
  {
    rules: {
      "max-len": ["error", { code: 110 }],
      curly: ["error", "multi-line"],
      eqeqeq: "error",
      "one-var": ["error", "never"],
      "prefer-const": "error",
    },
  },
  {
    files: ["webbduck_gradio/**/*.js"],
    languageOptions: { sourceType: "script", globals: { ...globals.browser, ...scripts } },
    rules: {
      // Files are joined to one script, so a name may come from the file before.
      "no-undef": "off",
      "no-unused-vars": "off",
      "no-redeclare": ["error", { builtinGlobals: false }],
      "no-global-assign": "off",
    },
  },
];
