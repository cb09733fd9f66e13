// Which key does what: a map from action to key that its owner may change.

class Keys {
  // `actions`: [{name, word, key, group}] in the order of the help.
  constructor(actions, act) {
    this.actions = actions;
    this.act = act;
    this.own = {};
    this.waiting = null;
  }

  of(name) {
    return this.own[name] ?? this.actions.find((action) => action.name === name).key;
  }

  action(key) {
    const said = key.length === 1 ? key.toLowerCase() : key;
    return this.actions.find((action) => this.of(action.name) === said)?.name;
  }

  // Give an action a key; who had it gets the action's old one.
  assign(name, key) {
    const before = this.of(name), had = this.action(key);
    if (had && had !== name) this.own[had] = before;
    this.own[name] = key.length === 1 ? key.toLowerCase() : key;
  }

  // Whether a key press is meant for something that takes text.
  static typing(event) {
    const at = event.composedPath()[0];
    return at instanceof HTMLElement && (
      at.isContentEditable || at.matches("input:not([type=checkbox]), textarea, select, [role=combobox], [role=listbox] *"));
  }
}

class Help {
  constructor(parent, keys, changed) {
    this.keys = keys;
    this.changed = changed;
    this.root = parent.appendChild(element("dialog", "help"));
    this.root.setAttribute("aria-label", "Keys");
    this.root.addEventListener("close", () => { this.keys.waiting = null; });
  }

  toggle() {
    if (this.root.open) return this.root.close();
    this.draw();
    this.root.showModal();
  }

  draw() {
    const rows = element("div", "keymap");
    for (const action of this.keys.actions) {
      rows.appendChild(element("span", "", action.word));
      const button = rows.appendChild(element("button", "key", this.keys.waiting === action.name
        ? "press a key" : shownKey(this.keys.of(action.name))));
      button.type = "button";
      button.setAttribute("aria-label", `Change the key of: ${action.word}`);
      button.onclick = () => { this.keys.waiting = action.name; this.draw(); };
    }
    const reset = element("button", "", "Back to the keys that skysieve comes with");
    reset.type = "button";
    reset.onclick = () => { this.keys.own = {}; this.changed(); this.draw(); };
    const close = element("button", "", "Close");
    close.type = "button";
    close.onclick = () => this.root.close();
    const foot = element("div", "foot");
    foot.append(reset, close);
    this.root.replaceChildren(
      element("h3", "", "Keys"),
      element("p", "", "A grade or a comment waits for the label that follows. Click a key to change it."),
      rows, foot);
  }

  // A key that was pressed while an action waits for one.
  take(event) {
    if (!this.keys.waiting) return false;
    if (event.key !== "Escape" && event.key !== "Shift") {
      this.keys.assign(this.keys.waiting, event.key);
      this.changed();
    }
    if (event.key === "Shift") return true;
    this.keys.waiting = null;
    this.draw();
    return true;
  }
}

function shownKey(key) {
  return { " ": "space", ArrowLeft: "←", ArrowRight: "→", ArrowUp: "↑", ArrowDown: "↓" }[key] ?? key;
}
