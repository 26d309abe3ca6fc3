// Part of the viewer of a case; component.py joins the files in the order in which they build on each other.

const viewers = new WeakMap();
const MAX_ZOOM = 40;
const SAME = 0.02; // seconds within which an annotation belongs to the frame that is shown
const NUDGE = 0.0005; // seconds after a frame's moment, so that rounding never shows the frame before it
const FETCH_AFTER = 300; // ms at rest before the frame is fetched in full resolution
const CALM = matchMedia("(prefers-reduced-motion: reduce)");

const clamp = (value, low, high) => Math.min(high, Math.max(low, value));
const round = (value, digits = 4) => Number(value.toFixed(digits));

function clock(seconds) {
  const minutes = Math.floor(seconds / 60);
  return `${String(minutes).padStart(2, "0")}:${(seconds - 60 * minutes).toFixed(2).padStart(5, "0")}`;
}

function element(tag, options = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(options)) {
    if (name === "text") made.textContent = value;
    else if (name.startsWith("on")) made.addEventListener(name.slice(2), value);
    else if (value !== undefined && value !== false) made.setAttribute(name, value === true ? "" : value);
  }
  made.append(...children);
  return made;
}

function area(squareMicrometres) {
  if (squareMicrometres >= 1e6) return `${Number((squareMicrometres / 1e6).toPrecision(3))} mm²`;
  return `${Number(squareMicrometres.toPrecision(3))} µm²`;
}

function distance(micrometres) {
  if (micrometres >= 1000) return `${Number((micrometres / 1000).toPrecision(3))} mm`;
  return `${Number(micrometres.toPrecision(3))} µm`;
}
