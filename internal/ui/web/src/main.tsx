import { render } from 'preact';
import { useCallback, useEffect, useMemo, useRef, useState } from 'preact/hooks';
import { ApiError, errorInfo, lines, login, post, type ErrorInfo, type Finding, type Method, type Options, type Pipe, type Saved, type ServerInfo } from './api';
import { Problem, Table } from './parts';
import { Request } from './request';

interface Opened { server?: ServerInfo; findings?: Finding[]; error?: ErrorInfo; untrusted?: boolean }

function App() {
  const [pipes, setPipes] = useState<Pipe[]>();
  const [target, setTarget] = useState('');
  const [opened, setOpened] = useState<Opened>();
  const [method, setMethod] = useState<Method>();
  const [start, setStart] = useState<Saved>();
  const [options, setOptions] = useState<Options>({});
  const [problem, setProblem] = useState<ErrorInfo>();
  const [saved, setSaved] = useState<{ saved: Saved[]; history: Saved[] }>({ saved: [], history: [] });
  const [filter, setFilter] = useState('');
  const search = useRef<HTMLInputElement>(null);

  useEffect(() => {
    const stop = new AbortController();
    lines<{ pipes: Pipe[]; error?: ErrorInfo }>('pipes', {}, stop.signal, (batch) => {
      const latest = batch[batch.length - 1];
      setPipes(latest.pipes ?? []);
      setProblem(latest.error);
    }).catch((err) => { if (!stop.signal.aborted) setProblem(errorInfo(err)); });
    return () => stop.abort();
  }, []);

  const reload = useCallback(() => { post<{ saved: Saved[]; history: Saved[] }>('saved').then(setSaved, (err) => setProblem(errorInfo(err))); }, []);
  useEffect(reload, []);

  const open = useCallback(async (name: string, opts: Options, then?: Saved) => {
    setTarget(name); setOptions(opts); setOpened(undefined); setMethod(undefined); setStart(undefined);
    try {
      const o = await post<Opened>('open', { target: name, options: opts });
      setOpened(o);
      const all = o.server?.services.flatMap((s) => s.methods) ?? [];
      const wanted = then && all.find((m) => m.path === then.method);
      if (then && o.server && !wanted) setProblem({ message: `${name} has no method ${then.method} any more` });
      setStart(wanted ? then : undefined);
      setMethod(wanted ?? (all.length === 1 ? all[0] : undefined));
    } catch (err) { setOpened({ error: errorInfo(err) }); }
  }, []);

  // A server that went away and came back may have another schema. An address
  // that was never among the pipes can't be followed.
  const listening = pipes?.find((p) => p.target === target)?.state === 'listening';
  const seen = useRef('');
  const gone = !!opened?.server && seen.current === target && !listening;
  const wasGone = useRef(false);
  useEffect(() => {
    if (listening) seen.current = target;
    if (wasGone.current && listening && opened?.server) {
      post<Opened>('open', { target, options }).then((o) => {
        setOpened(o);
        const all = o.server?.services.flatMap((s) => s.methods) ?? [];
        setMethod((m) => m && all.find((n) => n.path === m.path));
      }, (err) => setProblem(errorInfo(err)));
    }
    wasGone.current = gone;
  }, [listening, target]);

  useEffect(() => {
    const keys = (e: KeyboardEvent) => {
      const typing = (e.target as HTMLElement).closest('input, textarea, select, .cm-editor');
      if (e.key === '/' && !typing) { e.preventDefault(); search.current?.focus(); }
      if (e.key === 'Escape' && !typing) home();
    };
    addEventListener('keydown', keys);
    return () => removeEventListener('keydown', keys);
  }, []);

  const home = () => { setTarget(''); setOpened(undefined); setMethod(undefined); };

  return (
    <>
      <header class="bar">
        <h1><button class="home" onClick={home} title="all pipes (Esc)">grpcpipe</button></h1>
        <form onSubmit={(e) => { e.preventDefault(); if (filter.trim()) open(filter.trim(), {}); }}>
          <input ref={search} type="search" aria-label="filter the pipes, or an address to open" placeholder="filter, or npipe:NAME, host:port, unix:PATH ( / )" value={filter} onInput={(e) => setFilter(e.currentTarget.value)} />
        </form>
        {target && <span class="where">{target} {gone && <strong class="warn">gone; waiting for it</strong>}</span>}
      </header>
      <Problem problem={problem} />
      {!target ? <Home pipes={pipes} filter={filter} saved={saved} onOpen={open} onChange={reload} /> : (
        <div class="server">
          {!opened && <p class="empty" role="status">Connecting to {target}…</p>}
          {opened && !opened.server && <Unreachable target={target} opened={opened} options={options} onRetry={(o) => open(target, o)} />}
          {opened?.server && <nav class="services" aria-label="services and methods"><Services server={opened.server} chosen={method} onChoose={(m) => { setStart(undefined); setMethod(m); }} /></nav>}
          {opened?.server && method && <Request key={method.path + (start?.at ?? start?.name ?? '')} server={opened.server} method={method} start={start} defaults={options} onSaved={reload} />}
          {opened?.server && !method && <section class="request"><About server={opened.server} /></section>}
        </div>
      )}
    </>
  );
}

