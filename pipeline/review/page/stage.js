// Two pictures: side by side, one on the other to flip between, or their difference; zoomed and moved together.
import { ask, make, show, $ } from "/api.js";

const LETTERS = ["A", "B"];
const STRAIGHT = [[1, 0, 0], [0, 1, 0], [0, 0, 1]];
const VIEW_PX = 1600; // longer side of a picture that is not shown in full

export class Stage {
  constructor(focused) {
    this.focused = focused; // called when a person turns to one of the two
    this.mode = "side";
    this.front = 1; // which of the two a flip shows
    this.pair = [null, null];
    this.view = { scale: 1, x: 0, y: 0 };
    this.placement = { matrix: STRAIGHT, found: false, mirrored: false };
    this.images = LETTERS.map(() => make("img", { alt: "", draggable: false, decoding: "async" }));
    this.images.forEach((image) => image.addEventListener("load", () => this.lay()));
    this.pointers = new Map();
    const panes = $("panes");
    panes.addEventListener("pointerdown", (e) => this.press(e));
    panes.addEventListener("pointermove", (e) => this.drag(e));
    for (const end of ["pointerup", "pointercancel"]) panes.addEventListener(end, (e) => this.release(e));
    panes.addEventListener("wheel", (e) => { e.preventDefault(); this.zoomAt(e, Math.exp(-e.deltaY / 300)); }, { passive: false });
    panes.addEventListener("dblclick", (e) => (this.view.scale > 1 ? this.fit() : this.zoomAt(e, 3)));
    new ResizeObserver(() => this.lay()).observe(panes);
    this.build();
  }

  // pair: two files of a group, as the server tells them
  async load(pair, focus) {
    const same = this.pair[0]?.id === pair[0].id && this.pair[1]?.id === pair[1].id;
    this.pair = pair;
    this.front = focus;
    this.label();
    if (same) return this.lay();
    this.placement = { matrix: STRAIGHT, found: false, mirrored: false };
    this.known = false;
    this.view = { scale: 1, x: 0, y: 0 };
    pair.forEach((file, side) => show(this.images[side], file.id, "view"));
    this.lay();
    try {
      const found = await ask("placement", { upper: pair[1].id, lower: pair[0].id });
      if (this.pair !== pair && this.pair[1].id !== pair[1].id) return;
      this.placement = found;
    } catch { /* one can't be read: they are not laid on one another */ }
    this.known = true;
    this.lay();
  }

  setMode(mode) {
    this.mode = mode;
    this.build();
  }

  flip() {
    if (this.mode !== "flip") { this.setMode("flip"); return; }
    this.front = 1 - this.front;
    this.focused(this.front);
    this.lay();
  }

  build() {
    for (const button of $("modes").children) button.setAttribute("aria-checked", button.dataset.mode === this.mode);
    $("panes").dataset.mode = this.mode;
    const sides = this.mode === "side" ? [[0], [1]] : [[0, 1]];
    $("panes").replaceChildren(...sides.map((here) => {
      const pane = make("div", { className: "pane" },
        make("div", { className: "layer" }, make("div", { className: "frame" }, ...here.map((side) => this.images[side]))),
        make("p", { className: "label" }));
      pane.dataset.side = here.length === 1 ? here[0] : "";
      return pane;
    }));
    this.label();
    this.lay();
  }

  label() {
    if (!this.pair[0]) return;
    for (const pane of $("panes").children) {
      const side = pane.dataset.side === "" ? this.front : Number(pane.dataset.side), file = this.pair[side];
      const words = this.mode === "difference" ? [make("b", {}, "A − B"), " black where they are the same"] :
        [make("b", { className: "letter" }, LETTERS[side]), make("bdi", {}, file.name), file.pixels ? "" : " – can't be read now"];
      pane.lastChild.replaceChildren(...words);
      pane.dataset.goes = this.mode !== "difference" && file.goes;
      pane.classList.toggle("focus", this.mode === "side" && side === this.front);
    }
  }

  lay() {
    this.label();
    const [a, b] = this.images, overlaid = this.mode !== "side";
    for (const pane of $("panes").children) {
      const frame = pane.querySelector(".frame"), leader = overlaid ? a : frame.firstChild;
      const size = fitted(leader, pane);
      frame.style.width = `${size.width}px`;
      frame.style.height = `${size.height}px`;
      pane.firstChild.style.transform =
        `translate(${this.view.x * pane.clientWidth}px, ${this.view.y * pane.clientHeight}px) scale(${this.view.scale})`;
      this.sharpen(pane, size);
    }
    const frame = a.parentElement;
    for (const image of this.images) image.style.cssText = "";
    if (overlaid) {
      b.style.transform = onto(this.placement.matrix, frame.offsetWidth, frame.offsetHeight);
      a.style.visibility = this.mode === "flip" && this.front === 1 ? "hidden" : "";
      b.style.visibility = this.mode === "flip" && this.front === 0 ? "hidden" : "";
      if (this.mode === "difference") a.style.clipPath = covered(this.placement.matrix);
    }
    $("note").textContent = !overlaid || !this.known ? "" : this.placement.found
      ? `laid on one another by their details${this.placement.mirrored ? "; B is mirrored" : ""}`
      : "their details don't say how they lie on one another: B simply covers A";
  }

