'use strict';
// A plug-in in Node: npm install @grpc/grpc-js @grpc/proto-loader
const grpc = require('@grpc/grpc-js');
const loader = require('@grpc/proto-loader');

const { greet } = grpc.loadPackageDefinition(loader.loadSync(process.argv[2]));

// The contract of package child: serve on the pipe that the environment names,
// and end when standard input does.
const pipe = process.env.GRPCPIPE_CHILD_PIPE;
const target = process.platform === 'win32' ? 'unix:////./pipe/' + pipe : 'unix:' + pipe;

const server = new grpc.Server();
server.addService(greet.Greeter.service, {
  SayHello: (call, done) => done(null, { message: `Hello ${call.request.name} from Node` }),
});
server.bindAsync(target, grpc.ServerCredentials.createInsecure(), (err) => {
  if (err) throw err;
  console.log(JSON.stringify({ level: 'info', msg: 'serving', pipe }));
});
process.stdin.on('end', () => server.tryShutdown(() => process.exit(0))).resume();
