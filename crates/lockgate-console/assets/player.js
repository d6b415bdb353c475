// Starts the recording's player. The recording is data: it is parsed as asciicast and drawn by the player's own
// terminal; nothing of it is ever taken as markup.
"use strict";
(() => {
  const place = document.getElementById("player");
  if (!place || !window.AsciinemaPlayer) return;
  place.replaceChildren();
  window.AsciinemaPlayer.create(place.dataset.cast, place, {
    fit: "width",
    idleTimeLimit: 2,
    terminalFontSize: "15px",
    terminalLineHeight: 1.35,
    terminalFontFamily: "ui-monospace, 'DejaVu Sans Mono', 'Liberation Mono', Menlo, Consolas, monospace",
    theme: "asciinema",
    preload: true,
    poster: "npt:0:03",
  });
})();
