// Part of the viewer of a case; component.py joins the files in the order in which they build on each other.

/** The timeline with its marks, and the lists of findings and of a person's marks. */
class Lists extends Painting {
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
}
