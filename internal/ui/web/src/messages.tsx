// The messages of a call. Only the rows in view are in the page, so that a
// hundred thousand cost no more than twenty.
import { useEffect, useRef, useState } from 'preact/hooks';

export interface Row { n: number; sent: boolean; at: number; json: string; size: number }

const rowHeight = 24;
const spare = 5;

export function Messages({ rows, version, chosen, onChoose }: { rows: Row[]; version: number; chosen: number; onChoose: (n: number) => void }) {
  const box = useRef<HTMLDivElement>(null);
  const [top, setTop] = useState(0);
  const [height, setHeight] = useState(300);
  const follow = useRef(true);
  useEffect(() => {
    const seen = new ResizeObserver(() => setHeight(box.current?.clientHeight ?? 300));
    seen.observe(box.current!);
    return () => seen.disconnect();
  }, []);
  useEffect(() => {
    if (follow.current && box.current) box.current.scrollTop = box.current.scrollHeight;
  }, [version]);
  const first = Math.max(0, Math.floor(top / rowHeight) - spare);
  const last = Math.min(rows.length, Math.ceil((top + height) / rowHeight) + spare);
  const move = (by: number) => {
    const next = Math.min(rows.length - 1, Math.max(0, chosen + by));
    onChoose(next);
    const b = box.current!;
    if (next * rowHeight < b.scrollTop) b.scrollTop = next * rowHeight;
    if ((next + 1) * rowHeight > b.scrollTop + b.clientHeight) b.scrollTop = (next + 1) * rowHeight - b.clientHeight;
  };
  return (
    <div class="messages" ref={box} role="listbox" aria-label="messages" tabIndex={0}
      aria-activedescendant={chosen >= first && chosen < last ? `message-${chosen}` : undefined}
      onScroll={(e) => {
        const b = e.currentTarget;
        follow.current = b.scrollTop + b.clientHeight >= b.scrollHeight - rowHeight;
        setTop(b.scrollTop);
      }}
      onKeyDown={(e) => {
        const page = Math.max(1, Math.floor(height / rowHeight) - 1);
        const by: Record<string, number> = { ArrowDown: 1, ArrowUp: -1, PageDown: page, PageUp: -page, End: rows.length, Home: -rows.length };
        if (e.key in by) { e.preventDefault(); move(by[e.key]); }
      }}>
      <div class="messages-all" style={{ height: `${rows.length * rowHeight}px` }}>
        {rows.slice(first, last).map((r, i) => (
          <div key={first + i} id={`message-${first + i}`} role="option" aria-selected={first + i === chosen} aria-setsize={rows.length} aria-posinset={first + i + 1}
            class={'row' + (r.sent ? ' sent' : '') + (first + i === chosen ? ' chosen' : '')}
            style={{ top: `${(first + i) * rowHeight}px` }} onClick={() => onChoose(first + i)}>
            <span class="way" title={r.sent ? 'sent' : 'received'}>{r.sent ? '→' : '←'}</span>
            <span class="at">{(r.at * 1000).toFixed(1)} ms</span>
            <span class="size">{r.size} B</span>
            <code>{r.json.length > 300 ? r.json.slice(0, 300) + '…' : r.json}</code>
          </div>
        ))}
      </div>
    </div>
  );
}
