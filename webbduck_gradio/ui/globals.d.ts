// Types for `tsc` (.ci/js/check) of what the modules use without importing it.

/** What Gradio passes to the script of a `gr.HTML` component (its js_on_load). */
interface GradioView {
  element: any;
  /** The component's properties; assigning one updates Gradio's state. */
  props: any;
  trigger: (event: string, data?: unknown) => void;
  /** The component's server_functions, by name. */
  server: Record<string, (value?: any) => Promise<any>>;
  upload: (file: File | Blob) => Promise<{ path: string }>;
  watch: (name: string | string[], callback: () => void) => void;
}

/** Declarations of the request's settings (see `facts` in ui/studio/form.py). */
declare const webbduckFacts: any;

/** Loads a module by its path below ui/; for Gradio's own scripts, which cannot import. */
declare function webbduckModule(name: string): Promise<any>;

declare const webbduckTheme: { isDark: () => boolean; toggle: () => void };

interface Window {
  webbduckTheme: typeof webbduckTheme;
  webbduckPressedEarly: { wait: (owner: Element) => void; end: (owner: Element | string) => void };
  webbduckTypedEarly: { end: () => Map<EventTarget | null, string> };
  webbduck: any;
}

// Markup comes from HTML files and Gradio, so the types of selected elements and event targets are unknown.
interface ParentNode {
  querySelector(selectors: string): any;
  querySelectorAll(selectors: string): NodeListOf<any>;
}
interface EventTarget {
  closest?: any;
  matches?: any;
}
