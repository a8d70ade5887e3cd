// The review page: holds the state, and wires keys and buttons to it.
import { ask, act, make, picture, $, count, Refused } from "/api.js";
import { List } from "/list.js";
import { Stage } from "/stage.js";
import { cards, heading, because } from "/cards.js";
import { confirm, keys, planned, tell, toast, watch } from "/dialogs.js";

let overview, group = null, at = -1, pair = [0, 1], focus = 1, wanted = 0, busy = false;
const stage = new Stage((side) => { focus = pair[side]; draw(); });
const list = new List((there) => open(there));

// -- groups

async function open(there) {
  if (!overview.groups) return;
  at = Math.min(Math.max(there, 0), overview.groups - 1);
  list.select(at);
  const mine = ++wanted;
  const found = await trying(() => ask("group", { at }));
  if (!found || mine !== wanted) return;
  fill(found);
  sessionStorage.setItem("at", at);
  for (const ahead of [at + 1]) if (ahead < overview.groups) prefetch(ahead, mine);
}

async function prefetch(there, mine) {
  try {
    const ahead = await ask("group", { at: there });
    if (mine === wanted) for (const file of ahead.files.slice(0, 2)) picture(file.id, "view").catch(() => {});
  } catch { /* it is fetched again when it is opened */ }
}

function fill(found) {
  const isNew = found.id !== group?.id;
  group = found;
  if (isNew) { pair = [0, 1]; focus = 1; }
  draw();
}

function draw() {
  if (!group) return;
  const files = pair.map((i) => group.files[i]);
  heading(group, at, overview.groups);
  $("because").textContent = because(group, ...files);
  cards(group, pair, focus, { look, toggle });
  stage.load(files, pair.indexOf(focus));
  const isOver = group.status === "different";
  $("only").disabled = $("apart").disabled = isOver;
}

function look(i) {
  if (i !== pair[0]) pair = [pair[0], i];
  focus = i;
  draw();
}

function turn(step) {
  const files = group.files.length;
  look((focus + step + files) % files);
}

// -- choices

async function trying(action) {
  try {
    return await action();
  } catch (error) {
    if (error instanceof Refused && error.status === 401) lost(error.message);
    else toast(error instanceof Refused ? error.message : "the server does not answer: is it still running?", true);
    return null;
  }
}

async function change(name, values, words) {
  const said = await trying(() => act(name, values));
  if (!said) return false;
  status(said.overview);
  if (said.group) {
    const moved = said.group.at !== at;
    at = said.group.at;
    fill(said.group);
    list.update(at, { status: said.group.status });
    if (moved) list.select(at);
  }
  if (words) toast(words);
  return true;
}

const marked = () => group.files.filter((file) => file.goes && !file.apart).map((file) => file.id);

// those that are not shown stay or go as they do
const choose = (going, words) => change("choose", { id: group.id, going, shown: group.files.map((file) => file.id) }, words);

function toggle(i) {
  const file = group?.files[i];
  if (!file || file.apart) return;
  if (file.reference) { toast("it lies in a reference folder: nothing goes from there", true); return; }
  const going = new Set(marked());
  if (!going.delete(file.id)) going.add(file.id);
  choose([...going]);
}

function keepOnly() {
  const kept = group.files[focus];
  const going = group.files.filter((file) => file !== kept && !file.apart && !file.reference).map((file) => file.id);
  choose(going, "Keeps only this. U takes it back");
}

async function apart(all) {
  const two = group.files.filter((file) => !file.apart).length === 2;
  const file = all || two ? null : group.files[focus].id;
  const words = file ? "Not a duplicate of the others, from now on" : "No duplicates, from now on";
  await change("part", { id: group.id, file }, `${words}. U takes it back`);
}

async function done() {
  if (group.status === "different" || await choose(marked())) await onward();
}

async function onward() {
  const said = await trying(() => ask("next", { after: at }));
  if (!said) return;
  if (said.at === null) toast("Every group is decided: Apply carries it out");
  else open(said.at);
}

