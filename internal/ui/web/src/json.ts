// JSON that keeps what JavaScript's own would change: numbers stay as they are
// written, such as int64 and 1.0, and so does the order of members.
import { parse as losslessParse, stringify as losslessStringify, isLosslessNumber, LosslessNumber } from 'lossless-json';

export type Json = null | boolean | string | LosslessNumber | Json[] | { [name: string]: Json };
export type JsonObject = { [name: string]: Json };

export const parse = (text: string): Json => losslessParse(text) as Json;
export const print = (value: Json): string => losslessStringify(value, undefined, 2) ?? 'null';

export const isObject = (v: Json | undefined): v is JsonObject =>
  typeof v === 'object' && v !== null && !Array.isArray(v) && !isLosslessNumber(v);

// scalarText is a scalar as a text field shows it.
export function scalarText(v: Json | undefined): string {
  if (v === undefined || v === null) return '';
  return isLosslessNumber(v) ? v.toString() : typeof v === 'object' ? print(v) : String(v);
}

const number = /^-?(0|[1-9]\d*)(\.\d+)?([eE][+-]?\d+)?$/;

// scalarValue is what a text field means for a field of the kind: 64-bit
// integers are strings in protobuf's JSON, other numbers are numbers, and what
// is neither stays text for the server to refuse.
export function scalarValue(kind: string, text: string): Json {
  if (kind === 'bool') return text === 'true' ? true : text === 'false' ? false : text;
  if (/64$/.test(kind)) return text;
  if (/32$/.test(kind) || kind === 'float' || kind === 'double') return number.test(text) ? new LosslessNumber(text) : text;
  return text;
}

export function withMember(o: JsonObject, name: string, value: Json | undefined): JsonObject {
  const next: JsonObject = {};
  let placed = false;
  for (const [k, v] of Object.entries(o)) {
    if (k !== name) next[k] = v;
    else if (value !== undefined) { next[k] = value; placed = true; }
  }
  if (!placed && value !== undefined) next[name] = value;
  return next;
}
