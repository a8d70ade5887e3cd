// The files of a group, one card each: what they are, what differs, what becomes of them and why.
import { make, show, $, bytes, count } from "/api.js";

const LOOKS = {
  confirmed: "a second look found the same details in the same places",
  likely: "one has lost its detail; a second look found that what is left agrees",
  animated: "one is animated, the other is not",
  unclear: "a second look found too little to compare",
};

export function heading(group, at, total) {
  $("heading").replaceChildren(make("span", {}, `Group ${(at + 1).toLocaleString("en")}`),
    make("span", { className: "dim" }, ` of ${total.toLocaleString("en")}`),
    make("span", { className: `badge ${group.sure ? "sure" : "unsure"}` }, group.sure ? "sure" : "look at it"));
  if (group.status !== "open") {
    $("heading").append(make("span", { className: "badge done" }, group.status === "decided" ? "decided" : "no duplicates"));
  }
}

// why two files are together; without a pair of their own, they are because of a third
export function because(group, a, b) {
  const pair = group.pairs.find((p) => [p.of, p.and].includes(a.id) && [p.of, p.and].includes(b.id));
  if (!pair) return "A and B are each like a third file of this group, but not directly like one another.";
  const look = LOOKS[pair.look] ?? "so near that no second look was needed";
  const why = pair.distance === 0 ? "L2 distance 0: the same pixels to the encoder" : `L2 distance ${pair.distance.toFixed(3)}: ${look}`;
  const doubt = [a, b].map((file) => file.why.match(/not sure: (?:L2 distance [\d.]+, )?(?:but )?(.*)/)?.[1]).find(Boolean);
  return doubt ? `${why}. Left to you: ${doubt.replace(/[ .…]+$/, "")}.` : `${why}.`;
}

export function cards(group, pair, focus, act) {
  const differs = new Set(group.differs), best = bests(group.files);
  const nodes = group.files.map((file, i) => card(file, i, differs, best, { pair, focus, act }));
  if (group.more) nodes.push(make("p", { className: "dim more" }, `and ${count(group.more, "more file")}, ${unseen(group)}`));
  $("cards").replaceChildren(...nodes);
  nodes[focus]?.scrollIntoView({ block: "nearest", inline: "nearest" });
}

function unseen({ more, moreGoing }) {
  if (!moreGoing) return more === 1 ? "which stays" : "which stay";
  const go = moreGoing === 1 ? "goes" : "go";
  return moreGoing === more ? `which ${go}` : `of which ${moreGoing.toLocaleString("en")} ${go}`;
}

function card(file, i, differs, best, { pair, focus, act }) {
  const image = make("img", { alt: "", decoding: "async" });
  show(image, file.id, "thumb");
  const letter = i === pair[0] ? "A" : i === pair[1] ? "B" : "";
  const node = make("article", { className: "card", onclick: () => act.look(i) },
    make("div", { className: "thumb" }, image, letter && make("b", { className: "letter" }, letter)),
    make("div", { className: "facts" },
      make("p", { className: `name${differs.has("name") && !differs.has("folder") ? " told" : ""}`, title: file.name }, i < 9 ? make("kbd", {}, String(i + 1)) : "", make("bdi", {}, file.name)),
      make("dl", {}, ...facts(file, differs, best)),
      make("p", { className: `folder${differs.has("folder") ? " differs" : ""}`, title: file.folder }, make("bdi", {}, file.folder)),
      file.relation && make("p", { className: "relation", title: file.sentence }, file.relation)),
    make("div", { className: "fate" }, fate(file, i, act),
      make("p", { className: "why small", title: reason(file) }, reason(file))));
  node.dataset.fate = file.apart ? "apart" : file.goes ? "goes" : "stays";
  node.classList.toggle("focus", i === focus);
  return node;
}

function facts(file, differs, best) {
  const shown = [
    ["pixels", file.pixels ? `${file.pixels[0]} × ${file.pixels[1]}` : "unreadable"],
    ["bytes", file.bytes === null ? "–" : bytes(file.bytes)],
    ["format", file.format ?? "–"],
    ["date", file.date?.slice(0, 16) ?? "–"],
    ["camera", file.camera ?? (differs.has("camera") ? "no camera" : null)],
  ];
  return shown.filter(([, text]) => text !== null).map(([name, text]) => {
    const isBest = best[name] !== undefined && best[name] === measure[name](file);
    const classes = [differs.has(name) && "differs", differs.has(name) && isBest && "best"].filter(Boolean).join(" ");
    return make("dd", { className: classes, title: `${name}${isBest && differs.has(name) ? ": the best of them" : ""}` }, text);
  });
}

const measure = {
  pixels: (file) => (file.pixels ? file.pixels[0] * file.pixels[1] : undefined),
  bytes: (file) => file.bytes ?? undefined,
};

function bests(files) {
  const found = {};
  for (const [name, of] of Object.entries(measure)) {
    const values = files.map(of).filter((value) => value !== undefined);
    if (values.length) found[name] = Math.max(...values);
  }
  return found;
}

function fate(file, i, act) {
  if (file.apart) return make("span", { className: "word" }, "no duplicate");
  if (file.reference) return make("span", { className: "word" }, "stays: reference");
  const toggle = make("button", { className: "toggle", onclick: (e) => { e.stopPropagation(); act.toggle(i); } },
    make("span", {}, "stays"), make("span", {}, "goes"));
  toggle.setAttribute("role", "switch");
  toggle.setAttribute("aria-checked", file.goes);
  toggle.setAttribute("aria-label", `${file.name} goes`);
  return toggle;
}

function reason(file) {
  const partners = file.partners.length && file.goes ? `; with it ${file.partners.join(", ")}` : "";
  if (file.apart) return "you called it no duplicate of the others";
  if (file.goes !== file.proposed) return `your choice${partners}`;
  return file.why.replace(/^(stays|goes): (not sure: L2 distance [\d.]+, )?/, "") + partners;
}
