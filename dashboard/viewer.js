// Panels of one frame that zoom and pan as one, and on which pixels can be chosen.
// Streamlit calls the default export again whenever `data` changes; the view stays.

const VIEWERS = new WeakMap();
const CLICK_PX = 4;
const MOST_ZOOM = 64;
const GOTO_PX = 48;
const TOOLS = [
  ["move", "Move", "m", "Drag to pan, click to choose a group of pixels"],
  ["box", "Box", "b", "Drag a rectangle of pixels"],
  ["brush", "Brush", "p", "Paint pixels"],
];

export default function viewer({ data, parentElement, setStateValue }) {
  let shown = VIEWERS.get(parentElement);
  if (!shown) {
    shown = new Viewer(parentElement);
    VIEWERS.set(parentElement, shown);
  }
  shown.choose = (chosen) => setStateValue("chosen", chosen);
  shown.update(data);
}

class Viewer {
  constructor(parent) {
    this.root = element("div", "viewer");
    this.root.setAttribute("role", "group");
    this.tools = this.root.appendChild(element("div", "tools"));
    this.grid = this.root.appendChild(element("div", "grid"));
    parent.appendChild(this.root);
    this.shape = [1, 1];
    this.pictures = new Map();
    this.panels = [];
    this.serial = 0;
    this.hover = null;
    this.drag = null;
    this.addTools();
    this.use("move");
    this.reset();
    new ResizeObserver(() => this.draw()).observe(this.grid);
  }

  addTools() {
    this.buttons = {};
    for (const [name, word, key, help] of TOOLS) {
      this.buttons[name] = this.button(word, key, help, () => this.use(name));
    }
    this.button("+", "+", "Zoom in", () => this.zoomBy(1.5));
    this.button("−", "-", "Zoom out", () => this.zoomBy(1 / 1.5));
    this.button("Whole frame", "0", "Show the whole frame again", () => this.reset());
    this.readout = this.tools.appendChild(element("span", "readout"));
  }

  button(word, key, help, act) {
    const made = this.tools.appendChild(element("button"));
    made.type = "button";
    made.append(word, " ", Object.assign(element("kbd"), { textContent: key }));
    made.title = help;
    made.setAttribute("aria-label", `${help} (${key})`);
    made.onclick = act;
    return made;
  }

  use(tool) {
    this.tool = tool;
    this.root.dataset.tool = tool;
    for (const [name, button] of Object.entries(this.buttons)) {
      button.setAttribute("aria-pressed", String(name === tool));
    }
  }

  update(data) {
    const another = this.frame !== data.frame;
    this.frame = data.frame;
    this.shape = data.shape;
    this.overlays = data.overlays;
    this.marks = data.marks;
    if (another) this.reset();
    if (data.goto && data.goto.token !== this.gone) {
      this.gone = data.goto.token;
      this.centre(data.goto.x + 0.5, data.goto.y + 0.5, Math.max(...this.shape) / GOTO_PX);
    }
    data.panels.forEach((panel, index) => {
      this.panels[index] ??= this.addPanel();
      this.fill(this.panels[index], panel);
    });
    while (this.panels.length > data.panels.length) this.panels.pop().box.remove();
    this.root.dataset.revision = data.revision;
    this.draw();
  }

  addPanel() {
    const box = this.grid.appendChild(element("figure"));
    const canvas = box.appendChild(element("canvas"));
    const caption = box.appendChild(element("figcaption"));
    canvas.tabIndex = 0;
    canvas.setAttribute("role", "img");
    canvas.onpointerdown = (event) => this.press(event, canvas);
    canvas.onpointermove = (event) => this.move(event, canvas);
    canvas.onpointerup = (event) => this.release(event, canvas);
    canvas.onpointerleave = () => this.point(null);
    canvas.onkeydown = (event) => this.key(event);
    canvas.addEventListener("wheel", (event) => this.wheel(event, canvas), { passive: false });
    return { box, canvas, caption };
  }

  fill(made, panel) {
    made.url = panel.url;
    made.layers = panel.layers;
    made.canvas.setAttribute("aria-label", panel.alt);
    made.caption.replaceChildren(panel.title);
    if (panel.scale) {
      const bar = Object.assign(element("span", "bar"));
      bar.style.background = `linear-gradient(to right, ${panel.scale.colours.join(",")})`;
      made.caption.append(" ", panel.scale.low, " ", bar, " ", panel.scale.high);
    }
    if (panel.note) made.caption.append(Object.assign(element("small"), { textContent: panel.note }));
  }

