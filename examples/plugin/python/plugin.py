"""A plug-in in Python: pip install grpcio.

It has no generated code, so that it runs anywhere; a real one has.
"""

import json
import os
import sys
from concurrent import futures

import grpc


def say_hello(request, context):
    # HelloRequest and HelloReply have one string, field 1, of fewer than 128 bytes here.
    text = b"Hello " + request[2:] + b" from Python"
    return b"\n" + bytes([len(text)]) + text


# The contract of package child: serve on the pipe that the environment names, and
# end when standard input does.
pipe = os.environ["GRPCPIPE_CHILD_PIPE"]
server = grpc.server(futures.ThreadPoolExecutor())
handlers = {"SayHello": grpc.unary_unary_rpc_method_handler(say_hello)}
server.add_generic_rpc_handlers([grpc.method_handlers_generic_handler("greet.Greeter", handlers)])
server.add_insecure_port("unix:" + pipe)
server.start()
print(json.dumps({"level": "info", "msg": "serving", "pipe": pipe}), flush=True)
sys.stdin.read()
server.stop(grace=5).wait()
