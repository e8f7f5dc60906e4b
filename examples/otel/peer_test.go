package otel

import (
	"context"
	"fmt"
	"os"
	"testing"
	"time"

	"go.opentelemetry.io/contrib/instrumentation/google.golang.org/grpc/otelgrpc"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
	"google.golang.org/grpc"
	"google.golang.org/grpc/health"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"

	"github.com/grpcpipe/grpcpipe"
	"github.com/grpcpipe/grpcpipe/namedpipe"
)

func TestSpansNameTheCaller(t *testing.T) {
	spans := tracetest.NewInMemoryExporter()
	tracer := trace.NewTracerProvider(trace.WithSyncer(spans))
	name := fmt.Sprintf("otel-%d-%x", os.Getpid(), time.Now().UnixNano())
	lis, err := namedpipe.Listen(t.Context(), name)
	if err != nil {
		t.Fatal(err)
	}
	srv := grpc.NewServer(ServerOptions(otelgrpc.WithTracerProvider(tracer))...)
	healthpb.RegisterHealthServer(srv, health.NewServer())
	go srv.Serve(lis)

	cc, err := grpcpipe.NewClient(name)
	if err != nil {
		t.Fatal(err)
	}
	defer cc.Close()
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	if _, err := healthpb.NewHealthClient(cc).Check(ctx, &healthpb.HealthCheckRequest{}); err != nil {
		t.Fatal(err)
	}
	srv.GracefulStop() // the span has ended by then
	got := spans.GetSpans()
	if len(got) != 1 {
		t.Fatalf("%d spans", len(got))
	}
	values := attribute.NewSet(got[0].Attributes...)
	if pid, _ := values.Value("process.pid"); pid.AsInt64() != int64(os.Getpid()) {
		t.Errorf("the span's attributes are %v", got[0].Attributes)
	}
	if user, _ := values.Value("user.id"); user.AsString() == "" {
		t.Errorf("the span's attributes are %v", got[0].Attributes)
	}
}
