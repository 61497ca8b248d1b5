/* Saved views of a page: listed, saved, renamed, shared with one's role, deleted. */
(() => {
  "use strict";
  const { make, act, address, $, parts, model, _ } = window.carrel;
  let drawn = "", renaming = 0, asked = false;

  const button = (label, says, onclick, focus) => make("button", { type: "button", class: "link", "aria-label": says, "data-focus": focus, onclick }, label);

  function one(view) {
    const { id, name, href, own, shared, by } = view;
    if (renaming === id) return make("li", {}, rename(view));
    const note = own ? (shared ? _("shared") : "") : _("shared by {person}", { person: by });
    const tools = own ? [
      button(_("Rename"), _("Rename {view}", { view: name }), () => { renaming = id; draw(true); $(".saved [name=rename]").focus(); }, `rename${id}`),
      button(shared ? _("Stop sharing") : _("Share"), shared ? _("Share {view} no longer", { view: name }) : _("Share {view} with everybody of your role", { view: name }), () => act({ act: "share_view", subject: id, shared: !shared }), `share${id}`),
      button(_("Delete"), _("Delete {view}", { view: name }), () => act({ act: "delete_view", subject: id }), `delete${id}`)] : [];
    return make("li", {}, make("a", { href }, name), make("small", { class: "soft" }, note), make("span", { class: "tools" }, ...tools));
  }

  function rename({ id, name }) {
    const submit = (event) => { event.preventDefault(); renaming = 0; act({ act: "rename_view", subject: id, name: new FormData(event.target).get("rename") }); };
    return make("form", { class: "act", onsubmit: submit }, make("label", {}, _("New name"), make("input", { name: "rename", value: name, required: true, maxlength: 80, autocomplete: "off" })),
      make("button", { class: "button small", type: "submit" }, _("Rename")));
  }

  /** The choices now, under a name: as a view, or as a card where the page can make one. */
  function form() {
    const state = () => address();
    const submit = (event) => { event.preventDefault(); act({ act: event.submitter?.value || "save_view", name: new FormData(event.target).get("name"), state: state() }); };
    const card = model().query.face === "summary" ? [make("button", { class: "button small", type: "submit", value: "save_card" }, _("Save as card"))] : [];
    return make("form", { class: "act", onsubmit: submit },
      make("label", {}, _("Name"), make("input", { name: "name", required: true, maxlength: 80, autocomplete: "off" })),
      make("button", { class: "button small primary", type: "submit", value: "save_view" }, _("Save view")), ...card);
  }

  function copy(event) {
    navigator.clipboard?.writeText(location.href);
    event.target.textContent = _("Link copied");
    setTimeout(() => { event.target.textContent = _("Copy link"); }, 1600);
  }

  /** Ask for the list once, when it is opened: that may be before the page is there. */
  function ask() {
    if (asked || !model() || !$(".saved")?.open) return;
    asked = true;
    act({ act: "views" });
  }

  function draw(again) {
    ask();
    const box = $('[data-place="views"]');
    if (!box) return;
    const { said, listed } = model().views || {};
    const shape = JSON.stringify([model().views, model().query.face, renaming]);
    if (drawn === shape && again !== true) return;
    drawn = shape;
    const focused = box.contains(document.activeElement) ? document.activeElement.dataset.focus : null;
    const text = said?.text ? [make("p", { class: `said ${said.kind === "error" ? "bad" : "good"}`, role: "status" }, said.text)] : [];
    const list = listed?.length ? make("ul", { class: "views" }, ...listed.map(one)) : make("p", { class: "soft" }, listed ? _("No saved views of this page yet.") : "…");
    box.replaceChildren(...text, list, form(), make("p", { class: "hint" }, _("The address of this page holds the same choices:"), " ", button(_("Copy link"), _("Copy the link to this view"), copy, "copy")));
    if (focused) $(`[data-focus="${focused}"]`, box)?.focus();
  }

  document.addEventListener("toggle", ({ target }) => {
    if (target.matches(".saved")) ask();
  }, true);
  parts.push(draw);
})();
