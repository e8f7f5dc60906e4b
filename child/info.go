package child

import (
	"context"
	"slices"

	"google.golang.org/grpc"
	"google.golang.org/grpc/health"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/metadata"
)

// The keys of the metadata that carries an Info.
const (
	versionKey    = "grpcpipe-child-version"
	capabilityKey = "grpcpipe-child-capability"
)

// Info is what one end sends the other in the first call. The program defines
// what both fields mean; they must be printable ASCII.
type Info struct {
	Version      string
	Capabilities []string
}

// Has reports whether the other end has the capability.
func (i Info) Has(capability string) bool { return slices.Contains(i.Capabilities, capability) }

func (i Info) metadata() metadata.MD {
	md := metadata.MD{}
	if i.Version != "" {
		md.Set(versionKey, i.Version)
	}
	md.Append(capabilityKey, i.Capabilities...)
	return md
}

func infoFrom(md metadata.MD) Info {
	i := Info{Capabilities: slices.Clone(md.Get(capabilityKey))}
	if version := md.Get(versionKey); len(version) > 0 {
		i.Version = version[0]
	}
	return i
}

// healthServer answers the first call.
type healthServer struct {
	*health.Server
	lis  *Listener
	info Info
}

// Check answers as the health service does, and exchanges the two ends' Info.
func (h *healthServer) Check(ctx context.Context, req *healthpb.HealthCheckRequest) (*healthpb.HealthCheckResponse, error) {
	if md, ok := metadata.FromIncomingContext(ctx); ok {
		parent := infoFrom(md)
		h.lis.parentInfo.Store(&parent)
	}
	if err := grpc.SetHeader(ctx, h.info.metadata()); err != nil {
		return nil, err
	}
	return h.Server.Check(ctx, req)
}

// Register registers the health service on srv. The service answers the
// parent's first call and sends it info. The returned server sets the health
// statuses. Call Register before srv.Serve.
func (l *Listener) Register(srv grpc.ServiceRegistrar, info Info) *health.Server {
	h := health.NewServer()
	healthpb.RegisterHealthServer(srv, &healthServer{Server: h, lis: l, info: info})
	return h
}

// ParentInfo returns the Info that the parent has sent, and false before the
// parent's first call.
func (l *Listener) ParentInfo() (Info, bool) {
	i := l.parentInfo.Load()
	if i == nil {
		return Info{}, false
	}
	return *i, true
}
