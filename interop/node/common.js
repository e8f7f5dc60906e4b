'use strict';
// What client.js and server.js share: the services, and where a pipe is.
const path = require('node:path');
const os = require('node:os');
const grpc = require('@grpc/grpc-js');
const loader = require('@grpc/proto-loader');

function load(name) {
  const file = path.join(__dirname, '..', 'dotnet', name);
  return grpc.loadPackageDefinition(loader.loadSync(file, { keepCase: true, defaults: true }));
}

// snippet: target
// A pipe's name as a target of grpc-js. On Windows the path of a pipe goes
// where the path of a Unix socket is expected: Node opens either.
function target(name) {
  if (process.platform === 'win32') return 'unix:////./pipe/' + name;
  return 'unix:' + path.join(os.tmpdir(), 'CoreFxPipe_' + name);
}
// end snippet

module.exports = {
  grpc,
  target,
  Greeter: load('greet.proto').greet.Greeter,
  TestService: load('test_service.proto').grpc.testing.TestService,
};
