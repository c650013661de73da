/* A connection that can be cut, as a page's own sockets see it.
 * `lossy.lose("out")` and `lossy.lose("in")` drop what the page sends, or gets, from now on;
 * `lossy.hold()` keeps what the page sends; `lossy.cut()` ends every socket and lets none be opened;
 * `lossy.mend()` makes all well again, and sends what was kept. */
(() => {
  const Real = window.WebSocket;
  const open = new Set();
  const lossy = (window.lossy = {
    lost: new Set(),
    isCut: false,
    held: null,
    hold: () => (lossy.held = []),
    lose: (way) => lossy.lost.add(way),
    cut() {
      lossy.isCut = true;
      for (const socket of [...open]) socket.end();
    },
    mend() {
      lossy.isCut = false;
      lossy.lost.clear();
      const held = lossy.held ?? [];
      lossy.held = null;
      for (const [socket, data] of held) socket.send(data);
    },
  });
  window.WebSocket = class extends Real {
    constructor(address, protocols) {
      super(lossy.isCut ? "ws://127.0.0.1:9" : address, protocols); // nobody listens there
      open.add(this);
      this.addEventListener("close", () => open.delete(this));
      this.addEventListener("message", (event) => lossy.lost.has("in") && event.stopImmediatePropagation());
    }

    send(data) {
      if (lossy.held) lossy.held.push([this, data]);
      else if (!lossy.lost.has("out")) super.send(data);
    }

    end() {
      open.delete(this);
      const { onclose } = this;
      this.onclose = this.onmessage = null;
      super.close();
      onclose?.call(this, new CloseEvent("close", { code: 1006 }));
    }
  };
})();
