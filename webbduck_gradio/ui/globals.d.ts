// What stands in the page beside the modules: types for `tsc`, which checks the scripts in .ci/js/check.

/** What Gradio gives the script of a `gr.HTML` component (its js_on_load). */
interface GradioView {
  element: any;
  /** The component's properties; setting one tells Gradio. */
  props: any;
  trigger: (event: string, data?: unknown) => void;
  /** The component's server_functions, by name. */
  server: Record<string, (value?: any) => Promise<any>>;
  upload: (file: File | Blob) => Promise<{ path: string }>;
  watch: (name: string | string[], callback: () => void) => void;
}

/** What the server says of the request's settings (see facts in ui/studio/form.py). */
declare const webbduckFacts: any;

/** Loads a module by its path below ui/; for Gradio's own scripts, which cannot import. */
declare function webbduckModule(name: string): Promise<any>;

declare const webbduckTheme: { isDark: () => boolean; toggle: () => void };

interface Window {
  webbduckTheme: typeof webbduckTheme;
  webbduck: any;
}

// The markup stands in HTML files and in Gradio, so what a selector or an event finds has no known type.
interface ParentNode {
  querySelector(selectors: string): any;
  querySelectorAll(selectors: string): NodeListOf<any>;
}
interface EventTarget {
  closest?: any;
  matches?: any;
}