function Home({ pipes, filter, saved, onOpen, onChange }: {
  pipes?: Pipe[]; filter: string; saved: { saved: Saved[]; history: Saved[] };
  onOpen: (target: string, o: Options, then?: Saved) => void; onChange: () => void;
}) {
  const shown = useMemo(() => (pipes ?? []).filter((p) => p.name.toLowerCase().includes(filter.toLowerCase()))
    .sort((a, b) => Number(b.state !== 'stale') - Number(a.state !== 'stale')), [pipes, filter]);
  const remove = (s: Saved) => { post('remove', { name: s.name }).then(onChange, onChange); };
  return (
    <main class="home-page">
      <section aria-label="pipes">
        <h2>Pipes of this machine</h2>
        {!pipes ? <p role="status">Looking…</p> : shown.length === 0 && <p class="empty">{pipes.length === 0 ? 'There are none. Try: grpcpipe serve-demo MyPipe' : 'None fits. Enter opens it as an address.'}</p>}
        {shown.length > 0 && <table class="pipes">
          <thead><tr><th>Name</th><th>State</th><th>Owner</th><th>Process</th><th>Services</th></tr></thead>
          <tbody>{shown.map((p) => (
            <tr key={p.path} class={p.state}>
              <td><button class="link" title={p.path} onClick={() => onOpen(p.target, {})}>{p.name}</button></td>
              <td>{p.state}</td><td>{p.owner}</td><td>{p.process ? `${p.process} ${p.program ?? ''}` : ''}</td>
              <td>{p.services?.join(', ') ?? p.error}</td>
            </tr>))}
          </tbody>
        </table>}
      </section>
      <List title="Saved requests" items={saved.saved} onOpen={onOpen} onRemove={remove} />
      <List title="History" items={saved.history} onOpen={onOpen} />
    </main>
  );
}

function List({ title, items, onOpen, onRemove }: { title: string; items: Saved[]; onOpen: (target: string, o: Options, then?: Saved) => void; onRemove?: (s: Saved) => void }) {
  if (items.length === 0) return null;
  return (
    <section aria-label={title}>
      <h2>{title}</h2>
      <ul class="saved">{items.map((s, i) => (
        <li key={i}>
          <button class="link" onClick={() => onOpen(s.target, s.options, s)}>{onRemove ? s.name : s.method}</button>
          <span class="type">{s.target} {onRemove ? s.method : ''} {s.at ? new Date(s.at).toLocaleString() : ''} {s.code}</span>
          {onRemove && <button class="small" aria-label={`remove ${s.name}`} onClick={() => onRemove(s)}>remove</button>}
        </li>))}
      </ul>
    </section>
  );
}

