package cli

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
)

// checkTimeout bounds each call that doctor makes.
const checkTimeout = 3 * time.Second

// foreignAuthority is what grpc-go sends by itself for \\.\pipe\x, and what
// Kestrel refuses.
const foreignAuthority = "%5C%5C.%5Cpipe%5Cx"

// examineServer speaks to the server: settings, authority, health, reflection.
func (d *doctor) examineServer(ctx context.Context) {
	s, err := d.conn.connect(ctx, d.target, false)
	if err != nil {
		d.notHTTP2(err)
		return
	}
	defer s.Close()
	st := s.trace.stages()
	var settings []string
	for _, v := range s.trace.settings {
		settings = append(settings, fmt.Sprintf("%v=%d", v.ID, v.Val))
	}
	if settings == nil {
		settings = []string{"all at their defaults"}
	}
	d.ok("http/2", "settings came after %s: %s", span(st.Settings), strings.Join(settings, ", "))
	if st.TLS > 0 {
		d.ok("tls", "the handshake took %s", span(st.TLS))
	}
	if d.examineCalls(ctx, s) {
		d.examineReflection(ctx, s)
	}
}

// notHTTP2 explains a server that is there and no gRPC server, or not in the way
// that was asked for.
func (d *doctor) notHTTP2(err error) {
	var wrong *wrongPeer
	var f *failure
	switch {
	case errors.As(err, &wrong):
		d.trouble(exitConnect, "http/2", wrong.what, wrong.next)
	case errors.As(err, &f):
		check := "connect"
		if d.conn.wantsTLS(d.target) {
			check = "tls"
		}
		next := f.hint
		if next == "" {
			next = "mend what the text says and try again"
		}
		d.trouble(f.exit, check, f.err.Error(), next)
	default:
		d.trouble(exitConnect, "connect", err.Error(), "mend what the text says and try again")
	}
}

// examineCalls makes a call with the right :authority and one with a wrong one.
func (d *doctor) examineCalls(ctx context.Context, s *session) bool {
	answer, err := check(ctx, s)
	sent := d.conn.authority
	if sent == "" {
		sent = "localhost"
	}
	switch code := status.Code(err); {
	case refusesAuthority(err):
		d.trouble(exitStatus+int(code), "authority", fmt.Sprintf("the server refuses the :authority %s (%s)", sent, status.Convert(err).Message()),
			"send one that it takes: localhost with Kestrel, so leave --authority out; see AllowedHosts in the server's appsettings.json")
		return false
	case code == codes.Unimplemented:
		d.ok("authority", "it takes %s", sent)
		d.warn("health", "the server has no health service, so ping and load balancers learn only that it answers",
			"in .NET write builder.Services.AddGrpcHealthChecks() and app.MapGrpcHealthChecksService(), in Go healthpb.RegisterHealthServer(server, health.NewServer())")
	case err != nil:
		d.trouble(exitStatus+int(code), "health", fmt.Sprintf("the health check failed: %s: %s", codeName(code), status.Convert(err).Message()), "see the server's log")
		return false
	default:
		d.ok("authority", "it takes %s", sent)
		if answer.GetStatus() == healthpb.HealthCheckResponse_SERVING {
			d.ok("health", "SERVING")
		} else {
			d.warn("health", "the server says that it is "+answer.GetStatus().String(), "see its log")
		}
	}
	if d.path == "" || s.trace.stages().TLS > 0 {
		return true
	}
	if _, err := check(ctx, s, grpc.CallAuthority(foreignAuthority)); refusesAuthority(err) {
		d.warn("authority", "the server resets calls whose :authority is no host's name, as Kestrel does: a grpc-go client that dials the pipe by itself ends in PROTOCOL_ERROR",
			"use grpcpipe.NewClient, or grpc.WithAuthority(\"localhost\")")
	}
	return true
}

func check(ctx context.Context, s *session, opts ...grpc.CallOption) (*healthpb.HealthCheckResponse, error) {
	ctx, cancel := context.WithTimeout(ctx, checkTimeout)
	defer cancel()
	return healthpb.NewHealthClient(s).Check(ctx, &healthpb.HealthCheckRequest{}, opts...)
}

// refusesAuthority tells whether a call ended as a server ends it that doesn't
// like its :authority: Kestrel resets the stream, host filtering answers 400.
func refusesAuthority(err error) bool {
	st := status.Convert(err)
	return err != nil && (strings.Contains(st.Message(), "PROTOCOL_ERROR") || strings.Contains(st.Message(), "400 (Bad Request)"))
}

// examineReflection asks which version of reflection there is.
func (d *doctor) examineReflection(ctx context.Context, s *session) {
	ctx, cancel := context.WithTimeout(ctx, checkTimeout)
	defer cancel()
	v1 := func() error {
		stream, err := reflectv1.NewServerReflectionClient(s).ServerReflectionInfo(ctx)
		if err != nil {
			return err
		}
		stream.Send(&reflectv1.ServerReflectionRequest{MessageRequest: &reflectv1.ServerReflectionRequest_ListServices{}}) // Recv has the error
		_, err = stream.Recv()
		return err
	}
	v1alpha := func() error {
		stream, err := reflectv1alpha.NewServerReflectionClient(s).ServerReflectionInfo(ctx)
		if err != nil {
			return err
		}
		//lint:ignore SA1019 servers from before v1 speak nothing else
		stream.Send(&reflectv1alpha.ServerReflectionRequest{MessageRequest: &reflectv1alpha.ServerReflectionRequest_ListServices{}}) // Recv has the error
		_, err = stream.Recv()
		return err
	}
	if v1() == nil {
		d.ok("reflection", "version v1")
		return
	}
	err := v1alpha()
	switch {
	case err == nil:
		d.ok("reflection", "version v1alpha")
	case status.Code(err) == codes.Unimplemented:
		d.warn("reflection", "the server has no reflection service, so call, services and describe can't ask for its methods", reflectionHint)
	default:
		d.warn("reflection", "reflection failed: "+status.Convert(err).Message(), "see the server's log")
	}
}