  sharpen(pane, size) {
    // past the small version's own pixels, the whole picture is fetched
    if (this.view.scale * Math.max(size.width, size.height) * devicePixelRatio < VIEW_PX * 1.1) return;
    for (const image of pane.querySelectorAll("img")) {
      const file = this.pair[this.images.indexOf(image)];
      if (file?.pixels && Math.max(...file.pixels) > VIEW_PX) show(image, file.id, "full");
    }
  }

  // -- zoom and move

  fit() {
    this.view = { scale: 1, x: 0, y: 0 };
    this.lay();
  }

  zoom(factor) {
    const pane = $("panes").firstChild.getBoundingClientRect();
    this.zoomAt({ clientX: pane.x + pane.width / 2, clientY: pane.y + pane.height / 2 }, factor);
  }

  zoomAt(point, factor) {
    const pane = this.paneAt(point), box = pane.getBoundingClientRect(), old = this.view;
    const scale = Math.min(32, Math.max(1, old.scale * factor)), grown = scale / old.scale;
    const x = (point.clientX - box.x) / box.width - 0.5, y = (point.clientY - box.y) / box.height - 0.5;
    this.view = scale === 1 ? { scale: 1, x: 0, y: 0 } : { scale, x: x - (x - old.x) * grown, y: y - (y - old.y) * grown };
    this.lay();
  }

  paneAt(point) {
    const hit = document.elementFromPoint(point.clientX, point.clientY)?.closest(".pane");
    return hit ?? $("panes").firstChild;
  }

  press(event) {
    const pane = event.target.closest(".pane");
    if (!pane) return;
    this.pointers.set(event.pointerId, { x: event.clientX, y: event.clientY });
    this.pressed = { pane, moved: false };
    pane.setPointerCapture(event.pointerId);
  }

  drag(event) {
    const before = this.pointers.get(event.pointerId);
    if (!before) return;
    const dx = event.clientX - before.x, dy = event.clientY - before.y;
    if (Math.abs(dx) + Math.abs(dy) > 3) this.pressed.moved = true;
    if (!this.pressed.moved) return;
    const others = [...this.pointers].filter(([id]) => id !== event.pointerId).map(([, at]) => at);
    this.pointers.set(event.pointerId, { x: event.clientX, y: event.clientY });
    if (others.length) {
      const [other] = others, apart = (at) => Math.hypot(at.x - other.x, at.y - other.y);
      this.zoomAt({ clientX: (event.clientX + other.x) / 2, clientY: (event.clientY + other.y) / 2 },
        apart({ x: event.clientX, y: event.clientY }) / Math.max(1, apart(before)));
    } else if (this.view.scale > 1) {
      const { clientWidth, clientHeight } = this.pressed.pane;
      this.view = { ...this.view, x: this.view.x + dx / clientWidth, y: this.view.y + dy / clientHeight };
      this.lay();
    }
  }

  release(event) {
    if (!this.pointers.delete(event.pointerId) || event.type !== "pointerup" || this.pressed.moved) return;
    if (this.mode === "flip") this.flip();
    else if (this.mode === "side") { this.front = Number(this.pressed.pane.dataset.side); this.focused(this.front); this.lay(); }
  }
}

function fitted(image, pane) {
  const width = image.naturalWidth || 4, height = image.naturalHeight || 3;
  const scale = Math.min(pane.clientWidth / width, pane.clientHeight / height);
  return { width: width * scale, height: height * scale };
}

// a homography between unit squares -> CSS, for a picture that fills a frame of this size
function onto(matrix, width, height) {
  const from = [1 / width, 1 / height, 1], to = [width, height, 1];
  const m = matrix.map((row, i) => row.map((value, j) => value * to[i] * from[j]));
  return `matrix3d(${[m[0][0], m[1][0], 0, m[2][0], m[0][1], m[1][1], 0, m[2][1], 0, 0, 1, 0, m[0][2], m[1][2], 0, m[2][2]]
    .map((value) => value.toFixed(9)).join(",")})`;
}

function covered(matrix) {
  const corners = [[0, 0], [1, 0], [1, 1], [0, 1]].map(([x, y]) => {
    const [u, v, w] = matrix.map((row) => row[0] * x + row[1] * y + row[2]);
    return `${(100 * u / w).toFixed(3)}% ${(100 * v / w).toFixed(3)}%`;
  });
  return `polygon(${corners.join(",")})`;
}