async function undo() {
  if (!overview.canUndo) { toast("nothing to take back"); return; }
  await change("undo", {}, "Taken back");
  list.forget();
  if (list.total !== overview.groups) refresh();
}

// -- what concerns all groups

function status(now) {
  overview = now;
  const { open, decided, different } = now.counts, over = decided + different;
  $("decided").textContent = over.toLocaleString("en");
  $("total").textContent = now.groups.toLocaleString("en");
  $("bar").max = now.groups || 1;
  $("bar").value = over;
  $("left").textContent = [`${count(now.images, "image")}`, now.skipped && `${count(now.skipped, "file")} skipped`,
    now.dismissed && `${count(now.dismissed, "pair")} left out: no duplicates, you said`].filter(Boolean).join(", ");
  $("where").textContent = now.roots.join("  ");
  $("where").title = now.roots.join("\n");
  $("going").textContent = now.going ? now.going.toLocaleString("en") : "";
  $("apply").disabled = !now.going;
  $("undo").disabled = !now.canUndo;
  $("back").hidden = !now.applied;
  $("back").textContent = `Take back the last apply (${count(now.applied, "file")})`;
  $("sure").disabled = !open;
  promise(now.threshold);
}

function promise({ value, usual, loosest, unverified, falsePairs }) {
  const slider = $("slider");
  slider.max = loosest;
  $("usual").style.left = `${100 * usual / loosest}%`;
  if (document.activeElement !== slider || !moving) slider.value = value;
  level(value, usual);
  const expected = falsePairs === null ? "this encoder is not calibrated" :
    `at most about ${falsePairs >= 10 ? Math.round(falsePairs) : falsePairs.toPrecision(1) * 1} false pair${falsePairs === 1 ? "" : "s"} to expect`;
  $("promise").textContent = `${expected}; L2 ${unverified.toFixed(2)} for pairs that a second look can't settle`;
}

function level(value, usual) {
  $("level").textContent = `L2 ${value.toFixed(3)}`;
  $("usual").disabled = Math.abs(value - usual) < 1e-9;
}

let moving = null;
$("slider").addEventListener("input", () => {
  level(Number($("slider").value), overview.threshold.usual);
  clearTimeout(moving);
  moving = setTimeout(() => threshold(Number($("slider").value)), 200);
});
$("usual").addEventListener("click", () => threshold(null));

async function threshold(value) {
  moving = null;
  const said = await trying(() => act("threshold", { value }));
  if (!said) return;
  status(said.overview);
  refresh();
}

function refresh(there = 0) {
  group = null;
  list.reset(overview.groups);
  $("empty").hidden = overview.groups > 0;
  document.body.classList.toggle("none", !overview.groups);
  if (overview.groups) open(Math.min(there, overview.groups - 1));
  else empty();
}

function empty() {
  $("empty").replaceChildren(make("h2", {}, "No duplicates here"),
    make("p", { className: "dim" }, `${count(overview.images, "image")} looked at. A looser threshold may show more.`));
}

async function sure() {
  const words = [make("p", {}, "Every open group in which the keep rules are sure is decided as they propose: the same bytes, or the same picture, whole, confirmed by a second look. Nothing is moved yet, and U takes it back.")];
  if (!await confirm("Accept all sure groups?", words, "Accept")) return;
  const result = await trying(async () => { await act("sure"); return watch("Looking through the open groups"); });
  if (!result) return;
  status(await ask("overview"));
  list.forget();
  toast(`${count(result.groups, "group")} decided`);
  open(at);
}

async function apply() {
  if (!overview.going) { toast("nothing is marked to go in a decided group"); return; }
  toast("Looking once more at what would go …");
  busy = true;
  const plan = await trying(() => ask("plan"));
  busy = false;
  if (!plan) return;
  if (!await confirm(`Move ${count(plan.files, "file")} away?`, planned(plan), `Move ${count(plan.files, "file")}`, true)) return;
  await carry("apply", { agreed: plan.agreed }, "Moving");
}

