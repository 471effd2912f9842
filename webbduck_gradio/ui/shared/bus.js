// Dark unless light was asked for, in the address or by the switch. Gradio would follow the system.
window.webbduckTheme = (() => {
  let wanted =
    new URL(window.location.href).searchParams.get("__theme") ??
    localStorage.getItem("webbduck-theme") ??
    "dark";
  const apply = () => {
    if (document.body.classList.contains("dark") !== (wanted === "dark")) {
      document.body.classList.toggle("dark", wanted === "dark");
    }
  };
  const start = () => {
    apply();
    new MutationObserver(apply).observe(document.body, { attributes: true, attributeFilter: ["class"] });
  };
  if (document.body) start();
  else document.addEventListener("DOMContentLoaded", start);
  return {
    dark: () => wanted === "dark",
    turn: () => {
      wanted = wanted === "dark" ? "light" : "dark";
      localStorage.setItem("webbduck-theme", wanted);
      apply();
    },
  };
})();

// What every view of the page shares: the bus, drawing without markup, sizes, keys.
window.webbduck = (() => {
  const last = new Map();
  const subscribers = new Map();

  /** Tell the subscribers of a channel, and those that come later. */
  function publish(channel, value) {
    last.set(channel, value);
    for (const tell of subscribers.get(channel) ?? []) tell(value);
  }

  /** Call `tell` now, where there is something already, and with everything that comes. */
  function subscribe(channel, tell) {
    if (!subscribers.has(channel)) subscribers.set(channel, new Set());
    subscribers.get(channel).add(tell);
    if (last.has(channel)) tell(last.get(channel));
  }

  /** An element: h("p", {class: "x", onclick: f}, "text", child). Text stays text, never markup. */
  function h(tag, attributes = {}, ...children) {
    const node = document.createElement(tag);
    for (const [name, value] of Object.entries(attributes ?? {})) {
      if (value === null || value === undefined || value === false) continue;
      if (name.startsWith("on")) node.addEventListener(name.slice(2), value);
      else if (name in node && typeof value !== "string") node[name] = value;
      else node.setAttribute(name, value === true ? "" : value);
    }
    for (const child of children.flat()) if (child !== null && child !== undefined) node.append(child);
    return node;
  }

  /** Put these in place of what `node` holds; null stands for nothing. */
  function put(node, ...children) {
    node.replaceChildren(...children.flat().filter((child) => child !== null && child !== undefined));
  }

  const pathOf = (id) => id.split("/").map(encodeURIComponent).join("/");
  const imageUrl = (id) => `media/image/${pathOf(id)}`;
  const thumbUrl = (id) => `media/thumb/${pathOf(id)}`;
  const inputUrl = (id) => (id.includes("/") ? thumbUrl(id) : `media/input-thumb/${pathOf(id)}`);
  const previewUrl = (job) => `media/preview/${job.job_id}.jpg?v=${job.preview}`;

  /** "31 s", "4 min", "2 h", or the date: how long ago a time (seconds since 1970) was. */
  function ago(time) {
    const seconds = Math.max(0, Date.now() / 1000 - time);
    if (seconds < 60) return `${Math.round(seconds)} s ago`;
    if (seconds < 3600) return `${Math.round(seconds / 60)} min ago`;
    if (seconds < 86400) return `${Math.round(seconds / 3600)} h ago`;
    return new Date(time * 1000).toLocaleDateString();
  }

  function bytes(count) {
    if (count === null || count === undefined) return "";
    const units = ["B", "KiB", "MiB", "GiB"];
    let unit = 0;
    while (count >= 1024 && unit < units.length - 1) {
      count /= 1024;
      unit += 1;
    }
    return `${count < 10 && unit ? count.toFixed(1) : Math.round(count)} ${units[unit]}`;
  }

  async function copy(text, button) {
    try {
      await navigator.clipboard.writeText(text);
      const before = button.textContent;
      button.textContent = "Copied";
      setTimeout(() => {
        button.textContent = before;
      }, 1200);
    } catch {
      window.prompt("Copy this:", text);
    }
  }

  // As `Lora.fits` in models/catalog/registry.py: by the width of the cross-attention, where both are known.
  const fits = (lora, checkpoint) =>
    lora.context && checkpoint.context
      ? lora.context === checkpoint.context
      : lora.arch === checkpoint.lora_arch;
  const ARCHS = {
    sdxl: "SDXL",
    "sdxl-inpaint": "SDXL inpainting",
    "sdxl-refiner": "SDXL refiner",
    "sdxl-edit": "SDXL edit",
    "sdxl-lcm": "SDXL LCM",
    "ssd-1b": "SSD-1B",
    vega: "Vega",
    playground: "Playground 2.5",
    sd1: "SD 1.5",
    sd2: "SD 2",
    sd3: "SD 3",
    flux: "FLUX",
    unknown: "unknown base",
  };
  const archName = (each) => ARCHS[each.arch] ?? each.arch;
  /** What a LoRA that does not fit this checkpoint is made for. */
  const madeFor = (lora, checkpoint) =>
    lora.arch === "unknown"
      ? "another architecture"
      : archName(lora) + (lora.arch === checkpoint.lora_arch ? " of another size" : "");

  const tab = (name) =>
    [...document.querySelectorAll("#tabs > .tab-wrapper button[role=tab]")].find((each) =>
      each.textContent.trim().startsWith(name),
    );
  const openTab = (name) => tab(name)?.click();

  // Counts in the Queue tab's title; Gradio draws the tab, so its text is looked for.
  subscribe("jobs", (state) => {
    const queue = tab("Queue");
    if (!queue) return;
    const open = state.jobs.length;
    if (open) queue.dataset.count = state.paused ? `${open}, paused` : open;
    else delete queue.dataset.count;
    document.title = open ? `(${open}) WebbDuck` : "WebbDuck";
  });

  document.addEventListener(
    "keydown",
    (event) => {
      if (
        event.key === "Enter" &&
        (event.ctrlKey || event.metaKey) &&
        !document.querySelector("dialog[open]")
      ) {
        // Gradio takes the text over on "input"; a press right after typing must not miss the last letter.
        event.preventDefault();
        event.stopPropagation();
        setTimeout(() => document.querySelector("#generate")?.click(), 60);
      }
    },
    true,
  );

  return {
    publish,
    subscribe,
    h,
    put,
    imageUrl,
    thumbUrl,
    inputUrl,
    previewUrl,
    ago,
    bytes,
    copy,
    fits,
    archName,
    madeFor,
    openTab,
    last,
    lastSeed: null,
  };
})();
