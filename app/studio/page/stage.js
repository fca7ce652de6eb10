// What is drawn now: a canvas for each video, which plays what is there while the rest is drawn.

import * as api from "./api.js";
import { element } from "./fields.js";

const MOST_PICTURES = 1200; // that are held of all videos of an order; the oldest go first
const WIDEST = 512; // pixels of a canvas
const STATES = {
  waiting: "waits for its turn",
  loading: "the model is loading …",
  saving: "saving …",
  done: "done",
  cancelled: "cancelled",
  failed: "not made",
};

const by = (id) => document.getElementById(id);

export function makeStage({ onDone, onTime }) {
  const screen = by("screen");
  const orders = new Map(); // by number: what the studio says of it
  const shown = { order: 0, videos: [], head: 0, began: 0, paused: false };

  // ---- pictures ----

  function clear(number, count) {
    for (const video of shown.videos) video.pictures.forEach((image) => image?.close());
    shown.order = number;
    shown.began = performance.now();
    shown.paused = false;
    by("play").textContent = "Pause";
    shown.videos = Array.from({ length: count }, (_, index) => {
      const canvas = element("canvas", { width: WIDEST, height: WIDEST });
      canvas.setAttribute("role", "img");
      canvas.setAttribute("aria-label", `Video ${index + 1} while it is drawn`);
      return { canvas, pictures: [], last: -1 };
    });
    screen.classList.remove("empty");
    screen.replaceChildren(...shown.videos.map(({ canvas }) => canvas));
  }

  function onPicture({ order, video, frame, image }) {
    if (order !== shown.order || !shown.videos[video]) {
      image.close();
      return;
    }
    const place = shown.videos[video];
    if (place.last < 0) {
      place.canvas.height = Math.round((WIDEST * image.height) / image.width);
      place.canvas.getContext("2d").imageSmoothingQuality = "high";
    }
    place.pictures[frame]?.close();
    place.pictures[frame] = image;
    place.last = Math.max(place.last, frame);
    const oldest = place.last - Math.floor(MOST_PICTURES / shown.videos.length);
    if (oldest >= 0) {
      place.pictures[oldest]?.close();
      delete place.pictures[oldest];
    }
  }

  // The picture at or before a frame, since a slow page gets fewer.
  function at(pictures, frame) {
    for (let index = frame; index >= 0; index--) if (pictures[index]) return pictures[index];
    return pictures.find(Boolean);
  }

  function draw(now) {
    requestAnimationFrame(draw);
    const order = orders.get(shown.order);
    const there = Math.min(...shown.videos.map(({ last }) => last)) + 1;
    if (!order || shown.paused || shown.videos.length === 0 || there <= 0) {
      onTime(shown.order, null);
      return;
    }
    const { fps } = order.settings;
    let seconds = (now - shown.began) / 1000;
    let head = Math.floor(seconds * fps);
    const isDrawn = order.state !== "drawing" && order.state !== "saving";
    const isStill = isDrawn && matchMedia("(prefers-reduced-motion: reduce)").matches;
    if (head >= there && isDrawn && !isStill) {
      head %= there;
      seconds %= there / fps;
    } else if (head >= there) {
      head = there - 1; // wait for what is drawn, and go on from it
      seconds = null;
      if (!isDrawn) shown.began = now - (head / fps) * 1000;
    }
    onTime(shown.order, seconds);
    for (const { canvas, pictures } of shown.videos) {
      const image = at(pictures, head);
      if (image) {
        canvas.getContext("2d").drawImage(image, 0, 0, canvas.width, canvas.height);
        canvas.dataset.frame = head;
      }
    }
  }
  requestAnimationFrame(draw);

  // ---- states ----

  function onOrder(number, order) {
    if (order === null) {
      orders.delete(number);
      return;
    }
    const before = orders.get(number);
    orders.set(number, order);
    const running = ["loading", "drawing", "saving"].includes(order.state);
    const isFree = shown.order === 0 || ended(orders.get(shown.order));
    if (number > shown.order && (running || (isFree && order.state !== "cancelled"))) {
      clear(number, order.videos.length);
    }
    if (number === shown.order) tell(order);
    if (order.state === "done" && before && before.state !== "done") onDone(order);
    listWaiting();
  }

  const ended = (order) => !order || ["done", "cancelled", "failed"].includes(order.state);

  function tell(order) {
    by("playing").hidden = false;
    by("caption").textContent = order.settings.conditions.prompt;
    by("progress").value = order.frames ? order.done / order.frames : 0; // 0: all is there
    by("left").textContent = progress(order);
    for (const name of ["stop", "cancel"]) by(name).hidden = ended(order);
    by("stop").disabled = order.state !== "drawing" || Boolean(order.story);
    const notes = order.error ? [order.error, ...order.notes] : order.notes;
    by("notes").replaceChildren(
      ...notes.map((note, index) =>
        element("li", { textContent: note, className: order.error && index === 0 ? "problem" : "" }),
      ),
    );
    by("stage").dataset.state = order.state;
  }

  function progress(order) {
    if (order.state !== "drawing") return STATES[order.state];
    const left = order.seconds_left === null ? "" : `, ${Math.ceil(order.seconds_left)} s left`;
    return `${order.done} of ${order.frames} frames${left}`;
  }

  function listWaiting() {
    const waiting = [...orders.values()].filter(({ state }) => state === "waiting");
    by("queue").replaceChildren(
      ...waiting
        .filter(({ order }) => order !== shown.order)
        .map(({ order, settings }) => {
          const stop = element("button", { className: "quiet", textContent: "Cancel" });
          stop.addEventListener("click", () => api.cancel(order, false));
          const says = element("span", { textContent: `Next: ${settings.conditions.prompt}` });
          return element("li", {}, says, stop);
        }),
    );
  }

  // ---- buttons ----

  by("play").addEventListener("click", () => {
    shown.paused = !shown.paused;
    by("play").textContent = shown.paused ? "Play" : "Pause";
  });
  by("stop").addEventListener("click", () => api.cancel(shown.order, true));
  by("cancel").addEventListener("click", () => api.cancel(shown.order, false));

  return {
    onPicture,
    onOrder,
    forget: () => {
      orders.clear(); // the studio has begun anew, and counts its orders from 1
      shown.order = 0;
    },
  };
}
