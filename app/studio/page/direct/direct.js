// The storyboard: shots in a row. It is kept by the studio while it is written, and drawn shot by
// shot; what did not change is not drawn again.

import * as api from "../api.js";
import { control, element } from "../fields.js";
import { makeShot } from "./shot.js";

const PATIENCE = 500; // milliseconds after the last change
const LARGEST_SEED = 2 ** 31;

const by = (id) => document.getElementById(id);

export async function makeDirect() {
  const { models, adapters } = await api.choices();
  const problem = by("direct-problem");
  let shots = [];
  let about = null;
  let kept = {}; // of the storyboard, what this page has no control for
  let waiting = 0;
  let ordered = 0; // the order whose states are shown
  let shown = []; // shots, and their versions when it was ordered

  const whole = {
    model: control({ name: "story_model", label: "Model", kind: "choice", required: true, choices: models, help: "draws all shots" }),
    adapter: control({ name: "story_adapter", label: "Adapter", kind: "choice", choices: Object.keys(adapters), none: "none", help: "what was taught to the model later" }),
    music: control({ name: "music", kind: "sound", endings: [".wav", ".mp3", ".flac", ".m4a"], help: "below all of it; softer while somebody speaks" }),
    narration: control({ name: "story_narration", label: "Narration", kind: "sound", endings: [".wav", ".mp3", ".flac", ".m4a"], help: "a voice from the beginning on" }),
    captions: control({
      name: "captions",
      kind: "choice",
      required: true,
      choices: ["burned", "track", "both"],
      labels: { burned: "in the picture", track: "as subtitles", both: "both" },
      help: "where the captions of the shots go",
    }),
    seed: control({ name: "story_seed", label: "Seed", kind: "number", single: true, value: 0, help: "of shots without one of their own" }),
  };
  for (const [name, each] of Object.entries(whole)) {
    if (name !== "adapter" || Object.keys(adapters).length) by("story-settings").append(each.element);
  }

  // ---- the storyboard as a value ----

  function read() {
    const story = { ...kept, shots: shots.map((shot) => shot.read()) };
    for (const [name, each] of Object.entries(whole)) {
      const value = each.read();
      if (value !== null) story[name] = ["music", "narration"].includes(name) ? { file: value } : value;
    }
    return story;
  }

  async function write({ story, pieces }) {
    kept = { ...story };
    for (const name of ["shots", ...Object.keys(whole)]) delete kept[name];
    for (const [name, each] of Object.entries(whole)) {
      const value = story[name] ?? null;
      if (value !== null) each.write(value.file && typeof value.file === "object" ? value.file : value);
    }
    about = await api.about(whole.model.read());
    shots = (story.shots ?? []).map((value) => shotOf(value));
    shots.forEach((shot, index) => shot.show(pieces?.[index] ?? null, pieces?.[index] ? "drawn" : "not drawn yet"));
    place();
  }

  function place() {
    by("shots").replaceChildren(...shots.map((shot) => shot.element));
    shots.forEach((shot, index) => shot.place(index, shots.length));
  }

  // ---- keeping ----

  function changed() {
    clearTimeout(waiting);
    waiting = setTimeout(keep, PATIENCE);
  }

  const value = () => ({ story: read(), pieces: shots.map((shot) => shot.piece()) });

  // A page that is left keeps what was written last.
  window.addEventListener("pagehide", () => waiting && api.keepStory(value(), true).catch(() => {}));

  async function keep() {
    clearTimeout(waiting);
    waiting = 0;
    await Promise.all(shots.map((shot) => shot.ready()));
    try {
      await api.keepStory(value());
    } catch (error) {
      complain(error);
    }
  }

  // ---- shots ----

  function shotOf(value) {
    const shot = makeShot(value, about, {
      change: changed,
      draw: () => order({ only: shots.indexOf(shot) + 1 }),
      redo: () => {
        shot.seed(Math.floor(Math.random() * LARGEST_SEED));
        order({ only: shots.indexOf(shot) + 1 });
      },
      move: (step) => {
        const from = shots.indexOf(shot);
        shots.splice(from + step, 0, ...shots.splice(from, 1));
        place();
        changed();
      },
      copy: () => add(shot.read(), shots.indexOf(shot) + 1),
      remove: () => {
        shots.splice(shots.indexOf(shot), 1);
        place();
        changed();
      },
    });
    return shot;
  }

  function add(value, where = shots.length) {
    const shot = shotOf(value);
    shots.splice(where, 0, shot);
    place();
    changed();
    shot.focus();
  }

  // ---- drawing ----

  function complain(error) {
    problem.hidden = !error;
    problem.textContent = error?.message ?? "";
  }

  async function order(what) {
    complain(null);
    try {
      await Promise.all([...shots, ...Object.values(whole)].map((each) => each.ready()));
      await keep();
      shown = shots.map((shot) => ({ shot, version: shot.version() }));
      const made = await api.drawStory({ story: read(), ...what });
      ordered = made.order;
    } catch (error) {
      complain(error);
      problem.scrollIntoView({ block: "nearest" });
    }
  }

  function onOrder(number, order) {
    if (!order?.story || number < ordered || shown.length === 0) return;
    ordered = number;
    order.shots.forEach(({ state, piece }, index) => {
      if (state === "waiting" || !shown[index]) return;
      const { shot, version } = shown[index];
      if (shot.version() !== version) return; // it was changed in the meantime
      shot.show(piece, state === "drawn" ? "drawn" : "drawing …");
    });
    if (order.state === "failed") complain(new Error(order.error));
    if (order.state === "done") keep();
  }

  by("add-shot").addEventListener("click", () => add({ say: "", for: "2 s" }));
  by("draw-all").addEventListener("click", () => order({}));
  by("film").addEventListener("click", () => order({ film: true }));
  async function changeModel() {
    await write({ story: read(), pieces: [] });
    changed();
  }

  whole.model.input.addEventListener("change", changeModel);
  // An adapter is drawn with its own model.
  whole.adapter.input.addEventListener("change", async () => {
    const own = adapters[whole.adapter.read()];
    if (!own || own === whole.model.read()) return;
    whole.model.write(own);
    await changeModel();
  });
  by("story-settings").addEventListener("input", changed);

  await write(await api.story());
  // The studio has begun anew, and counts its orders from 1.
  function forget() {
    ordered = 0;
    shown = [];
  }

  return { onOrder, write, forget };
}

// Which of the two is shown: the form or the storyboard.
export function makeViews() {
  const tabs = [...document.querySelectorAll("[data-opens]")];
  function open(view) {
    document.body.dataset.view = view;
    for (const tab of tabs) tab.setAttribute("aria-pressed", String(tab.dataset.opens === view));
  }
  for (const tab of tabs) tab.addEventListener("click", () => open(tab.dataset.opens));
  open("make");
  return { open };
}
