// Many files at once: each is sent in a request of its own, with a bar, a few at a time.

import { fit } from "./params.js";

const form = document.getElementById("files");
const AT_ONCE = 3;

if (form) {
  const words = form.dataset;
  const drop = document.getElementById("drop");
  const list = document.getElementById("uploads");
  const plugin = form.elements.plugin;
  const waiting = [];
  const again = new Set(); // rows that can be sent once more
  const requests = new Set(); // under way
  let sending = 0;
  let done = 0;
  let total = 0;

  // -- Choosing how they are read -------------------------------------------------------------------

  const showPlugin = () => {
    for (const set of form.querySelectorAll("fieldset[data-plugin]")) {
      set.hidden = set.disabled = set.dataset.plugin !== plugin.value;
    }
    document.getElementById("pick-files").accept = plugin.selectedOptions[0].dataset.accept || "";
    fit(form);
  };
  plugin.addEventListener("change", showPlugin);
  showPlugin();

  // -- Choosing files -------------------------------------------------------------------------------

  for (const input of form.querySelectorAll("#pick-files, #pick-folder")) {
    input.addEventListener("change", () => {
      take([...input.files]);
      input.value = "";
    });
  }
  for (const name of ["dragenter", "dragover"]) {
    drop.addEventListener(name, (event) => {
      event.preventDefault();
      drop.classList.add("over");
    });
  }
  for (const name of ["dragleave", "drop"]) drop.addEventListener(name, () => drop.classList.remove("over"));
  drop.addEventListener("drop", async (event) => {
    event.preventDefault();
    const entries = [...event.dataTransfer.items].map((item) => item.webkitGetAsEntry && item.webkitGetAsEntry());
    const loose = [...event.dataTransfer.files];
    take(entries.some(Boolean) ? (await Promise.all(entries.filter(Boolean).map(within))).flat() : loose);
  });
  // A file that is dropped beside the place for it would be opened, and the page be gone.
  for (const name of ["dragover", "drop"]) document.addEventListener(name, (event) => event.preventDefault());

  /** The files of a dropped file or folder; what cannot be read is said, and keeps nothing else out. */
  async function within(entry) {
    try {
      if (entry.isFile) return [await new Promise((resolve, reject) => entry.file(resolve, reject))];
      const reader = entry.createReader();
      const found = [];
      for (;;) {
        const batch = await new Promise((resolve, reject) => reader.readEntries(resolve, reject));
        if (!batch.length) return (await Promise.all(found.map(within))).flat();
        found.push(...batch);
      }
    } catch {
      return [{ name: entry.name, unreadable: true }];
    }
  }

  // -- Sending --------------------------------------------------------------------------------------

  function take(files) {
    const settings = set(); // those of now, whatever is chosen while it waits
    for (const file of files) {
      if (file.name.startsWith(".")) continue; // what systems leave in folders
      total += 1;
      const row = makeRow(file, settings);
      if (file.unreadable) refuse(row, words.unreadable, false);
      else if (!file.size) refuse(row, words.empty, false);
      else if (file.size > Number(words.largest) * 2 ** 20) refuse(row, words.tooLarge, false);
      else waiting.push(row);
    }
    document.getElementById("sending").hidden = !total;
    count();
    next();
  }

  function makeRow(file, settings) {
    const node = document.createElement("li");
    const what = Object.assign(document.createElement("span"), { className: "what", textContent: file.webkitRelativePath || file.name });
    const bar = Object.assign(document.createElement("progress"), { max: 1, value: 0 });
    bar.setAttribute("aria-label", file.name);
    const how = Object.assign(document.createElement("span"), { className: "how muted", textContent: words.waits });
    node.append(what, bar, how);
    list.append(node);
    return { file, settings, node, what, bar, how };
  }

  function next() {
    while (sending < AT_ONCE && waiting.length) send(waiting.shift());
    count();
  }

  async function send(row) {
    sending += 1;
    if (!(await readable(row.file))) {
      sending -= 1;
      refuse(row, words.unreadable, true);
      return next();
    }
    const request = open(form.action);
    requests.add(request);
    request.upload.addEventListener("progress", (event) => {
      if (event.lengthComputable) row.bar.value = event.loaded / event.total;
    });
    const stop = Object.assign(document.createElement("button"), { type: "button", className: "link", textContent: words.stop });
    stop.addEventListener("click", () => request.abort());
    row.how.replaceChildren(stop);
    request.addEventListener("load", () => answered(row, request));
    request.addEventListener("error", () => refuse(row, words.broken, true));
    request.addEventListener("abort", () => refuse(row, words.stopped, true));
    request.addEventListener("loadend", () => {
      sending -= 1;
      requests.delete(request);
      next();
    });
    request.send(bodyWith(row.file, row.settings));
  }

  /** Whether a file is still there: the browser would call it a broken connection. */
  async function readable(file) {
    try {
      await file.slice(0, 1).arrayBuffer();
      return true;
    } catch {
      return false;
    }
  }

  function open(action) {
    const request = new XMLHttpRequest();
    request.open("POST", action);
    request.setRequestHeader("X-Requested-With", "fetch");
    request.setRequestHeader("X-CSRFToken", token());
    request.responseType = "json";
    return request;
  }

  /** The token that counts now: whoever logged in again in another tab has another one than this page began with. */
  function token() {
    const kept = document.cookie.match(/(?:^|; )kb_csrf=([^;]+)/);
    return kept ? kept[1] : form.elements.csrfmiddlewaretoken.value;
  }

  /** What the form is set to. */
  function set() {
    return [...new FormData(form)].filter(([name, value]) => name !== "csrfmiddlewaretoken" && !(value instanceof File));
  }

  /** The settings, and the file last, so that the server knows how to read it before it arrives. */
  function bodyWith(file, settings) {
    const body = new FormData();
    for (const [name, value] of settings) body.append(name, value);
    body.append("file", file);
    return body;
  }

  function answered(row, request) {
    const said = request.response || {};
    if (request.status >= 400 || !said.job) {
      refuse(row, said.detail || `${words.failed} (${request.status})`, request.status >= 500 || request.status === 401);
      return;
    }
    done += 1;
    row.bar.value = 1;
    const link = Object.assign(document.createElement("a"), { href: said.address, textContent: said.skipped ? words.skipped : words.done });
    row.how.replaceChildren(link);
  }

  function refuse(row, reason, mayTry) {
    row.bar.value = 0;
    row.how.replaceChildren(words.failed);
    const why = Object.assign(document.createElement("span"), { className: "why", textContent: `${reason} ` });
    if (mayTry) {
      const button = Object.assign(document.createElement("button"), { type: "button", className: "link", textContent: words.again });
      button.addEventListener("click", () => once(row));
      why.append(button);
      again.add(row);
    }
    row.why = why;
    row.node.append(why);
    count();
  }

  /** Once more. */
  function once(row) {
    row.why.remove();
    again.delete(row);
    waiting.push(row);
    row.how.textContent = words.waits;
    next();
  }

  document.getElementById("again-all").addEventListener("click", () => [...again].forEach(once));
  document.getElementById("stop-all").addEventListener("click", () => {
    for (const row of waiting.splice(0)) refuse(row, words.stopped, true);
    for (const request of [...requests]) request.abort();
  });

  // -- Looking first --------------------------------------------------------------------------------

  document.getElementById("pick-preview").addEventListener("change", (event) => {
    event.stopPropagation();
    const [file] = event.target.files;
    event.target.value = "";
    if (file) look(file, event.target.dataset.action);
  });

  function look(file, action) {
    const state = document.getElementById("preview-state");
    if (file.size > Number(words.largest) * 2 ** 20) return (state.textContent = words.tooLarge);
    const request = open(action);
    request.upload.addEventListener("progress", (event) => {
      state.textContent = `${state.dataset.sending} ${Math.round((100 * event.loaded) / event.total)} %`;
    });
    request.addEventListener("load", () => {
      const said = request.response || {};
      if (said.address) location.assign(said.address);
      else state.textContent = said.detail || `${words.failed} (${request.status})`;
    });
    request.addEventListener("error", () => (state.textContent = words.broken));
    request.send(bodyWith(file, set()));
  }

  function count() {
    document.getElementById("sending-count").textContent = words.count.replace("{done}", String(done)).replace("{total}", String(total));
    document.getElementById("stop-all").hidden = !(sending || waiting.length);
    document.getElementById("again-all").hidden = Boolean(again.size < 2 || sending || waiting.length);
  }

  window.addEventListener("beforeunload", (event) => {
    if (sending || waiting.length) event.preventDefault();
  });
}
