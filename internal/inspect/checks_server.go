package inspect

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"
	reflectv1 "google.golang.org/grpc/reflection/grpc_reflection_v1"
	reflectv1alpha "google.golang.org/grpc/reflection/grpc_reflection_v1alpha"
	"google.golang.org/grpc/status"

	"github.com/grpcpipe/grpcpipe/internal/firstbytes"
)

// checkTimeout bounds each call that doctor makes.
const checkTimeout = 3 * time.Second

// foreignAuthority is the :authority that grpc-go sends by itself for
// \\.\pipe\x, and that Kestrel refuses.
const foreignAuthority = "%5C%5C.%5Cpipe%5Cx"

// server checks what the server says: settings, TLS, authority, health,
// reflection.
func (x *examiner) server(ctx context.Context) {
	s, err := Dial(ctx, x.cfg)
	if err != nil {
		x.notHTTP2(ctx, err)
		return
	}
	defer s.Close()
	st := s.Stages()
	var settings []string
	for _, v := range s.Settings() {
		settings = append(settings, fmt.Sprintf("%v=%d", v.ID, v.Val))
	}
	if settings == nil {
		settings = []string{"all at their defaults"}
	}
	x.ok("http/2", "settings came after %s: %s", st.Settings.Round(time.Microsecond), strings.Join(settings, ", "))
	if state := s.TLS(); state != nil {
		x.ok("tls", "the handshake took %s; %s", st.TLS.Round(time.Microsecond), DescribeTLS(state))
	}
	if x.calls(ctx, s) {
		x.reflection(ctx, s)
	}
}

// notHTTP2 explains a server that is there but is not a gRPC server, or that
// speaks differently than the target says.
func (x *examiner) notHTTP2(ctx context.Context, err error) {
	var e *Error
	if !errors.As(err, &e) {
		e = &Error{Kind: Unreachable, Err: err}
	}
	var fault *Fault
	check := "connect"
	switch {
	case errors.As(err, &fault):
		check = "http/2"
		e = &Error{Kind: Unreachable, Err: &reworded{err, fault.what}, Next: e.Next}
		if x.cfg.TLS == nil && (fault.Kind == firstbytes.WantsTLS || fault.Kind == firstbytes.Closed) {
			if state, err := x.probeTLS(ctx); err == nil {
				e = &Error{Kind: Unreachable, Err: errors.New("the server speaks TLS and this client doesn't: " + DescribeTLS(state)), Next: x.tlsRemedy(state)}
				check = "tls"
			}
		}
	case x.cfg.TLS != nil:
		check = "tls"
		if state, err := x.probeTLS(ctx); err == nil {
			e = &Error{Kind: e.Kind, Err: &reworded{e.Err, e.Err.Error() + "; " + DescribeTLS(state)}, Next: e.Next}
		}
	}
	if e.Next == "" {
		e = &Error{Kind: e.Kind, Err: e.Err, Next: "fix the problem above and retry"}
	}
	x.trouble(ctx, check, e)
}

// calls makes a call with the right :authority and one with a wrong one.
func (x *examiner) calls(ctx context.Context, s *Session) bool {
	health, err := checkHealth(ctx, s)
	sent := x.cfg.Authority
	switch {
	case sent != "":
	case x.path != "":
		sent = "localhost"
	default:
		sent = x.cfg.Target
	}
	code := status.Code(err)
	if refusesAuthority(err) {
		x.trouble(ctx, "authority", &Error{Kind: Status, Status: status.Convert(err),
			Err:  fmt.Errorf("the server refuses the :authority %s (%s)", sent, status.Convert(err).Message()),
			Next: "send one that it takes: localhost with Kestrel; see AllowedHosts in the server's appsettings.json"})
		return false
	}
	if err != nil && code != codes.Unimplemented {
		x.trouble(ctx, "health", &Error{Kind: Status, Status: status.Convert(err),
			Err: fmt.Errorf("the health check failed: %s: %s", CodeName(code), status.Convert(err).Message()), Next: "see the server's log"})
		return false
	}
	x.authority(ctx, s, sent)
	switch {
	case err != nil:
		x.warn("health", "the server has no health service, so ping and load balancers learn only that it answers",
			"in .NET write builder.Services.AddGrpcHealthChecks() and app.MapGrpcHealthChecksService(), in Go healthpb.RegisterHealthServer(server, health.NewServer())")
	case health == healthpb.HealthCheckResponse_SERVING:
		x.ok("health", "SERVING")
	default:
		x.warn("health", "the server says that it is "+health.String(), "see its log")
	}
	return true
}

