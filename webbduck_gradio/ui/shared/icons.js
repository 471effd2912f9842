// @ts-check
// The page's icons, as SVG paths in a 24 × 24 square.
import { h } from "./dom.js";

const circle = (x, y, radius) =>
  `M${x - radius} ${y}a${radius} ${radius} 0 1 0 ${2 * radius} 0a${radius} ${radius} 0 1 0 ${-2 * radius} 0`;

const ICONS = {
  close: "M6 6l12 12M18 6L6 18",
  left: "M15 5l-7 7 7 7",
  right: "M9 5l7 7-7 7",
  tick: "M5 12.500l4.500 4.500L19 7.500",
  plus: "M12 5v14M5 12h14",
  minus: "M5 12h14",
  heart:
    "M12 20C6 15.500 3.500 12.500 3.500 9a4.300 4.300 0 0 1 8.500-1.300A4.300 4.300 0 0 1 20.500 9" +
    "c0 3.500-2.500 6.500-8.500 11z",
  info: `${circle(12, 12, 8.5)}M12 11v5.500M12 7.300v.4`,
  warning: "M12 4.500l8.500 15h-17zM12 10v4.500M12 16.800v.4",
  grid: "M4 4h6.500v6.500H4zM13.500 4H20v6.500h-6.500zM4 13.500h6.500V20H4zM13.500 13.500H20V20h-6.500z",
  trash: "M5 7h14M10 7V4.500h4V7M7 7l1 13h8l1-13M10.500 11v5M13.500 11v5",
  download: "M12 4v11M7 10.500l5 5 5-5M5 20h14",
  link:
    "M10 14a4 4 0 0 0 5.700 0l3.100-3.100a4 4 0 0 0-5.700-5.700l-1.300 1.300" +
    "M14 10a4 4 0 0 0-5.700 0l-3.100 3.100a4 4 0 0 0 5.700 5.700l1.300-1.300",
  copy: "M9 9h10v10H9zM15 9V5H5v10h4",
  full: "M4 9V4h5M20 9V4h-5M4 15v5h5M20 15v5h-5",
  compare: "M12 3v18M9 6H4v12h5M15 6h5v12h-5",
  zoom: `${circle(10.5, 10.5, 6)}M15 15l5 5M10.500 8v5M8 10.500h5`,
  upscale: "M4 14v6h6M20 10V4h-6M4 20l6.500-6.500M20 4l-6.500 6.500",
  hires: "M4 12h8v8H4zM12 4h8v8M15 9l5-5M12 4v4M20 12h-4",
  inpaint: "M15 4l5 5-9 9H6v-5zM13 6l5 5M4 21h16",
  input: `M4 5h16v14H4zM4 16l4.500-4.500 4 4 2.500-2.500 5 5${circle(15.5, 9, 1.3)}`,
  more: `${circle(5, 12, 1.2)}${circle(12, 12, 1.2)}${circle(19, 12, 1.2)}`,
  seed: "M4.500 12a7.500 7.500 0 1 0 2.500-5.600M4.500 4v4.500H9",
};

/** @param {keyof typeof ICONS} name */
export function icon(name) {
  const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  const path = document.createElementNS("http://www.w3.org/2000/svg", "path");
  svg.setAttribute("viewBox", "0 0 24 24");
  svg.setAttribute("aria-hidden", "true");
  path.setAttribute("d", ICONS[name]);
  svg.append(path);
  return svg;
}

/**
 * A button with an icon; `title` is also its accessible name.
 *
 * @param {keyof typeof ICONS} name
 * @param {string} title
 * @param {((event: any) => any) | null} [action]
 * @param {Record<string, any>} [attributes]
 */
export const iconButton = (name, title, action = null, attributes = {}) =>
  h("button", { type: "button", title, "aria-label": title, onclick: action, ...attributes }, icon(name));
