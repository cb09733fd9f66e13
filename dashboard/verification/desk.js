// The labelling desk. What is said here is kept in an outbox until the server has written it, and
// objects come ahead of their turn, so that the next one stands at once whatever the network does.
// Streamlit calls the default export again whenever `data` changes; the desk stays.

const DESKS = new WeakMap();
const ENOUGH = { one: 24, grid: 40, learned: 8 };
const MORE_MS = 60, LEAVING_MS = 1000;
const RENEW_MS = 25_000, AWAY_MS = 600_000, RETRY_MS = 4000, HUNGRY_MS = 1500;

export default function desk({ data, parentElement, setStateValue }) {
  let shown = DESKS.get(parentElement);
  if (!shown) {
    shown = new Desk(parentElement, data);
    DESKS.set(parentElement, shown);
  }
  shown.send = (outbox) => setStateValue("outbox", outbox);
  shown.update(data);
}

class Desk {
  constructor(parent, data) {
    this.store = `skysieve-outbox/${data.labeller}`;
    this.holder = this.seat();
    this.queue = [];
    this.outbox = this.remembered();
    this.stack = [];
    this.brought = new Set();
    this.selected = new Set();
    this.mode = "one";
    this.serial = 0;
    this.touched = Date.now();
    this.pending = { grade: null, comment: "" };
    this.keys = new Keys(data.actions);
    this.build(parent, data);
    this.takePreferences(data.preferences);
    this.onKey = (event) => this.key(event);
    window.addEventListener("keydown", this.onKey, true);
    this.elsewhere = 0;
    this.onClick = (event) => {
      if (!event.composedPath().includes(this.root)) this.elsewhere = Date.now();
    };
    window.addEventListener("click", this.onClick, true);
    this.timer = setInterval(() => this.tick(), 1000);
    this.flushed = Date.now();
  }

  close() {
    window.removeEventListener("keydown", this.onKey, true);
    window.removeEventListener("click", this.onClick, true);
    clearInterval(this.timer);
    DESKS.delete(this.parent);
    this.root.remove();
  }

  // What the server says.

  update(data) {
    if (this.queueName !== undefined && this.queueName !== data.queue) {
      this.queue = [];
      this.stack = [];
      this.selected.clear();
    }
    if (this.queueName !== data.queue) {
      this.elsewhere = 0;
      document.activeElement?.blur?.();
      this.root.focus({ preventScroll: true });
    }
    this.queueName = data.queue;
    this.isLearned = data.learned;
    const done = new Set([...data.acked, ...data.refused.map((each) => each.id)]);
    this.outbox = this.outbox.filter((event) => !done.has(event.id));
    this.remember();
    for (const item of data.items) this.take(item);
    for (const { event, item } of data.brought) {
      if (this.brought.has(event)) continue;
      this.brought.add(event);
      this.queue = [item, ...this.queue.filter((each) => each.id !== item.id)];
      this.awaiting = false;
    }
    const gone = new Set(data.withdrawn);
    if (this.queue.some((item) => gone.has(item.id))) {
      this.queue = this.queue.filter((item) => !gone.has(item.id));
      this.say("Somebody else took over what you left for more than a minute.");
    }
    if (data.refused.length) this.say([...new Set(data.refused.map((each) => each.message))].join(" "), true);
    this.isEmpty = data.empty;
    this.nothingToUndo = data.nothing_to_undo && !this.outbox.length;
    this.progress.textContent = data.progress;
    this.news.textContent = data.news;
    this.draw();
    const short = data.items.length && 2 * this.queue.length < this.enough();
    if (short && this.serial) this.askSoon();
    if (this.serial === 0) this.flush();  // says who asks, and what an earlier visit left unsaid
  }

  take(item) {
    const at = this.queue.findIndex((each) => each.id === item.id);
    if (at >= 0) {
      this.queue[at] = { ...item, since: this.queue[at].since, revealed: this.queue[at].revealed };
      if (at === 0) this.drawn = null;
    } else if (!this.outbox.some((event) => event.detection_id === item.id && event.type === "say")) {
      this.queue.push(item);
    }
  }

