package demo

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/grpcpipe/grpcpipe/examples/greeter/greetpb"
	"github.com/grpcpipe/grpcpipe/internal/demo/demopb"
)

// A step is one call to show. Everything that run returns has been checked.
type step struct {
	name string
	run  func(context.Context, grpc.ClientConnInterface) (shown, error)
}

// shown is what each side saw.
type shown struct{ client, server string }

// stepLimit bounds one step.
const stepLimit = 5 * time.Second

var steps = []step{
	{"greeting", greeting},
	{"server stream", serverStream},
	{"client stream", clientStream},
	{"duplex chat", chat},
	{"deadline", deadline},
	{"cancellation", cancellation},
	{"rich error", richError},
}

func greeting(ctx context.Context, conn grpc.ClientConnInterface) (shown, error) {
	const name, want = "World", "Hello World"
	reply, err := greetpb.NewGreeterClient(conn).SayHello(ctx, &greetpb.HelloRequest{Name: name})
	if err != nil {
		return shown{}, err
	}
	if got := reply.GetMessage(); got != want {
		return shown{}, fmt.Errorf("got %q, want %q", got, want)
	}
	return shown{fmt.Sprintf("got %q", want), fmt.Sprintf("got %q", name)}, nil
}

func serverStream(ctx context.Context, conn grpc.ClientConnInterface) (shown, error) {
	const n = 1000
	stream, err := demopb.NewDemoClient(conn).Count(ctx, &demopb.CountRequest{UpTo: n})
	if err != nil {
		return shown{}, err
	}
	for i := int64(1); i <= n; i++ {
		number, err := stream.Recv()
		if err != nil {
			return shown{}, fmt.Errorf("number %d: %w", i, err)
		}
		if number.GetValue() != i {
			return shown{}, fmt.Errorf("got %d, want %d", number.GetValue(), i)
		}
	}
	if _, err := stream.Recv(); !errors.Is(err, io.EOF) {
		return shown{}, fmt.Errorf("after %d numbers: got %v, want the end of the stream", n, err)
	}
	return shown{fmt.Sprintf("got %d numbers, in order", n), fmt.Sprintf("sent 1 to %d", n)}, nil
}

func clientStream(ctx context.Context, conn grpc.ClientConnInterface) (shown, error) {
	const n, want = 1000, 500500
	stream, err := demopb.NewDemoClient(conn).Sum(ctx)
	if err != nil {
		return shown{}, err
	}
	for i := range int64(n) {
		if err := stream.Send(&demopb.Number{Value: i + 1}); err != nil {
			break // CloseAndRecv returns the reason
		}
	}
	total, err := stream.CloseAndRecv()
	if err != nil {
		return shown{}, err
	}
	if total.GetSum() != want || total.GetNumbers() != n {
		return shown{}, fmt.Errorf("the server got %d numbers with sum %d, want %d and %d", total.GetNumbers(), total.GetSum(), n, want)
	}
	return shown{fmt.Sprintf("sent 1 to %d", n), fmt.Sprintf("got %d numbers, sum %d", n, want)}, nil
}

func chat(ctx context.Context, conn grpc.ClientConnInterface) (shown, error) {
	lines := []string{"are you there?", "can you hear me?", "goodbye"}
	stream, err := demopb.NewDemoClient(conn).Chat(ctx)
	if err != nil {
		return shown{}, err
	}
	for _, text := range lines {
		sendErr := stream.Send(&demopb.Line{Text: text})
		reply, err := stream.Recv()
		if err != nil {
			return shown{}, fmt.Errorf("no answer to %q: %w (Send: %v)", text, err, sendErr)
		}
		if want := strings.ToUpper(text); reply.GetText() != want {
			return shown{}, fmt.Errorf("got %q in answer to %q, want %q", reply.GetText(), text, want)
		}
	}
	if err := stream.CloseSend(); err != nil {
		return shown{}, err
	}
	if _, err := stream.Recv(); !errors.Is(err, io.EOF) {
		return shown{}, fmt.Errorf("after the last line: got %v, want the end of the stream", err)
	}
	return shown{
		fmt.Sprintf("said %q ... %q", lines[0], lines[2]),
		fmt.Sprintf("said %q ... %q", strings.ToUpper(lines[0]), strings.ToUpper(lines[2])),
	}, nil
}

