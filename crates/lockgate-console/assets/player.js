// Starts the recording's player. The recording is data: it is parsed as asciicast and drawn by the player's own
// terminal; nothing of it is ever taken as markup.
"use strict";
(() => {
  const place = document.getElementById("player");
  if (!place || !window.AsciinemaPlayer) return;
  place.replaceChildren();
  // Without a terminal nothing ever told a size: a low window is enough, the channels below hold the text.
  const size = place.dataset.tty === "true" ? {} : { cols: 110, rows: 14 };
  window.AsciinemaPlayer.create(place.dataset.cast, place, {
    ...size,
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
