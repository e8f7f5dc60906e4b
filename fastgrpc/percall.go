package fastgrpc

import (
	"context"
	"strings"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/status"

	"github.com/grpcpipe/grpcpipe/internal/h2"
)

// perCall appends what credentials add to a call that goes over the link.
func (c *clientCall) perCall(ctx context.Context, dst []h2.Field) ([]h2.Field, error) {
	always := c.cc.cfg.PerRPCCredentials
	var own []credentials.PerRPCCredentials
	if c.info != nil {
		own = c.info.creds
	}
	if len(always)+len(own) == 0 {
		return dst, nil
	}
	info := c.link.peer.AuthInfo
	ctx = credentials.NewContextWithRequestInfo(ctx, credentials.RequestInfo{Method: c.method, AuthInfo: info})
	audience := c.audience()
	for i := range len(always) + len(own) {
		var pc credentials.PerRPCCredentials
		if i < len(always) {
			pc = always[i]
		} else {
			pc = own[i-len(always)]
		}
		if pc.RequireTransportSecurity() && (info == nil || credentials.CheckSecurityLevel(info, credentials.PrivacyAndIntegrity) != nil) {
			return dst, status.Error(codes.Unauthenticated, "transport: cannot send secure credentials on an insecure connection")
		}
		data, err := pc.GetRequestMetadata(ctx, audience)
		if err != nil {
			return dst, credentialsError(err)
		}
		for k, v := range data {
			k = strings.ToLower(k) // HTTP/2 knows no other names
			if err := checkMetadata(k, []string{v}); err != nil {
				return dst, err
			}
			dst = append(dst, h2.Field{Name: k, Value: encodeBinary(k, v)})
		}
	}
	return dst, nil
}

// audience is the URI of the service that is called.
func (c *clientCall) audience() string {
	service := c.method
	if i := strings.LastIndexByte(service, '/'); i >= 0 {
		service = service[:i]
	}
	return "https://" + strings.TrimSuffix(c.cc.authority, ":443") + service
}

// credentialsError is the status of a call whose credentials failed. Some codes
// are the server's alone.
func credentialsError(err error) error {
	st, ok := status.FromError(err)
	if !ok {
		return status.Errorf(codes.Unauthenticated, "transport: per-RPC creds failed due to error: %v", err)
	}
	switch st.Code() {
	case codes.InvalidArgument, codes.NotFound, codes.AlreadyExists, codes.FailedPrecondition, codes.Aborted,
		codes.OutOfRange, codes.DataLoss:
		return status.Errorf(codes.Internal, "transport: received per-RPC creds error with illegal status: %v", err)
	}
	return err
}

// checkAuthority checks an :authority that a call has chosen.
func (c *clientCall) checkAuthority() error {
	if c.info == nil || c.info.authority == "" {
		return nil
	}
	info := c.link.peer.AuthInfo
	v, ok := info.(credentials.AuthorityValidator)
	if !ok {
		kind := "none"
		if info != nil {
			kind = info.AuthType()
		}
		return status.Errorf(codes.Unavailable, "credentials type %q does not implement the AuthorityValidator interface, but authority override specified with CallAuthority call option", kind)
	}
	if err := v.ValidateAuthority(c.info.authority); err != nil {
		return status.Errorf(codes.Unavailable, "failed to validate authority %q : %v", c.info.authority, err)
	}
	return nil
}
