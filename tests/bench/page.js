/* Runs in JupyterLab's page: stamps one key press, and the moment when its answer is painted. */
(() => {
  const words = (text) => text.trim().split(/\s+/);
  const chips = (box) => [...box.closest(".mlab-sentence").querySelectorAll(".mlab-chip:not([data-pad])")];

  /* Whether the chips show the word at the caret: others may be hidden, as [MASK], and [BOS] may come before them. */
  const shows = (box) => {
    const [typed, shown] = [words(box.value), chips(box).map((chip) => chip.textContent)];
    const [last, before] = [words(box.value.slice(0, box.selectionStart)).length - 1, shown.length - typed.length];
    return (before === 0 || before === 1) && shown[before + last] === typed[last];
  };

  /* For each kind: where one types, what to watch, what it looks like now, and whether that answers this key. */
  const KINDS = {
    lab: {
      boxes: ".mlab-text",
      watch: ".mlab-root",
      changes: { attributeFilter: ["data-serial"] }, // the view writes it when everything else is done
      look: (root) => root.dataset.serial,
      answers: (root, box) => shows(box),
    },
    echo: {
      boxes: ".bench-box input",
      watch: ".bench-answer",
      changes: { childList: true, characterData: true, subtree: true },
      look: (label) => label.textContent,
      answers: (label, box) => label.textContent === box.value,
    },
    pyplot: {
      boxes: ".bench-box input",
      watch: ".bench-answer",
      changes: { childList: true, attributes: true, subtree: true },
      look: (output) => output.querySelector("img")?.src,
      answers: (output) => output.querySelector("img") !== null,
      loaded: (output) => output.querySelector("img").decode(),
    },
  };

  const boxOf = (kind, which) => {
    const boxes = document.querySelectorAll(KINDS[kind].boxes);
    return boxes[Math.min(which, boxes.length - 1)];
  };

  window.bench = {
    answer: null,

    /* Scroll so that as much as possible of what is measured can be seen. */
    toTop() {
      document.querySelector(Object.values(KINDS).map(({ boxes }) => boxes).join()).scrollIntoView({ block: "start" });
    },

    /* Put the caret where the key goes in, and wait for what comes of it: `answer` resolves to three times in ms. */
    arm([kind, which, start, end]) {
      const { watch, changes, look, answers, loaded } = KINDS[kind];
      const [box, node] = [boxOf(kind, which), document.querySelector(watch)];
      const before = look(node);
      box.focus();
      box.setSelectionRange(start, end);
      this.answer = new Promise((resolve) => {
        let pressed;
        addEventListener("input", () => (pressed = performance.now()), { capture: true, once: true });
        const observer = new MutationObserver(async () => {
          if (pressed === undefined || look(node) === before || !answers(node, box)) return;
          observer.disconnect();
          await loaded?.(node);
          const changed = performance.now();
          const done = () => resolve({ pressed, changed, painted: performance.now(), origin: performance.timeOrigin });
          requestAnimationFrame(() => requestAnimationFrame(done)); // the second comes after the first was painted
        });
        observer.observe(node, changes);
      });
    },

    answerWithin(limit) {
      const late = new Promise((_, fail) => setTimeout(fail, limit, new Error(`no answer in ${limit} ms`)));
      return Promise.race([this.answer, late]);
    },

    /* Run code in this notebook's kernel and return what an expression gives there. */
    async kernel([code, expression]) {
      const kernel = jupyterapp.shell.currentWidget.sessionContext.session.kernel;
      const request = { code, silent: false, store_history: false, user_expressions: { it: expression } };
      const { content } = await kernel.requestExecute(request).done;
      const failed = content.status === "error" ? content : content.user_expressions.it;
      if (failed.status === "error") throw new Error(`${failed.ename}: ${failed.evalue}`);
      return JSON.parse(failed.data["text/plain"].slice(1, -1)); // a string's repr, of plain ASCII JSON
    },
  };
})();