  takePreferences(kept) {
    this.keys.own = { ...(kept.keys ?? {}) };
    this.blind = Boolean(kept.blind);
    this.look = { stretch: "zscale", palette: "grey", inverted: false, ...(kept.look ?? {}) };
    this.stage.hidden = new Set(kept.hidden ?? []);
    this.controls.stretch.value = this.look.stretch;
    this.controls.palette.value = this.look.palette;
    this.controls.inverted.checked = this.look.inverted;
    this.drawButtons();
  }

  // What the labeller does.

  key(event) {
    if (!this.root.isConnected) return this.close();
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    if (this.help.take(event)) return stop(event);
    if (event.composedPath()[0] === this.comment) return this.commentKey(event);
    if (Keys.typing(event)) return;
    if (this.help.root.open && event.key !== this.keys.of("help")) return;
    const focused = event.composedPath()[0];
    if ((event.key === "Enter" || event.key === " ") && focused instanceof HTMLElement
        && focused.matches("button, a, summary, [role=tab], input")) return;
    const name = this.keys.action(event.key);
    if (!name) return;
    stop(event);
    if (event.repeat && !["zoom_in", "zoom_out", "next", "before"].includes(name)) return;
    this.act(name);
  }

  commentKey(event) {
    event.stopImmediatePropagation();
    if (event.key !== "Enter" && event.key !== "Escape") return;
    event.preventDefault();
    if (event.key === "Escape") this.comment.value = "";
    this.pending.comment = this.comment.value.trim();
    this.comment.blur();
    this.root.focus({ preventScroll: true });
  }

  act(name) {
    this.touched = Date.now();
    const action = this.keys.actions.find((each) => each.name === name);
    if (action.group === "kind") return this.label(name);
    if (action.group === "grade") return this.grade(Number(name.slice(6)));
    ({
      undo: () => this.undo(),
      skip: () => this.skip(),
      comment: () => this.comment.focus(),
      scores: () => this.toggleScores(),
      grid: () => this.toggleGrid(),
      all: () => this.selectAll(),
      select: () => this.toggleCell(this.cell),
      next: () => this.moveCell(1),
      before: () => this.moveCell(-1),
      stretch: () => this.nextOption("stretch"),
      palette: () => this.nextOption("palette"),
      invert: () => this.controls.inverted.click(),
      zoom_in: () => this.stage.zoomBy(1.5),
      zoom_out: () => this.stage.zoomBy(1 / 1.5),
      fit: () => this.stage.fit(),
      help: () => this.help.toggle(),
    })[name]();
  }

  label(kind) {
    const chosen = this.mode === "grid"
      ? this.queue.filter((item) => this.selected.has(item.id)) : this.queue.slice(0, 1);
    if (!chosen.length) return this.mode === "grid" && this.say("Select something first.");
    this.pending.comment = this.comment.value.trim();
    const now = Date.now(), group = [], whole = chosen.length > 1 ? `${now}-${Math.random()}` : null;
    for (const item of chosen) {
      const event = {
        id: crypto.randomUUID?.() ?? `${now}-${Math.random()}`, group: whole,
        type: "say", detection_id: item.id, kind, grade: this.pending.grade,
        comment: this.pending.comment, queue: this.queueName,
        seconds: this.mode === "grid" ? null : (now - (item.since ?? now)) / 1000,
        blind: this.blind && !item.revealed && this.mode === "one",
      };
      this.outbox.push(event);
      group.push({ event, item });
    }
    this.stack.push({ type: "say", group });
    const gone = new Set(chosen.map((item) => item.id));
    this.queue = this.queue.filter((item) => !gone.has(item.id));
    this.selected.clear();
    this.clearPending();
    this.said = `${this.word(kind)}: ${chosen.length === 1 ? chosen[0].name : `${chosen.length} objects`}`;
    this.status.textContent = this.said;
    this.draw();
    this.flush();
  }

