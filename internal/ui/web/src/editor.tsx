// A JSON editor with completion and checks from the schema.
import { useEffect, useRef } from 'preact/hooks';
import { autocompletion, closeBrackets, closeBracketsKeymap, completionKeymap, type CompletionContext, type CompletionResult } from '@codemirror/autocomplete';
import { defaultKeymap, history, historyKeymap } from '@codemirror/commands';
import { json, jsonParseLinter } from '@codemirror/lang-json';
import { bracketMatching, defaultHighlightStyle, foldGutter, indentOnInput, syntaxHighlighting, syntaxTree } from '@codemirror/language';
import { linter } from '@codemirror/lint';
import { EditorState } from '@codemirror/state';
import { drawSelection, EditorView, keymap, lineNumbers } from '@codemirror/view';
import type { Field, Schema } from './api';

type Node = ReturnType<ReturnType<typeof syntaxTree>['resolveInner']>;

const unquote = (s: string) => s.replace(/^"|"$/g, '');

// typeAt finds the message, or the field, that the node stands in.
function typeAt(schema: Schema, root: string, node: Node, text: (n: Node) => string): { type?: string; field?: Field } {
  const path: string[] = [];
  for (let n: Node | null = node; n; n = n.parent) {
    if (n.name === 'Property') {
      const name = n.getChild('PropertyName');
      if (name) path.unshift(unquote(text(name)));
    }
  }
  let type: string | undefined = root;
  let field: Field | undefined;
  let inMap = false;
  for (const name of path) {
    if (inMap) { inMap = false; type = field!.type; continue; }
    field = type ? schema.types[type]?.fields?.find((f) => f.name === name || f.proto === name) : undefined;
    inMap = !!field?.mapKey;
    type = field?.kind === 'message' && !inMap ? field.type : undefined;
  }
  return { type, field };
}

function complete(schema: Schema, root: string) {
  return (ctx: CompletionContext): CompletionResult | null => {
    const text = (n: Node) => ctx.state.sliceDoc(n.from, n.to);
    const node = syntaxTree(ctx.state).resolveInner(ctx.pos, -1);
    const word = ctx.matchBefore(/"?[\w.@]*/);
    if (!word || (word.from === word.to && !ctx.explicit)) return null;
    const property = node.name === 'PropertyName' ? node.parent! : node;
    const atName = node.name === 'PropertyName' || node.name === 'Object' || (node.name === '⚠' && node.parent?.name === 'Object');
    if (atName) {
      const holder = node.name === 'PropertyName' ? property.parent! : property;
      const { type } = typeAt(schema, root, holder, text);
      const fields = (type && schema.types[type]?.fields) || [];
      const have = new Set(holder.getChildren('Property').map((p) => { const n = p.getChild('PropertyName'); return n && n !== node ? unquote(text(n)) : ''; }));
      return {
        from: word.from,
        to: ctx.state.sliceDoc(ctx.pos, ctx.pos + 1) === '"' ? ctx.pos + 1 : undefined,
        options: fields.filter((f) => !have.has(f.name)).map((f) => ({
          label: `"${f.name}"`, detail: (f.repeated ? 'repeated ' : '') + (f.type ?? f.kind), info: f.comment, type: 'property',
          apply: node.name === 'PropertyName' && property.getChildren('Property').length === 0 && /:/.test(text(property)) ? `"${f.name}"` : `"${f.name}": `,
        })),
      };
    }
    const { field } = typeAt(schema, root, node, text);
    if (!field) return null;
    const values = field.kind === 'enum' ? schema.types[field.type!]?.values ?? [] : [];
    const options = field.kind === 'bool'
      ? ['true', 'false'].map((label) => ({ label, type: 'constant' }))
      : values.map((v) => ({ label: `"${v.name}"`, detail: String(v.number), info: v.comment, type: 'enum' }));
    if (options.length === 0) return null;
    return { from: word.from, to: ctx.state.sliceDoc(ctx.pos, ctx.pos + 1) === '"' ? ctx.pos + 1 : undefined, options };
  };
}

// version counts the changes of text that did not come from the editor: only
// those replace what it holds, so that no key is lost while the page is drawn.
export function Editor({ schema, type, text, version, label, onChange, onSend }: {
  schema: Schema; type: string; text: string; version: number; label: string; onChange: (text: string) => void; onSend: () => void;
}) {
  const host = useRef<HTMLDivElement>(null);
  const view = useRef<EditorView | null>(null);
  const calls = useRef({ onChange, onSend });
  calls.current = { onChange, onSend };
  useEffect(() => {
    const nonce = document.querySelector<HTMLMetaElement>('meta[name="csp-nonce"]')?.nonce ?? '';
    const v = new EditorView({
      parent: host.current!,
      state: EditorState.create({
        doc: text,
        extensions: [
          EditorView.cspNonce.of(nonce), lineNumbers(), foldGutter(), history(), drawSelection(), indentOnInput(),
          syntaxHighlighting(defaultHighlightStyle, { fallback: true }), bracketMatching(), closeBrackets(), json(),
          linter(jsonParseLinter(), { delay: 200 }), autocompletion({ override: [complete(schema, type)] }),
          EditorView.contentAttributes.of({ 'aria-label': label }), EditorView.lineWrapping,
          keymap.of([
            { key: 'Mod-Enter', run: () => { calls.current.onSend(); return true; } },
            ...closeBracketsKeymap, ...completionKeymap, ...historyKeymap, ...defaultKeymap,
          ]),
          EditorView.updateListener.of((u) => { if (u.docChanged && !u.transactions.some((t) => t.isUserEvent('sync'))) calls.current.onChange(u.state.doc.toString()); }),
        ],
      }),
    });
    view.current = v;
    return () => v.destroy();
  }, [schema, type]);
  useEffect(() => {
    const v = view.current;
    if (v && v.state.doc.toString() !== text) v.dispatch({ changes: { from: 0, to: v.state.doc.length, insert: text }, userEvent: 'sync' });
  }, [version]);
  return <div class="editor" ref={host} />;
}
