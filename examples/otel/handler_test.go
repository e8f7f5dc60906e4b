package otel_test

import (
	"context"
	"crypto/rand"
	"net"
	"os"
	"runtime"
	"testing"
	"time"

	"go.opentelemetry.io/contrib/instrumentation/google.golang.org/grpc/otelgrpc"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
	"go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
	oteltrace "go.opentelemetry.io/otel/trace"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/health"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/status"

	"github.com/grpcpipe/grpcpipe"
	"github.com/grpcpipe/grpcpipe/examples/otel"
	"github.com/grpcpipe/grpcpipe/fastgrpc"
	"github.com/grpcpipe/grpcpipe/namedpipe"
)

// A stopper is a server of either engine.
type stopper interface {
	grpc.ServiceRegistrar
	Serve(net.Listener) error
	GracefulStop()
}

// A channel is a client of either engine.
type channel interface {
	grpc.ClientConnInterface
	Close() error
}

var servers = map[string]func(...otelgrpc.Option) stopper{
	"grpc": func(opts ...otelgrpc.Option) stopper {
		// snippet: server
		srv := grpc.NewServer(append(grpcpipe.ServerOptions(), grpc.StatsHandler(otel.NewServerHandler(opts...)))...)
		// end snippet
		return srv
	},
	"fastgrpc": func(opts ...otelgrpc.Option) stopper {
		var cfg fastgrpc.ServerConfig
		cfg.StatsHandlers = append(cfg.StatsHandlers, otel.NewServerHandler(opts...))
		return fastgrpc.NewServer(cfg)
	},
}

var clients = map[string]func(string, ...otelgrpc.Option) (channel, error){
	"grpc": func(name string, opts ...otelgrpc.Option) (channel, error) {
		// snippet: client
		cc, err := grpcpipe.NewClient(name, grpc.WithStatsHandler(otel.NewClientHandler(opts...)))
		// end snippet
		return cc, err
	},
	"fastgrpc": func(name string, opts ...otelgrpc.Option) (channel, error) {
		var cfg fastgrpc.ClientConfig
		cfg.StatsHandlers = append(cfg.StatsHandlers, otel.NewClientHandler(opts...))
		return fastgrpc.NewClient(name, cfg)
	},
}

// Each engine's server and client export one span for each call, of one trace, with
// pipe, process and user; and metrics with the transport.
func TestSpansAndMetrics(t *testing.T) {
	for sname, newServer := range servers {
		for cname, newClient := range clients {
			t.Run(cname+" to "+sname, func(t *testing.T) {
				spans, reader := tracetest.NewInMemoryExporter(), metric.NewManualReader()
				opts := []otelgrpc.Option{
					otelgrpc.WithTracerProvider(trace.NewTracerProvider(trace.WithSyncer(spans))),
					otelgrpc.WithMeterProvider(metric.NewMeterProvider(metric.WithReader(reader))),
					otelgrpc.WithPropagators(propagation.TraceContext{}),
				}
				lis, err := namedpipe.Listen(t.Context(), "otel-"+rand.Text())
				if err != nil {
					t.Fatal(err)
				}
				srv := newServer(opts...)
				healthpb.RegisterHealthServer(srv, health.NewServer())
				served := make(chan error, 1)
				go func() { served <- srv.Serve(lis) }()
				cc, err := newClient(lis.Addr().String(), opts...)
				if err != nil {
					t.Fatal(err)
				}
				callBoth(t, healthpb.NewHealthClient(cc))
				cc.Close()
				srv.GracefulStop() // the server's spans have ended by then
				if err := <-served; err != nil {
					t.Error(err)
				}
				checkSpans(t, spans.GetSpans(), lis.Addr().String())
				checkMetrics(t, reader)
			})
		}
	}
}

// callBoth makes a call that is answered and one that fails.
func callBoth(t *testing.T, client healthpb.HealthClient) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	if _, err := client.Check(ctx, &healthpb.HealthCheckRequest{}); err != nil {
		t.Fatal(err)
	}
	if _, err := client.Check(ctx, &healthpb.HealthCheckRequest{Service: "none"}); status.Code(err) != codes.NotFound {
		t.Fatal(err)
	}
}

func checkSpans(t *testing.T, spans tracetest.SpanStubs, pipe string) {
	t.Helper()
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	transport, userID := "unix", attribute.Value{}
	if runtime.GOOS == "windows" {
		transport = "pipe"
	}
	statuses := map[string]int{}
	traces := map[oteltrace.TraceID]int{}
	for _, span := range spans {
		values := attribute.NewSet(span.Attributes...)
		for key, want := range map[attribute.Key]any{
			"rpc.system.name": "grpc", "rpc.method": "grpc.health.v1.Health/Check",
			"network.transport": transport, "network.peer.address": pipe,
			"process.pid": int64(os.Getpid()), "process.executable.path": exe, otel.UserProvenKey: true,
		} {
			if runtime.GOOS == "darwin" && key == "process.executable.path" {
				continue // not known there
			}
			if got, _ := values.Value(key); got.AsInterface() != want {
				t.Errorf("%v span: %s is %v, want %v", span.SpanKind, key, got.AsInterface(), want)
			}
		}
		id, _ := values.Value("user.id")
		if userID.AsString() == "" {
			userID = id
		}
		// Both ends are this user, but on Windows the server is whoever owns the
		// pipe: of an elevated process, Administrators.
		if id.AsString() == "" || id != userID && runtime.GOOS != "windows" {
			t.Errorf("%v span: user.id is %q, the other's %q", span.SpanKind, id.AsString(), userID.AsString())
		}
		enduser, has := values.Value("enduser.id")
		if has != (span.SpanKind == oteltrace.SpanKindServer) || has && enduser != id {
			t.Errorf("%v span: enduser.id is %q", span.SpanKind, enduser.AsString())
		}
		code, _ := values.Value("rpc.response.status_code")
		statuses[span.SpanKind.String()+" "+code.AsString()]++
		traces[span.SpanContext.TraceID()]++
	}
	for _, want := range []string{"client OK", "client NOT_FOUND", "server OK", "server NOT_FOUND"} {
		if statuses[want] != 1 {
			t.Errorf("%d spans %q: %v", statuses[want], want, statuses)
		}
	}
	if len(spans) != 4 || len(traces) != 2 {
		t.Errorf("%d spans of %d traces, want 4 of 2", len(spans), len(traces))
	}
}

func checkMetrics(t *testing.T, reader metric.Reader) {
	t.Helper()
	var all metricdata.ResourceMetrics
	if err := reader.Collect(t.Context(), &all); err != nil {
		t.Fatal(err)
	}
	counts := map[string]uint64{}
	for _, scope := range all.ScopeMetrics {
		for _, m := range scope.Metrics {
			h, ok := m.Data.(metricdata.Histogram[float64])
			if !ok {
				continue
			}
			for _, point := range h.DataPoints {
				if v, _ := point.Attributes.Value("network.transport"); v.AsString() == "" {
					t.Errorf("%s without network.transport: %v", m.Name, point.Attributes)
				}
				if point.Attributes.HasValue("process.pid") || point.Attributes.HasValue("user.id") {
					t.Errorf("%s has a series for each caller: %v", m.Name, point.Attributes)
				}
				counts[m.Name] += point.Count
			}
		}
	}
	for _, name := range []string{"rpc.server.call.duration", "rpc.client.call.duration"} {
		if counts[name] != 2 {
			t.Errorf("%s counts %d calls, want 2; all: %v", name, counts[name], counts)
		}
	}
}