  grade(value) {
    this.pending.grade = this.pending.grade === value ? null : value;
    this.drawPending();
  }

  skip() {
    const chosen = this.mode === "grid"
      ? this.queue.filter((item) => this.selected.has(item.id)) : this.queue.slice(0, 1);
    for (const item of chosen) {
      this.outbox.push({ id: `skip-${Date.now()}-${Math.random()}`, type: "skip", detection_id: item.id });
      this.stack.push({ type: "skip", group: [{ item }] });
    }
    const gone = new Set(chosen.map((item) => item.id));
    this.queue = this.queue.filter((item) => !gone.has(item.id));
    this.selected.clear();
    this.clearPending();
    this.status.textContent = chosen.length ? `skipped: ${chosen[0].name}` : "";
    this.draw();
    this.flush();
  }

  undo() {
    const last = this.stack.pop();
    if (!last) {
      if (this.nothingToUndo || this.awaiting) return;
      this.awaiting = true;
      this.outbox.push({ id: `undo-${Date.now()}-${Math.random()}`, type: "undo", undoes: null });
      return this.flush();
    }
    for (const { event, item } of last.group) {
      this.outbox.push(last.type === "skip"
        ? { id: `unskip-${Date.now()}-${Math.random()}`, type: "unskip", detection_id: item.id }
        : { id: `undo-${event.id}`, type: "undo", undoes: event.id, group: event.group && `undo-${event.group}` });
    }
    const back = last.group.map(({ item }) => ({ ...item, since: undefined }));
    const ids = new Set(back.map((item) => item.id));
    this.queue = [...back, ...this.queue.filter((item) => !ids.has(item.id))];
    const [{ event }] = last.group;
    if (event) this.pending.grade = event.grade;
    if (event) this.comment.value = event.comment;
    this.status.textContent = `taken back: ${back[0].name}`;
    this.draw();
    this.drawPending();
    this.flush();
  }

  toggleScores() {
    this.blind = !this.blind;
    if (!this.blind && this.queue[0]) this.queue[0].revealed = true;
    this.drawn = null;
    this.draw();
    this.keep();
  }

  toggleGrid() {
    this.mode = this.mode === "grid" ? "one" : "grid";
    this.cell = 0;
    this.drawn = null;
    this.draw();
    this.flush();
  }

  selectAll() {
    if (this.mode !== "grid") return;
    const all = this.selected.size === this.queue.length;
    this.selected = new Set(all ? [] : this.queue.map((item) => item.id));
    this.drawGrid();
  }

  toggleCell(cell) {
    const item = this.mode === "grid" && this.queue[cell];
    if (!item) return;
    this.cell = cell;
    this.selected.has(item.id) ? this.selected.delete(item.id) : this.selected.add(item.id);
    this.drawGrid();
  }

  moveCell(step) {
    if (this.mode !== "grid") return;
    this.cell = Math.min(Math.max(this.cell + step, 0), this.queue.length - 1);
    this.drawGrid();
  }

  nextOption(name) {
    const control = this.controls[name];
    control.selectedIndex = (control.selectedIndex + 1) % control.options.length;
    this.changeLook();
  }

  changeLook() {
    this.look = {
      stretch: this.controls.stretch.value, palette: this.controls.palette.value,
      inverted: this.controls.inverted.checked,
    };
    this.keep();
  }

  keep() {
    this.outbox = this.outbox.filter((event) => event.type !== "keep");
    this.outbox.push({
      id: `keep-${Date.now()}-${Math.random()}`, type: "keep",
      preferences: {
        keys: this.keys.own, blind: this.blind, look: this.look, hidden: [...this.stage.hidden],
      },
    });
    this.drawButtons();
    this.flush();
  }

  // How many objects should be here ahead of their turn; a batch of the ranking is shared out thinly.
  enough() {
    return ENOUGH[this.mode === "one" && this.isLearned ? "learned" : this.mode];
  }

  // The outbox.

