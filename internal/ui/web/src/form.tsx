// The request as a form. It edits the same JSON value that the editor shows and
// touches only the members that it knows.
import { useId } from 'preact/hooks';
import type { Field, TypeInfo } from './api';
import { isObject, parse, print, scalarText, scalarValue, withMember, type Json, type JsonObject } from './json';

type Types = Record<string, TypeInfo>;
interface Props { types: Types; value: Json | undefined; onChange: (v: Json | undefined) => void }

// Well-known types whose JSON is one value, with a hint for the text field.
const oneValue: Record<string, string> = {
  'google.protobuf.Timestamp': '2026-01-31T12:00:00Z',
  'google.protobuf.Duration': '1.5s',
  'google.protobuf.FieldMask': 'a,b.c',
};
const wrapped: Record<string, string> = {
  'google.protobuf.DoubleValue': 'double', 'google.protobuf.FloatValue': 'float',
  'google.protobuf.Int64Value': 'int64', 'google.protobuf.UInt64Value': 'uint64',
  'google.protobuf.Int32Value': 'int32', 'google.protobuf.UInt32Value': 'uint32',
  'google.protobuf.BoolValue': 'bool', 'google.protobuf.StringValue': 'string',
  'google.protobuf.BytesValue': 'bytes',
};
const freeForm = new Set(['google.protobuf.Struct', 'google.protobuf.Value', 'google.protobuf.ListValue', 'google.protobuf.Any']);

export function MessageForm({ types, type, value, onChange, depth = 0 }: Props & { type: string; depth?: number }) {
  const info = types[type];
  if (!info?.fields || freeForm.has(type)) return <RawJson value={value} onChange={onChange} label={type} />;
  const object: JsonObject = isObject(value) ? value : {};
  const known = new Set<string>();
  const groups: { oneof?: string; fields: Field[] }[] = [];
  for (const f of info.fields) {
    known.add(f.name).add(f.proto);
    const last = groups[groups.length - 1];
    if (f.oneof && last?.oneof === f.oneof) last.fields.push(f);
    else groups.push({ oneof: f.oneof, fields: [f] });
  }
  const others = Object.keys(object).filter((k) => !known.has(k));
  const set = (f: Field, v: Json | undefined) => {
    const name = f.proto in object ? f.proto : f.name;
    onChange(withMember(object, name, v));
  };
  const choose = (fields: Field[], chosen: Field | undefined) => {
    let next = object;
    for (const f of fields) next = withMember(withMember(next, f.proto, undefined), f.name, undefined);
    onChange(chosen ? withMember(next, chosen.name, initial(chosen, types)) : next);
  };
  return (
    <div class="message">
      {groups.map((g) => g.oneof
        ? <Oneof key={g.oneof} {...{ name: g.oneof, fields: g.fields, object, types, set, choose, depth }} />
        : <FieldRow key={g.fields[0].name} field={g.fields[0]} types={types} depth={depth}
            value={member(object, g.fields[0])} onChange={(v) => set(g.fields[0], v)} />)}
      {others.length > 0 && <p class="note">Kept from the JSON, not in the schema: {others.join(', ')}</p>}
      {info.fields.length === 0 && <p class="note">This message has no fields.</p>}
    </div>
  );
}

const member = (o: JsonObject, f: Field) => (f.name in o ? o[f.name] : o[f.proto]);

function Oneof({ name, fields, object, types, set, choose, depth }: {
  name: string; fields: Field[]; object: JsonObject; types: Types; depth: number;
  set: (f: Field, v: Json | undefined) => void; choose: (all: Field[], f: Field | undefined) => void;
}) {
  const id = useId();
  const chosen = fields.find((f) => member(object, f) !== undefined);
  return (
    <fieldset class="oneof">
      <legend>one of <code>{name}</code></legend>
      <select id={id} aria-label={`one of ${name}`} value={chosen?.name ?? ''}
        onChange={(e) => choose(fields, fields.find((f) => f.name === e.currentTarget.value))}>
        <option value="">(none)</option>
        {fields.map((f) => <option key={f.name} value={f.name}>{f.name}</option>)}
      </select>
      {chosen && <FieldRow field={chosen} types={types} depth={depth} value={member(object, chosen)} onChange={(v) => set(chosen, v)} required />}
    </fieldset>
  );
}

