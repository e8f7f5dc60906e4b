// The request of a method, its calls, and what they answer.
import { useEffect, useMemo, useReducer, useRef, useState } from 'preact/hooks';
import { errorInfo, post, type ErrorInfo, type Method, type Options, type Saved, type Schema, type ServerInfo } from './api';
import { Bench } from './bench';
import { Call } from './call';
import { Editor } from './editor';
import { MessageForm } from './form';
import { parse, print, type Json } from './json';
import { Messages } from './messages';
import { Problem, Table } from './parts';

type View = 'both' | 'form' | 'json';

export function Request({ server, method, start, defaults, onSaved }: {
  server: ServerInfo; method: Method; start?: Saved; defaults: Options; onSaved: () => void;
}) {
  const [schema, setSchema] = useState<Schema>();
  const [problem, setProblem] = useState<ErrorInfo>();
  const [text, setText] = useState(start?.body ?? '');
  const [version, setVersion] = useState(0);
  const putText = (t: string) => { setText(t); setVersion((v) => v + 1); };
  const [options, setOptions] = useState<Options>(start?.options ?? defaults);
  const [view, setView] = useState<View>('both');
  const [panel, setPanel] = useState<'' | 'copy' | 'bench'>('');
  const [, count] = useReducer((n: number, _: void) => n + 1, 0);
  const redraw = () => count();
  const call = useRef<Call | null>(null);

  useEffect(() => {
    const stop = new AbortController();
    post<Schema>('schema', { target: server.target, options, method: method.path }, stop.signal).then((s) => {
      setSchema(s);
      if (!start) putText(s.template);
    }, (err) => { if (!stop.signal.aborted) setProblem(errorInfo(err)); });
    return () => { stop.abort(); if (call.current?.running) call.current.cancel().catch(() => undefined); };
  }, [server.target, method.path]);

  const value = useMemo((): { json?: Json; error?: string } => {
    try { return { json: text.trim() === '' ? {} : parse(text) }; } catch (err) { return { error: String(err instanceof Error ? err.message : err) }; }
  }, [text]);

  const running = call.current?.running ?? false;
  const begin = () => {
    if (running || value.error) return;
    const c = new Call(redraw);
    call.current = c;
    c.start(server.target, method, options, method.clientStreaming ? '' : text).then(onSaved);
    redraw();
  };
  const guarded = (work: () => Promise<unknown>) => () => { setProblem(undefined); work().catch((err) => setProblem(errorInfo(err))); };
  const sendNext = guarded(async () => {
    if (!call.current?.running) begin(); else await call.current.send(text);
  });
  // A stream of requests starts empty: the first Send is a message of its own.
  const primary = method.clientStreaming && running ? sendNext : begin;

  return (
    <section class="request" aria-label={`request of ${method.name}`}>
      <header class="method-head">
        <h2>{method.name}</h2>
        <span class="type">{method.clientStreaming ? 'stream ' : ''}{short(method.input)} → {method.serverStreaming ? 'stream ' : ''}{short(method.output)}</span>
        {method.deprecated && <span class="warn">deprecated</span>}
      </header>
      {method.comment && <p class="comment">{method.comment}</p>}
      <RequestOptions options={options} onChange={setOptions} />
      <div class="tools" role="toolbar" aria-label="request">
        <button class="primary" onClick={primary} disabled={!!value.error || (running && (!method.clientStreaming || !call.current?.id || call.current.halfClosed))} title="Ctrl+Enter">
          {method.clientStreaming ? (running ? 'Send message' : 'Start') : 'Call'}
        </button>
        {method.clientStreaming && <button onClick={guarded(() => call.current!.halfClose())} disabled={!running || !call.current?.id || call.current.halfClosed}>Half-close</button>}
        <button onClick={guarded(() => call.current!.cancel())} disabled={!running || !call.current?.id}>Cancel</button>
        <span class="gap" />
        <Choice label="view" value={view} options={['both', 'form', 'json']} onChange={(v) => setView(v as View)} />
        <button aria-pressed={panel === 'copy'} onClick={() => setPanel(panel === 'copy' ? '' : 'copy')}>Copy as</button>
        <button aria-pressed={panel === 'bench'} onClick={() => setPanel(panel === 'bench' ? '' : 'bench')} disabled={method.clientStreaming}>Bench</button>
        <Save {...{ server, method, text, options, onSaved, name: start?.name }} />
      </div>
      <Problem problem={problem} />
      {panel === 'copy' && <CopyAs {...{ server, method, text, options }} />}
      {panel === 'bench' && <Bench target={server.target} method={method} options={options} body={text} />}
      {schema && (
        <div class={'inputs ' + view}>
          {view !== 'json' && <div class="form" aria-label="request form">
            {value.error ? <p class="note">The JSON is not complete: {value.error}</p>
              : <MessageForm types={schema.types} type={method.input} value={value.json} onChange={(v) => putText(print(v ?? {}))} />}
          </div>}
          {view !== 'form' && <Editor schema={schema} type={method.input} text={text} version={version} label="request as JSON" onChange={setText} onSend={primary} />}
        </div>
      )}
      {call.current && <Result call={call.current} />}
    </section>
  );
}

const short = (name: string) => name.slice(name.lastIndexOf('.') + 1);

