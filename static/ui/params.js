// Forms of plugin parameters: fields that make sense only with a certain choice appear with it.

/** Show and enable what the choices in *form* ask for. */
export function fit(form) {
  for (const field of form.querySelectorAll("[data-shown-when]")) {
    const wanted = JSON.parse(field.dataset.shownWhen);
    const shown = Object.entries(wanted).every(([name, values]) => {
      const input = field.closest(".params, form, section").querySelector(`[name="param-${name}"]`);
      const value = input && (input.type === "checkbox" ? String(input.checked) : input.value);
      return !input || values.map(String).includes(value);
    });
    field.hidden = !shown;
  }
}

document.addEventListener("change", (event) => {
  const form = event.target.closest("form");
  if (form && event.target.name && event.target.name.startsWith("param-")) fit(form);
});
for (const form of document.forms) fit(form);
