/* Search from disk: browsers refuse a Worker on file://, so run its script in a hidden frame with the same messages. */
if (location.protocol === "file:") {
  window.Worker = class extends EventTarget {
    constructor(url) {
      super();
      this.frame = document.createElement("iframe");
      this.frame.hidden = true;
      const source = String(new URL(url, document.baseURI));
      this.frame.srcdoc = `<script>
        self.postMessage = data => parent.dispatchEvent(new MessageEvent("frame-worker", {data}));
      <\/script><script src="${source}"><\/script>`;
      this.ready = new Promise(done => { this.frame.onload = done; });
      window.addEventListener("frame-worker", event => this.dispatchEvent(new MessageEvent("message", {data: event.data})));
      document.body.append(this.frame);
    }
    postMessage(data) {
      this.ready.then(() => this.frame.contentWindow.dispatchEvent(new MessageEvent("message", {data})));
    }
    terminate() { this.frame.remove(); }
  };
}
