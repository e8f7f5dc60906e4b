// Load from the request that is on the screen, with a chart that grows.
import { useEffect, useRef, useState } from 'preact/hooks';
import { errorInfo, lines, type BenchEvent, type ErrorInfo, type Method, type Options } from './api';
import { Problem, Table } from './parts';

export function Bench({ target, method, options, body }: { target: string; method: Method; options: Options; body: string }) {
  const [concurrency, setConcurrency] = useState('8');
  const [duration, setDuration] = useState('5s');
  const [seconds, setSeconds] = useState<BenchEvent[]>([]);
  const [summary, setSummary] = useState<[string, string][]>();
  const [problem, setProblem] = useState<ErrorInfo>();
  const stop = useRef<AbortController | null>(null);
  const [running, setRunning] = useState(false);
  useEffect(() => () => stop.current?.abort(), []);
  const start = async () => {
    const abort = new AbortController();
    stop.current = abort;
    setSeconds([]); setSummary(undefined); setProblem(undefined); setRunning(true);
    try {
      await lines<BenchEvent>('bench', { target, method: method.path, options, body, concurrency: Number(concurrency), duration }, abort.signal, (batch) => {
        for (const e of batch) {
          if (e.error) setProblem(e.error);
          else if (e.done) setSummary(e.summary);
          else setSeconds((old) => [...old, e]);
        }
      });
    } catch (err) { if (!abort.signal.aborted) setProblem(errorInfo(err)); }
    setRunning(false);
  };
  return (
    <div class="panel" aria-label="bench">
      <div class="tools">
        <label>In flight <input type="number" min="1" max="1000" value={concurrency} onInput={(e) => setConcurrency(e.currentTarget.value)} /></label>
        <label>For <input type="text" size={6} value={duration} onInput={(e) => setDuration(e.currentTarget.value)} /></label>
        {running ? <button onClick={() => stop.current?.abort()}>Stop</button> : <button class="primary" onClick={start}>Run</button>}
      </div>
      <Problem problem={problem} />
      {seconds.length > 0 && <Chart seconds={seconds} />}
      <Table title="Bench" rows={summary} />
    </div>
  );
}

function Chart({ seconds }: { seconds: BenchEvent[] }) {
  const w = 600, h = 160, pad = 40;
  const most = Math.max(1, ...seconds.map((s) => s.rate ?? 0));
  const slowest = Math.max(0.001, ...seconds.map((s) => s.p99 ?? 0));
  const x = (i: number) => pad + (i * (w - 2 * pad)) / Math.max(1, seconds.length - 1);
  const line = (of: (s: BenchEvent) => number, max: number) => seconds.map((s, i) => `${x(i)},${h - 20 - (of(s) / max) * (h - 40)}`).join(' ');
  const latest = seconds[seconds.length - 1];
  return (
    <svg viewBox={`0 0 ${w} ${h}`} role="img" class="chart"
      aria-label={`${Math.round(latest.rate ?? 0)} calls a second, p99 ${(latest.p99 ?? 0).toFixed(2)} ms`}>
      <line x1={pad} y1={h - 20} x2={w - pad} y2={h - 20} class="axis" />
      <text x={pad} y={12}>{Math.round(most)}/s</text>
      <text x={w - pad} y={12} text-anchor="end" class="p99">p99 {slowest.toFixed(2)} ms</text>
      <text x={w - pad} y={h - 4} text-anchor="end">{seconds.length} s</text>
      <polyline points={line((s) => s.rate ?? 0, most)} class="rate" />
      <polyline points={line((s) => s.p99 ?? 0, slowest)} class="p99" />
    </svg>
  );
}