func deadline(ctx context.Context, conn grpc.ClientConnInterface) (shown, error) {
	const limit = 100 * time.Millisecond
	id := fmt.Sprintf("deadline-%d", time.Now().UnixNano())
	callCtx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	start := time.Now()
	err := waitFor(callCtx, conn, id, func(hasDeadline bool) error {
		if !hasDeadline {
			return errors.New("the call reached the server without its deadline")
		}
		return nil
	})
	took := time.Since(start)
	if status.Code(err) != codes.DeadlineExceeded {
		return shown{}, fmt.Errorf("got %w, want DeadlineExceeded", orNil(err))
	}
	if took < limit/2 || took > limit+time.Second {
		return shown{}, fmt.Errorf("the deadline of %v fired after %v", limit, took)
	}
	// The server ends the call by its own clock or because the client canceled
	// it, whichever comes first.
	reason, err := seen(ctx, conn, id, context.DeadlineExceeded, context.Canceled)
	if err != nil {
		return shown{}, err
	}
	return shown{
		fmt.Sprintf("set a deadline of %v: DeadlineExceeded after %v", limit, took.Round(time.Millisecond)),
		"got the deadline; saw the call end: " + reason,
	}, nil
}

func cancellation(ctx context.Context, conn grpc.ClientConnInterface) (shown, error) {
	id := fmt.Sprintf("cancellation-%d", time.Now().UnixNano())
	callCtx, cancel := context.WithCancel(ctx)
	defer cancel()
	err := waitFor(callCtx, conn, id, func(bool) error {
		cancel()
		return nil
	})
	if status.Code(err) != codes.Canceled {
		return shown{}, fmt.Errorf("got %w, want Canceled", orNil(err))
	}
	reason, err := seen(ctx, conn, id, context.Canceled)
	if err != nil {
		return shown{}, err
	}
	return shown{"canceled the call: Canceled", "saw the call end: " + reason}, nil
}

// waitFor calls Wait, calls arrived once the server has the call, and
// returns the call's error.
func waitFor(ctx context.Context, conn grpc.ClientConnInterface, id string, arrived func(hasDeadline bool) error) error {
	stream, err := demopb.NewDemoClient(conn).Wait(ctx, &demopb.WaitRequest{Id: id})
	if err != nil {
		return err
	}
	first, err := stream.Recv()
	if err != nil {
		return err
	}
	if err := arrived(first.GetHasDeadline()); err != nil {
		return err
	}
	_, err = stream.Recv()
	return err
}

// seen asks the server how the call ended and checks the answer.
func seen(ctx context.Context, conn grpc.ClientConnInterface, id string, wanted ...error) (string, error) {
	reply, err := demopb.NewDemoClient(conn).Seen(ctx, &demopb.SeenRequest{Id: id})
	if err != nil {
		return "", fmt.Errorf("asking the server what it saw: %w", err)
	}
	var want []string
	for _, err := range wanted {
		want = append(want, err.Error())
	}
	if !slices.Contains(want, reply.GetReason()) {
		return "", fmt.Errorf("the server saw %q, want %q", reply.GetReason(), want)
	}
	return reply.GetReason(), nil
}

func richError(ctx context.Context, conn grpc.ClientConnInterface) (shown, error) {
	_, err := demopb.NewDemoClient(conn).Order(ctx, &demopb.OrderRequest{Amount: -1})
	st := status.Convert(err)
	if st.Code() != codes.InvalidArgument {
		return shown{}, fmt.Errorf("got %w, want InvalidArgument", orNil(err))
	}
	var got []string
	for _, d := range st.Details() {
		if bad, ok := d.(*errdetails.BadRequest); ok {
			for _, v := range bad.GetFieldViolations() {
				got = append(got, v.GetField()+" "+v.GetDescription())
			}
		}
	}
	want := []string{"item must not be empty", "amount must be at least 1"}
	if !slices.Equal(got, want) {
		return shown{}, fmt.Errorf("got the details %q, want %q", got, want)
	}
	return shown{"InvalidArgument: " + strings.Join(got, ", "), "refused an order with no item and amount -1"}, nil
}

// orNil returns err, or an error that says that there was none.
func orNil(err error) error {
	if err == nil {
		return errors.New("no error")
	}
	return err
}
