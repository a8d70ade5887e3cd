// The list of groups: 100,000 of them cost no more than the few on the screen. Rows are fetched a page at a time, and
// pages far away are forgotten.
import { ask, make, show, $, count } from "/api.js";

const ROW = 64, PAGE = 50, PAGES_KEPT = 8;
const WORDS = { open: "", decided: "decided", different: "no duplicates" };

export class List {
  constructor(open) {
    this.open = open;
    this.total = 0;
    this.current = -1;
    this.pages = new Map();
    this.shown = new Map();
    this.frame = $("list");
    this.frame.addEventListener("scroll", () => this.paint(), { passive: true });
    new ResizeObserver(() => this.paint()).observe(this.frame);
  }

  reset(total) {
    this.total = total;
    this.pages.clear();
    for (const row of this.shown.values()) row.remove();
    this.shown.clear();
    $("rows").style.height = `${total * ROW}px`;
    this.paint();
  }

  select(at) {
    this.current = at;
    const top = at * ROW, room = this.frame.clientHeight;
    if (top < this.frame.scrollTop) this.frame.scrollTop = top - ROW;
    else if (top + ROW > this.frame.scrollTop + room) this.frame.scrollTop = top + 2 * ROW - room;
    this.paint();
    for (const [i, row] of this.shown) row.setAttribute("aria-selected", i === at);
  }

  update(at, values) {
    const known = this.pages.get(Math.floor(at / PAGE))?.[at % PAGE];
    if (known) Object.assign(known, values);
    if (known && this.shown.has(at)) this.fill(this.shown.get(at), known);
  }

  forget() {
    this.pages.clear();
    this.paint(true);
  }

  paint(again = false) {
    const first = Math.max(0, Math.floor(this.frame.scrollTop / ROW) - 3);
    const last = Math.min(this.total, Math.ceil((this.frame.scrollTop + this.frame.clientHeight) / ROW) + 3);
    for (const [at, row] of this.shown) if (at < first || at >= last) { row.remove(); this.shown.delete(at); }
    for (let at = first; at < last; at++) {
      const isNew = !this.shown.has(at);
      if (isNew) this.shown.set(at, this.row(at));
      if (isNew || again) this.load(at);
    }
  }

  row(at) {
    const row = make("button", { className: "row", onclick: () => this.open(at) },
      make("img", { alt: "", decoding: "async" }),
      make("span", { className: "text" }, make("bdi", { className: "name" }), make("span", { className: "dim small" })),
      make("span", { className: "mark" }));
    row.setAttribute("role", "option");
    row.setAttribute("aria-selected", at === this.current);
    row.tabIndex = -1;
    row.style.transform = `translateY(${at * ROW}px)`;
    $("rows").append(row);
    return row;
  }

  async load(at) {
    const number = Math.floor(at / PAGE);
    let page = this.pages.get(number);
    if (!page) {
      page = ask("groups", { start: number * PAGE, count: PAGE }).then((said) => {
        if (this.pages.get(number) === page) this.pages.set(number, said.groups);
        return said.groups;
      });
      this.pages.set(number, page);
      page.catch(() => this.pages.delete(number));
      for (const old of this.pages.keys()) {
        if (this.pages.size <= PAGES_KEPT) break;
        if (Math.abs(old - number) > 2) this.pages.delete(old);
      }
    }
    const group = (await page)[at % PAGE], row = this.shown.get(at);
    if (group && row) this.fill(row, group);
  }

  fill(row, group) {
    const [image, text, mark] = row.children;
    if (image.dataset.wanted !== group.id + "thumb") show(image, group.id, "thumb");
    text.children[0].textContent = group.name;
    text.children[1].textContent = `${count(group.files, "file")}${WORDS[group.status] && ` · ${WORDS[group.status]}`}`;
    row.dataset.status = group.status;
    mark.textContent = { open: "", decided: "✓", different: "≠" }[group.status];
  }
}
