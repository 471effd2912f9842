// @ts-check
// Dark unless light was selected, by URL or by the menu; Gradio would follow the system. Not a module: it is
// inlined in the page's head, so that the first paint has the right colours.
window.webbduckTheme = (() => {
  const KEY = "webbduck-theme";
  let wanted =
    new URL(window.location.href).searchParams.get("__theme") ?? localStorage.getItem(KEY) ?? "dark";
  const apply = () => {
    // Before the style sheets come: the ground, without a white flash, and later the controls of the browser.
    document.documentElement.style.colorScheme = wanted === "dark" ? "dark" : "light";
    if (!document.body) return;
    if (document.body.classList.contains("dark") !== (wanted === "dark")) {
      document.body.classList.toggle("dark", wanted === "dark");
    }
  };
  const start = () => {
    apply();
    new MutationObserver(apply).observe(document.body, { attributes: true, attributeFilter: ["class"] });
  };
  apply();
  if (document.body) start();
  else document.addEventListener("DOMContentLoaded", start);
  return {
    isDark: () => wanted === "dark",
    toggle: () => {
      wanted = wanted === "dark" ? "light" : "dark";
      localStorage.setItem(KEY, wanted);
      apply();
    },
  };
})();
