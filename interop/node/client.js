'use strict';
// node client.js PIPE: runs the cases against the server behind the pipe and
// prints "ok CASE" or "FAIL CASE: reason" for each, then "N passed, N failed".
const { grpc, target, Greeter, TestService } = require('./common');

const zeros = (n) => ({ body: Buffer.alloc(n) });
const deadline = () => new Date(Date.now() + 30_000);
const sizes = [31415, 9, 2653, 58979];

function same(what, got, want) {
  if (got !== want) throw new Error(`${what}: got ${got}, want ${want}`);
}

// unary makes a call and resolves to its answer.
function unary(client, method, request, metadata = new grpc.Metadata()) {
  return new Promise((resolve, reject) => {
    client[method](request, metadata, { deadline: deadline() }, (err, reply) => (err ? reject(err) : resolve(reply)));
  });
}

// drain resolves to the sizes of what a stream brings.
function drain(call, onData = () => {}) {
  return new Promise((resolve, reject) => {
    const got = [];
    call.on('data', (r) => { got.push(r.payload ? r.payload.body.length : 0); onData(got.length); });
    call.on('error', reject);
    call.on('end', () => resolve(got));
  });
}

const cases = {
  greeter: async (c, pipe) => {
    // snippet: client
    const greeter = new Greeter(target(pipe), grpc.credentials.createInsecure());
    const reply = await unary(greeter, 'SayHello', { name: 'World' });
    greeter.close();
    // end snippet
    same('message', reply.message, 'Hello World');
  },
  empty_unary: (c) => unary(c, 'EmptyCall', {}),
  large_unary: async (c) => {
    const r = await unary(c, 'UnaryCall', { response_size: 314159, payload: zeros(271828) });
    same('size', r.payload.body.length, 314159);
  },
  client_streaming: (c) => new Promise((resolve, reject) => {
    const call = c.StreamingInputCall(new grpc.Metadata(), { deadline: deadline() }, (err, r) => {
      if (err) return reject(err);
      try { same('sum', r.aggregated_payload_size, 74922); resolve(); } catch (e) { reject(e); }
    });
    for (const n of [27182, 8, 1828, 45904]) call.write({ payload: zeros(n) });
    call.end();
  }),
  server_streaming: async (c) => {
    const call = c.StreamingOutputCall({ response_parameters: sizes.map((size) => ({ size })) }, { deadline: deadline() });
    same('sizes', String(await drain(call)), String(sizes));
  },
  ping_pong: async (c) => {
    const call = c.FullDuplexCall({ deadline: deadline() });
    const next = (i) => (i < sizes.length
      ? call.write({ response_parameters: [{ size: sizes[i] }], payload: zeros(1000) }) : call.end());
    next(0);
    same('sizes', String(await drain(call, next)), String(sizes));
  },
  status_code_and_message: async (c) => {
    try {
      await unary(c, 'UnaryCall', { response_status: { code: 2, message: 'test status message' } });
    } catch (err) {
      same('code', err.code, 2);
      same('message', err.details, 'test status message');
      return;
    }
    throw new Error('no error');
  },
  concurrent_unary_100: (c) => Promise.all(Array.from({ length: 100 }, async (_, i) => {
    same('size', (await unary(c, 'UnaryCall', { response_size: i, payload: zeros(i) })).payload?.body.length ?? 0, i);
  })),
};

async function main(pipe) {
  const client = new TestService(target(pipe), grpc.credentials.createInsecure());
  let failed = 0;
  for (const [name, run] of Object.entries(cases)) {
    try {
      await run(client, pipe);
      console.log(`ok ${name}`);
    } catch (err) {
      failed++;
      console.log(`FAIL ${name}: ${String(err.message).replaceAll('\n', ' ')}`);
    }
  }
  client.close();
  console.log(`${Object.keys(cases).length - failed} passed, ${failed} failed`);
  process.exitCode = failed;
}

main(process.argv[2]);