  flush() {
    this.remember();
    this.flushed = Date.now();
    this.send({
      events: this.outbox, held: this.queue.map((item) => [item.id, item.look]),
      holder: this.holder, queue: this.queueName, look: this.look, enough: this.enough(), serial: ++this.serial,
    });
  }

  // Streamlit forgets a click that leads to another page when the old page asks for a run behind it.
  isLeaving() {
    return Date.now() - this.elsewhere < LEAVING_MS;
  }

  askSoon() {
    setTimeout(() => {
      if (!this.root.isConnected) return;
      if (this.isLeaving()) this.askSoon();
      else this.flush();
    }, MORE_MS);
  }

  tick() {
    const now = Date.now(), away = now - this.touched > AWAY_MS;
    if (!this.root.isConnected) return this.close();
    if (this.isLeaving()) return;
    const late = this.outbox.length && now - this.flushed > RETRY_MS;
    const hungry = !this.queue.length && !this.isEmpty && now - this.flushed > HUNGRY_MS;
    if (late || ((now - this.flushed > RENEW_MS || hungry) && !away)) this.flush();
  }

  remember() {
    try {
      sessionStorage.setItem(this.store, JSON.stringify(this.outbox));
    } catch { /* a browser without storage loses only what a reload interrupts */ }
  }

  // This tab, also after a reload: what it holds nobody else is handed, but it is handed it again.
  seat() {
    const fresh = `${Date.now()}-${Math.random()}`;
    try {
      const kept = sessionStorage.getItem("skysieve-seat") ?? fresh;
      sessionStorage.setItem("skysieve-seat", kept);
      return kept;
    } catch {
      return fresh;
    }
  }

  remembered() {
    try {
      return JSON.parse(sessionStorage.getItem(this.store)) ?? [];
    } catch {
      return [];
    }
  }

  // Drawing.

  build(parent, data) {
    this.parent = parent;
    this.root = parent.appendChild(element("section", "desk"));
    this.root.tabIndex = -1;
    this.root.setAttribute("aria-label", "Labelling desk");
    this.buttons = this.root.appendChild(element("div", "bar kinds"));
    this.tools = this.root.appendChild(element("div", "bar tools"));
    this.comment = element("input", "comment");
    this.comment.placeholder = "comment (c, then Enter)";
    this.comment.setAttribute("aria-label", "Comment");
    this.comment.maxLength = 2000;
    this.buildLook(data);
    const body = this.root.appendChild(element("div", "body"));
    const left = body.appendChild(element("div", "left"));
    const top = left.appendChild(element("div", "top"));
    this.title = top.appendChild(element("h3"));
    this.layers = top.appendChild(element("div", "bar layers"));
    this.stage = new Stage(left);
    this.near = left.appendChild(element("div", "near"));
    this.sheet = left.appendChild(element("div", "sheet-of"));
    this.rest = left.appendChild(element("p", "rest"));
    this.side = body.appendChild(element("aside", "side"));
    const foot = this.root.appendChild(element("div", "foot"));
    this.status = foot.appendChild(element("span", "status"));
    this.status.setAttribute("role", "status");
    this.progress = foot.appendChild(element("span", "progress"));
    this.news = foot.appendChild(element("span", "news"));
    this.help = new Help(this.root, this.keys, () => this.keep());
  }

  buildLook(data) {
    this.controls = {};
    for (const name of ["stretch", "palette"]) {
      const select = element("select");
      select.setAttribute("aria-label", name === "stretch" ? "Stretch" : "Colour map");
      select.append(...data.looks[name].map((each) => new Option(each)));
      select.onchange = () => { this.changeLook(); this.root.focus({ preventScroll: true }); };
      this.controls[name] = select;
    }
    this.controls.inverted = Object.assign(element("input"), { type: "checkbox" });
    this.controls.inverted.onchange = () => this.changeLook();
  }

