/* Saved views of a page: listed, saved, renamed, shared with one's role, deleted. */
(() => {
  "use strict";
  const { make, act, address, $, parts, model, _ } = window.carrel;
  let drawn = "", renaming = null, asked = false, newest = {};
  const sent = new Map();

  const button = (label, says, onclick, focus) => make("button", { type: "button", class: "link", "aria-label": says, "data-focus": focus, onclick }, label);

  /** Act, and do something when the answer to it is that it was done. */
  function send(what, done) {
    act(what);
    sent.set(model().act.at, done);
  }

  function one(view) {
    const { id, name, href, own, shared, by } = view;
    if (renaming?.id === id) return make("li", {}, renaming.form);
    const note = own ? (shared ? _("shared") : "") : _("shared by {person}", { person: by });
    const tools = own ? [
      button(_("Rename"), _("Rename {view}", { view: name }), () => { renaming = { id, form: rename(view) }; draw(true); $("input", renaming.form).focus(); }, `rename${id}`),
      button(shared ? _("Stop sharing") : _("Share"), shared ? _("Share {view} no longer", { view: name }) : _("Share {view} with everybody of your role", { view: name }), () => act({ act: "share_view", subject: id, shared: !shared }), `share${id}`),
      button(_("Delete"), _("Delete {view}", { view: name }), () => act({ act: "delete_view", subject: id }), `delete${id}`)] : [];
    return make("li", {}, make("a", { href }, name), make("small", { class: "soft" }, note), make("span", { class: "tools" }, ...tools));
  }

  function rename({ id, name }) {
    const submit = (event) => { event.preventDefault(); send({ act: "rename_view", subject: id, name: new FormData(event.target).get("rename") }, () => { renaming = null; }); };
    return make("form", { class: "act", onsubmit: submit }, make("label", {}, _("New name"), make("input", { name: "rename", value: name, required: true, maxlength: 80, autocomplete: "off", "data-focus": `rename${id}` })),
      make("button", { class: "button small", type: "submit", "data-focus": `rename${id}` }, _("Rename")));
  }

  /** The choices now, under a name: as a view, or as a card where the page can make one. */
  function form() {
    const field = make("input", { name: "name", required: true, maxlength: 80, autocomplete: "off" });
    const submit = (event) => {
      event.preventDefault();
      const name = field.value;
      send({ act: event.submitter?.value || "save_view", name, state: address() }, () => { if (field.value === name) field.value = ""; });
    };
    return make("form", { class: "act", onsubmit: submit }, make("label", {}, _("Name"), field),
      make("button", { class: "button small primary", type: "submit", value: "save_view" }, _("Save view")),
      make("button", { class: "button small", type: "submit", value: "save_card" }, _("Save as card")));
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

  /** Take the newest answer: one that was worked out before it may come after it. */
  function hear() {
    const views = model().views || {};
    if ((views.at || 0) < (newest.at || 0)) return;
    if (views.said?.kind === "done") sent.get(views.at)?.();
    sent.delete(views.at);
    newest = views;
  }

  /** The form is made once: what is typed there stays, whatever is answered meanwhile. */
  function begin(box) {
    if (box.children.length) return;
    box.append(make("div", { role: "status" }), make("div", {}), form(),
      make("p", { class: "hint" }, _("The address of this page holds the same choices:"), " ", button(_("Copy link"), _("Copy the link to this view"), copy, "copy")));
  }

  function draw(again) {
    ask();
    const box = $('[data-place="views"]');
    if (!box) return;
    hear();
    const { said, listed } = newest;
    const shape = JSON.stringify([newest, model().query.face, renaming?.id]);
    if (drawn === shape && again !== true) return;
    drawn = shape;
    begin(box);
    const [status, list] = box.children;
    const focused = list.contains(document.activeElement) ? document.activeElement : null;
    status.replaceChildren(...(said?.text ? [make("p", { class: `said ${said.kind === "error" ? "bad" : "good"}` }, said.text)] : []));
    list.replaceChildren(listed?.length ? make("ul", { class: "views" }, ...listed.map(one)) : make("p", { class: "soft" }, listed ? _("No saved views of this page yet.") : "…"));
    $("[value=save_card]", box).hidden = model().query.face !== "summary";
    if (focused) (focused.isConnected ? focused : $(`[data-focus="${focused.dataset.focus}"]`, list) || $("[name=name]", box)).focus();
  }

  document.addEventListener("toggle", ({ target }) => {
    if (target.matches(".saved")) ask();
  }, true);
  parts.push(draw);
})();
