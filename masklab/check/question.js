/* A question with its answers as radio buttons, or the lines that answer it. Loads nothing; all words go in as text.
 *
 * The model of a question has `text`, `options` and `chosen` (from 1 on, 0 = none); that of an answer has `lines`.
 */

const node = (name, className, text = "") => Object.assign(document.createElement(name), { className, textContent: text });

/** What this page remembers of a question: it outlives the kernel, not the tab. Some pages have no storage. */
const memory = (model) => {
  const key = `masklab:${JSON.stringify([model.get("text"), model.get("options")])}`;
  const storage = () => { try { return globalThis.sessionStorage; } catch { return undefined; } };
  return {
    read: () => Number(storage()?.getItem(key) ?? 0),
    write: (chosen) => storage()?.setItem(key, String(chosen)),
  };
};

function drawQuestion(model, root) {
  const options = model.get("options");
  const fieldset = root.appendChild(node("fieldset", "mlab-options"));
  fieldset.append(node("legend", "mlab-asked", model.get("text")));
  const buttons = options.map((option, i) => {
    const label = fieldset.appendChild(node("label", "mlab-option"));
    // Radio buttons belong together within their form: each question is a form of its own.
    const button = label.appendChild(Object.assign(node("input", ""), { type: "radio", name: "option", value: i + 1 }));
    label.append(node("span", "mlab-number", `${i + 1}.`), node("bdi", "", option));
    return button;
  });
  const status = root.appendChild(node("p", "mlab-chosen"));
  status.setAttribute("role", "status");

  const show = () => {
    const chosen = model.get("chosen");
    for (const button of buttons) button.checked = Number(button.value) === chosen;
    status.textContent = chosen ? `You chose ${chosen}. The answer comes further down; you may still change your mind.`
      : "Choose one.";
    if (chosen) memory(model).write(chosen);
  };
  const choose = (chosen) => {
    model.set("chosen", chosen);
    model.save_changes();
  };
  fieldset.addEventListener("change", (event) => choose(Number(event.target.value)));
  model.on("change:chosen", show);
  show();
  const earlier = memory(model).read(); // a new kernel has forgotten it
  if (!model.get("chosen") && earlier >= 1 && earlier <= options.length) choose(earlier);
  return () => model.off("change:chosen", show);
}

function drawAnswer(model, root) {
  root.setAttribute("role", "status");
  const show = () => root.replaceChildren(...model.get("lines").map((line) => node("p", "mlab-line", line)));
  model.on("change:lines", show);
  show();
  return () => model.off("change:lines", show);
}

function render({ model, el }) {
  const asks = Boolean(model.get("options"));
  const root = el.appendChild(node(asks ? "form" : "div", "mlab-question"));
  // JupyterLab's shortcuts would fire from inside: `d d` deletes the learner's cell. The mark alone does not help
  // where a shortcut is meant for whatever has the focus.
  root.dataset.lmSuppressShortcuts = "true";
  root.addEventListener("keydown", (event) => event.stopPropagation());
  root.addEventListener("submit", (event) => event.preventDefault());
  const clean = asks ? drawQuestion(model, root) : drawAnswer(model, root);
  return () => {
    clean();
    root.remove();
  };
}

export default { render };
