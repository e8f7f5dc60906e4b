// A call and what has come of it, in a form that the page can draw from.
import { errorInfo, lines, post, type CallEvent, type ErrorInfo, type Method, type Options } from './api';
import type { Row } from './messages';

export class Call {
  rows: Row[] = [];
  headers?: [string, string][];
  trailers?: [string, string][];
  times?: [string, string][];
  end?: { code: string; message: string; details: string[]; next?: string };
  error?: ErrorInfo;
  id?: string;
  halfClosed = false;
  version = 0;
  readonly began = performance.now();
  private abort = new AbortController();
  private drawing = false;

  constructor(private readonly changed: () => void) {}

  get running() { return !this.end && !this.error; }

  // start makes the call and resolves when it has ended. Messages come in
  // batches and the page is drawn once a frame, however many there are.
  async start(target: string, method: Method, options: Options, body: string): Promise<void> {
    try {
      await lines<CallEvent>('call', { target, method: method.path, options, body }, this.abort.signal, (batch) => {
        for (const e of batch) this.take(e);
        this.draw();
      });
      if (this.running) this.error = { message: 'the call ended without a status', next: 'see the output of grpcpipe ui' };
    } catch (err) {
      if (!this.end) this.error = errorInfo(err);
    }
    this.draw();
  }

  private take(e: CallEvent) {
    switch (e.kind) {
      case 'started': this.id = e.id; break;
      case 'headers': this.headers = e.metadata ?? []; break;
      case 'sent': case 'message':
        this.rows.push({ n: this.rows.length, sent: e.kind === 'sent', at: e.at ?? 0, json: e.json ?? '', size: e.size ?? 0 });
        break;
      case 'trailers': this.trailers = e.metadata ?? []; break;
      case 'end':
        this.end = { code: e.code ?? '', message: e.message ?? '', details: e.details ?? [], next: e.next };
        this.times = e.times;
        break;
      case 'error': this.error = { message: e.message ?? 'failed', next: e.next }; break;
    }
  }

  private draw() {
    if (this.drawing) return;
    this.drawing = true;
    // A hidden page has no frames.
    const now = () => { this.drawing = false; this.version++; this.changed(); };
    document.hidden ? setTimeout(now, 100) : requestAnimationFrame(now);
  }

  send(body: string) { return post('send', { id: this.id, body }); }
  async halfClose() { await post('half-close', { id: this.id }); this.halfClosed = true; this.draw(); }
  cancel() { return post('cancel', { id: this.id }); }
}