  button(name, style = "", short = false) {
    const action = this.keys.actions.find((each) => each.name === name);
    const made = element("button", style, short ? "" : action.word);
    made.type = "button";
    made.dataset.action = name;
    const key = element("kbd", "", shownKey(this.keys.of(name)));
    key.setAttribute("aria-hidden", "true");
    made.append(short ? "" : " ", key);
    if (short) made.setAttribute("aria-label", action.word);
    made.title = short ? action.word : "";
    made.setAttribute("aria-keyshortcuts", this.keys.of(name));
    made.onclick = () => { this.act(name); if (name !== "comment" && name !== "help") this.root.focus({ preventScroll: true }); };
    return made;
  }

  drawButtons() {
    const of = (group) => this.keys.actions.filter((each) => each.group === group);
    this.buttons.replaceChildren(...of("kind").map(({ name }) => this.button(name, `kind ${name}`)));
    const grades = element("span", "grades");
    grades.setAttribute("role", "group");
    grades.setAttribute("aria-label", "Interest from 0 to 5");
    grades.append("interest ", ...of("grade").map(({ name, word }) => {
      const made = this.button(name, "grade");
      made.textContent = shownKey(this.keys.of(name));
      made.setAttribute("aria-label", word);
      return made;
    }));
    const inverted = element("label", "check");
    inverted.append(this.controls.inverted, " invert ", element("kbd", "", shownKey(this.keys.of("invert"))));
    const scores = this.button("scores");
    scores.setAttribute("aria-pressed", String(!this.blind));
    const grid = this.button("grid");
    grid.setAttribute("aria-pressed", String(this.mode === "grid"));
    this.tools.replaceChildren(
      grades, this.comment, this.button("undo"), this.button("skip"), scores, grid,
      this.controls.stretch, this.controls.palette, inverted,
      this.button("zoom_in", "", true), this.button("zoom_out", "", true), this.button("fit"),
      this.button("help", "", true));
    this.drawPending();
  }

  drawPending() {
    for (const made of this.tools.querySelectorAll(".grade")) {
      const value = Number(made.dataset.action.slice(6));
      made.setAttribute("aria-pressed", String(value === this.pending.grade));
    }
  }

  clearPending() {
    this.pending = { grade: null, comment: "" };
    this.comment.value = "";
    this.drawPending();
  }

  draw() {
    const item = this.queue[0];
    this.root.dataset.mode = this.mode;
    this.root.dataset.item = item?.id ?? "";
    this.root.dataset.unsent = this.outbox.length;
    this.root.dataset.waiting = this.queue.length;
    for (const made of this.root.querySelectorAll(".kinds button")) made.disabled = !item;
    const undo = this.tools.querySelector("[data-action=undo]");
    if (undo) undo.disabled = !this.stack.length && this.nothingToUndo;
    const grid = this.tools.querySelector("[data-action=grid]");
    grid?.setAttribute("aria-pressed", String(this.mode === "grid"));
    this.tools.querySelector("[data-action=scores]")?.setAttribute("aria-pressed", String(!this.blind));
    this.rest.hidden = Boolean(item);
    this.rest.textContent = item ? "" : this.isEmpty
      ? "Nothing is left for you in this queue. Choose another one, or take your last label back."
      : this.isLearned ? "The ranking learns from your labels, a moment…" : "The next objects are on their way…";
    if (this.mode === "grid") return this.drawGrid();
    this.sheet.replaceChildren();
    if (!item) {
      this.near.replaceChildren();
      this.title.textContent = "";
      this.stage.show([]);
      this.layers.replaceChildren();
      this.side.replaceChildren();
      this.drawn = null;
      return;
    }
    item.since ??= Date.now();
    if (this.drawn === item) return;
    this.drawn = item;
    this.title.textContent = item.name;
    this.stage.fit();
    this.stage.show(item.layers);
    this.drawLayers(item);
    this.drawSide(item);
    for (const coming of this.queue.slice(1, 4)) {
      coming.ready ??= coming.layers.map((layer) => Object.assign(new Image(), { src: layer.url }));
    }
  }