  picture(url) {
    let found = this.pictures.get(url);
    if (!found) {
      found = new Image();
      found.onload = () => this.draw();
      found.src = url;
      this.pictures.set(url, found);
      if (this.pictures.size > 40) this.pictures.delete(this.pictures.keys().next().value);
    }
    return found.complete && found.naturalWidth ? found : null;
  }

  // The view: which pixel of the frame is in the middle, and how much larger than the whole frame.

  reset() {
    this.centre(this.shape[1] / 2, this.shape[0] / 2, 1);
  }

  centre(x, y, zoom) {
    const [height, width] = this.shape;
    this.zoom = Math.min(Math.max(zoom, 1), MOST_ZOOM);
    const halfX = width / 2 / this.zoom, halfY = height / 2 / this.zoom;
    this.x = Math.min(Math.max(x, halfX), width - halfX);
    this.y = Math.min(Math.max(y, halfY), height - halfY);
    Object.assign(this.root.dataset, {
      zoom: this.zoom.toFixed(2), x: this.x.toFixed(1), y: this.y.toFixed(1),
    });
    this.draw();
  }

  zoomBy(factor, x = this.x, y = this.y) {
    const zoom = Math.min(Math.max(this.zoom * factor, 1), MOST_ZOOM), left = this.zoom / zoom;
    this.centre(x + (this.x - x) * left, y + (this.y - y) * left, zoom);
  }

  scale(canvas) {
    const [height, width] = this.shape;
    return Math.min(canvas.width / width, canvas.height / height) * this.zoom;
  }

  place(event, canvas) {
    const box = canvas.getBoundingClientRect(), scale = this.scale(canvas);
    const ratio = canvas.width / box.width;
    return [
      (event.clientX - box.left) * ratio / scale + this.x - canvas.width / 2 / scale,
      (event.clientY - box.top) * ratio / scale + this.y - canvas.height / 2 / scale,
    ];
  }

  pixel([x, y]) {
    const [height, width] = this.shape;
    const inside = x >= 0 && y >= 0 && x < width && y < height;
    return inside ? { x: Math.floor(x), y: Math.floor(y) } : null;
  }

  // Drawing.

  draw() {
    for (const panel of this.panels) this.drawPanel(panel);
  }

  drawPanel({ canvas, url, layers }) {
    const [height, width] = this.shape;
    const side = Math.round(canvas.clientWidth * devicePixelRatio);
    if (!side) return;
    const tall = Math.round(side * Math.min(Math.max(height / width, 0.4), 1.25));
    if (canvas.width !== side || canvas.height !== tall) {
      canvas.width = side;
      canvas.height = tall;
      canvas.style.aspectRatio = `${side} / ${tall}`;
    }
    const pen = canvas.getContext("2d"), scale = this.scale(canvas);
    pen.setTransform(1, 0, 0, 1, 0, 0);
    pen.clearRect(0, 0, side, tall);
    pen.setTransform(
      scale, 0, 0, scale, side / 2 - this.x * scale, tall / 2 - this.y * scale);
    pen.imageSmoothingEnabled = false;
    for (const each of [url, ...layers.map((name) => this.overlays[name])]) {
      const picture = each && this.picture(each);
      if (!picture) continue;
      // A large frame comes as a picture of square blocks, the last of which may stick out.
      const block = Math.ceil(Math.max(width / picture.naturalWidth, height / picture.naturalHeight));
      pen.drawImage(picture, 0, 0, picture.naturalWidth * block, picture.naturalHeight * block);
    }
    this.drawMarks(pen, scale);
  }

  drawMarks(pen, scale) {
    pen.lineWidth = 2 * devicePixelRatio / scale;
    pen.strokeStyle = "#56B4E9";
    const room = 3 * devicePixelRatio / scale;
    for (const [y, x, height, width] of this.marks ?? []) {
      pen.strokeRect(x - room, y - room, width + 2 * room, height + 2 * room);
    }
    if (this.drag?.box) {
      const { x, y, width, height } = this.drag.box;
      pen.strokeRect(x, y, width, height);
    }
    pen.fillStyle = "#56B4E9";
    for (const spot of this.drag?.painted?.values() ?? []) pen.fillRect(spot.x, spot.y, 1, 1);
    if (this.hover) {
      pen.lineWidth = devicePixelRatio / scale;
      pen.strokeStyle = "#D55E00";
      pen.strokeRect(this.hover.x, this.hover.y, 1, 1);
    }
  }

