// Brings the pages to life: polling that stays out of the reader's way, relative times, countdowns.
// Everything works without it, by reloading.
"use strict";
(() => {
  const POLL_MS = 1500;

  // Ask again only while somebody looks, and not under the hands of somebody who reads or writes there.
  const busy = (part) =>
    part.querySelector("details[open]") !== null ||
    (part.contains(document.activeElement) && document.activeElement.matches("textarea, input, select"));

  setInterval(() => {
    if (document.hidden) return;
    let paused = false;
    for (const part of document.querySelectorAll("[data-poll]")) {
      // A decision must show at once even while a note is being typed: its state is what counts.
      if (busy(part) && !part.matches("[data-state]")) paused = true;
      else window.htmx?.trigger(part, "poll");
    }
    for (const live of document.querySelectorAll("[data-live]")) {
      live.classList.toggle("paused", paused);
      live.lastElementChild.textContent = paused ? "paused while a row is open" : "live";
    }
  }, POLL_MS);

  const ago = (seconds) => {
    if (seconds < 5) return "just now";
    if (seconds < 60) return `${Math.floor(seconds)} s ago`;
    if (seconds < 3600) return `${Math.floor(seconds / 60)} min ago`;
    if (seconds < 86400) return `${Math.floor(seconds / 3600)} h ago`;
    return `${Math.floor(seconds / 86400)} d ago`;
  };

  const left = (seconds) => {
    if (seconds <= 0) return "time is up";
    const minutes = Math.floor(seconds / 60);
    return `${minutes}:${String(Math.floor(seconds % 60)).padStart(2, "0")} left`;
  };

  const say = (element, text) => {
    if (element.textContent !== text) element.textContent = text;
  };

  const tick = () => {
    const now = Date.now();
    for (const time of document.querySelectorAll("time[data-ago], time[data-left]")) {
      const at = Date.parse(time.dateTime);
      if (Number.isNaN(at)) continue;
      if (!time.title) time.title = time.textContent;
      if ("ago" in time.dataset) {
        say(time, ago((now - at) / 1000));
      } else {
        say(time, left((at - now) / 1000));
        time.classList.toggle("urgent", at - now < 60000);
      }
    }
  };
  tick();
  setInterval(tick, 1000);
  document.addEventListener("htmx:afterSwap", tick);

  // A denial without a note would only come back as a problem.
  document.addEventListener("click", (event) => {
    const deny = event.target.closest?.("#deny");
    const note = document.getElementById("note");
    if (!note) return;
    note.required = deny !== null;
  });
})();
