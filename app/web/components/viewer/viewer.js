// The viewer of a case. The page calls the default export again whenever its data change; the viewer itself stays.
// Text of models, files and people only ever becomes textContent or a value.

const viewers = new WeakMap();
const MAX_ZOOM = 40;
const SAME = 0.02; // seconds within which an annotation belongs to the frame that is shown
const NUDGE = 0.0005; // seconds after a frame's moment, so that rounding never shows the frame before it
const FETCH_AFTER = 300; // ms at rest before the frame is fetched in full resolution
const CALM = matchMedia("(prefers-reduced-motion: reduce)");

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

class Viewer {
  constructor(root) {
    this.root = root;
    const find = (css) => root.querySelector(css);
    this.stage = find(".vp-stage");
    this.video = find(".vp-video");
    this.canvas = find(".vp-canvas");
    this.hint = find(".vp-hint");
    this.seekBar = find(".vp-seek");
    this.marks = find(".vp-marks");
    this.zoom = 1;
    this.center = [0.5, 0.5];
    this.now = 0;
    this.selected = 0;
    this.tool = "move";
    this.annotations = [];
    this.length = null; // the line that was measured last
    this.draft = null; // what is being drawn
    this.look = -1; // the look whose part of the frame is drawn
    this.pointers = new Map();
    this.stills = new Map(); // address → picture
    this.full = null;
    this.wanted = null;
    this.data = null;
    this.closing = new AbortController();
    this.listen();
    this.watchFrames();
    this.resize = new ResizeObserver(() => this.draw());
    this.resize.observe(this.stage);
  }

  close() {
    this.closing.abort();
    this.resize.disconnect();
    clearTimeout(this.fetching);
    this.video.pause();
    this.video.removeAttribute("src");
  }

  // ---- what comes from the page

  update(data, setState, setTrigger) {
    const first = this.data === null;
    const before = this.data ?? {};
    Object.assign(this, { data, setState, setTrigger });
    this.stage.style.setProperty("--vp-ratio", `${data.width} / ${data.height}`);
    this.length = first ? null : this.length;
    if (data.url !== (before.url ?? "")) this.load(data.url);
    if (first) {
      this.now = data.moment;
      this.selected = data.selected;
    }
    if (first || JSON.stringify(data.annotations) !== JSON.stringify(before.annotations)) {
      if (!this.busyWithNotes()) this.annotations = data.annotations.map((mark) => ({ ...mark }));
    }
    const playable = data.kind === "video" && data.url !== "";
    for (const part of this.root.querySelectorAll(".vp-only-video")) part.hidden = !playable;
    this.root.querySelector(".vp-timeline").hidden = data.duration <= 0 || (!playable && data.stills.length < 2);
    this.root.querySelector(".vp-segment").hidden = !data.segment;
    for (const part of this.root.querySelectorAll(".vp-draws")) part.hidden = !data.may_annotate;
    this.root.querySelector('[data-do="keep"]').hidden = !this.length || !data.may_annotate;
    this.seekBar.max = data.duration;
    this.receive(data.full);
    this.listFindings();
    this.listAnnotations();
    this.drawMarks();
    this.draw();
    this.say(data.problem);
  }

  load(url) {
    this.full = null;
    if (!url) {
      this.video.removeAttribute("src");
      return;
    }
    this.video.muted = true;
    this.video.src = url;
    this.video.addEventListener("loadedmetadata", () => this.seek(this.now), { once: true });
  }

  receive(full) {
    if (!full || full.url === this.full?.url) return;
    const picture = new Image();
    picture.onload = () => {
      this.full = { seconds: full.seconds, url: full.url, picture };
      this.say("");
      this.draw();
    };
    picture.src = full.url;
  }

  // ---- time

  get playable() {
    return this.data.kind === "video" && this.data.url !== "";
  }

  seek(seconds) {
    this.now = clamp(seconds, 0, this.data.duration);
    this.length = null;
    this.stepped = false;
    if (this.playable) {
      this.video.pause();
      this.video.currentTime = Math.min(this.now + NUDGE, this.video.duration || this.now + NUDGE);
    }
    this.shown();
  }

  shown() {
    this.place();
    this.draw();
    this.fetchLater();
  }

  step(frames) {
    if (!this.playable) return this.stepStill(frames);
    const frame = 1 / this.data.fps;
    this.seek((this.frameTime ?? this.now) + (frames > 0 ? 1.5 : -0.5) * frame); // the middle of the next frame
    this.stepped = true;
  }

