// The viewer of a case; component.py joins the files. The page calls the default export again whenever its data change;
// the viewer itself stays.
// Text of models, files and people only ever becomes textContent or a value.

/** The whole viewer: what a person does with mouse, finger and keys. */
class Viewer extends Lists {
  // ---- what a person does

  listen() {
    const on = (target, kind, act, options = {}) =>
      target.addEventListener(kind, act, { signal: this.closing.signal, ...options });
    for (const kind of ["seeked", "loadeddata"]) on(this.video, kind, () => this.draw());
    for (const kind of ["play", "pause", "ended"]) on(this.video, kind, () => this.shown());
    on(this.video, "error", () => this.data.url && this.say("The browser cannot play this video."));
    on(document, "fullscreenchange", () => {
      const large = this.root.querySelector('[data-do="large"]');
      large.setAttribute("aria-pressed", String(document.fullscreenElement === this.root));
    });
    on(this.seekBar, "input", () => this.seek(Number(this.seekBar.value)));
    on(this.marks, "click", (event) => this.jumpNear(event));
    for (const name of [".vp-brightness", ".vp-contrast"]) {
      on(this.root.querySelector(name), "input", () => {
        const value = (css) => Number(this.root.querySelector(css).value);
        this.setLight(value(".vp-brightness"), value(".vp-contrast"));
      });
    }
    on(this.root.querySelector(".vp-speed"), "change", (event) => {
      this.video.playbackRate = Number(event.target.value);
    });
    on(this.root, "click", (event) => this.pressed(event.target.closest("button")));
    on(this.root, "keydown", (event) => this.key(event));
    on(this.stage, "wheel", (event) => this.wheel(event), { passive: false });
    on(this.stage, "pointerdown", (event) => this.down(event));
    on(this.stage, "pointermove", (event) => this.moved(event));
    for (const kind of ["pointerup", "pointercancel"]) on(this.stage, kind, (event) => this.up(event));
    on(this.stage, "dblclick", (event) => this.tool === "move" && this.zoomTo(this.zoom * 2, this.at(event)));
  }

  /** A click beside the marks goes to that moment, or to the sampled frame next to it. */
  jumpNear(event) {
    if (event.target.closest("button")) return;
    const box = this.marks.getBoundingClientRect();
    const seconds = (clamp((event.clientX - box.left) / box.width, 0, 1)) * this.data.duration;
    const near = (6 / box.width) * this.data.duration;
    const frame = this.data.sampled.find((one) => Math.abs(one - seconds) < near);
    this.seek(frame ?? seconds);
  }

  pressed(button) {
    if (!button) return;
    if (button.dataset.tool) return this.choose(button.dataset.tool);
    const acts = {
      play: () => this.play(),
      back: () => this.step(-1),
      next: () => this.step(1),
      in: () => this.zoomTo(this.zoom * 1.5),
      out: () => this.zoomTo(this.zoom / 1.5),
      whole: () => this.zoomTo(1),
      full: () => this.zoomTo(1 / (this.view().fit * (window.devicePixelRatio || 1))),
      large: () => this.enlarge(),
      light: () => this.openLight(),
      plain: () => this.setLight(1, 1),
      start: () => this.setTrigger("used", { use: "start", seconds: round(this.now) }),
      end: () => this.setTrigger("used", { use: "end", seconds: round(this.now) }),
      keep: () => this.keepLength(),
      shows: () => this.showsFinding(),
      sound: () => {
        this.video.muted = !this.video.muted;
        button.setAttribute("aria-pressed", String(!this.video.muted));
      },
    };
    acts[button.dataset.do]?.();
  }

  /** What is shown now is marked as the place of the selected finding. */
  showsFinding() {
    const finding = this.data.findings.find((one) => one.number === this.selected);
    if (finding) this.add("box", this.visible(), `Finding ${finding.number}: ${finding.text}`.slice(0, 500));
  }

  enlarge() {
    if (document.fullscreenElement) document.exitFullscreen();
    else this.root.requestFullscreen?.().catch(() => this.say("The browser does not allow it here."));
  }

  // ---- brightness and contrast: a filter of the display; no pixel that anything else sees changes

  openLight() {
    const row = this.root.querySelector(".vp-light");
    row.hidden = !row.hidden;
    this.root.querySelector('[data-do="light"]').setAttribute("aria-expanded", String(!row.hidden));
  }

  setLight(brightness, contrast) {
    this.root.querySelector(".vp-brightness").value = brightness;
    this.root.querySelector(".vp-contrast").value = contrast;
    const plain = brightness === 1 && contrast === 1;
    this.canvas.style.filter = plain ? "" : `brightness(${brightness}) contrast(${contrast})`;
    this.root.querySelector('[data-do="light"]').setAttribute("aria-pressed", String(!plain));
  }

  keepLength() {
    const { length } = this;
    if (!length) return;
    this.length = null;
    this.root.querySelector('[data-do="keep"]').hidden = true;
    this.add("line", length.place);
  }

  choose(tool) {
    this.tool = tool;
    for (const button of this.root.querySelectorAll("[data-tool]")) {
      button.setAttribute("aria-pressed", String(button.dataset.tool === tool));
    }
    this.stage.classList.toggle("vp-drawing", tool !== "move");
    if (tool !== "move" && this.playable) this.video.pause();
  }

