// What the page asks of the studio. Every failure becomes an Error with one line for the reader.

async function call(method, path, body, kind, keepalive = false) {
  const headers = kind ? { "content-type": kind } : {};
  let answer;
  try {
    answer = await fetch(path, { method, body, headers, keepalive });
  } catch {
    throw new Error("the studio does not answer; is it still running?");
  }
  const text = await answer.text();
  let value = {};
  try {
    value = text ? JSON.parse(text) : {};
  } catch {
    value = { error: text };
  }
  if (!answer.ok) throw new Error(value.error?.message ?? value.error ?? value.detail ?? `error ${answer.status}`);
  return value;
}

const send = (method, path, value, keepalive) =>
  call(method, path, JSON.stringify(value), "application/json", keepalive);

const videoPath = (id) => `/api/videos/${encodeURIComponent(id)}`;

export const choices = () => call("GET", "/api/models");
export const about = (model) => call("GET", `/api/models/${encodeURIComponent(model)}`);
export const make = (settings) => send("POST", "/api/orders", settings);
export const cancel = (order, keep) => call("DELETE", `/api/orders/${order}?keep=${keep}`);
export const disk = () => call("GET", "/api/disk");
export const setDisk = (rule) => send("PUT", "/api/disk", rule);
export const remove = (id) => call("DELETE", videoPath(id));
export const restore = (id) => call("POST", `${videoPath(id)}/restore`);
export const record = (id) => call("GET", videoPath(id));
export const upload = (file) =>
  call("POST", `/api/files?name=${encodeURIComponent(file.name)}`, file, "application/octet-stream");
export const videos = (search, after, count) =>
  call("GET", `/api/videos?search=${encodeURIComponent(search)}&after=${after}&count=${count}`);

export const story = () => call("GET", "/api/story");
export const keepStory = (value, leaving) => send("PUT", "/api/story", value, leaving);
export const drawStory = (value) => send("POST", "/api/story/orders", value);

export const film = (id) => `${videoPath(id)}/video.mp4`;
export const picture = (id) => `${videoPath(id)}/picture.jpg`;
