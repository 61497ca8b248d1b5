/* The dialog that has a page mailed: opened by a button, sent without leaving the page. */
(() => {
  "use strict";
  const dialog = document.getElementById("send-me");
  if (!dialog) return;
  const form = dialog.querySelector("form"), told = dialog.querySelector(".mail-told");

  function tell(text, kind) {
    told.textContent = text;
    told.className = `mail-told ${kind}`;
    told.hidden = !text;
  }

  document.querySelector('[data-open="send-me"]').addEventListener("click", () => {
    tell("", "");
    dialog.showModal();
    form.querySelector("[name=every]:checked")?.focus();
  });
  dialog.querySelector("[data-close]").addEventListener("click", () => dialog.close());
  dialog.addEventListener("click", (event) => { if (event.target === dialog) dialog.close(); });

  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    const send = form.querySelector("[type=submit]");
    const body = new URLSearchParams(new FormData(form));
    body.set("query", location.search.slice(1));
    send.disabled = true;
    try {
      const answer = await fetch(form.action, { method: "POST", body });
      if (answer.redirected) return location.reload();
      const { done, error } = await answer.json();
      tell(done || error, done ? "form-done" : "form-error");
    } catch {
      tell(window.carrel._("That did not work. Please try again."), "form-error");
    } finally {
      send.disabled = false;
    }
  });
})();
