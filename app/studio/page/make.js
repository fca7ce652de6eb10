// The form: what to make. Every control is derived from what the studio says of the model.

import * as api from "./api.js";
import { control, learnLabels } from "./fields.js";

const form = document.getElementById("make");
const problem = document.getElementById("problem");
const BASICS = ["frames", "seed", "count"];

export async function makeForm() {
  const { models, adapters, labels } = await api.choices();
  learnLabels(labels);
  let about = await api.about(models[0]);
  let controls = {}; // by name: of settings, conditions and sampling
  let origin = null;
  let ideas = 0;

  // ---- controls ----

  function basics() {
    const seconds = (about.frames / about.fps).toFixed(1);
    return [
      {
        name: "frames",
        help: `length; ${about.frames} are ${seconds} s at ${about.fps} a second`,
        value: about.frames,
      },
      { name: "seed", help: "the same number gives the same video", placeholder: "random" },
      { name: "count", label: "Videos", help: "made at once, with seeds in a row", value: 1 },
    ].map((each) => ({ kind: "number", single: true, ...each }));
  }

  function choices() {
    const own = about.sizes[0];
    const labels = Object.fromEntries(
      about.sizes.map((size) => [size, `${size} pixels${size === own ? ", the model's own" : ""}`]),
    );
    const offered = [
      {
        name: "model",
        kind: "choice",
        required: true,
        choices: models,
        help: "which model draws; each knows its own world",
        value: about.model,
      },
      {
        name: "adapter",
        kind: "choice",
        choices: Object.keys(adapters),
        none: "none",
        help: "what was taught to the model later, such as a thing or a style",
      },
      {
        name: "size",
        label: "Height",
        kind: "choice",
        required: true,
        whole: true,
        choices: about.sizes,
        labels,
        help: "of the pictures; larger ones take longer and show the same",
      },
      {
        name: "fps",
        label: "Frames a second",
        kind: "number",
        single: true,
        value: about.fps,
        help: `how fast it plays; the model was trained at ${about.fps}`,
      },
      {
        name: "sound",
        kind: "choice",
        required: true,
        choices: ["drawn", "none"],
        help: "whether it is drawn with the pictures; without it another video comes, sooner",
      },
    ];
    const makesSense = { adapter: Object.keys(adapters).length > 0, sound: about.sound };
    return offered.filter(({ name }) => makesSense[name] ?? true);
  }

  // Make the form of a model. What was written into the one before stays, but for what that model
  // itself had put there.
  function build(before = about) {
    const written = Object.fromEntries(
      Object.entries(controls).map(([name, each]) => [name, each.read()]),
    );
    controls = {};
    const [prompt, ...further] = about.fields;
    const places = {
      sentence: [prompt],
      basics: basics(),
      choices: choices(),
      sampling: about.sampling.map((each) => ({ ...each, single: true, required: true })),
    };
    for (const [place, fields] of Object.entries(places)) fill(document.getElementById(place), fields);
    const given = document.getElementById("given");
    fill(given.querySelector("div"), further);
    given.hidden = further.length === 0;
    given.querySelector("small").textContent = further.map(({ label }) => label.toLowerCase()).join(", ");
    for (const [name, value] of Object.entries(written)) {
      const own = before.sampling.find((each) => each.name === name)?.value;
      const isOwn = own !== undefined && own !== null && String(own) === String(value);
      if (value !== null && name !== "size" && !isOwn) controls[name]?.write(value);
    }
    controls.model.input.addEventListener("change", changeModel);
    controls.adapter?.input.addEventListener("change", followAdapter);
  }

  function fill(place, fields) {
    place.replaceChildren();
    for (const field of fields) {
      controls[field.name] = control(field);
      place.append(controls[field.name].element);
    }
  }

  async function changeModel() {
    try {
      const before = about;
      about = await api.about(controls.model.read());
      build(before);
    } catch (error) {
      complain(error);
    }
  }

  // An adapter is drawn with its own model.
  async function followAdapter() {
    const own = adapters[controls.adapter.read()];
    if (!own || own === about.model) return;
    controls.model.write(own);
    await changeModel();
  }

  // ---- values ----

  const conditionNames = () => about.fields.map(({ name }) => name);
  const samplingNames = () => about.sampling.map(({ name }) => name);

  function read() {
    const values = (names) =>
      Object.fromEntries(
        names.map((name) => [name, controls[name]?.read()]).filter(([, value]) => value !== null),
      );
    const settings = Object.fromEntries(
      [...BASICS, "model", "adapter", "size", "fps"].map((name) => [
        name,
        controls[name]?.read() ?? undefined,
      ]),
    );
    return {
      ...settings,
      sound: controls.sound?.read() !== "none",
      conditions: values(conditionNames()),
      sampling: values(samplingNames()),
      origin: origin ?? undefined,
    };
  }

  // Put the settings of a video into the form.
  async function write(settings) {
    if (settings.model !== about.model && models.includes(settings.model)) {
      about = await api.about(settings.model);
    }
    build();
    for (const name of conditionNames()) controls[name].write(settings.conditions[name] ?? null);
    for (const { name, value } of about.sampling) {
      controls[name].write(settings.sampling[name] ?? value);
    }
    for (const name of ["frames", "seed", "fps", "adapter", "model"]) {
      controls[name]?.write(settings[name]);
    }
    controls.size.write(settings.size ?? about.sizes[0]);
    controls.sound?.write(settings.sound === false ? "none" : "drawn");
    controls.count.write(1);
    goFrom(settings.origin?.frame ? settings.origin : null);
  }

  // ---- where it goes on from ----

  const originBox = document.getElementById("origin");

  function goFrom(place, says = "") {
    origin = place;
    originBox.hidden = !place;
    originBox.querySelector("p").textContent = place
      ? `Keeps the first ${place.frame} frames of ${says ? `“${says}”` : "another video"}.`
      : "";
  }
  originBox.querySelector("button").addEventListener("click", () => goFrom(null));

  // ---- making ----

  function complain(error) {
    problem.hidden = !error;
    problem.textContent = error?.message ?? "";
  }

  async function submit(settings) {
    complain(null);
    try {
      await Promise.all(Object.values(controls).map((each) => each.ready()));
      const order = await api.make(settings ?? read());
      document.getElementById("stage").scrollIntoView({ block: "nearest" });
      return order;
    } catch (error) {
      complain(error);
      form.scrollIntoView({ block: "nearest" });
      return null;
    }
  }

  form.addEventListener("submit", (event) => {
    event.preventDefault();
    submit();
  });
  form.addEventListener("keydown", (event) => {
    if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) submit();
  });
  document.getElementById("idea").addEventListener("click", () => {
    ideas = (ideas + 1) % about.sentences.length;
    controls.prompt.write(about.sentences[ideas]);
  });

  build();
  controls.prompt.write(about.sentences[0]);

  return {
    submit,
    write,
    goFrom,
    focus: () => controls.prompt.focus(),
    framesPerLatent: () => about.frames_per_latent,
    lengthOfOne: () => about.frames,
  };
}