  /** Know the moment at which the frame on the screen begins; steps count from there. */
  watchFrames() {
    this.video.requestVideoFrameCallback?.((_, { mediaTime }) => {
      if (this.closing.signal.aborted) return;
      this.frameTime = mediaTime;
      if (this.stepped && this.video.paused) {
        this.now = mediaTime;
        this.place();
      }
      this.draw();
      this.watchFrames();
    });
  }

  stepStill(frames) {
    const moments = this.data.stills.map((still) => still.seconds);
    const at = moments.indexOf(this.still()?.seconds);
    const next = moments[clamp(at + frames, 0, moments.length - 1)];
    if (next !== undefined) this.seek(next);
  }

  play() {
    if (!this.playable) return;
    if (!this.video.paused) return this.video.pause();
    if (this.video.ended) this.video.currentTime = 0;
    this.length = null;
    this.video.play().then(() => this.follow(), () => this.say("The browser cannot play this video."));
  }

  follow() {
    if (this.video.paused || this.closing.signal.aborted) return;
    this.now = this.video.currentTime;
    this.place();
    this.draw();
    requestAnimationFrame(() => this.follow());
  }

  /** Show the moment in words, on the seek bar and on the buttons. */
  place() {
    const { duration } = this.data;
    this.seekBar.value = this.now;
    const where = duration > 0 ? `${clock(this.now)} of ${clock(duration)}` : "Still image";
    this.seekBar.setAttribute("aria-valuetext", where);
    this.root.querySelector(".vp-where").textContent = `${where} · ${this.zoom.toFixed(1)}×`;
    this.stage.setAttribute("aria-label", `Frame at ${where}`);
    const play = this.root.querySelector('[data-do="play"]');
    play.textContent = this.video.paused ? "Play" : "Pause";
  }

  say(words) {
    this.root.querySelector(".vp-said").textContent = words;
  }

  select(number) {
    const finding = this.data.findings.find((one) => one.number === number);
    if (!finding || finding.seconds === null) return;
    this.selected = number;
    this.seek(finding.seconds);
    this.listFindings();
    this.drawMarks();
    this.setState("selected", { number });
  }

  // ---- the frame in full resolution

  /** The frame in full resolution is fetched when a person looks closer at a frame at rest. */
  fetchLater() {
    clearTimeout(this.fetching);
    if (this.zoom <= 1.01 || !this.video.paused || this.fullIsShown()) return;
    this.fetching = setTimeout(() => {
      this.wanted = round(this.now);
      this.say("Fetching the full resolution…");
      this.setState("wanted", { seconds: this.wanted });
    }, FETCH_AFTER);
  }

  fullIsShown() {
    return this.full !== null && Math.abs(this.full.seconds - this.now) < SAME / 4;
  }

  still() {
    const { stills } = this.data;
    return stills.reduce((best, one) => {
      const distance = Math.abs(one.seconds - this.now);
      return best && Math.abs(best.seconds - this.now) <= distance ? best : one;
    }, null);
  }

  /** The picture to draw now, or null while there is none. */
  picture() {
    if (this.video.paused && this.fullIsShown()) return this.full.picture;
    if (this.playable && this.video.readyState >= 2) return this.video;
    const still = this.still();
    if (!still) return null;
    let picture = this.stills.get(still.url);
    if (!picture) {
      picture = new Image();
      picture.onload = () => this.draw();
      picture.src = still.url;
      this.stills.set(still.url, picture);
    }
    return picture.complete && picture.naturalWidth ? picture : null;
  }

  // ---- geometry: shares of the frame ↔ pixels of the stage

  view() {
    const width = this.stage.clientWidth;
    const height = this.stage.clientHeight;
    const fit = Math.min(width / this.data.width, height / this.data.height);
    const scale = fit * this.zoom; // CSS pixels per pixel of the source
    const w = this.data.width * scale;
    const h = this.data.height * scale;
    const edge = (size, room, center) =>
      size <= room ? (room - size) / 2 : clamp(room / 2 - center * size, room - size, 0);
    return { width, height, fit, scale, w, h, x: edge(w, width, this.center[0]), y: edge(h, height, this.center[1]) };
  }

  toShares(event) {
    const box = this.stage.getBoundingClientRect();
    const view = this.view();
    const share = (at, from, size) => clamp((at - from) / size, 0, 1);
    return [share(event.clientX - box.left, view.x, view.w), share(event.clientY - box.top, view.y, view.h)];
  }

