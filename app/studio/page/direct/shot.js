// One shot of the storyboard: a card with its sentence, its length and how it begins, and all else
// that it may have below. The conditions of the model are fields that the studio describes.

import { control, element } from "../fields.js";

const JOINS = ["cut", "continue", "fade", "crossfade"];
const HELPS = {
  cut: "begins anew",
  continue: "goes on from the last frame of the shot before",
  fade: "through black",
  crossfade: "blends with the shot before",
};

function joinControl() {
  const made = control({
    name: "begins",
    kind: "choice",
    required: true,
    choices: JOINS,
    labels: Object.fromEntries(JOINS.map((join) => [join, `${join}: ${HELPS[join]}`])),
    help: "what happens between the shot before and this one",
  });
  const seconds = control({
    name: "for_seconds",
    label: "Seconds of it",
    kind: "number",
    single: true,
    value: 0.5,
    help: "how long a fade or crossfade takes",
  });
  const show = () => {
    seconds.element.hidden = !["fade", "crossfade"].includes(made.read());
  };
  made.input.addEventListener("change", show);
  show();
  return {
    elements: [made.element, seconds.element],
    read: () => {
      const kind = made.read();
      if (kind === "cut") return null;
      return seconds.element.hidden ? kind : `${kind} ${seconds.read() ?? 0.5} s`;
    },
    write: (value) => {
      const [kind, time] = (value ?? "cut").split(" ");
      made.write(kind);
      if (time) seconds.write(Number(time));
      show();
    },
  };
}

const SOUND = {
  name: "sound",
  kind: "choice",
  choices: ["off"],
  none: "on",
  help: "whether what the model draws is heard in this shot",
};

// What a shot may have besides its sentence: [key, field].
function further({ fields, sound }) {
  const conditions = fields.filter(({ name }) => !["prompt", "init"].includes(name));
  const init = fields.find(({ name }) => name === "init");
  return [
    ["camera", { name: "camera", kind: "sentence", help: "how the camera moves, such as pans left" }],
    ...(init ? [["picture", { ...init, label: "Picture", help: "what the shot begins with" }]] : []),
    ...conditions.map((field) => [field.name, field]),
    ...(sound && !fields.some(({ name }) => name === "sound") ? [["sound", SOUND]] : []),
    ["title", { name: "title", kind: "sentence", help: "large letters over the shot" }],
    ["caption", { name: "caption", kind: "sentence", help: "a line at the bottom" }],
    [
      "narration",
      { name: "narration", kind: "sound", endings: [".wav", ".mp3", ".flac", ".m4a"], help: "a voice that begins with the shot" },
    ],
    ["chapter", { name: "chapter", kind: "sentence", help: "a chapter of the video begins here" }],
    [
      "seed",
      { name: "seed", kind: "number", single: true, help: "the same number gives the same shot" },
    ],
  ];
}

// `on` is called: change(), draw(), redo(), move(step), remove(), copy().
// `about` is what the studio says of the model.
export function makeShot(value, about, on) {
  const says = control({
    name: "say",
    label: "Sentence",
    kind: "sentence",
    required: true,
    help: "what this shot shows",
  });
  const length = control({
    name: "for",
    label: "Length",
    kind: "choice",
    required: true,
    choices: [],
    help: "",
  });
  const time = element("input", { value: "2 s", autocomplete: "off" });
  time.id = length.input.id;
  time.setAttribute("aria-describedby", `help-${time.id}`);
  length.input.replaceWith(time);
  length.element.querySelector(".help").textContent = "seconds, or such as 33 frames";
  const join = joinControl();
  const others = new Map(further(about).map(([key, field]) => [key, control(field)]));
  let kept = {}; // keys that this page has no control for, such as `then` of a file
  let piece = null;
  let version = 0; // counts changes

  const number = element("b");
  const state = element("span", { className: "state", role: "status" });
  const picture = element("img", { alt: "", hidden: true });
  const thumb = element("button", { type: "button", className: "thumb", title: "Draw and show it" }, picture, state);
  const button = (text, title, call, className = "") => {
    const made = element("button", { type: "button", textContent: text, title, className });
    made.addEventListener("click", call);
    return made;
  };
  const left = button("←", "Move this shot before the one before it", () => on.move(-1), "quiet");
  const right = button("→", "Move this shot after the next one", () => on.move(1), "quiet");
  left.setAttribute("aria-label", "Earlier");
  right.setAttribute("aria-label", "Later");
  const head = element(
    "div",
    { className: "head" },
    number,
    left,
    right,
    button("Copy", "Put the same shot after this one", () => on.copy(), "quiet"),
    button("Remove", "Take this shot out", () => on.remove(), "quiet danger"),
  );
  const more = element(
    "details",
    {},
    element("summary", { textContent: "More of this shot" }),
    element("div", {}, ...[...others.values()].map((each) => each.element)),
  );
  const buttons = element(
    "div",
    { className: "buttons" },
    button("Draw this shot", "Draw what is not there yet, and show it", () => on.draw()),
    button("Another take", "Draw this shot anew, with another seed", () => on.redo()),
  );
  const item = element("li", { className: "shot" }, head, thumb, says.element, length.element, ...join.elements, more, buttons);
  thumb.addEventListener("click", () => on.draw());
  item.addEventListener("input", () => changed());
  item.addEventListener("change", () => changed());
  item.addEventListener("drop", () => setTimeout(changed));
  item.addEventListener("click", (event) => event.target.closest(".drop button") && changed());

  function changed() {
    version += 1;
    show(null, "changed");
    on.change();
  }

  function show(newPiece, text) {
    piece = newPiece;
    picture.hidden = !piece;
    if (piece) picture.src = `/api/story/pieces/${piece}.jpg`;
    state.textContent = text;
    item.dataset.state = text;
  }

  function read() {
    const values = { ...kept, say: says.read() ?? "", for: time.value.trim() };
    for (const [key, each] of [["join", join], ...others]) {
      const found = each.read();
      if (found !== null) values[key] = key === "narration" ? { file: found } : found;
    }
    return values;
  }

  function write(given) {
    kept = { ...given };
    for (const key of ["say", "for", "join", ...others.keys()]) delete kept[key];
    says.write(given.say);
    time.value = given.for ?? "2 s";
    join.write(given.join);
    for (const [key, each] of others) {
      const found = given[key] ?? null;
      each.write(key === "narration" && found?.file ? found.file : found);
    }
  }

  write(value);
  return {
    element: item,
    read,
    show,
    piece: () => piece,
    version: () => version,
    place: (index, count) => {
      number.textContent = `Shot ${index + 1}`;
      item.setAttribute("aria-label", `Shot ${index + 1}`);
      left.disabled = index === 0;
      right.disabled = index === count - 1;
    },
    seed: (value) => {
      others.get("seed").write(value);
      changed();
    },
    ready: () => Promise.all([...others.values()].map((each) => each.ready())),
    focus: () => says.focus(),
  };
}
