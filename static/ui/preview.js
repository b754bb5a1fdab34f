// Keeps a preview fresh until it has been made.

import { merge } from "./merging.js";
import { fit } from "./params.js";

const sides = () => document.getElementById("sides");
const LONGEST_WAIT = 30; // seconds for an answer, before it is asked for again
let timer = 0;
let failures = 0;

// Refused settings are the answer to a form, which nobody wants to send again by loading the page.
if (sides().dataset.address) history.replaceState(null, "", sides().dataset.address);

/** What was refused stays until it is sent again, and so does what is wrong with it. */
function mayMorph(now) {
  return !(now.nodeType === Node.ELEMENT_NODE && now.matches("[data-refused]"));
}

async function tick() {
  clearTimeout(timer);
  const giveUp = new AbortController();
  const limit = setTimeout(() => giveUp.abort(), LONGEST_WAIT * 1000);
  try {
    const answer = await fetch(location.href, { headers: { "X-Requested-With": "fetch" }, cache: "no-store", signal: giveUp.signal });
    if ([401, 403, 404].includes(answer.status)) return location.replace(location.href); // says what to do
    if (!answer.ok) throw new Error(String(answer.status));
    const fresh = new DOMParser().parseFromString(await answer.text(), "text/html").getElementById("sides");
    merge(sides(), fresh, { ignoreActiveValue: true, mayMorph });
    failures = 0;
    for (const form of document.querySelectorAll("form.params")) fit(form);
  } catch {
    failures += 1; // it is tried again, more and more seldom
  } finally {
    clearTimeout(limit);
  }
  schedule();
}

function schedule() {
  clearTimeout(timer);
  if (sides().dataset.live === "1" && !document.hidden) timer = setTimeout(tick, Math.min(60, (Number(sides().dataset.refresh) || 3) * 2 ** failures) * 500);
}

document.addEventListener("visibilitychange", schedule);
window.addEventListener("pageshow", (event) => {
  if (event.persisted) tick(); // the page that was left, as it was
});
schedule();