  key(event) {
    if (event.target.matches("input[type=text], .vp-light input, select") || event.ctrlKey || event.metaKey || event.altKey) return;
    const onStage = event.target === this.stage;
    const far = this.zoom > 1.01 && onStage;
    const acts = {
      ",": () => this.step(-1),
      ".": () => this.step(1),
      "+": () => this.zoomTo(this.zoom * 1.5),
      "=": () => this.zoomTo(this.zoom * 1.5),
      "-": () => this.zoomTo(this.zoom / 1.5),
      0: () => this.zoomTo(1),
      f: () => this.enlarge(),
      b: () => this.openLight(),
    };
    const onStageOnly = {
      " ": () => this.play(),
      ArrowLeft: () => (far ? this.pan(60, 0) : this.seek(this.now - 1)),
      ArrowRight: () => (far ? this.pan(-60, 0) : this.seek(this.now + 1)),
      ArrowUp: () => far && this.pan(0, 60),
      ArrowDown: () => far && this.pan(0, -60),
      Enter: () => this.markMiddle(),
      Escape: () => this.choose("move"),
    };
    const act = acts[event.key] ?? (onStage ? onStageOnly[event.key] : undefined) ?? this.digit(event.key);
    if (!act || (event.key === "Enter" && this.tool === "move")) return;
    event.preventDefault();
    event.stopPropagation(); // the page's own keys mean something else
    act();
  }

  digit(key) {
    const number = /^[1-9]$/.test(key) ? Number(key) : 0;
    return this.data.findings.some((one) => one.number === number) ? () => this.select(number) : undefined;
  }

  /** By the keyboard a point is the middle of what is shown, a box all of it, and a line its width. */
  markMiddle() {
    const [left, top, right, bottom] = this.visible();
    const middle = (top + bottom) / 2;
    if (this.tool === "line") return this.measured([left, middle, right, middle]);
    if (!this.data.may_annotate) return undefined;
    return this.add(this.tool, this.tool === "point" ? [(left + right) / 2, middle] : [left, top, right, bottom]);
  }

  /** The part of the frame that is on the screen, as shares. */
  visible() {
    const view = this.view();
    const across = [-view.x, view.width - view.x].map((at) => clamp(at / view.w, 0, 1));
    const down = [-view.y, view.height - view.y].map((at) => clamp(at / view.h, 0, 1));
    return [across[0], down[0], across[1], down[1]];
  }

  measured(place) {
    this.length = { shape: "line", place, seconds: this.now };
    this.root.querySelector('[data-do="keep"]').hidden = !this.data.may_annotate;
    this.say(this.lengthOf(this.length));
    this.draw();
  }

  at(event) {
    const box = this.stage.getBoundingClientRect();
    return [event.clientX - box.left, event.clientY - box.top];
  }

  /** The wheel zooms when the viewer has the focus; otherwise it scrolls the page. */
  wheel(event) {
    if (!event.ctrlKey && !this.root.contains(document.activeElement ?? null) && !this.hasFocus()) {
      this.hint.textContent = "Click the frame, then the wheel zooms. Or hold Ctrl.";
      this.hint.hidden = false;
      clearTimeout(this.hinting);
      this.hinting = setTimeout(() => (this.hint.hidden = true), CALM.matches ? 4000 : 2000);
      return;
    }
    event.preventDefault();
    this.zoomTo(this.zoom * Math.exp(-event.deltaY * (event.deltaMode ? 0.05 : 0.0015)), this.at(event));
  }

  hasFocus() {
    return this.root.matches(":focus-within");
  }

  down(event) {
    if (event.button > 0) return;
    this.stage.focus({ preventScroll: true });
    this.hint.hidden = true;
    this.stage.setPointerCapture(event.pointerId);
    this.pointers.set(event.pointerId, this.at(event));
    if (this.pointers.size === 1 && this.tool !== "move") {
      const [x, y] = this.toShares(event);
      this.draft = { shape: this.tool, place: this.tool === "point" ? [x, y] : [x, y, x, y], seconds: this.now };
    } else this.draft = null;
  }

  moved(event) {
    const before = this.pointers.get(event.pointerId);
    if (!before) return;
    const now = this.at(event);
    if (this.pointers.size === 2) {
      const [other] = [...this.pointers].filter(([id]) => id !== event.pointerId).map(([, at]) => at);
      const apart = (one) => Math.hypot(one[0] - other[0], one[1] - other[1]) || 1;
      this.pan((now[0] - before[0]) / 2, (now[1] - before[1]) / 2);
      this.zoomTo((this.zoom * apart(now)) / apart(before), [(now[0] + other[0]) / 2, (now[1] + other[1]) / 2]);
    } else if (this.draft) {
      const [x, y] = this.toShares(event);
      this.draft.place = this.draft.shape === "point" ? [x, y] : [...this.draft.place.slice(0, 2), x, y];
      this.draw();
    } else this.pan(now[0] - before[0], now[1] - before[1]);
    this.pointers.set(event.pointerId, now);
  }

  up(event) {
    this.pointers.delete(event.pointerId);
    const { draft } = this;
    this.draft = null;
    if (!draft || event.type === "pointercancel") return this.draw();
    const [x, y, right, bottom] = draft.place;
    if (draft.shape === "point") return this.add("point", [x, y]);
    const { w, h } = this.view();
    if (Math.hypot((right - x) * w, (bottom - y) * h) < 4) return this.draw(); // a click, not a drag
    if (draft.shape === "line") return this.measured(draft.place);
    return this.add("box", [Math.min(x, right), Math.min(y, bottom), Math.max(x, right), Math.max(y, bottom)]);
  }
}

export default function (component) {
  const root = component.parentElement.querySelector(".vp-viewer");
  if (!root) return undefined;
  let viewer = viewers.get(root);
  if (!viewer) viewers.set(root, (viewer = new Viewer(root)));
  viewer.update(component.data, component.setStateValue, component.setTriggerValue);
  return () => {
    viewer.close();
    viewers.delete(root);
  };
}
