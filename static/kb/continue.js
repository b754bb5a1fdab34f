// A page of work that is not done yet: go on, once people could see how far it is.
document.addEventListener("DOMContentLoaded", () => {
  window.setTimeout(() => document.getElementById("kb-continue").submit(), 400);
});
