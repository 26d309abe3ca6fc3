// Announces changes of the case, and lets single keys press the buttons of the page.
// The keys do nothing while a person types in a field, opens a list or holds Ctrl, Alt or Meta.

const BUTTONS = {a: "accept", r: "revise", x: "reject", "?": "keyboard"};

function typing(target) {
  if (!(target instanceof Element)) return false;
  return target.closest("input, textarea, select, [contenteditable=true], [role=combobox], [role=listbox], [role=slider], [role=tab]") !== null;
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

function handle(event) {
  if (event.defaultPrevented || event.ctrlKey || event.altKey || event.metaKey) return;
  if (typing(event.composedPath()[0]) || document.querySelector('[role="dialog"]')) return;
  const key = event.key.toLowerCase();
  const done = key === "e" ? edit() : BUTTONS[key] ? press(BUTTONS[key]) : /^[1-9]$/.test(key) && press(`finding_${key}`);
  if (done) event.preventDefault();
}

export default function ({parentElement, data}) {
  const line = parentElement.querySelector("[role=status]");
  if (line.textContent !== data.says) line.textContent = data.says;
  document.addEventListener("keydown", handle);
  return () => document.removeEventListener("keydown", handle);
}