function FieldRow({ field: f, types, value, onChange, depth, required }: Props & { field: Field; depth: number; required?: boolean }) {
  const id = useId();
  const type = f.mapKey ? `map<${f.mapKey}, ${f.type ?? f.kind}>` : (f.repeated ? 'repeated ' : '') + (f.type ?? f.kind);
  const present = value !== undefined;
  return (
    <div class={'field' + (present ? ' present' : '')}>
      <div class="field-head">
        <label for={id} title={f.comment}>{f.name}</label>
        <span class="type">{type}</span>
        {present && !required && <button type="button" class="small" aria-label={`clear ${f.name}`} onClick={() => onChange(undefined)}>clear</button>}
      </div>
      {f.comment && <p class="comment">{f.comment}</p>}
      {f.mapKey ? <MapInput {...{ id, field: f, types, value, onChange, depth }} />
        : f.repeated ? <ListInput {...{ id, field: f, types, value, onChange, depth }} />
          : <SingleInput {...{ id, field: f, types, value, onChange, depth }} />}
    </div>
  );
}

// initial is the value of a field that has just been added.
function initial(f: Field, types: Types): Json {
  if (f.kind === 'enum') return types[f.type!]?.values?.[0]?.name ?? '';
  if (f.kind !== 'message') return f.kind === 'bool' ? false : /^(string|bytes)$/.test(f.kind) ? '' : scalarValue(f.kind, '0');
  if (wrapped[f.type!]) return initial({ ...f, kind: wrapped[f.type!] }, types);
  if (f.type === 'google.protobuf.Timestamp') return new Date().toISOString();
  if (f.type === 'google.protobuf.Duration') return '1s';
  if (f.type === 'google.protobuf.FieldMask') return '';
  if (f.type === 'google.protobuf.ListValue') return [];
  if (f.type === 'google.protobuf.Value') return null;
  if (f.type === 'google.protobuf.Any') return { '@type': 'type.googleapis.com/' };
  return {};
}

function SingleInput({ id, field: f, types, value, onChange, depth, label }: Props & { id?: string; field: Field; depth: number; label?: string }) {
  const kind = f.kind === 'message' ? wrapped[f.type!] : f.kind;
  if (kind === 'bool') {
    return (
      <select id={id} aria-label={label} value={value === undefined ? '' : String(value)}
        onChange={(e) => onChange(e.currentTarget.value === '' ? undefined : e.currentTarget.value === 'true')}>
        <option value="">(not set)</option><option value="true">true</option><option value="false">false</option>
      </select>
    );
  }
  if (kind === 'enum') {
    const values = types[f.type!]?.values ?? [];
    const current = scalarText(value);
    const byNumber = values.find((v) => String(v.number) === current);
    const known = value === undefined || byNumber || values.some((v) => v.name === current);
    return (
      <select id={id} aria-label={label} value={byNumber?.name ?? current} onChange={(e) => onChange(e.currentTarget.value || undefined)}>
        <option value="">(not set)</option>
        {values.map((v) => <option key={v.name} value={v.name} title={v.comment}>{v.name} = {v.number}</option>)}
        {!known && <option value={current}>{current} (not in the schema)</option>}
      </select>
    );
  }
  if (kind === 'bytes') return <BytesInput {...{ id, value, onChange, label }} />;
  if (kind === 'string') {
    const text = scalarText(value);
    const change = (t: string) => onChange(t === '' && value === undefined ? undefined : t);
    return text.includes('\n')
      ? <textarea id={id} aria-label={label} value={text} onInput={(e) => change(e.currentTarget.value)} />
      : <input id={id} aria-label={label} type="text" value={text} onInput={(e) => change(e.currentTarget.value)} />;
  }
  if (kind) {
    return <input id={id} aria-label={label} type="text" inputMode="decimal" placeholder={kind} value={scalarText(value)}
      onInput={(e) => onChange(e.currentTarget.value === '' ? undefined : scalarValue(kind, e.currentTarget.value))} />;
  }
  if (oneValue[f.type!]) {
    return <input id={id} aria-label={label} type="text" placeholder={oneValue[f.type!]} value={scalarText(value)}
      onInput={(e) => onChange(e.currentTarget.value === '' ? undefined : e.currentTarget.value)} />;
  }
  if (value === undefined) {
    return <button id={id} type="button" aria-label={`add ${label ?? f.name}`} onClick={() => onChange(initial(f, types))}>add</button>;
  }
  return <div class="nested"><MessageForm types={types} type={f.type!} value={value} onChange={onChange} depth={depth + 1} /></div>;
}