  zoomTo(zoom, at = null) {
    const before = this.view();
    const point = at ?? [before.width / 2, before.height / 2];
    const share = [(point[0] - before.x) / before.w, (point[1] - before.y) / before.h];
    this.zoom = clamp(zoom, 1, MAX_ZOOM);
    const w = before.fit * this.data.width * this.zoom;
    const h = before.fit * this.data.height * this.zoom;
    this.moveTo(share[0] - (point[0] - before.width / 2) / w, share[1] - (point[1] - before.height / 2) / h);
    this.stage.classList.toggle("vp-still", this.zoom <= 1.01);
    this.shown();
  }

  /** Move to a centre, and no further than the frame's edge. */
  moveTo(x, y) {
    const view = this.view();
    const within = (at, room, size) => (size <= room ? 0.5 : clamp(at, room / 2 / size, 1 - room / 2 / size));
    this.center = [within(x, view.width, view.w), within(y, view.height, view.h)];
    this.draw();
  }

  pan(dx, dy) {
    const { w, h } = this.view();
    this.moveTo(this.center[0] - dx / w, this.center[1] - dy / h);
  }

  // ---- drawing

  draw() {
    if (!this.data || this.drawing) return;
    this.drawing = true;
    requestAnimationFrame(() => {
      this.drawing = false;
      if (!this.closing.signal.aborted) this.paint();
    });
  }

  paint() {
    const view = this.view();
    const ratio = window.devicePixelRatio || 1;
    const [wide, high] = [Math.round(view.width * ratio), Math.round(view.height * ratio)];
    if (this.canvas.width !== wide || this.canvas.height !== high) {
      this.canvas.width = wide;
      this.canvas.height = high;
    }
    const pen = this.canvas.getContext("2d");
    pen.setTransform(ratio, 0, 0, ratio, 0, 0);
    const picture = this.picture();
    if (!picture) return;
    pen.fillStyle = "#000";
    pen.fillRect(0, 0, view.width, view.height);
    pen.imageSmoothingEnabled = view.scale * ratio < 4;
    pen.drawImage(picture, view.x, view.y, view.w, view.h);
    this.stage.dataset.shown = this.now.toFixed(3);
    this.stage.dataset.source = picture === this.video ? "video" : picture === this.full?.picture ? "full" : "still";
    this.paintParts(pen, view);
    for (const [number, mark] of this.annotations.entries()) {
      if (this.isHere(mark)) this.paintMark(pen, view, mark, `${number + 1}`);
    }
    if (this.length) this.paintMark(pen, view, this.length, "");
    if (this.draft) this.paintMark(pen, view, this.draft, "");
    this.paintScale(pen, view);
  }

  isHere(mark) {
    return this.data.duration <= 0 || Math.abs(mark.seconds - this.now) < Math.max(SAME, 0.5 / this.data.fps);
  }

  paintParts(pen, view) {
    const part = (crop, label) => {
      const [left, top] = [view.x + crop[0] * view.w, view.y + crop[1] * view.h];
      const size = [(crop[2] - crop[0]) * view.w, (crop[3] - crop[1]) * view.h];
      for (const [color, dash] of [["#000", []], ["#ffd166", [7, 5]]]) {
        pen.setLineDash(dash);
        pen.strokeStyle = color;
        pen.lineWidth = 2;
        pen.strokeRect(left, top, ...size);
      }
      pen.setLineDash([]);
      this.paintText(pen, label, left + 4, top + 16);
    };
    if (this.data.crop) part(this.data.crop, "looked at");
    const look = this.data.looks[this.look];
    if (look?.crop) part(look.crop, look.label);
  }

  paintMark(pen, view, mark, label) {
    const at = (i) => [view.x + mark.place[i] * view.w, view.y + mark.place[i + 1] * view.h];
    const [x, y] = at(0);
    const path = new Path2D();
    if (mark.shape === "point") {
      path.arc(x, y, 7, 0, 2 * Math.PI);
      path.moveTo(x - 11, y);
      path.lineTo(x + 11, y);
      path.moveTo(x, y - 11);
      path.lineTo(x, y + 11);
    } else {
      const [right, bottom] = at(2);
      if (mark.shape === "box") path.rect(x, y, right - x, bottom - y);
      else {
        path.moveTo(x, y);
        path.lineTo(right, bottom);
      }
    }
    for (const [color, width] of [["#000", 4], ["#7cf6ff", 2]]) {
      pen.strokeStyle = color;
      pen.lineWidth = width;
      pen.stroke(path);
    }
    const size = mark.shape === "line" || mark === this.draft ? this.sizeIfAny(mark) : "";
    const words = [label, mark.shows, size].filter(Boolean).join(": ");
    if (words) this.paintText(pen, words, x + 8, y - 8);
  }

