// Announces changes of the case, and lets single keys press the buttons of the page and move the viewer.
// The keys do nothing while a person types in a field, opens a list or a dialog, or holds Ctrl, Alt or Meta.

const BUTTONS = {a: ["accept"], r: ["revise", "open_again"], x: ["reject"], u: ["undo"], "?": ["keyboard"]};
const FOR_VIEWER = [" ", "ArrowLeft", "ArrowRight", ",", ".", "+", "-", "0", "1", "2", "3", "4", "5", "6", "7", "8", "9"];
const FIELDS = "input, textarea, select, [contenteditable=true], [role=combobox], [role=listbox], [role=slider], [role=tab]";

function typing(target) {
  return target instanceof Element && target.closest(FIELDS) !== null;
}

function press(key) {
  const button = document.querySelector(`.st-key-${key} button:not(:disabled)`);
  if (button) button.click();
  return button !== null;
}

function edit() {
  const fold = document.querySelector(".st-key-corrections details");
  if (!fold) return false;
  if (!fold.open) fold.querySelector("summary").click();
  setTimeout(() => document.querySelector(".st-key-edited_diagnosis input")?.focus(), 120);
  return true;
}

function forward(event, target) {
  const stage = document.querySelector(".vp-stage");
  const presses = event.key === " " && target instanceof Element && target.closest("button, summary, a, [role=button]");
  if (!stage || presses || stage.contains(target)) return false;
  stage.dispatchEvent(new KeyboardEvent("keydown", {key: event.key, bubbles: true, cancelable: true}));
  return true;
}

function handle(event) {
  if (event.defaultPrevented || event.ctrlKey || event.altKey || event.metaKey) return;
  const target = event.composedPath()[0];
  if (typing(target) || document.querySelector('[role="dialog"]')) return;
  const buttons = BUTTONS[event.key.toLowerCase()];
  let done = false;
  if (event.key.toLowerCase() === "e") done = edit();
  else if (buttons) done = buttons.some(press);
  else if (FOR_VIEWER.includes(event.key)) done = forward(event, target);
  if (done) event.preventDefault();
}

let opened = 0;

export default function ({parentElement, data}) {
  const line = parentElement.querySelector("[role=status]");
  if (line.textContent !== data.says) line.textContent = data.says;
  if (data.opened > opened) setTimeout(edit, 200);
  opened = data.opened;
  document.addEventListener("keydown", handle);
  return () => document.removeEventListener("keydown", handle);
}
