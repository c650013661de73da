/* Notes when each frame leaves the page or comes in, for the table that says where the time goes. */
(() => {
  const frames = (window.benchFrames = []); // [direction, ms, bytes]
  const size = (data) => data.byteLength ?? data.length;
  window.WebSocket = class extends WebSocket {
    constructor(...address) {
      super(...address);
      this.addEventListener("message", ({ data }) => frames.push(["in", performance.now(), size(data)]));
    }
    send(data) {
      frames.push(["out", performance.now(), size(data)]);
      super.send(data);
    }
  };
})();
