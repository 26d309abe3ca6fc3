// Keeps the name of a person in this browser, and gives it to a new session.

const KEY = "videopath-name";

export default function ({data, setStateValue}) {
  let kept = null;
  try {
    if (data.restore) kept = localStorage.getItem(KEY);
    else if (data.name) localStorage.setItem(KEY, data.name);
    else localStorage.removeItem(KEY);
  } catch {
    return; // a browser that keeps nothing: the name is typed once in a session
  }
  if (kept) setStateValue("name", kept);
}