  drawLayers(item) {
    this.layers.replaceChildren(...item.layers.map((layer) => {
      const made = element("button", "chip", layer.name);
      made.type = "button";
      made.setAttribute("aria-pressed", String(!this.stage.hidden.has(layer.name)));
      made.setAttribute("aria-label", `Show ${layer.name}`);
      made.onclick = () => {
        const hidden = this.stage.hidden;
        hidden.has(layer.name) ? hidden.delete(layer.name) : hidden.add(layer.name);
        this.drawn = null;
        this.draw();
        this.keep();
      };
      return made;
    }));
  }

  drawSide(item) {
    const parts = [];
    const facts = element("dl");
    for (const [name, value] of item.facts) facts.append(element("dt", "", name), element("dd", "", value));
    parts.push(facts);
    if (item.place) {
      const copy = element("button", "copy", item.place);
      copy.type = "button";
      copy.title = "Copy";
      copy.setAttribute("aria-label", `Copy the coordinates ${item.place}`);
      copy.onclick = () => navigator.clipboard?.writeText(item.place)
        .then(() => this.say("Coordinates copied."), () => this.say("This browser copies only over https."));
      parts.push(copy);
    }
    const links = element("p", "links");
    for (const { word, url } of item.links) {
      const link = element("a", "", word);
      Object.assign(link, { href: url, target: "_blank", rel: "noopener noreferrer" });
      links.append(link, " ");
    }
    parts.push(links);
    for (const line of item.catalogues) parts.push(element("p", "catalogue", line));
    const machine = element("div", "machine");
    machine.setAttribute("aria-label", "What the machine says");
    if (this.blind) {
      machine.append(element("p", "", "Machine scores are hidden (blind review)."));
    } else {
      item.revealed = true;
      machine.append(element("p", "head", `machine: ${item.machine.verdict}`));
      const numbers = element("dl");
      for (const [name, value] of item.machine.numbers) {
        numbers.append(element("dt", "", name), element("dd", "", value));
      }
      machine.append(numbers, element("p", "", item.machine.reason), element("p", "by", item.machine.by));
    }
    parts.push(machine);
    if (item.people.length) {
      const people = element("div", "people");
      people.append(element("p", "head", "people"));
      for (const line of item.people) people.append(element("p", "", line));
      parts.push(people);
    }
    this.near.replaceChildren();
    if (item.neighbours.length) {
      const near = this.near;
      near.append(element("p", "head", "nearest in the embedding"));
      for (const each of item.neighbours) {
        const link = element("a");
        Object.assign(link, { href: each.link, target: "_blank", rel: "noopener" });
        link.append(Object.assign(new Image(), { src: each.url, alt: each.name }),
          element("span", "", this.blind ? each.similarity : each.text));
        near.append(link);
      }
    }
    this.side.replaceChildren(...parts);
  }

  drawGrid() {
    this.drawn = null;
    this.title.textContent = `${this.selected.size} of ${this.queue.length} selected`;
    this.stage.show([]);
    this.near.replaceChildren();
    this.layers.replaceChildren(this.button("all"), this.button("select"), this.button("before"), this.button("next"));
    this.side.replaceChildren(element("p", "", "Click what belongs together, then press the key of its label: all that is selected gets it, and one undo takes all of it back."));
    this.sheet.replaceChildren(...this.queue.map((item, cell) => {
      const made = element("button", cell === this.cell ? "cell here" : "cell");
      made.type = "button";
      made.setAttribute("aria-pressed", String(this.selected.has(item.id)));
      made.setAttribute("aria-label", item.name);
      made.append(Object.assign(new Image(), { src: item.layers[0].url, alt: "" }), element("span", "", item.name));
      made.onclick = () => { this.toggleCell(cell); this.root.focus({ preventScroll: true }); };
      return made;
    }));
  }

  word(name) {
    return this.keys.actions.find((each) => each.name === name).word;
  }

  say(text, isWrong = false) {
    this.status.textContent = text;
    this.status.classList.toggle("wrong", isWrong);
  }
}

function stop(event) {
  event.preventDefault();
  event.stopImmediatePropagation();
}