function Choice({ label, value, options, onChange }: { label: string; value: string; options: string[]; onChange: (v: string) => void }) {
  return (
    <select aria-label={label} value={value} onChange={(e) => onChange(e.currentTarget.value)}>
      {options.map((o) => <option key={o} value={o}>{o}</option>)}
    </select>
  );
}

export function RequestOptions({ options, onChange }: { options: Options; onChange: (o: Options) => void }) {
  const headers = options.headers ?? [];
  const put = (next: [string, string][]) => onChange({ ...options, headers: next });
  return (
    <details class="options">
      <summary>Headers and deadline{headers.length > 0 ? ` (${headers.length})` : ''}</summary>
      {headers.map(([k, v], i) => (
        <div class="item" key={i}>
          <input type="text" class="key" aria-label={`name of header ${i + 1}`} placeholder="name" value={k} onInput={(e) => put(headers.map((h, j) => (j === i ? [e.currentTarget.value, h[1]] : h)))} />
          <input {...{ type: (secret(k) ? 'password' : 'text') as 'text' }} autocomplete="off" aria-label={`value of header ${i + 1}`} placeholder="value" value={v} onInput={(e) => put(headers.map((h, j) => (j === i ? [h[0], e.currentTarget.value] : h)))} />
          <button type="button" class="small" aria-label={`remove header ${i + 1}`} onClick={() => put(headers.filter((_, j) => j !== i))}>remove</button>
        </div>
      ))}
      <button type="button" onClick={() => put([...headers, ['', '']])}>Add header</button>
      <label>Deadline <input type="text" placeholder="none, or 5s" value={options.deadline ?? ''} onInput={(e) => onChange({ ...options, deadline: e.currentTarget.value })} /></label>
    </details>
  );
}

const secret = (name: string) => /auth|cookie|token|secret|passw|credential|api-?key|session|signature/i.test(name);

function CopyAs({ server, method, text, options }: { server: ServerInfo; method: Method; text: string; options: Options }) {
  const [all, setAll] = useState<[string, string][]>([]);
  const [which, setWhich] = useState(0);
  const [problem, setProblem] = useState<ErrorInfo>();
  const [done, setDone] = useState(false);
  useEffect(() => {
    setDone(false);
    const stop = new AbortController();
    post<[string, string][]>('copy-as', { target: server.target, method: method.path, body: text, options }, stop.signal)
      .then((a) => { setAll(a); setProblem(undefined); }, (err) => { if (!stop.signal.aborted) setProblem(errorInfo(err)); });
    return () => stop.abort();
  }, [text, options]);
  return (
    <div class="panel" aria-label="copy as">
      <Problem problem={problem} />
      <div class="tools">
        {all.map(([name], i) => <button key={name} aria-pressed={i === which} onClick={() => { setWhich(i); setDone(false); }}>{name}</button>)}
        <span class="gap" />
        {all[which] && <button onClick={() => navigator.clipboard.writeText(all[which][1]).then(() => setDone(true), (err) => setProblem(errorInfo(err)))}>{done ? 'Copied' : 'Copy'}</button>}
      </div>
      <pre tabIndex={0}>{all[which]?.[1]}</pre>
    </div>
  );
}

function Save({ server, method, text, options, onSaved, name: old }: { server: ServerInfo; method: Method; text: string; options: Options; onSaved: () => void; name?: string }) {
  const [open, setOpen] = useState(false);
  const [name, setName] = useState(old ?? method.name);
  const [problem, setProblem] = useState<ErrorInfo>();
  if (!open) return <button onClick={() => setOpen(true)}>Save</button>;
  return (
    <form class="save" onSubmit={(e) => {
      e.preventDefault();
      post('save', { name, target: server.target, method: method.path, body: text, options }).then(() => { setOpen(false); onSaved(); }, (err) => setProblem(errorInfo(err)));
    }}>
      <input type="text" aria-label="name of the request" value={name} onInput={(e) => setName(e.currentTarget.value)} />
      <button type="submit">Save</button><button type="button" onClick={() => setOpen(false)}>Close</button>
      <Problem problem={problem} />
    </form>
  );
}

function Result({ call }: { call: Call }) {
  const [chosen, setChosen] = useState(-1);
  const shown = call.rows[chosen] ?? (call.running ? undefined : call.rows.findLast((r) => !r.sent));
  const received = call.rows.reduce((n, r) => n + (r.sent ? 0 : 1), 0);
  return (
    <section class="result" aria-label="answer">
      <p role="status" class={'status ' + (call.running ? 'running' : call.end?.code === 'OK' ? 'ok' : 'failed')}>
        <strong>{call.error ? 'not called' : call.end?.code ?? 'running'}</strong>
        {' '}{call.end?.message}
        {' '}<span class="type">{call.rows.length - received} sent, {received} received</span>
      </p>
      {call.end?.next && <p class="next">{call.end.next}</p>}
      <Problem problem={call.error} />
      {call.end?.details.map((d, i) => <pre key={i} class="detail" aria-label="error detail">{d}</pre>)}
      {call.rows.length > 0 && <Messages rows={call.rows} version={call.version} chosen={chosen} onChoose={setChosen} />}
      {shown && <pre class="shown" tabIndex={0} aria-label="message">{pretty(shown.json)}</pre>}
      <Table title="Headers" rows={call.headers} />
      <Table title="Trailers" rows={call.trailers} />
      <Table title="Times" rows={call.times} />
    </section>
  );
}

function pretty(text: string) {
  try { return print(parse(text)); } catch { return text; }
}
