// Cutouts side by side. Arrow keys move, Enter opens, Space or x ticks, Shift ticks a stretch.
// Streamlit calls the default export again whenever `data` changes.

const GALLERIES = new WeakMap();

export default function gallery({ data, parentElement, setStateValue, setTriggerValue }) {
  let shown = GALLERIES.get(parentElement);
  if (!shown) {
    shown = new Gallery(parentElement);
    GALLERIES.set(parentElement, shown);
  }
  shown.tell = (ticked) => setStateValue("ticked", ticked);
  shown.open = (id) => setTriggerValue("opened", id);
  shown.update(data);
}

class Gallery {
  constructor(parent) {
    this.root = element("div", "gallery");
    this.root.setAttribute("role", "listbox");
    this.root.setAttribute("aria-multiselectable", "true");
    this.root.setAttribute("aria-label", "Detections");
    this.root.addEventListener("keydown", (event) => this.key(event));
    parent.appendChild(this.root);
    this.items = [];
    this.ticked = new Set();
    this.at = 0;
  }

  update({ items, ticked }) {
    this.items = items;
    this.ticked = new Set(ticked);
    if (this.at >= items.length) this.at = 0;
    const had = this.root.contains(this.root.getRootNode().activeElement);
    this.cards = items.map((item, index) => this.card(item, index));
    this.root.replaceChildren(...this.cards);
    this.mark();
    if (had) this.cards[this.at]?.focus({ preventScroll: true });
  }

  card(item, index) {
    const card = element("div", "card");
    card.setAttribute("role", "option");
    card.setAttribute("aria-label", `${item.name}: ${item.verdict}, ${item.line}`);
    card.dataset.id = item.id;
    card.style.setProperty("--verdict", item.colour);
    const picture = item.src ? element("img") : element("div", "lost");
    if (item.src) {
      picture.src = item.src;
      picture.alt = `cutout of ${item.name}`;
      picture.draggable = false;
    } else {
      picture.textContent = "the picture is missing from the store";
    }
    const tick = element("button", "tick");
    tick.type = "button";
    tick.tabIndex = -1;
    tick.title = "Tick (x)";
    tick.setAttribute("aria-label", `Tick ${item.name}`);
    tick.onclick = (event) => {
      event.stopPropagation();
      this.toggle(index, event.shiftKey);
    };
    const verdict = element("span", "verdict", item.verdict);
    const marks = item.marks.map((text) => element("span", "mark", text));
    card.append(picture, tick, verdict, element("span", "line", item.line), ...marks);
    card.title = item.name;
    card.onfocus = () => {
      if (this.at !== index) {
        this.at = index;
        this.mark();
      }
    };
    card.onclick = (event) => {
      this.at = index;
      if (event.shiftKey || event.ctrlKey || event.metaKey) this.toggle(index, event.shiftKey);
      else this.open(item.id);
    };
    return card;
  }

  toggle(index, stretch) {
    const on = !this.ticked.has(this.items[index].id);
    const from = stretch && this.last !== undefined ? Math.min(this.last, index) : index;
    const to = stretch && this.last !== undefined ? Math.max(this.last, index) : index;
    for (let each = from; each <= to; each += 1) {
      if (on) this.ticked.add(this.items[each].id);
      else this.ticked.delete(this.items[each].id);
    }
    this.last = index;
    this.at = index;
    this.mark();
    this.tell([...this.ticked]);
  }

  mark() {
    this.cards.forEach((card, index) => {
      card.setAttribute("aria-selected", String(this.ticked.has(this.items[index].id)));
      card.tabIndex = index === this.at ? 0 : -1;
    });
  }

  key(event) {
    const columns = Math.max(1, getComputedStyle(this.root).gridTemplateColumns.split(" ").length);
    const steps = { ArrowRight: 1, ArrowLeft: -1, ArrowDown: columns, ArrowUp: -columns };
    if (event.key in steps) {
      this.at = Math.min(Math.max(this.at + steps[event.key], 0), this.items.length - 1);
      this.mark();
      this.cards[this.at].focus();
    } else if (event.key === "Enter") {
      this.open(this.items[this.at].id);
    } else if (event.key === " " || event.key === "x") {
      this.toggle(this.at, event.shiftKey);
    } else {
      return;
    }
    event.preventDefault();
    event.stopPropagation();
  }
}

function element(name, className = "", text = "") {
  const made = document.createElement(name);
  if (className) made.className = className;
  if (text) made.textContent = text;
  return made;
}
