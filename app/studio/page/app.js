// Puts the parts of the page together.

import { makeCompare } from "./compare.js";
import { makeDirect, makeViews } from "./direct/direct.js";
import { makeDisk } from "./disk.js";
import { makeGallery, toast } from "./gallery.js";
import { watch } from "./live.js";
import { makeForm } from "./make.js";
import { makeSound } from "./sound.js";
import { makeStage } from "./stage.js";
import { makeViewer } from "./viewer.js";

const status = document.getElementById("status");
let connected = false;
let model = null;

function say() {
  status.textContent = !connected
    ? "the studio does not answer; trying again …"
    : !model
      ? "starting …"
      : model.error
        ? model.error
        : model.ready
          ? `${model.model} is ready`
          : `${model.model} is loading …`;
  document.body.dataset.ready = String(connected && Boolean(model?.ready));
}

async function start() {
  const views = makeViews();
  const form = await makeForm();
  const direct = await makeDirect();
  const compare = makeCompare();
  let viewer = null;
  const gallery = makeGallery({
    onOpen: (record) => viewer.open(record),
    onCompare: (pair) => compare.open(pair),
  });
  viewer = makeViewer({
    form,
    gallery: () => gallery,
    onStory: async (story) => {
      views.open("direct");
      await direct.write({ story });
    },
  });
  const sound = makeSound(document.getElementById("sound"));
  const stage = makeStage({
    onTime: sound.at,
    onDone: (order) => {
      if (order.story && !order.film) return; // its shots are in the storyboard
      toast(`“${order.settings.conditions.prompt}” is kept.`);
    },
  });
  makeDisk();

  watch({
    onPicture: stage.onPicture,
    onSound: sound.take,
    onConnection: (is) => {
      connected = is;
      say();
    },
    onState: (states, fresh) => {
      if (fresh) {
        stage.forget();
        direct.forget();
      }
      for (const [key, value] of Object.entries(states)) {
        if (key.startsWith("order-")) {
          stage.onOrder(Number(key.slice(6)), value);
          direct.onOrder(Number(key.slice(6)), value);
        }
        if (key === "model") model = value;
        if (key === "gallery") gallery.load();
      }
      say();
    },
  });
  await gallery.load();
  document.body.dataset.open = "true";
}

start().catch((error) => (status.textContent = error.message));