function BytesInput({ id, value, onChange, label }: { id?: string; value: Json | undefined; onChange: (v: Json | undefined) => void; label?: string }) {
  const load = async (file: File | undefined) => {
    if (!file) return;
    const bytes = new Uint8Array(await file.arrayBuffer());
    let text = '';
    for (let i = 0; i < bytes.length; i += 0x8000) text += String.fromCharCode(...bytes.subarray(i, i + 0x8000));
    onChange(btoa(text));
  };
  return (
    <div class="bytes">
      <input id={id} aria-label={label} type="text" placeholder="Base64" value={scalarText(value)}
        onInput={(e) => onChange(e.currentTarget.value === '' ? undefined : e.currentTarget.value)} />
      <input type="file" aria-label="read the bytes from a file" onChange={(e) => load(e.currentTarget.files?.[0])} />
    </div>
  );
}

function ListInput({ id, field: f, types, value, onChange, depth }: Props & { id: string; field: Field; depth: number }) {
  const list = Array.isArray(value) ? value : [];
  const put = (i: number, v: Json | undefined) => onChange(v === undefined ? list.filter((_, j) => j !== i) : list.map((old, j) => (j === i ? v : old)));
  return (
    <div class="list">
      {list.map((item, i) => (
        <div class="item" key={i}>
          <SingleInput field={f} types={types} value={item} depth={depth} label={`${f.name} ${i + 1}`}
            onChange={(v) => put(i, v ?? initial(f, types))} />
          <button type="button" class="small" aria-label={`remove ${f.name} ${i + 1}`} onClick={() => put(i, undefined)}>remove</button>
        </div>
      ))}
      <button id={id} type="button" aria-label={`add to ${f.name}`} onClick={() => onChange([...list, initial(f, types)])}>add</button>
    </div>
  );
}

function MapInput({ id, field: f, types, value, onChange, depth }: Props & { id: string; field: Field; depth: number }) {
  const entries = Object.entries(isObject(value) ? value : {});
  const put = (next: [string, Json][]) => onChange(Object.fromEntries(next));
  const free = () => {
    if (/^(string)$/.test(f.mapKey!)) { let i = 1; while (entries.some(([k]) => k === `key${i}`)) i++; return `key${i}`; }
    if (f.mapKey === 'bool') return entries.some(([k]) => k === 'true') ? 'false' : 'true';
    let i = 0; while (entries.some(([k]) => k === String(i))) i++; return String(i);
  };
  return (
    <div class="list">
      {entries.map(([k, v], i) => (
        <div class="item" key={i}>
          <input type="text" class="key" aria-label={`key ${i + 1} of ${f.name}`} value={k}
            onChange={(e) => {
              const renamed = e.currentTarget.value;
              if (entries.some(([other], j) => j !== i && other === renamed)) { e.currentTarget.value = k; return; }
              put(entries.map((old, j) => (j === i ? [renamed, v] : old)));
            }} />
          <SingleInput field={{ ...f, mapKey: undefined }} types={types} value={v} depth={depth} label={`value for ${k}`}
            onChange={(nv) => put(entries.map((old, j) => (j === i ? [k, nv ?? initial(f, types)] : old)))} />
          <button type="button" class="small" aria-label={`remove ${k} from ${f.name}`} onClick={() => put(entries.filter((_, j) => j !== i))}>remove</button>
        </div>
      ))}
      <button id={id} type="button" aria-label={`add to ${f.name}`} onClick={() => put([...entries, [free(), initial(f, types)]])}>add</button>
    </div>
  );
}

// RawJson edits what has no form, such as an Any, as JSON of its own.
function RawJson({ value, onChange, label }: { value: Json | undefined; onChange: (v: Json | undefined) => void; label: string }) {
  return (
    <textarea class="raw" aria-label={`${label} as JSON`} rows={4} defaultValue={value === undefined ? '{}' : print(value)} key={value === undefined ? '' : print(value)}
      onChange={(e) => {
        try { onChange(parse(e.currentTarget.value)); e.currentTarget.setCustomValidity(''); }
        catch (err) { e.currentTarget.setCustomValidity(String(err)); e.currentTarget.reportValidity(); }
      }} />
  );
}
