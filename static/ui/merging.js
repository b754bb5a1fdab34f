// Merging what the server sends into the page: what people have set there is theirs.

/** Whether a merge may change this attribute of a node that stays. */
export function mayChange(name, node) {
  if (name === "open" && node.tagName === "DETAILS") return false;
  if (node.name === "csrfmiddlewaretoken") return true; // another one after each login
  return !(["checked", "value", "selected"].includes(name) && node.matches("input, select, option, textarea"));
}

/**
 * Merge *next* into *now*. What has the keyboard keeps it: browsers without moveBefore take it from what is moved,
 * and idiomorph gives it back to fields only.
 */
export function merge(now, next, { mayUpdate = mayChange, mayMorph, ...options }) {
  const held = document.activeElement;
  Idiomorph.morph(now, next, { morphStyle: "outerHTML", ...options, callbacks: { beforeAttributeUpdated: mayUpdate, beforeNodeMorphed: mayMorph } });
  if (held?.isConnected && held !== document.activeElement) held.focus({ preventScroll: true });
}