async function takeBack() {
  const words = [make("p", {}, "Every file of the last apply returns to where it was, as it was. Nothing is overwritten.")];
  if (await confirm(`Take back ${count(overview.applied, "file")}?`, words, "Take back")) await carry("restore", {}, "Taking back");
}

async function carry(name, values, words) {
  const result = await trying(async () => { await act(name, values); return watch(words); });
  status(await ask("overview"));
  refresh(at);
  if (!result) return;
  const lines = result.lines.map((line) => make("li", {}, line));
  const after = name === "apply" ? "Take back, here or by twinpix undo, returns them all." : "";
  tell(result.title, [lines.length ? make("ul", { className: "names" }, ...lines) : "", make("p", { className: "dim" }, after)],
    name === "apply" && result.done ? [["Take back", takeBack]] : []);
}

function lost(words) {
  document.body.classList.add("none");
  $("empty").hidden = false;
  $("empty").replaceChildren(make("h2", {}, "This page has no key"), make("p", { className: "dim" }, words));
}

// -- keys and buttons

const PRESSED = {
  ArrowLeft: () => open(at - 1), ArrowRight: () => open(at + 1), ArrowUp: () => turn(-1), ArrowDown: () => turn(1),
  " ": () => stage.flip(), s: () => stage.setMode("side"), d: () => stage.setMode("difference"),
  "+": () => stage.zoom(1.5), "=": () => stage.zoom(1.5), "-": () => stage.zoom(1 / 1.5), 0: () => stage.fit(),
  k: keepOnly, n: () => apart(false), N: () => apart(true), u: undo, Enter: done, "?": keys, a: apply,
  t: () => { document.body.classList.add("drawn"); $("slider").focus(); },
};

addEventListener("keydown", (event) => {
  if (busy || event.ctrlKey || event.metaKey || event.altKey || document.querySelector("dialog[open]") || !overview) return;
  if (event.target.id === "slider" && event.key.startsWith("Arrow")) return;
  // it presses that button, unless that one has just gone with its dialog and the page has not yet been told
  if ("Enter ".includes(event.key) && event.target.matches("button:focus-visible") && !event.target.closest("dialog")) return;
  const key = event.key === "N" || event.key.length > 1 ? event.key : event.key.toLowerCase();
  const does = /^[1-9]$/.test(key) ? () => toggle(Number(key) - 1) : PRESSED[key];
  if (!does || (!group && !"u?at".includes(key))) return;
  event.preventDefault();
  document.activeElement?.tagName === "BUTTON" && document.activeElement.blur();
  does();
});

const CLICKED = {
  previous: () => open(at - 1), next: () => open(at + 1), done, only: keepOnly, apart: (e) => apart(e.shiftKey), undo,
  help: keys, sure, apply, back: takeBack, closer: () => stage.zoom(1.5), farther: () => stage.zoom(1 / 1.5), fit: () => stage.fit(),
  drawer: () => document.body.classList.toggle("drawn"),
};
for (const [id, does] of Object.entries(CLICKED)) $(id).addEventListener("click", does);
$("modes").addEventListener("click", (e) => e.target.dataset.mode && stage.setMode(e.target.dataset.mode));
for (const id of ["rows", "stage", "cards"]) $(id).addEventListener("click", () => document.body.classList.remove("drawn"));

// where the bar has no room for it, it stands with the progress
const narrow = matchMedia("(max-width: 1080px)");
const settle = () => (narrow.matches ? $("progress").append($("sure")) : $("undo").before($("sure")));
narrow.addEventListener("change", settle);
settle();

const first = await trying(() => ask("overview"));
if (first) {
  status(first);
  const before = sessionStorage.getItem("at");
  refresh(before === null ? first.firstOpen ?? 0 : Number(before));
}
