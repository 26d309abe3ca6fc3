// Part of the viewer of a case; component.py joins the files in the order in which they build on each other.

/** What is painted: the frame, the parts that were looked at, marks, and the scale bar. */
class Painting extends Frames {
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
}