  sizeIfAny(mark) {
    return mark.shape === "point" ? "" : this.sizeOf(mark);
  }

  paintText(pen, words, x, y) {
    pen.font = "600 13px sans-serif";
    const width = pen.measureText(words).width + 8;
    const left = clamp(x, 0, Math.max(0, this.stage.clientWidth - width));
    const base = clamp(y, 16, this.stage.clientHeight - 4);
    pen.fillStyle = "rgb(0 0 0 / 75%)";
    pen.fillRect(left, base - 14, width, 18);
    pen.fillStyle = "#fff";
    pen.fillText(words, left + 4, base);
  }

  lengthOf(line) {
    const [x0, y0, x1, y1] = line.place;
    const pixels = Math.hypot((x1 - x0) * this.data.width, (y1 - y0) * this.data.height);
    const micrometres = this.data.um_per_pixel ? `, ${distance(pixels * this.data.um_per_pixel)}` : "";
    return `${Math.round(pixels)} px${micrometres}`;
  }

  /** The length of a line or the area of a box, in words. */
  sizeOf(mark) {
    if (mark.shape === "line") return this.lengthOf(mark);
    const [x0, y0, x1, y1] = mark.place;
    const pixels = Math.abs((x1 - x0) * this.data.width * (y1 - y0) * this.data.height);
    const scale = this.data.um_per_pixel;
    return `${Math.round(pixels)} px²${scale ? `, ${area(pixels * scale * scale)}` : ""}`;
  }

  paintScale(pen, view) {
    const unit = this.data.um_per_pixel ?? 1; // per pixel of the source
    const most = (view.width / 4 / view.scale) * unit;
    const power = 10 ** Math.floor(Math.log10(most));
    const value = [5, 2, 1].map((step) => step * power).find((step) => step <= most) ?? power;
    const width = (value / unit) * view.scale;
    const [left, base] = [12, view.height - 12];
    pen.fillStyle = "#000";
    pen.fillRect(left - 2, base - 6, width + 4, 8);
    pen.fillStyle = "#fff";
    pen.fillRect(left, base - 4, width, 4);
    const words = this.data.um_per_pixel ? distance(value) : `${value} px`;
    this.paintText(pen, words, left, base - 12);
    this.stage.dataset.scale = words;
  }

  // ---- timeline

  drawMarks() {
    const { duration, findings, looks, sampled, segment } = this.data;
    this.marks.replaceChildren();
    this.marks.classList.toggle("vp-two-rows", this.annotations.length > 0);
    if (duration <= 0) return;
    const left = (seconds) => `${(100 * clamp(seconds, 0, duration)) / duration}%`;
    const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
    svg.setAttribute("viewBox", "0 0 1000 8");
    svg.setAttribute("preserveAspectRatio", "none");
    svg.setAttribute("aria-hidden", "true");
    const path = document.createElementNS(svg.namespaceURI, "path");
    path.setAttribute("d", sampled.map((s) => `M${((1000 * s) / duration).toFixed(1)} 0V8`).join(""));
    path.setAttribute("stroke", "currentColor");
    path.setAttribute("vector-effect", "non-scaling-stroke");
    svg.append(path);
    this.marks.append(svg);
    if (segment && (segment[0] > 0 || segment[1] < duration - 0.1)) {
      const part = element("span", { class: "vp-part", title: "Segment of the revision" });
      Object.assign(part.style, { left: left(segment[0]), width: left(segment[1] - segment[0]) });
      this.marks.append(part);
    }
    for (const [number, look] of looks.entries()) {
      const when = `${look.label}, ${clock(look.start)} to ${clock(look.end)}`;
      const go = () => {
        this.look = this.look === number ? -1 : number;
        this.seek(look.start);
      };
      const bar = element("button", { type: "button", class: "vp-look", "aria-label": when, title: when, onclick: go });
      Object.assign(bar.style, { left: left(look.start), width: left(look.end - look.start) });
      this.marks.append(bar);
    }
    for (const { number, text, seconds } of findings) {
      if (seconds === null) continue;
      this.mark(left(seconds), `${number}`, `Finding ${number} at ${clock(seconds)}: ${text}`, "vp-finding", () =>
        this.select(number), number === this.selected);
    }
    for (const [place, note] of this.annotations.entries()) {
      this.mark(left(note.seconds), `${place + 1}`, `Mark ${place + 1} at ${clock(note.seconds)}`, "vp-note", () =>
        this.seek(note.seconds), false);
    }
  }

