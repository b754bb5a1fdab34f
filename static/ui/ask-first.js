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

/** Send a form with the button that was pressed, marked as asked for. */
function send(form, button) {
  form.elements.sure.value = "1";
  form.dataset.agreed = "1";
  form.requestSubmit(button);
}

document.addEventListener("submit", async (event) => {
  const form = event.target;
  const asks = [event.submitter, form].find((one) => one && one.dataset.title);
  if (!asks || !dialog || form.dataset.agreed) return;
  event.preventDefault();
  const { title, consequence, yes } = asks.dataset;
  const button = event.submitter;
  if (!(await sure(title, consequence, yes))) return;
  // The page goes on while somebody thinks: what was asked about may be gone.
  if (form.isConnected && asks.isConnected && asks.dataset.title === title) send(form, button);
  else await sure(title, dialog.dataset.gone, "");
});

// A page that comes back from the browser's memory asks again.
window.addEventListener("pageshow", () => {
  for (const form of document.querySelectorAll("form[data-agreed]")) {
    delete form.dataset.agreed;
    form.elements.sure.value = "";
  }
});
