// What destroys something is asked for in a dialog. Without this script the server asks with a page of its own.

const dialog = document.getElementById("sure");

/** Ask; true when the person agreed. */
export function sure(title, consequence, yes) {
  document.getElementById("sure-title").textContent = title;
  document.getElementById("sure-consequence").textContent = consequence;
  document.getElementById("sure-yes").textContent = yes;
  document.getElementById("sure-yes").hidden = !yes;
  dialog.returnValue = "no";
  dialog.showModal();
  return new Promise((resolve) => {
    dialog.addEventListener("close", () => resolve(dialog.returnValue === "yes"), { once: true });
  });
}

/** Title, consequence, and the words of the button; null where the server has to count first, or says that there is none. */
function question(asks) {
  const { title, consequence, yes, number, one, many } = asks.dataset;
  if (title) return [title, consequence, yes];
  if (!Number(number)) return null;
  const shown = new Intl.NumberFormat(document.documentElement.lang, { useGrouping: "always" }).format(number);
  return JSON.parse(number === "1" ? one : many).map((text) => text.replace("{number}", shown));
}

/** Send a form with the button that was pressed, marked as asked for. */
function send(form, button) {
  form.elements.sure.value = "1";
  form.dataset.agreed = "1";
  form.requestSubmit(button);
}

document.addEventListener("submit", async (event) => {
  const form = event.target;
  const asks = [event.submitter, form].find((one) => one && (one.dataset.title || one.dataset.many));
  const words = asks && question(asks);
  if (!words || !dialog || form.dataset.agreed) return;
  event.preventDefault();
  const { title } = asks.dataset;
  const button = event.submitter;
  if (!(await sure(...words))) return;
  // The page goes on while somebody thinks: what was asked about may be gone.
  if (form.isConnected && asks.isConnected && asks.dataset.title === title && !button?.disabled) send(form, button);
  else await sure(title, dialog.dataset.gone, "");
});

// A page that comes back from the browser's memory asks again.
window.addEventListener("pageshow", (event) => {
  if (event.persisted && dialog?.open) dialog.close("no"); // what it asked may long have ended
  for (const form of document.querySelectorAll("form[data-agreed]")) {
    delete form.dataset.agreed;
    form.elements.sure.value = "";
  }
});
