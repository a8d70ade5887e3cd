// Talking to the server. The token came in the link's fragment, which no browser sends anywhere; every request carries
// it in a header, and it is kept for this tab only.

const opened = location.hash.slice(1);
if (opened) {
  sessionStorage.setItem("token", opened);
  history.replaceState(null, "", "/");
}
const headers = { Authorization: `Bearer ${sessionStorage.getItem("token") ?? ""}` };

export class Refused extends Error {
  constructor(message, status) {
    super(message);
    this.status = status;
  }
}

async function answer(response) {
  if (response.ok) return response;
  const text = await response.text();
  let said = text;
  try { said = JSON.parse(text).error; } catch { /* plain words */ }
  throw new Refused(said || `the server said ${response.status}`, response.status);
}

export async function ask(name, values = {}, signal) {
  const query = new URLSearchParams(values).toString();
  return (await answer(await fetch(`/api/${name}${query && "?" + query}`, { headers, signal }))).json();
}

export async function act(name, values = {}) {
  const sent = { method: "POST", headers: { ...headers, "Content-Type": "application/json" }, body: JSON.stringify(values) };
  return (await answer(await fetch(`/api/${name}`, sent))).json();
}

// Pictures come with the token, too, so they are fetched and shown as blobs; the least recently used are given back.
const KEPT = { thumb: 240, view: 24, full: 4 };
const blobs = { thumb: new Map(), view: new Map(), full: new Map() };

export function picture(id, size) {
  const kept = blobs[size];
  let url = kept.get(id);
  if (url) kept.delete(id);
  else {
    url = fetch(`/api/picture/${id}?size=${size}`, { headers }).then(answer).then((r) => r.blob()).then(URL.createObjectURL);
    url.catch(() => kept.get(id) === url && kept.delete(id));
  }
  kept.set(id, url);
  while (kept.size > KEPT[size]) {
    const [oldest, old] = kept.entries().next().value;
    kept.delete(oldest);
    // it may still be on the screen for a moment
    old.then((made) => setTimeout(() => URL.revokeObjectURL(made), 5000), () => {});
  }
  return url;
}

export async function show(image, id, size) {
  image.dataset.wanted = id + size;
  try {
    const url = await picture(id, size);
    if (image.dataset.wanted === id + size) { image.src = url; image.classList.remove("lost"); }
  } catch {
    if (image.dataset.wanted === id + size) { image.removeAttribute("src"); image.classList.add("lost"); }
  }
}

export function make(tag, properties = {}, ...children) {
  const node = Object.assign(document.createElement(tag), properties);
  node.append(...children.filter((child) => child !== null && child !== undefined));
  return node;
}

export const $ = (id) => document.getElementById(id);
export const count = (n, noun) => `${n.toLocaleString("en")} ${noun}${n === 1 ? "" : "s"}`;

export function bytes(n) {
  const units = ["bytes", "kB", "MB", "GB", "TB"];
  let at = 0;
  while (n >= 1000 && at < 4) { n /= 1000; at++; }
  return `${at ? n.toPrecision(3).replace(/\.0+$/, "") : n} ${units[at]}`;
}
