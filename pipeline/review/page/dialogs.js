// What stands in front of the page: keys, confirmations, progress, and short messages.
import { ask, make, $, bytes, count, Refused } from "/api.js";

const KEYS = [
  ["←  →", "previous, next group"],
  ["↑  ↓", "which file is compared with A"],
  ["Space", "flip between the two, laid on one another"],
  ["S   D", "side by side, difference"],
  ["+  −  0", "zoom, whole picture"],
  ["1 … 9", "a file stays or goes"],
  ["K", "keep only this (the file you look at)"],
  ["N", "not a duplicate: never shown again as one"],
  ["Shift N", "none of these is a duplicate of another"],
  ["Enter", "as marked, and on to the next open group"],
  ["U", "undo"],
  ["A", "apply what was decided (asks first)"],
  ["T", "to the threshold; ← → move it"],
  ["?", "these keys"],
];

export function keys() {
  const rows = KEYS.map(([key, does]) => make("tr", {}, make("th", {}, ...key.split(/\s{2,}/).map((one) => make("kbd", {}, one))), make("td", {}, does)));
  $("keys").replaceChildren(make("h2", {}, "Keys"), make("table", {}, make("tbody", {}, ...rows)),
    make("p", { className: "dim small" }, "Scroll or pinch to zoom, drag to move. Only what is sure is marked to go; nothing is moved before you press Apply, and everything that was moved can be taken back."),
    make("form", { method: "dialog" }, make("button", { className: "main" }, "Close")));
  if (!$("keys").open) $("keys").showModal();
}

// resolves to whether it was confirmed
export function confirm(title, body, yes, danger = false) {
  const box = $("confirm");
  return new Promise((resolve) => {
    const settle = (value) => { resolve(value); box.close(); };
    const agree = make("button", { className: `main${danger ? " danger" : ""}`, onclick: () => settle(true) }, yes);
    box.replaceChildren(make("h2", {}, title), ...body,
      make("div", { className: "buttons" }, make("button", { onclick: () => settle(false) }, "Cancel"), agree));
    box.oncancel = () => resolve(false);
    box.showModal();
    agree.focus();
  });
}

export function tell(title, body, choices = []) {
  const box = $("confirm");
  const close = make("button", { className: choices.length ? "" : "main", onclick: () => box.close() }, "Close");
  const others = choices.map(([words, does]) => make("button", { className: "main", onclick: () => { box.close(); does(); } }, words));
  box.replaceChildren(make("h2", {}, title), ...body, make("div", { className: "buttons" }, close, ...others));
  if (!box.open) box.showModal();
  (box.querySelector(".main") ?? close).focus();
}

// the keys go to the page again, not to the button that opened the dialog
for (const id of ["keys", "confirm"]) $(id).addEventListener("close", () => document.querySelector("dialog[open]") || document.activeElement?.blur());

let hiding;
export function toast(text, isError = false) {
  const box = $("toast");
  box.textContent = text;
  box.classList.toggle("error", isError);
  box.classList.add("shown");
  clearTimeout(hiding);
  hiding = setTimeout(() => box.classList.remove("shown"), isError ? 6000 : 2600);
}

// watches a piece of work until it is done; its result
export async function watch(words) {
  const box = $("confirm"), bar = make("progress", {}), line = make("p", { className: "dim" }, " ");
  box.replaceChildren(make("h2", {}, words), bar, line);
  if (!box.open) box.showModal();
  for (;;) {
    const state = await ask("work");
    if (!state.running) { box.close(); if (state.error) throw new Refused(state.error, 409); return state.result; }
    if (state.total) { bar.max = state.total; bar.value = state.done; line.textContent = `${state.done.toLocaleString("en")} of ${state.total.toLocaleString("en")}`; }
    await new Promise((later) => setTimeout(later, 200));
  }
}

export function planned(plan) {
  const rest = plan.files - plan.names.length;
  return [
    make("p", {}, `They go to a quarantine on the same disk, ${bytes(plan.bytes)} in all` +
      (plan.partners ? `, with ${count(plan.partners, "partner file")} (RAW, video, sidecar)` : "") +
      ". Every file that stays is checked once more, and everything can be taken back."),
    plan.alone ? make("p", {}, `Of ${count(plan.alone, "partner file")} nothing that stays holds a copy.`) : "",
    make("ul", { className: "names" }, ...plan.names.map((name) => make("li", {}, make("bdi", {}, name)))),
    rest > 0 ? make("p", { className: "dim" }, `and ${count(rest, "more file")}`) : "",
    plan.open ? make("p", { className: "dim" }, `${count(plan.open, "group")} not decided yet: nothing in them is touched.`) : "",
  ];
}
