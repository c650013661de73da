/* The page's end of the line to the kernel: all that is read of the model and written to it goes through here. */

/** @typedef {ReturnType<typeof makeLink>} Link */

/** @param {Model} model */
export function makeLink(model) {
  return {
    picture: () => model.get("picture"),
    /** @returns {State} */
    state: () => model.get("state"),
    /** @returns {Spec[]} */
    controls: () => model.get("controls"),
    /** @returns {Record<string, string[]>} */
    palette: () => model.get("palette"),
    label: () => model.get("label") || "masklab",
    /** @param {State} changes */
    send(changes) {
      model.set("state", { ...model.get("state"), ...changes });
      model.save_changes();
    },
    /** Call each listener when its trait changes; returns what ends that.
     * @param {Record<string, () => void>} listeners */
    listen(listeners) {
      for (const [name, listener] of Object.entries(listeners)) model.on(`change:${name}`, listener);
      return () => {
        for (const [name, listener] of Object.entries(listeners)) model.off(`change:${name}`, listener);
      };
    },
  };
}

/** Change the state, here at once and then in the kernel; with `force` also in the box that has the focus.
 * @param {View} view @param {State} changes */
export function setState(view, changes, { force = false } = {}) {
  view.force = force;
  view.link.send(changes);
  view.force = false;
}
