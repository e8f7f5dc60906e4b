import type { ErrorInfo } from './api';

export function Problem({ problem }: { problem?: ErrorInfo }) {
  if (!problem) return null;
  return <div class="problem" role="alert"><p>{problem.message}</p>{problem.next && <p class="next">{problem.next}</p>}</div>;
}

export function Table({ title, rows }: { title: string; rows?: [string, string][] }) {
  if (!rows || rows.length === 0) return null;
  return (
    <table>
      <caption>{title}</caption>
      <tbody>{rows.map(([k, v], i) => <tr key={i}><th scope="row">{k}</th><td>{v}</td></tr>)}</tbody>
    </table>
  );
}
