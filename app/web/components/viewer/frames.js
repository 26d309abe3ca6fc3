// Part of the viewer of a case; component.py joins the files in the order in which they build on each other.

/** The frames: what comes from the page, the moment that is shown, its picture, and where it lies on the stage. */
class Frames {
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
}
