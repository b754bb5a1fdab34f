// Times in the reader's own zone, and running times that go on between two answers of the server. What comes from the
// server is put into these words before it is merged, so that a merge changes no text back and forth.

const language = document.documentElement.lang;
const clock = { hour: "2-digit", minute: "2-digit", second: "2-digit", hourCycle: "h23" };
const timeOfDay = new Intl.DateTimeFormat(language, clock);
const moment = new Intl.DateTimeFormat(language, { ...clock, year: "numeric", month: "short", day: "numeric", timeZoneName: "short" });

// How far the server's clock is before this page's own, which nobody sets back; the answer that took least time knows best.
let ahead = -Infinity;

/** Put what *root* says of times into the reader's words. */
export function localise(root) {
  for (const node of root.querySelectorAll("time[data-local]")) {
    const at = new Date(node.dateTime);
    if (node.dataset.local === "clock") node.textContent = timeOfDay.format(at);
    node.title = moment.format(at);
  }
  for (const note of root.querySelectorAll("[data-utc]")) note.remove();
  const given = root.querySelector("[data-clock]");
  if (given) ahead = Math.max(ahead, Number(given.dataset.clock) - performance.now());
  countUp(root);
}

/** How long each running job has taken by now. */
function countUp(root) {
  const now = performance.now() + ahead;
  for (const node of root.querySelectorAll("[data-since]")) {
    const said = span((now - Date.parse(node.dataset.since)) / 1000);
    if (node.textContent !== said) node.textContent = said;
  }
}

/** As words.elapsed of the server says it. */
function span(seconds) {
  for (const [unit, length] of [["d", 86400], ["h", 3600], ["min", 60]]) {
    if (seconds >= 2 * length) return `${Math.floor(seconds / length)} ${unit}`;
  }
  return `${Math.max(1, Math.floor(seconds))} s`;
}

localise(document);
setInterval(() => document.hidden || countUp(document), 1000);
