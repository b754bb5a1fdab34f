// Keeps a preview fresh until it has been made.

import { fit } from "./params.js";

const sides = () => document.getElementById("sides");
let timer = 0;

async function tick() {
  try {
    const answer = await fetch(location.href, { headers: { "X-Requested-With": "fetch" }, cache: "no-store" });
    if (!answer.ok) return location.reload();
    const fresh = new DOMParser().parseFromString(await answer.text(), "text/html").getElementById("sides");
    Idiomorph.morph(sides(), fresh, { morphStyle: "outerHTML", ignoreActiveValue: true, callbacks: { beforeAttributeUpdated: keeps } });
    for (const form of document.querySelectorAll("form.params")) fit(form);
  } catch {
    // It is tried again.
  }
  schedule();
}

/** What people have set on the page is theirs. */
function keeps(name, node) {
  if (name === "open" && node.tagName === "DETAILS") return false;
  return !(["checked", "value", "selected"].includes(name) && node.matches("input, select, option, textarea"));
}

function schedule() {
  clearTimeout(timer);
  if (sides().dataset.live === "1" && !document.hidden) timer = setTimeout(tick, (Number(sides().dataset.refresh) || 3) * 500);
}

document.addEventListener("visibilitychange", schedule);
schedule();