// authority reports which :authority the server accepts, and whether it resets
// calls with others.
func (x *examiner) authority(ctx context.Context, s *Session, sent string) {
	if x.path != "" && s.TLS() == nil {
		if _, err := checkHealth(ctx, s, grpc.CallAuthority(foreignAuthority)); refusesAuthority(err) {
			x.ok("authority", "it takes %s; it resets calls whose :authority is not a host's name, as Kestrel does, so that a grpc-go client that dials the pipe by itself gets PROTOCOL_ERROR: use grpcpipe.NewClient, or grpc.WithAuthority(\"localhost\")", sent)
			return
		}
	}
	x.ok("authority", "it takes %s", sent)
}

func checkHealth(ctx context.Context, s *Session, opts ...grpc.CallOption) (healthpb.HealthCheckResponse_ServingStatus, error) {
	ctx, cancel := context.WithTimeout(ctx, checkTimeout)
	defer cancel()
	return s.Health(ctx, "", opts...)
}

// refusesAuthority reports whether a call ended the way it does if the server
// refuses its :authority: Kestrel resets the stream, host filtering answers
// 400.
func refusesAuthority(err error) bool {
	st := status.Convert(err)
	return err != nil && (strings.Contains(st.Message(), "PROTOCOL_ERROR") || strings.Contains(st.Message(), "400 (Bad Request)"))
}

// reflection finds out which version of reflection the server has.
func (x *examiner) reflection(ctx context.Context, s *Session) {
	ctx, cancel := context.WithTimeout(ctx, checkTimeout)
	defer cancel()
	asked := withHeaders(ctx, s.cfg.Headers, s.cfg.ReflectHeaders)
	v1 := func() error {
		stream, err := reflectv1.NewServerReflectionClient(s).ServerReflectionInfo(asked)
		if err != nil {
			return err
		}
		stream.Send(&reflectv1.ServerReflectionRequest{MessageRequest: &reflectv1.ServerReflectionRequest_ListServices{}}) // Recv has the error
		_, err = stream.Recv()
		return err
	}
	v1alpha := func() error {
		stream, err := reflectv1alpha.NewServerReflectionClient(s).ServerReflectionInfo(asked)
		if err != nil {
			return err
		}
		//lint:ignore SA1019 servers from before v1 speak nothing else
		stream.Send(&reflectv1alpha.ServerReflectionRequest{MessageRequest: &reflectv1alpha.ServerReflectionRequest_ListServices{}}) // Recv has the error
		_, err = stream.Recv()
		return err
	}
	err := v1()
	if err == nil {
		x.ok("reflection", "version v1")
		return
	}
	if status.Code(err) == codes.Unimplemented {
		if err = v1alpha(); err == nil {
			x.ok("reflection", "version v1alpha")
			return
		}
	}
	switch code := status.Code(err); {
	case ctx.Err() == context.Canceled:
	case code == codes.Unimplemented:
		x.warn("reflection", "the server has no reflection service, so it can't be asked for its methods", x.cfg.Words.Schema)
	case code == codes.Unauthenticated, code == codes.PermissionDenied:
		x.warn("reflection", fmt.Sprintf("the server's reflection wants to know who asks (%s: %s)", CodeName(code), status.Convert(err).Message()), x.cfg.Words.ReflectHeader)
	default:
		x.warn("reflection", "reflection failed: "+status.Convert(err).Message(), "see the server's log")
	}
}
