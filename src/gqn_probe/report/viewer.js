// The viewer: sheets of small pictures, one row an elevation and one column an azimuth, drawn onto canvases.
for (const root of document.querySelectorAll(".viewer")) {
  const data = JSON.parse(root.querySelector('script[type="application/json"]').textContent);
  const { size, counts, azimuths, elevations, sheets } = data;
  const middle = Math.floor(elevations.length / 2);
  const images = Object.fromEntries(Object.entries(sheets).map(([name, address]) => {
    const image = new Image();
    image.addEventListener("load", () => draw());
    image.src = address;
    return [name, image];
  }));
  const slider = root.querySelector("input[type=range]");
  const stage = root.querySelector(".stage");
  const strip = root.querySelector(".context");
  const choices = Array.from({ length: data.objects }, (_, i) => {
    const button = document.createElement("button");
    button.type = "button";
    button.setAttribute("aria-label", `object ${i + 1}`);
    button.append(document.createElement("canvas"));
    button.addEventListener("click", () => change({ object: i, without: null }));
    root.querySelector(".choices").append(button);
    return button;
  });
  const state = { object: 0, count: Number(slider.value), azimuth: 1, elevation: middle, without: null };

  const paint = (canvas, sheet, column, row) => {
    canvas.width = canvas.height = size;
    const image = images[sheet];
    if (image?.complete && image.naturalWidth) {
      canvas.getContext("2d").drawImage(image, column * size, row * size, size, size, 0, 0, size, size);
    }
  };

  // Cubes from far to near, three faces each, as opaque as the read-out is sure of them; wrong ones are framed.
  const LIGHT = [0.36, 0.57, 0.78];
  const paintCubes = (canvas, cubes, azimuth, elevation) => {
    const side = (canvas.width = canvas.height = 4 * size);
    const pen = canvas.getContext("2d");
    const [sin, cos, up, flat] = [Math.sin(azimuth), Math.cos(azimuth), Math.sin(elevation), Math.cos(elevation)];
    const away = [flat * cos, flat * sin, up];
    const far = (place) => place[0] * away[0] + place[1] * away[1] + place[2] * away[2];
    const scale = side / 2 / data.cubes.reach;
    const project = ([x, y, z]) => [side / 2 + scale * (cos * y - sin * x),
      side / 2 - scale * (flat * z - up * (cos * x + sin * y))];
    for (const [x, y, z, sure, red, green, blue, wrong] of [...cubes].sort((a, b) => far(a) - far(b))) {
      for (const axis of [2, 0, 1]) {
        const out = away[axis] > 0 ? 0.5 : -0.5;
        const light = 0.45 + 0.55 * (0.5 + out * LIGHT[axis]);
        pen.beginPath();
        for (const [i, j] of [[-0.5, -0.5], [-0.5, 0.5], [0.5, 0.5], [0.5, -0.5]]) {
          const corner = [x, y, z];
          corner[axis] += out;
          corner[(axis + 1) % 3] += i;
          corner[(axis + 2) % 3] += j;
          pen.lineTo(...project(corner));
        }
        pen.closePath();
        pen.fillStyle = `rgba(${light * red},${light * green},${light * blue},${Math.min(1, sure)})`;
        pen.strokeStyle = wrong ? "#d55e00" : "rgba(0,0,0,.15)";
        pen.lineWidth = wrong ? 2 : 1;
        pen.fill();
        pen.stroke();
      }
    }
  };

  function draw() {
    const { object, azimuth, elevation, without } = state;
    const count = counts[state.count];
    const panel = (name) => root.querySelector(`[data-panel=${name}]`);
    const other = (object + 1) % data.objects;
    if (without === null) paint(panel("mean"), `${object}-mean-${count}`, azimuth, elevation);
    else paint(panel("mean"), `${object}-without-${count}`, azimuth, without);
    paint(panel("truth"), `${object}-truth`, azimuth, elevation);
    paint(panel("other"), `${other}-mean-${count}`, azimuth, elevation);
    paint(panel("spread"), `${object}-spread-${count}`, azimuth, elevation);
    const held = data.cubes?.read[count]?.[object];
    if (data.cubes) {
      const turn = (2 * Math.PI * azimuth) / azimuths;
      paintCubes(panel("cubes"), held?.cubes ?? [], turn, (Math.PI * elevations[elevation]) / 180);
      root.querySelector("[data-score]").textContent = held ? ` · ${held.score} cubes` : "";
    }
    const error = data.errors?.[object][state.count][elevation * azimuths + azimuth].toFixed(0); // none without a truth
    root.querySelector("[data-error]").textContent = error && without === null ? ` · error ${error}` : "";
    root.querySelector("[data-count]").textContent = count;
    slider.value = state.count;
    slider.setAttribute("aria-valuetext", `${count} images`);
    const camera = `camera at ${Math.round((360 * azimuth) / azimuths)}°, ${Math.round(elevations[elevation])}° up`;
    const left = without === null ? "" : `; without image ${without + 1}`;
    root.querySelector(".status").textContent =
      `${count} image${count === 1 ? "" : "s"}${left}; ${camera}` +
      (error ? `; error ${error} of 255 grey levels with all images` : "");
    [...strip.children].forEach((button, i) => {
      button.hidden = i >= count;
      button.setAttribute("aria-pressed", String(i === without));
      paint(button.firstChild, `${object}-context`, i, 0);
    });
    choices.forEach((button, i) => {
      button.setAttribute("aria-pressed", String(i === object));
      paint(button.firstChild, `${i}-truth`, 1, middle);
    });
  }

  const change = (values) => {
    Object.assign(state, values);
    if (state.without !== null && state.without >= counts[state.count]) state.without = null;
    if (state.without !== null) state.elevation = middle;
    draw();
  };
  const turn = (columns, rows) => change({
    azimuth: (((state.azimuth + columns) % azimuths) + azimuths) % azimuths,
    elevation: Math.min(elevations.length - 1, Math.max(0, state.elevation + rows)),
  });
  const add = (steps) => change({ count: Math.min(counts.length - 1, Math.max(0, state.count + steps)) });

  for (let i = 0; i < Math.max(...counts); i++) {
    const button = document.createElement("button");
    button.type = "button";
    button.setAttribute("aria-label", `context image ${i + 1}`);
    button.append(document.createElement("canvas"));
    button.addEventListener("click", () => change({ without: state.without === i ? null : i }));
    strip.append(button);
  }
  slider.addEventListener("input", () => change({ count: Number(slider.value) }));
  stage.addEventListener("keydown", (event) => {
    const does = {
      ArrowLeft: () => turn(-1, 0), ArrowRight: () => turn(1, 0), ArrowUp: () => turn(0, 1), ArrowDown: () => turn(0, -1),
      "+": () => add(1), "-": () => add(-1),
    }[event.key];
    if (does) {
      event.preventDefault();
      does();
    }
  });
  let held = null;
  stage.addEventListener("pointerdown", (event) => {
    held = { x: event.clientX, y: event.clientY };
    stage.setPointerCapture(event.pointerId);
  });
  stage.addEventListener("pointermove", (event) => {
    if (!held) return;
    const step = stage.querySelector("canvas").clientWidth / 6;
    const columns = Math.trunc((held.x - event.clientX) / step);
    const rows = Math.trunc((event.clientY - held.y) / (2 * step));
    if (columns || rows) {
      held = { x: held.x - columns * step, y: held.y + rows * 2 * step };
      turn(columns, rows);
    }
  });
  for (const end of ["pointerup", "pointercancel"]) stage.addEventListener(end, () => (held = null));
  draw();
}
