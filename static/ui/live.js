// Keeps the page of a collection fresh: one request a tick, whatever it shows, as long as something goes on and
// somebody looks. The server sends the parts that changed as HTML; they are merged into the page, so that focus,
// scroll, open folds and chosen rows stay.

import "./ask-first.js";
import { mayChange, merge } from "./merging.js";
import { fit } from "./params.js";
import { localise } from "./times.js";

const watch = document.getElementById("watch");
const words = watch.dataset;
const dialog = document.getElementById("job");
const connection = document.getElementById("connection");
const announcer = document.getElementById("announcer");
const LONGEST_PAUSE = 60; // seconds between tries while the server is away
const LONGEST_WAIT = 30; // seconds for an answer, before it counts as away

let timer = 0;
let tag = ""; // the ETag of what is shown
let tagOf = ""; // and the address that it belongs to
let asking = null; // the request under way
let failures = 0;

// -- Asking -----------------------------------------------------------------------------------------

const strip = () => document.getElementById("strip");
const goesOn = () => strip().dataset.live === "1";
const seconds = () => Number(strip().dataset.refresh) || 3;

function address() {
  const query = new URLSearchParams(location.search);
  if (dialog.open && dialog.dataset.job) query.set("job", dialog.dataset.job);
  return `${words.address}?${query}`;
}

function schedule(pause) {
  clearTimeout(timer);
  if (!document.hidden) timer = setTimeout(tick, pause * 1000);
}

async function tick() {
  clearTimeout(timer);
  if (asking) asking.abort();
  const mine = (asking = new AbortController());
  const target = address();
  let late = false;
  const limit = setTimeout(() => {
    late = true;
    mine.abort();
  }, LONGEST_WAIT * 1000);
  const headers = { "X-Requested-With": "fetch" };
  if (tag && tagOf === target) headers["If-None-Match"] = tag;
  try {
    const answer = await fetch(target, { headers, signal: mine.signal, cache: "no-store" });
    if (answer.status === 401) return stop(words.login, words.loginLink, `${words.loginAddress}?next=${encodeURIComponent(location.pathname + location.search)}`);
    if (answer.status === 404) return stop(words.gone);
    if (!answer.ok && answer.status !== 304) throw new Error(String(answer.status));
    if (answer.status === 200) {
      const text = await answer.text();
      if (mine.signal.aborted) return;
      mergeIn(text);
      tag = answer.headers.get("ETag") || "";
      tagOf = target;
    }
    failures = 0;
    connection.hidden = true;
    if (goesOn()) schedule(seconds());
  } catch (error) {
    if (mine.signal.aborted && !late) return;
    away();
  } finally {
    clearTimeout(limit);
    if (asking === mine) asking = null;
  }
}

/** The server does not answer: try again, more and more seldom, and say so. */
function away() {
  failures += 1;
  const pause = Math.min(LONGEST_PAUSE, seconds() * 2 ** (failures - 1));
  say(words.away.replace("{seconds}", String(pause)), words.now, tick);
  schedule(pause);
}

function stop(sentence, link, where) {
  clearTimeout(timer);
  say(sentence, link, where);
}

/** A line above everything; *then* is an address or what a click does. */
function say(sentence, link, then) {
  connection.replaceChildren(`${sentence} `);
  if (link) {
    const node = document.createElement(typeof then === "string" ? "a" : "button");
    node.textContent = link;
    if (typeof then === "string") node.href = then;
    else {
      node.type = "button";
      node.className = "link";
      node.addEventListener("click", then);
    }
    connection.append(node);
  }
  connection.hidden = false;
}

// -- Merging ----------------------------------------------------------------------------------------

function mergeIn(html) {
  const fresh = new DOMParser().parseFromString(html, "text/html");
  localise(fresh);
  const before = statuses();
  for (const id of ["strip", "jobs", "job-body"]) {
    const now = document.getElementById(id);
    const next = fresh.getElementById(id);
    if (!now || !next || (id === "job-body" && !dialog.open)) continue;
    merge(now, next, { mayUpdate: keeps, mayMorph });
  }
  announce(before, statuses());
  showChosen();
  for (const form of dialog.querySelectorAll("form.params")) fit(form);
}

/** What people have set on the page is theirs; so is the offer to choose all. */
function keeps(name, node) {
  return mayChange(name, node) && !(name === "hidden" && node.id === "choose-all");
}

/** A form that somebody fills in is left alone. */
function mayMorph(now) {
  return !(now.nodeType === 1 && now.id === "retry-with" && now.contains(document.activeElement));
}

function statuses() {
  const found = new Map();
  for (const row of document.querySelectorAll("#jobs tr[data-status], #job[open] article[data-status]")) found.set(row.id.replace(/^\D+/, ""), row.dataset);
  return new Map([...found].map(([id, data]) => [id, { status: data.status, text: `${data.name}: ${data.word}` }]));
}

