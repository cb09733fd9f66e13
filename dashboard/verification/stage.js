// The layers of one cutout side by side: they zoom and pan as one.

const MOST_ZOOM = 16;

class Stage {
  constructor(parent) {
    this.root = parent.appendChild(element("div", "stage"));
    this.hidden = new Set();
    this.fit();
  }

  // `layers`: {name, title, alt, url, box: [left, top, width, height] in shares of the cutout}.
  show(layers) {
    this.views = [];
    const seen = layers.filter((layer) => !this.hidden.has(layer.name));
    this.root.style.setProperty("--columns", Math.min(Math.max(seen.length, 4), 6));
    this.root.replaceChildren(...seen.map((layer) => {
      const figure = element("figure");
      const view = figure.appendChild(element("div", "view"));
      view.tabIndex = 0;
      view.setAttribute("role", "img");
      view.setAttribute("aria-label", layer.alt);
      const sheet = view.appendChild(element("div", "sheet"));
      const picture = sheet.appendChild(new Image());
      picture.src = layer.url;
      picture.alt = "";
      picture.draggable = false;
      const [left, top, width, height] = layer.box.map((share) => `${100 * share}%`);
      Object.assign(picture.style, { left, top, width, height });
      figure.appendChild(element("figcaption")).textContent = layer.title;
      view.onpointerdown = (event) => this.grab(event, view);
      view.onpointermove = (event) => this.pull(event, view);
      view.onpointerup = view.onpointercancel = () => { this.drag = null; };
      view.addEventListener("wheel", (event) => this.wheel(event, view), { passive: false });
      this.views.push(sheet);
      return figure;
    }));
    this.draw();
  }

  fit() {
    this.zoom = 1;
    this.x = this.y = 0.5;
    this.draw();
  }

  zoomBy(factor, x = this.x, y = this.y) {
    const zoom = Math.min(Math.max(this.zoom * factor, 1), MOST_ZOOM);
    const kept = this.zoom / zoom;
    this.x = x + (this.x - x) * kept;
    this.y = y + (this.y - y) * kept;
    this.zoom = zoom;
    this.draw();
  }

  draw() {
    const half = 0.5 / this.zoom;
    this.x = Math.min(Math.max(this.x, half), 1 - half);
    this.y = Math.min(Math.max(this.y, half), 1 - half);
    this.root.dataset.zoom = this.zoom.toFixed(2);
    for (const sheet of this.views ?? []) {
      const left = 50 - 100 * this.x * this.zoom, top = 50 - 100 * this.y * this.zoom;
      sheet.style.transform = `translate(${left}%, ${top}%) scale(${this.zoom})`;
    }
  }

  grab(event, view) {
    view.focus({ preventScroll: true });
    view.setPointerCapture(event.pointerId);
    this.drag = { x: event.clientX, y: event.clientY, from: [this.x, this.y] };
  }

  pull(event, view) {
    if (!this.drag) return;
    const side = view.clientWidth * this.zoom;
    this.x = this.drag.from[0] - (event.clientX - this.drag.x) / side;
    this.y = this.drag.from[1] - (event.clientY - this.drag.y) / side;
    this.draw();
  }

  wheel(event, view) {
    const active = view.getRootNode().activeElement === view;
    if (!active && !event.ctrlKey) return;  // a page that is scrolled past is not zoomed
    event.preventDefault();
    const box = view.getBoundingClientRect();
    const at = (share, middle) => middle + (share - 0.5) / this.zoom;
    this.zoomBy(event.deltaY < 0 ? 1.25 : 0.8,
      at((event.clientX - box.left) / box.width, this.x),
      at((event.clientY - box.top) / box.height, this.y));
  }
}

function element(name, style = "", text = "") {
  const made = document.createElement(name);
  if (style) made.className = style;
  if (text) made.textContent = text;
  return made;
}
