// Two videos side by side, in step, and what differs in how they were made.

import * as api from "./api.js";
import { element, labelOf } from "./fields.js";
import { told } from "./viewer.js";

const DRIFT = 0.08; // seconds that one may be ahead of the other

const by = (id) => document.getElementById(id);

export function makeCompare() {
  const dialog = by("compare");
  const range = by("where");
  let films = [];
  let place = null; // of both, 0 to 1, where somebody has put them

  function open([left, right]) {
    films = [left, right].map((record) =>
      element("video", {
        src: api.film(record.id),
        muted: true,
        loop: true,
        playsInline: true,
        ariaLabel: record.settings.conditions.prompt,
      }),
    );
    dialog.querySelector(".pair").replaceChildren(...films);
    dialog.querySelector("tbody").replaceChildren(...differences(left, right));
    films[0].addEventListener("timeupdate", follow);
    for (const film of films) film.addEventListener("loadedmetadata", () => seek(film));
    dialog.showModal();
    play();
  }

  function differences(left, right) {
    const rows = [left, right].map(
      (record) => new Map([["sentence", record.settings.conditions.prompt], ...told(record)]),
    );
    const names = new Set([...rows[0].keys(), ...rows[1].keys()]);
    return [...names]
      .filter((name) => name !== "made" && rows[0].get(name) !== rows[1].get(name))
      .map((name) =>
        element(
          "tr",
          {},
          element("th", { scope: "row", textContent: labelOf(name) }),
          ...rows.map((row) => element("td", { textContent: row.get(name) ?? "–" })),
        ),
      );
  }

  function follow() {
    const [first, second] = films;
    if (!second) return; // it was closed, and one more event of its videos comes
    if (Math.abs(first.currentTime - second.currentTime) > DRIFT) {
      second.currentTime = Math.min(first.currentTime, second.duration || 0);
    }
    if (document.activeElement !== range) {
      range.value = (1000 * first.currentTime) / (first.duration || 1);
    }
  }

  // A video whose length is not known yet goes to its place when it is.
  function seek(film) {
    if (place !== null && film.duration) film.currentTime = place * film.duration;
  }

  function play() {
    place = null;
    for (const film of films) film.play().catch(() => {});
    by("both").textContent = "Pause";
  }

  function pause() {
    for (const film of films) film.pause();
    by("both").textContent = "Play";
  }

  by("both").addEventListener("click", () => (films[0]?.paused ? play() : pause()));
  range.addEventListener("input", () => {
    pause();
    place = range.value / 1000;
    films.forEach(seek);
  });
  dialog.addEventListener("close", () => {
    pause();
    dialog.querySelector(".pair").replaceChildren();
    films = [];
  });

  return { open };
}