function Services({ server, chosen, onChoose }: { server: ServerInfo; chosen?: Method; onChoose: (m: Method) => void }) {
  return (
    <>
      {server.services.map((s) => (
        <div class="service" key={s.name}>
          <h3 title={s.comment}>{s.name}</h3>
          <ul>{s.methods.map((m) => (
            <li key={m.path}>
              <button class={'link' + (m.path === chosen?.path ? ' chosen' : '')} aria-current={m.path === chosen?.path ? 'page' : undefined} title={m.comment} onClick={() => onChoose(m)}>
                {m.name}
              </button>
              <span class="type">{m.clientStreaming && m.serverStreaming ? 'both stream' : m.clientStreaming ? 'client streams' : m.serverStreaming ? 'server streams' : ''}</span>
            </li>))}
          </ul>
        </div>
      ))}
    </>
  );
}

function About({ server }: { server: ServerInfo }) {
  return (
    <>
      <h2>{server.target}</h2>
      <Table title="Server" rows={[['address', server.address], ['who', server.who ?? 'unknown'], ...(server.tls ? [['TLS', server.tls] as [string, string]] : []), ...server.settings.map((s) => ['HTTP/2', s] as [string, string])]} />
      <Table title="Connecting" rows={server.stages} />
      <p class="note">Choose a method on the left.</p>
    </>
  );
}

function Unreachable({ target, opened, options, onRetry }: { target: string; opened: Opened; options: Options; onRetry: (o: Options) => void }) {
  const [o, setO] = useState(options);
  return (
    <main class="home-page">
      <h2>{target} can't be used yet</h2>
      <Problem problem={opened.error} />
      {opened.findings && <table class="findings">
        <caption>What was checked</caption>
        <tbody>{opened.findings.map((f, i) => (
          <tr key={i} class={f.ok ? 'ok' : 'failed'}><th scope="row">{f.ok ? '✓' : '✗'} {f.check}</th><td>{f.text}{f.next && <p class="next">{f.next}</p>}</td></tr>))}
        </tbody>
      </table>}
      <div class="tools">
        <button class="primary" onClick={() => onRetry(o)}>Try again</button>
        {opened.untrusted && <button onClick={() => onRetry({ ...o, trust: true })}>Trust this server and send to it</button>}
        <label><input type="checkbox" checked={!!o.tls} onChange={(e) => setO({ ...o, tls: e.currentTarget.checked })} /> TLS</label>
        {o.tls && <>
          <label><input type="checkbox" checked={!!o.insecure} onChange={(e) => setO({ ...o, insecure: e.currentTarget.checked })} /> without checking the certificate</label>
          <label>CA file <input type="text" value={o.caCert ?? ''} onInput={(e) => setO({ ...o, caCert: e.currentTarget.value })} /></label>
        </>}
        <label>:authority <input type="text" placeholder="localhost" value={o.authority ?? ''} onInput={(e) => setO({ ...o, authority: e.currentTarget.value })} /></label>
      </div>
    </main>
  );
}

function Locked({ problem }: { problem: ErrorInfo }) {
  return <main class="home-page"><h2>This page is locked</h2><Problem problem={problem} /></main>;
}

// The address that grpcpipe ui prints holds a token behind the #, where it
// reaches no server and no log. It is good for one page.
async function begin() {
  const root = document.getElementById('app')!;
  const token = location.hash.slice(1);
  history.replaceState(null, '', location.pathname);
  try {
    if (token) await login(token);
    await post('hello');
  } catch (err) {
    root.replaceChildren();
    render(<Locked problem={err instanceof ApiError ? err.info : errorInfo(err)} />, root);
    return;
  }
  root.replaceChildren();
  render(<App />, root);
}

begin();
