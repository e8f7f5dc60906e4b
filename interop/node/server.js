'use strict';
// node server.js PIPE: serves the greeter and the test service on the pipe and
// prints "ready". It ends when it is killed.
const { grpc, target, Greeter, TestService } = require('./common');

const zeros = (n) => ({ body: Buffer.alloc(n) });
const initialKey = 'x-grpc-test-echo-initial';
const trailingKey = 'x-grpc-test-echo-trailing-bin';

// echo sends back the metadata that the client asks to have echoed, and returns
// the trailers.
function echo(call) {
  const initial = call.metadata.get(initialKey);
  if (initial.length) {
    const md = new grpc.Metadata();
    md.set(initialKey, initial[0]);
    call.sendMetadata(md);
  }
  const trailers = new grpc.Metadata();
  for (const v of call.metadata.get(trailingKey)) trailers.add(trailingKey, v);
  return trailers;
}

// asked is the error that the client asks for, if any.
function asked(status, metadata) {
  if (!status || !status.code) return null;
  return Object.assign(new Error(status.message), { code: status.code, details: status.message, metadata });
}

const sleep = (us) => new Promise((resolve) => { setTimeout(resolve, us / 1000); });

async function send(call, request) {
  for (const p of request.response_parameters) {
    if (p.interval_us) await sleep(p.interval_us);
    if (!call.write({ payload: zeros(p.size) })) await new Promise((resolve) => { call.once('drain', resolve); });
  }
}

const service = {
  EmptyCall: (call, done) => done(null, {}, echo(call)),
  UnaryCall: (call, done) => {
    const trailers = echo(call);
    done(asked(call.request.response_status, trailers), { payload: zeros(call.request.response_size) }, trailers);
  },
  StreamingInputCall: (call, done) => {
    let sum = 0;
    call.on('data', (r) => { sum += r.payload ? r.payload.body.length : 0; });
    call.on('end', () => done(null, { aggregated_payload_size: sum }));
  },
  StreamingOutputCall: async (call) => {
    echo(call);
    await send(call, call.request);
    call.end();
  },
  FullDuplexCall: (call) => {
    const trailers = echo(call);
    let last = Promise.resolve(); // answers go out one after the other
    let failed = false;
    call.on('data', (request) => {
      last = last.then(() => {
        if (failed) return undefined;
        const err = asked(request.response_status, trailers);
        if (!err) return send(call, request);
        failed = true;
        return call.emit('error', err);
      });
    });
    call.on('end', () => { last.then(() => { if (!failed) call.end(trailers); }); });
  },
};

const options = { 'grpc.max_receive_message_length': 64 << 20 };

// snippet: server
const server = new grpc.Server(options);
server.addService(Greeter.service, {
  SayHello: (call, done) => done(null, { message: 'Hello ' + call.request.name }),
});
server.addService(TestService.service, service);
server.bindAsync(target(process.argv[2]), grpc.ServerCredentials.createInsecure(), (err) => {
  if (err) throw err;
  console.log('ready');
});
// end snippet
