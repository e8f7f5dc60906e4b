'use strict';
// The client of examples/service in Node, for an Electron program's main process:
// npm install @grpc/grpc-js @grpc/proto-loader
//
//   node desktop.js TARGET PROTO
//
// TARGET is unix:////./pipe/GrpcpipeGreeter on Windows, elsewhere
// unix:/run/grpcpipe-greeter/greeter.sock. Node can't check who owns the pipe that it
// opens. If that matters, have it open a private pipe of `grpcpipe proxy`, which checks
// the server: grpcpipe proxy PRIVATE TARGET --server user=NAME
const grpc = require('@grpc/grpc-js');
const loader = require('@grpc/proto-loader');

const [target, proto] = process.argv.slice(2);
const { greet } = grpc.loadPackageDefinition(loader.loadSync(proto));
const client = new greet.Greeter(target, grpc.credentials.createInsecure(), {
  'grpc.max_reconnect_backoff_ms': 1000, // the default is two minutes
});

// watch shows the text of a status line, now and whenever it changes.
function watch(show) {
  const channel = client.getChannel();
  const state = channel.getConnectivityState(true);
  if (state === grpc.connectivityState.READY) show('Connected.');
  else if (state === grpc.connectivityState.TRANSIENT_FAILURE) show('The service is not running. Waiting for it…');
  channel.watchConnectivityState(state, Infinity, (err) => { if (!err) watch(show); });
}

setInterval(() => {}, 1 << 30); // keeps Node running; Electron doesn't need it

let greeted = false;
watch((text) => {
  console.log(text);
  if (text !== 'Connected.' || greeted) return;
  greeted = true;
  client.SayHello({ name: 'World' }, { deadline: Date.now() + 5000 }, (err, reply) => {
    console.log(err ? err.details : reply.message);
    greeted = false;
  });
});
