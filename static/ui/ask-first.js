// What destroys something is asked for in a dialog. Without this script the server asks with a page of its own.

const dialog = document.getElementById("sure");

/** Ask; true when the person agreed. */
export function sure(title, consequence, yes) {
  document.getElementById("sure-title").textContent = title;
  document.getElementById("sure-consequence").textContent = consequence;
  document.getElementById("sure-yes").textContent = yes;
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
  if (await sure(asks.dataset.title, asks.dataset.consequence, asks.dataset.yes)) send(form, event.submitter);
});

// A page that comes back from the browser's memory asks again.
window.addEventListener("pageshow", () => {
  for (const form of document.querySelectorAll("form[data-agreed]")) {
    delete form.dataset.agreed;
    form.elements.sure.value = "";
  }
});
