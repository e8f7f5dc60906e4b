"""The Python side of grpcpipe's interop tests, with grpcio and no generated code.

    peer.py client SOCKET    runs the cases, prints "ok CASE" or "FAIL CASE: reason", then "N passed, N failed"
    peer.py server SOCKET    serves grpc.testing.TestService, prints "ready", ends when standard input does

Messages are written by hand: what little of protocol buffers they need is below.
"""

import sys
from concurrent import futures

import grpc

SERVICE = "grpc.testing.TestService"


def varint(n):
    out = bytearray()
    while n > 127:
        out.append(n & 127 | 128)
        n >>= 7
    return bytes(out + bytes([n]))


def number(field, n):
    return varint(field << 3) + varint(n)


def text(field, b):
    return varint(field << 3 | 2) + varint(len(b)) + b


def payload(n):
    """A Payload of n zeros: its field 2."""
    return text(2, bytes(n))


def same(what, got, want):
    if got != want:
        raise AssertionError(f"{what}: got {got!r}, want {want!r}")


def empty_unary(channel):
    same("reply", channel.unary_unary(f"/{SERVICE}/EmptyCall")(b"", timeout=30), b"")


def greeter(channel):
    reply = channel.unary_unary("/greet.Greeter/SayHello")(text(1, b"World"), timeout=30)
    same("reply", reply, text(1, b"Hello World"))


def large_unary(channel):
    request = number(2, 314159) + text(3, payload(271828))
    reply = channel.unary_unary(f"/{SERVICE}/UnaryCall")(request, timeout=30)
    same("reply", reply, text(1, payload(314159)))


def server_streaming(channel):
    sizes = [31415, 9, 2653, 58979]
    request = b"".join(text(2, number(1, n)) for n in sizes)
    got = list(channel.unary_stream(f"/{SERVICE}/StreamingOutputCall")(request, timeout=30))
    same("replies", got, [text(1, payload(n)) for n in sizes])


def client_streaming(channel):
    sizes = [27182, 8, 1828, 45904]
    reply = channel.stream_unary(f"/{SERVICE}/StreamingInputCall")((text(1, payload(n)) for n in sizes), timeout=30)
    same("reply", reply, number(1, sum(sizes)))


def full_duplex(channel):
    sizes = [31415, 9, 2653, 58979]
    got = channel.stream_stream(f"/{SERVICE}/FullDuplexCall")((text(2, number(1, n)) for n in sizes), timeout=30)
    same("replies", list(got), [text(1, payload(n)) for n in sizes])


def status_code_and_message(channel):
    request = text(7, number(1, 2) + text(2, b"test status message"))
    try:
        channel.unary_unary(f"/{SERVICE}/UnaryCall")(request, timeout=30)
    except grpc.RpcError as e:
        same("code", e.code(), grpc.StatusCode.UNKNOWN)
        same("message", e.details(), "test status message")
        return
    raise AssertionError("no error")


CASES = [empty_unary, greeter, large_unary, server_streaming, client_streaming, full_duplex, status_code_and_message]


def client(socket):
    failed = 0
    with grpc.insecure_channel("unix:" + socket) as channel:
        for case in CASES:
            try:
                case(channel)
                print("ok", case.__name__)
            except Exception as e:
                failed += 1
                print(f"FAIL {case.__name__}: {e}".replace("\n", " "))
    print(f"{len(CASES) - failed} passed, {failed} failed")
    return failed


class Service(grpc.GenericRpcHandler):
    def service(self, details):
        if details.method == f"/{SERVICE}/EmptyCall":
            return grpc.unary_unary_rpc_method_handler(lambda request, context: b"")
        if details.method == f"/{SERVICE}/FullDuplexCall":
            return grpc.stream_stream_rpc_method_handler(lambda requests, context: (text(1, payload(1)) for _ in requests))
        return None


def server(socket):
    s = grpc.server(futures.ThreadPoolExecutor(8))
    s.add_generic_rpc_handlers((Service(),))
    s.add_insecure_port("unix:" + socket)
    s.start()
    print("ready", flush=True)
    sys.stdin.read()
    s.stop(None)
    return 0


if __name__ == "__main__":
    sys.exit({"client": client, "server": server}[sys.argv[1]](sys.argv[2]))