  mark(left, label, words, kind, go, current) {
    const options = { type: "button", class: kind, text: label, "aria-label": words, title: words, onclick: go };
    const made = element("button", { ...options, "aria-current": current ? "true" : undefined });
    made.style.left = left;
    this.marks.append(made);
  }

  // ---- lists

  listFindings() {
    const list = this.root.querySelector(".vp-findings");
    const rows = this.data.findings.map((finding) => {
      const basis = element("span", { class: "vp-basis", text: ` – ${finding.basis}` });
      if (finding.seconds === null) {
        return element("li", { class: "vp-said-only" }, element("span", { text: finding.text }), basis);
      }
      const current = finding.number === this.selected;
      const when = this.data.duration > 0 ? clock(finding.seconds) : "still image";
      const options = {
        type: "button",
        "data-finding": finding.number,
        "aria-current": current ? "true" : undefined,
        onclick: () => this.select(finding.number),
      };
      const parts = [element("strong", { text: `${when} ` }), element("span", { text: finding.text }), basis];
      if (current) parts.push(element("span", { text: " (shown)" }));
      const row = element("li", { class: current ? "vp-current" : undefined }, element("button", options, ...parts));
      if (current && this.data.may_annotate) {
        const words = "Marks what is shown now as the place of this finding";
        row.append(element("button", { type: "button", "data-do": "shows", title: words, text: "Use this moment" }));
      }
      return row;
    });
    const focused = list.querySelector("button:focus")?.dataset.finding;
    list.replaceChildren(...rows);
    if (focused) list.querySelector(`button[data-finding="${focused}"]`)?.focus();
  }

  busyWithNotes() {
    return this.root.querySelector(".vp-annotations input:focus") !== null;
  }

  listAnnotations() {
    const box = this.root.querySelector(".vp-annotations");
    box.hidden = this.annotations.length === 0;
    if (this.busyWithNotes()) return;
    const rows = this.annotations.map((mark, place) => {
      const number = place + 1;
      const size = mark.shape === "point" ? "" : `, ${this.sizeOf(mark)}`;
      const when = this.data.duration > 0 ? ` at ${clock(mark.seconds)}` : "";
      const jump = element("button", {
        type: "button",
        text: `${number}: ${mark.shape}${when}${size}`,
        onclick: () => this.seek(mark.seconds),
      });
      const note = element("input", {
        type: "text",
        maxlength: 500,
        placeholder: "Note",
        "aria-label": `Note of mark ${number}`,
        readonly: !this.data.may_annotate,
        onchange: (event) => {
          mark.note = event.target.value;
          this.annotated();
        },
      });
      note.value = mark.note;
      const row = element("li", {}, jump, this.classOf(mark, number), note);
      if (this.data.may_annotate) {
        const remove = () => {
          this.annotations.splice(place, 1);
          this.annotated();
        };
        row.append(element("button", { type: "button", text: "Remove", "aria-label": `Remove mark ${number}`, onclick: remove }));
      }
      return row;
    });
    box.querySelector("ul").replaceChildren(...rows);
  }

  /** The list of what a mark may show. */
  classOf(mark, number) {
    const list = element("select", {
      "aria-label": `What mark ${number} shows`,
      disabled: !this.data.may_annotate,
      onchange: (event) => {
        mark.shows = event.target.value || null;
        this.annotated();
      },
    });
    list.append(element("option", { value: "", text: "shows …" }));
    for (const name of this.data.classes) list.append(element("option", { value: name, text: name }));
    list.value = mark.shows ?? "";
    return list;
  }

  add(shape, place, note = "") {
    const full = place.map((share) => round(share, 5));
    this.annotations.push({ seconds: round(this.now), shape, place: full, shows: null, note });
    this.annotated();
    const notes = this.root.querySelectorAll(".vp-annotations input");
    notes[notes.length - 1]?.focus();
  }

  annotated() {
    this.setState("annotated", { items: this.annotations.map((mark) => ({ ...mark })) });
    this.listAnnotations();
    this.drawMarks();
    this.draw();
  }

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

function area(squareMicrometres) {
  if (squareMicrometres >= 1e6) return `${Number((squareMicrometres / 1e6).toPrecision(3))} mm²`;
  return `${Number(squareMicrometres.toPrecision(3))} µm²`;
}

function distance(micrometres) {
  if (micrometres >= 1000) return `${Number((micrometres / 1000).toPrecision(3))} mm`;
  return `${Number(micrometres.toPrecision(3))} µm`;
}
