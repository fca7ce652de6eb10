// Everything that is kept: cards, search, the two that are compared, delete with undo.

import * as api from "./api.js";
import { element } from "./fields.js";

const PAGE = 60;
const PATIENCE = 250; // milliseconds after the last key

const by = (id) => document.getElementById(id);

export function makeGallery({ onOpen, onCompare }) {
  let records = [];
  let total = 0;
  let chosen = []; // ids of those to compare
  let asked = 0;

  async function load(more = false) {
    const number = ++asked;
    const after = more ? records.length : 0;
    const count = more ? PAGE : Math.max(PAGE, Math.min(records.length, 200));
    const found = await api.videos(by("search").value.trim(), after, count);
    if (number !== asked) return; // a later question has been asked
    records = more ? [...records, ...found.videos] : found.videos;
    total = found.total;
    show(found.damaged);
  }

  function show(damaged) {
    const search = by("search").value.trim();
    by("total").textContent = total || "";
    by("cards").replaceChildren(...records.map(card));
    by("more").hidden = records.length >= total;
    const broken = damaged.length ? `${damaged.length} records cannot be read: ${damaged[0]}` : "";
    const none = search ? `Nothing is kept that has “${search}”.` : "What you make is kept here.";
    by("nothing").textContent = total ? broken : none;
    by("nothing").hidden = total > 0 && !broken;
    compared();
  }

  function card(record) {
    const says = record.settings.conditions.prompt;
    const image = element("img", { src: api.picture(record.id), alt: "", loading: "lazy" });
    const thumb = element("span", { className: "thumb" }, image);
    const open = element(
      "button",
      { type: "button", title: "See how it was made, and go on from it" },
      thumb,
      element("span", { className: "says", textContent: says }),
      element("span", {
        className: "meta",
        textContent: `seed ${record.settings.seed} · ${record.frames} frames`,
      }),
    );
    open.addEventListener("click", () => onOpen(record));
    preview(open, thumb, image, record);
    const box = element("input", { type: "checkbox", checked: chosen.includes(record.id) });
    box.setAttribute("aria-label", `Compare: ${says}, seed ${record.settings.seed}`);
    box.addEventListener("change", () => choose(record.id, box.checked));
    const label = element("label", { title: "Choose two to compare" }, box);
    const item = element("li", { className: "card" }, open, label);
    item.dataset.video = record.id;
    return item;
  }

  // A card plays while the pointer is over it.
  function preview(button, thumb, image, record) {
    let film = null;
    const stop = () => {
      film?.remove();
      film = null;
      image.hidden = false;
    };
    button.addEventListener("pointerenter", (event) => {
      const still = matchMedia("(prefers-reduced-motion: reduce)").matches;
      if (event.pointerType !== "mouse" || film || still) return;
      film = element("video", { src: api.film(record.id), muted: true, loop: true });
      film.addEventListener("playing", () => (image.hidden = true), { once: true });
      thumb.append(film);
      film.play().catch(stop);
    });
    button.addEventListener("pointerleave", stop);
  }

  // ---- two to compare ----

  function choose(id, is) {
    chosen = chosen.filter((other) => other !== id);
    if (is) chosen = [...chosen, id].slice(-2);
    for (const item of by("cards").children) {
      item.querySelector("input").checked = chosen.includes(item.dataset.video);
    }
    compared();
  }

  function compared() {
    chosen = chosen.filter((id) => records.some((record) => record.id === id));
    const bar = by("comparing");
    bar.hidden = chosen.length === 0;
    bar.querySelector("p").textContent =
      chosen.length === 2 ? "Two are chosen." : "One is chosen; choose another one.";
    bar.querySelector(".primary").disabled = chosen.length < 2;
  }

  by("comparing")
    .querySelector(".primary")
    .addEventListener("click", () =>
      onCompare(chosen.map((id) => records.find((record) => record.id === id))),
    );
  by("comparing")
    .querySelector(".quiet")
    .addEventListener("click", () => {
      chosen = [];
      choose(null, false);
    });

  // ---- delete with undo ----

  async function remove(record) {
    await api.remove(record.id);
    const undo = element("button", { type: "button", textContent: "Undo" });
    const said = `“${short(record.settings.conditions.prompt)}” is deleted.`;
    const dismiss = toast(said, undo);
    undo.addEventListener("click", async () => {
      await api.restore(record.id);
      dismiss();
      await load();
    });
    await load();
  }

  let typed = 0;
  by("search").addEventListener("input", () => {
    clearTimeout(typed);
    typed = setTimeout(load, PATIENCE);
  });
  by("more").addEventListener("click", () => load(true));

  return { load: () => load(), remove };
}

const short = (text) => (text.length > 40 ? `${text.slice(0, 39)}…` : text);

const SHOWN = 4000; // milliseconds
const SHOWN_WITH_BUTTON = 15000;

// A line at the bottom of the page, with a button if there is something to do.
export function toast(text, button = null) {
  const place = by("toast");
  const content = [element("span", { textContent: text }), ...(button ? [button] : [])];
  place.replaceChildren(...content);
  const dismiss = () => {
    if (place.contains(content[0])) place.replaceChildren();
  };
  setTimeout(dismiss, button ? SHOWN_WITH_BUTTON : SHOWN);
  return dismiss;
}