  // Pointer and keys.

  press(event, canvas) {
    canvas.focus({ preventScroll: true });
    canvas.setPointerCapture(event.pointerId);
    const at = this.place(event, canvas);
    this.drag = { at, from: [event.clientX, event.clientY], view: [this.x, this.y], moved: false };
    if (this.tool === "brush") {
      this.drag.painted = new Map();
      this.paint(at);
    }
  }

  move(event, canvas) {
    const at = this.place(event, canvas);
    this.point(this.pixel(at));
    if (!this.drag) return;
    const step = [event.clientX - this.drag.from[0], event.clientY - this.drag.from[1]];
    this.drag.moved ||= Math.hypot(...step) > CLICK_PX;
    if (!this.drag.moved) return;
    if (this.tool === "move") {
      const ratio = devicePixelRatio / this.scale(canvas), [x, y] = this.drag.view;
      this.centre(x - step[0] * ratio, y - step[1] * ratio, this.zoom);
    } else if (this.tool === "box") {
      this.drag.box = this.boxTo(at);
      this.draw();
    } else {
      this.paint(at);
    }
  }

  release(event, canvas) {
    const drag = this.drag;
    this.drag = null;
    if (!drag) return;
    if (drag.painted) {
      if (drag.painted.size) this.say({ kind: "brush", pixels: [...drag.painted.values()] });
    } else if (drag.box) {
      this.say({ kind: "box", ...drag.box });
    } else if (!drag.moved) {
      const pixel = this.pixel(this.place(event, canvas));
      if (pixel) this.say({ kind: "point", ...pixel });
    }
    this.draw();
  }

  boxTo([x, y]) {
    const [height, width] = this.shape, [startX, startY] = this.drag.at;
    const low = (a, b) => Math.max(0, Math.floor(Math.min(a, b)));
    const high = (a, b, most) => Math.min(most, Math.floor(Math.max(a, b)) + 1);
    const left = low(startX, x), top = low(startY, y);
    return {
      x: left, y: top,
      width: Math.max(1, high(startX, x, width) - left),
      height: Math.max(1, high(startY, y, height) - top),
    };
  }

  paint(to) {
    const from = this.drag.last ?? to;
    const steps = Math.ceil(2 * Math.hypot(to[0] - from[0], to[1] - from[1])) || 1;
    for (let step = 0; step <= steps; step++) {
      const pixel = this.pixel([0, 1].map((axis) =>
        from[axis] + (to[axis] - from[axis]) * step / steps));
      if (pixel) this.drag.painted.set(`${pixel.y},${pixel.x}`, pixel);
    }
    this.drag.last = to;
    this.draw();
  }

  point(pixel) {
    this.hover = pixel;
    this.readout.textContent = pixel ? `row ${pixel.y}, column ${pixel.x}` : "";
    this.draw();
  }

  wheel(event, canvas) {
    const active = this.root.getRootNode().activeElement === canvas;
    if (!active && !event.ctrlKey) return;  // a page that is scrolled past is not zoomed
    event.preventDefault();
    this.zoomBy(event.deltaY < 0 ? 1.25 : 0.8, ...this.place(event, canvas));
  }

  key(event) {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const step = Math.max(...this.shape) / this.zoom / 10;
    const act = {
      m: () => this.use("move"), b: () => this.use("box"), p: () => this.use("brush"),
      "+": () => this.zoomBy(1.5), "=": () => this.zoomBy(1.5), "-": () => this.zoomBy(1 / 1.5),
      0: () => this.reset(),
      ArrowLeft: () => this.centre(this.x - step, this.y, this.zoom),
      ArrowRight: () => this.centre(this.x + step, this.y, this.zoom),
      ArrowUp: () => this.centre(this.x, this.y - step, this.zoom),
      ArrowDown: () => this.centre(this.x, this.y + step, this.zoom),
      Enter: () => this.say({ kind: "point", x: Math.floor(this.x), y: Math.floor(this.y) }),
      Escape: () => event.target.blur(),
    }[event.key];
    if (!act) return;
    event.preventDefault();
    event.stopPropagation();
    act();
  }

  say(chosen) {
    this.choose({ ...chosen, frame: this.frame, serial: ++this.serial });
  }
}

function element(name, style = "") {
  const made = document.createElement(name);
  if (style) made.className = style;
  return made;
}
