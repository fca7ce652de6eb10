// One control for each thing that can be given, made from what the studio says of it:
// { name, help, kind, choices, limits, endings, required, value }. A new condition of a model needs
// nothing here unless it is of a new kind.
//
// `control(field)` gives { element, read(), write(value), check() }.

import { upload } from "./api.js";

let count = 0;

export function element(tag, properties = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (name in made) made[name] = value;
    else made.setAttribute(name, value);
  }
  made.append(...children);
  return made;
}

let labels = {}; // of conditions, by their names

export const learnLabels = (found) => (labels = found);

// What a condition or setting is called on the page.
export const labelOf = (name) =>
  labels[name] ?? (name[0].toUpperCase() + name.slice(1)).replaceAll("_", " ");

// A labelled control with its line of help below; `body` is what it lies in, if it is in something.
function labelled(field, input, body = input) {
  const help = element("p", { className: "help", id: `help-${input.id}`, textContent: field.help });
  input.setAttribute("aria-describedby", help.id);
  const label = element("label", { htmlFor: input.id, textContent: field.label ?? labelOf(field.name) });
  return element("div", { className: "field" }, label, body, help);
}

const id = (field) => `field-${field.name}${field.name === "prompt" ? "" : `-${++count}`}`;

function sentence(field) {
  const input = element("textarea", { id: id(field), rows: 3, required: field.required });
  return {
    element: labelled(field, input),
    read: () => input.value.trim() || null,
    write: (value) => (input.value = value ?? ""),
    focus: () => input.focus(),
  };
}

// A number; a list of numbers with commas between them where the field is a condition.
function number(field) {
  const [low, high] = field.limits ?? [null, null];
  const single = field.single ?? false;
  const range = low === null ? "" : `${low} to ${high}`;
  const input = element("input", {
    id: id(field),
    inputMode: single ? "decimal" : "text",
    autocomplete: "off",
    placeholder: field.placeholder ?? range,
  });
  return {
    element: labelled(field, input),
    read: () => {
      const text = input.value.trim();
      if (text === "") return null;
      return single && !Number.isNaN(Number(text)) ? Number(text) : text;
    },
    write: (value) => (input.value = value ?? ""),
    input,
  };
}

function choice(field) {
  const input = element("select", { id: id(field) });
  if (!field.required) input.append(new Option(field.none ?? "not given", ""));
  for (const word of field.choices) input.append(new Option(field.labels?.[word] ?? word, word));
  return {
    element: labelled(field, input),
    read: () => (field.whole ? Number(input.value) : input.value) || null,
    write: (value) => (input.value = value ?? ""),
    input,
  };
}

// A file: dropped, or chosen. It is sent at once; the studio names it by its content.
function file(field) {
  let given = null;
  let sending = Promise.resolve();
  const input = element("input", { type: "file", id: id(field), accept: field.endings.join(",") });
  const said = element("span");
  const shown = element("img", { alt: "", hidden: true });
  const choose = element("label", { htmlFor: input.id, textContent: "choose" });
  const remove = element("button", { type: "button", className: "quiet", textContent: "Remove" });
  const drop = element("div", { className: "drop" }, shown, said, choose, input, remove);

  function show(note) {
    const empty = matchMedia("(pointer: coarse)").matches ? "No file yet:" : "Drop a file here, or";
    said.textContent = note ?? (given ? given.name : empty);
    choose.hidden = Boolean(note ?? given);
    remove.hidden = !given;
  }

  async function take(chosen) {
    show(`sending ${chosen.name} …`);
    shown.hidden = true;
    try {
      given = await upload(chosen);
      if (chosen.type.startsWith("image/")) {
        shown.src = URL.createObjectURL(chosen);
        shown.hidden = false;
      }
      show();
    } catch (error) {
      given = null;
      show(error.message);
      choose.hidden = false;
    }
  }

  input.addEventListener("change", () => {
    if (input.files[0]) sending = take(input.files[0]);
  });
  remove.addEventListener("click", () => write(null));
  drop.addEventListener("dragover", (event) => {
    event.preventDefault();
    drop.classList.add("over");
  });
  drop.addEventListener("dragleave", () => drop.classList.remove("over"));
  drop.addEventListener("drop", (event) => {
    event.preventDefault();
    drop.classList.remove("over");
    if (event.dataTransfer.files[0]) sending = take(event.dataTransfer.files[0]);
  });

  function write(value) {
    given = value;
    input.value = "";
    shown.hidden = true;
    show();
  }

  show();
  return {
    element: labelled(field, input, drop),
    read: () => given,
    write,
    ready: () => sending,
  };
}

const KINDS = { sentence, number, choice, picture: file, clip: file, sound: file, file };

export function control(field) {
  const made = KINDS[field.kind](field);
  if (field.value !== undefined && field.value !== null) made.write(field.value);
  return { ready: async () => {}, ...made, field };
}
