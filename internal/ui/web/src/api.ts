// Talks to the program that serves the page. Every request is a POST; answers
// are JSON, or one JSON value a line while something goes on.

export interface ErrorInfo { message: string; next?: string }

export class ApiError extends Error {
  constructor(readonly info: ErrorInfo) { super(info.message); }
}

// The key opens the page together with a cookie. Session storage keeps it for
// this tab, and from other ports of this host.
const keyName = 'grpcpipe-key';

export async function login(token: string) {
  const { key } = await post<{ key: string }>('login', { token });
  sessionStorage.setItem(keyName, key);
}

async function request(path: string, body: unknown, signal?: AbortSignal): Promise<Response> {
  let res: Response;
  try {
    res = await fetch('api/' + path, {
      method: 'POST',
      headers: { 'Content-Type': 'application/json', 'Grpcpipe-Key': sessionStorage.getItem(keyName) ?? '' },
      body: JSON.stringify(body ?? {}),
      signal,
    });
  } catch (err) {
    if (signal?.aborted) throw err;
    throw new ApiError({ message: 'grpcpipe does not answer', next: 'start grpcpipe ui again and open the address that it prints' });
  }
  if (res.ok) return res;
  let info: ErrorInfo = { message: `grpcpipe answered ${res.status}` };
  try { info = await res.json(); } catch { /* the status says it */ }
  throw new ApiError(info);
}

export async function post<T>(path: string, body?: unknown, signal?: AbortSignal): Promise<T> {
  const res = await request(path, body, signal);
  return res.status === 204 ? (undefined as T) : await res.json();
}

// lines calls each with every value of an answer that comes a line at a time.
export async function lines<T>(path: string, body: unknown, signal: AbortSignal, each: (batch: T[]) => void): Promise<void> {
  const res = await request(path, body, signal);
  const reader = res.body!.pipeThrough(new TextDecoderStream()).getReader();
  let rest = '';
  for (;;) {
    const { value, done } = await reader.read();
    if (done) return;
    const parts = (rest + value).split('\n');
    rest = parts.pop()!;
    if (parts.length > 0) each(parts.map((p) => JSON.parse(p) as T));
  }
}

export function errorInfo(err: unknown): ErrorInfo {
  if (err instanceof ApiError) return err.info;
  return { message: err instanceof Error ? err.message : String(err) };
}

export interface Pipe {
  name: string; path: string; target: string; state: string;
  owner?: string; process?: number; program?: string; services?: string[]; error?: string;
}

export interface Field {
  name: string; proto: string; kind: string; type?: string; repeated?: boolean;
  mapKey?: string; oneof?: string; comment?: string; optional?: boolean;
}
export interface EnumValue { name: string; number: number; comment?: string }
export interface TypeInfo { comment?: string; fields?: Field[]; values?: EnumValue[] }

export interface Method {
  name: string; path: string; comment?: string; input: string; output: string;
  clientStreaming?: boolean; serverStreaming?: boolean; deprecated?: boolean;
}
export interface Service { name: string; comment?: string; methods: Method[] }

export interface Finding { check: string; ok: boolean; text: string; next?: string }

export interface ServerInfo {
  target: string; address: string; who?: string; stages: [string, string][]; settings: string[]; tls?: string;
  services: Service[];
}

export interface Schema { template: string; types: Record<string, TypeInfo> }

export interface Options {
  headers?: [string, string][]; deadline?: string; tls?: boolean; insecure?: boolean; caCert?: string;
  authority?: string; trust?: boolean;
}

export interface CallEvent {
  kind: 'started' | 'headers' | 'sent' | 'message' | 'trailers' | 'end' | 'error';
  id?: string; at?: number; json?: string; size?: number; metadata?: [string, string][];
  code?: string; message?: string; details?: string[]; next?: string; times?: [string, string][];
}

export interface BenchEvent {
  second?: number; rate?: number; p50?: number; p99?: number; errors?: number;
  done?: boolean; summary?: [string, string][]; error?: ErrorInfo;
}

export interface Saved { name: string; target: string; method: string; body: string; options: Options; at?: string; code?: string }
