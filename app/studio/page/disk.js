// How much of the disk the gallery takes and may take, and what happens when it is full.

import * as api from "./api.js";
import { control, element } from "./fields.js";

const LABELS = { stop: "make nothing more", remove_oldest: "the oldest videos go" };

export function makeDisk() {
  const dialog = document.getElementById("disk");
  const form = document.getElementById("disk-form");
  const problem = dialog.querySelector(".problem");
  const limit = control({
    name: "limit_gb",
    label: "Gigabytes that it may take",
    kind: "number",
    single: true,
    help: "of the disk; videos, their codes and the files that were given count",
  });
  const rule = control({
    name: "when_full",
    label: "When it is full",
    kind: "choice",
    required: true,
    choices: Object.keys(LABELS),
    labels: LABELS,
    help: "deleted videos go first in any case",
  });
  const save = element("button", { type: "submit", className: "primary", textContent: "Save" });
  form.append(limit.element, rule.element, save);

  function show(disk) {
    const used = disk.bytes_used / 1e9;
    const shown = used < 0.1 ? `${(1000 * used).toFixed(1)} MB` : `${used.toFixed(2)} GB`;
    document.getElementById("used").textContent = `The gallery takes ${shown}.`;
    limit.write(disk.limit_gb);
    rule.write(disk.when_full);
    problem.hidden = true;
  }

  document.getElementById("open-disk").addEventListener("click", async () => {
    show(await api.disk());
    dialog.showModal();
  });
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    try {
      show(await api.setDisk({ limit_gb: limit.read(), when_full: rule.read() }));
      dialog.close();
    } catch (error) {
      problem.textContent = error.message;
      problem.hidden = false;
    }
  });
}
