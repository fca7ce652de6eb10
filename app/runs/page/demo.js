"use strict";
// Videos play while they are seen, unless the reader wants no motion or has paused them; one sounds
// at a time.
const videos = [...document.querySelectorAll("video")];
const still = matchMedia("(prefers-reduced-motion: reduce)").matches;
const halted = new Set();
const leaving = new Set(); // paused because they are out of sight

const seen = new IntersectionObserver((entries) => {
  for (const { target, isIntersecting } of entries) {
    if (!isIntersecting && !target.paused) {
      leaving.add(target);
      target.pause();
    } else if (isIntersecting && !still && !halted.has(target)) {
      target.play().catch(() => {});
    }
  }
}, { threshold: 0.2 });

for (const video of videos) {
  const button = video.parentElement.querySelector("button");
  seen.observe(video);
  video.addEventListener("play", () => halted.delete(video));
  video.addEventListener("pause", () => {
    if (!leaving.delete(video)) halted.add(video);
  });
  video.addEventListener("volumechange", () => {
    button?.setAttribute("aria-pressed", String(!video.muted));
    if (!video.muted) videos.forEach((other) => { other.muted ||= other !== video; });
  });
  if (!button) continue;
  button.hidden = false;
  button.setAttribute("aria-pressed", "false");
  button.setAttribute("aria-label", `Sound of: ${video.getAttribute("aria-label")}`);
  button.addEventListener("click", () => {
    video.muted = !video.muted;
    if (video.muted) return;
    video.currentTime = 0;
    video.play().catch(() => {});
  });
}
