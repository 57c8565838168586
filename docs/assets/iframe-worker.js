/* Browsers start no workers for pages that are opened from a folder. There the search runs in a frame that nobody sees. */
if (location.protocol === "file:") {
  window.Worker = class extends EventTarget {
    constructor(url) {
      super()
      const frame = document.createElement("iframe")
      frame.hidden = true
      document.body.append(frame)
      const inside = frame.contentWindow
      inside.importScripts = (...urls) => urls.reduce((before, one) => before.then(() => run(inside, one)), Promise.resolve())
      inside.postMessage = data => {
        const event = new MessageEvent("message", { data })
        this.dispatchEvent(event)
        if (this.onmessage) this.onmessage(event)
      }
      this.inside = inside
      this.ready = run(inside, url)
    }
    postMessage(data) {
      this.ready.then(() => this.inside.dispatchEvent(new this.inside.MessageEvent("message", { data })))
    }
    terminate() {
      this.inside.frameElement.remove()
    }
  }
  const run = (inside, url) => new Promise((done, failed) => {
    const script = inside.document.createElement("script")
    script.src = new URL(url, location.href)
    script.onload = done
    script.onerror = failed
    inside.document.head.append(script)
  })
}
