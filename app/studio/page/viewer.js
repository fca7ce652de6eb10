// One video of the gallery: how it was made, and what can be made of it.

import * as api from "./api.js";
import { element, labelOf } from "./fields.js";

const by = (id) => document.getElementById(id);

// What a record says, as rows for people to read.
export function told(record) {
  const { conditions, sampling, origin, story, ...settings } = record.settings;
  const given = Object.entries(conditions).filter(([name]) => name !== "prompt");
  const rows = [
    ["seed", settings.seed],
    ["model", settings.model],
    ["adapter", settings.adapter],
    ["shots", story?.shots.length],
    ["frames", `${record.frames} at ${settings.fps} a second`],
    ["pictures", `${record.width} x ${record.height} pixels`],
    ["sound", settings.sound === false ? "none was drawn" : null],
    ...given.map(([name, value]) => [name, value.name ?? value]),
    ...Object.entries(sampling),
    ["comes from", origin && `${origin.verb}: ${origin.video}`],
    ["made", `${record.made.slice(0, 16).replace("T", " ")}, in ${record.seconds} s`],
    ...record.notes.map((note) => ["note", note]),
  ];
  return rows.filter(([, value]) => value !== null && value !== undefined && value !== "");
}

export function makeViewer({ form, gallery, onStory }) {
  const dialog = by("viewer");
  const film = dialog.querySelector("video");
  let record = null;

  function open(chosen) {
    record = chosen;
    film.src = api.film(record.id);
    by("viewer-title").textContent = record.settings.conditions.prompt;
    by("download").href = `${api.film(record.id)}?download=true`;
    by("download").setAttribute("download", `${record.id}.mp4`);
    const rows = told(record).flatMap(([name, value]) => [
      element("dt", { textContent: labelOf(name) }),
      element("dd", { textContent: value }),
    ]);
    dialog.querySelector("dl").replaceChildren(...rows);
    const isStory = Boolean(record.settings.story); // it has no codes to go on from
    for (const name of ["again", "go-on", "change"]) by(name).hidden = isStory;
    by("reuse").textContent = isStory ? "Open its storyboard" : "Use its settings";
    by("frame").hidden = isStory;
    dialog.showModal();
    film.play().catch(() => {});
    say();
  }

  // The frame that is shown where the video is paused, or its last one.
  function frame() {
    if (!film.paused) return record.frames;
    return Math.min(record.frames, 1 + Math.floor(film.currentTime * record.settings.fps + 0.01));
  }

  function say() {
    by("frame").textContent = film.paused
      ? `Here is frame ${frame()} of ${record.frames}.`
      : `Pause at a frame to go on from it; here is the end, frame ${record.frames}, until then.`;
  }
  for (const event of ["pause", "play", "seeked"]) film.addEventListener(event, say);

  function close() {
    film.pause();
    dialog.close();
  }
  dialog.addEventListener("close", () => {
    film.pause();
    film.removeAttribute("src");
    film.load();
  });

  async function order(settings) {
    close();
    await form.submit(settings);
  }

  // What goes on takes over frames, so that what they began with is not given once more.
  function later(verb) {
    const { init, ...conditions } = record.settings.conditions;
    const k = form.framesPerLatent();
    const kept = 1 + Math.floor((frame() - 1) / k) * k;
    return {
      ...record.settings,
      conditions,
      frames: kept + form.lengthOfOne() - 1,
      origin: { video: record.id, verb, frame: kept },
    };
  }

  by("again").addEventListener("click", () =>
    order({
      ...record.settings,
      seed: null,
      origin: record.settings.origin ?? { video: record.id, verb: "again" },
    }),
  );
  by("go-on").addEventListener("click", () => order(later("go on")));
  by("change").addEventListener("click", async () => {
    const settings = later("change");
    const says = record.settings.conditions.prompt;
    close();
    await form.write(settings);
    form.goFrom(settings.origin, says);
    form.focus();
  });
  by("reuse").addEventListener("click", async () => {
    close();
    if (record.settings.story) {
      await onStory(record.settings.story);
      return;
    }
    await form.write(record.settings);
    form.focus();
  });
  by("delete").addEventListener("click", async () => {
    close();
    await gallery().remove(record);
  });

  return { open };
}
