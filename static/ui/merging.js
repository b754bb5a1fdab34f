// Merging what the server sends into the page: what people have set there is theirs.

/** Whether a merge may change this attribute of a node that stays. */
export function mayChange(name, node) {
  if (name === "open" && node.tagName === "DETAILS") return false;
  if (node.name === "csrfmiddlewaretoken") return true; // another one after each login
  return !(["checked", "value", "selected"].includes(name) && node.matches("input, select, option, textarea"));
}