/** Changes of state are told to screen readers; progress is not. */
function announce(before, after) {
  const changed = [...after].filter(([id, one]) => before.has(id) && before.get(id).status !== one.status).map(([, one]) => one.text);
  if (changed.length) announcer.textContent = changed.length > 3 ? words.many.replace("{number}", String(changed.length)) : changed.join(". ");
}

// -- The dialog of a job, with an address of its own ------------------------------------------------

// The way back from a job that was closed takes a moment; one that is opened meanwhile would be closed by it.
let goingBack = false;
let openNext = null;

function openJob(number) {
  dialog.dataset.job = number;
  tag = ""; // what was shown of it is no longer there, so "not changed" would not do
  const body = document.getElementById("job-body");
  body.replaceChildren(document.getElementById("job-loading").content.cloneNode(true));
  if (!dialog.open) show();
  document.getElementById("job-title").focus();
  tick();
}

/** Back from a job that was closed; true when another is opened now. */
function arrived() {
  const link = openNext;
  goingBack = false;
  openNext = null;
  if (link) follow(link);
  return Boolean(link);
}

function follow(link) {
  history.pushState({ job: link.dataset.job }, "", link.href);
  openJob(link.dataset.job);
}

/** What is said goes with it: all behind a dialog can neither be used nor heard. */
function show() {
  dialog.prepend(connection, announcer);
  dialog.showModal();
}

function jobInAddress() {
  const found = location.pathname.match(/\/jobs\/(\d+)$/);
  return found ? found[1] : "";
}

document.addEventListener("click", (event) => {
  const link = event.target.closest("a[data-job]");
  if (link && !event.ctrlKey && !event.metaKey && !event.shiftKey && event.button === 0) {
    event.preventDefault();
    if (goingBack) openNext = link;
    else follow(link);
  } else if (event.target.closest("[data-close]") || event.target === dialog) {
    event.preventDefault();
    dialog.close();
  }
});

dialog.addEventListener("close", () => {
  watch.after(connection, announcer);
  if (!jobInAddress()) return;
  if (history.state && history.state.job) {
    goingBack = true;
    history.back();
    setTimeout(arrived, 1000); // should there be no way back
  } else history.replaceState(null, "", words.list + location.search);
  tick(); // without the job
});

window.addEventListener("popstate", () => {
  if (arrived()) return;
  const number = jobInAddress();
  if (number && dialog.dataset.job === number && dialog.open) return;
  if (number) openJob(number);
  else if (dialog.open) dialog.close();
});

if (dialog.hasAttribute("open")) {
  dialog.removeAttribute("open");
  show();
}

// -- Choosing rows ----------------------------------------------------------------------------------

const bulk = () => document.getElementById("bulk");
const picks = () => [...document.querySelectorAll("#bulk input[name=jobs]")];

function showChosen() {
  const form = bulk();
  const bar = document.getElementById("bulk-bar");
  if (!form || !bar) return;
  const all = picks();
  const some = all.filter((one) => one.checked);
  const everything = form.elements.all.value === "1" && some.length === all.length;
  if (!everything) form.elements.all.value = "";
  const label = document.getElementById("chosen");
  label.dataset.none ??= label.textContent;
  label.textContent = everything ? label.dataset.all : some.length ? label.dataset.some.replace("{number}", String(some.length)) : label.dataset.none;
  bar.classList.toggle("active", some.length > 0);
  for (const button of bar.querySelectorAll("button[name=verb]")) {
    button.disabled = !some.length;
    button.dataset.number = everything ? button.dataset.all : String(some.filter((one) => fits(button, one)).length);
  }
  const page = document.getElementById("choose-page");
  page.checked = some.length > 0 && some.length === all.length;
  page.indeterminate = some.length > 0 && some.length < all.length;
  const more = Number(form.dataset.total) > all.length;
  document.getElementById("choose-all").hidden = !(more && page.checked && !everything);
}

/** Whether the button's verb can do something to the job of this row. */
function fits(button, pick) {
  return !button.dataset.fits || button.dataset.fits.split(" ").includes(pick.closest("tr").dataset.status);
}

document.addEventListener("change", (event) => {
  if (event.target.id === "choose-page") for (const one of picks()) one.checked = event.target.checked;
  if (event.target.closest("#bulk")) showChosen();
});
document.addEventListener("click", (event) => {
  if (event.target.id !== "choose-all") return;
  bulk().elements.all.value = "1";
  bulk().elements.newest.value = bulk().dataset.newest; // what comes later is not meant
  showChosen();
});

// -- When to look -----------------------------------------------------------------------------------

function rest() {
  clearTimeout(timer);
  if (asking) asking.abort();
}

/** Once, whichever event comes first: browsers differ. */
function catchUp() {
  if (!asking || asking.signal.aborted) tick();
}

document.addEventListener("visibilitychange", () => (document.hidden ? rest() : catchUp()));
window.addEventListener("online", tick);
// A page to which somebody comes back may be the one that was left, as it was: what it shows is old.
window.addEventListener("pagehide", rest);
window.addEventListener("pageshow", (event) => {
  if (event.persisted) catchUp();
});
showChosen();
if (goesOn()) schedule(seconds());
