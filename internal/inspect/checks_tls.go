package inspect

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"strings"
	"time"

	"github.com/grpcpipe/grpcpipe/namedpipe"
)

// probeTLS makes a TLS handshake that accepts any certificate, to see which one
// the server has. It sends nothing after the handshake.
func (x *examiner) probeTLS(ctx context.Context) (*tls.ConnectionState, error) {
	ctx, cancel := context.WithTimeout(ctx, min(checkTimeout, x.cfg.timeout()))
	defer cancel()
	var c net.Conn
	var err error
	if x.path != "" {
		d := namedpipe.Dialer{Server: x.cfg.Trust}
		c, err = d.Dial(ctx, x.path)
	} else {
		c, err = dialNetwork(ctx, x.cfg.Target, x.cfg.Words)
	}
	if err != nil {
		return nil, err
	}
	defer c.Close()
	cfg := &tls.Config{}
	if x.cfg.TLS != nil {
		cfg = x.cfg.TLS.Clone()
	}
	if cfg.ServerName == "" {
		cfg.ServerName = x.host()
	}
	// The certificate is only looked at.
	cfg.InsecureSkipVerify, cfg.NextProtos = true, []string{"h2"} //nolint:gosec // see above
	client := tls.Client(c, cfg)
	if err := client.HandshakeContext(ctx); err != nil {
		return nil, err
	}
	state := client.ConnectionState()
	return &state, nil
}

// host is the name to expect in the server's certificate.
func (x *examiner) host() string {
	if x.path != "" {
		return "localhost"
	}
	if host, _, err := net.SplitHostPort(x.cfg.Target); err == nil {
		return host
	}
	return x.cfg.Target
}

// DescribeTLS describes a server's TLS: protocol, certificate, chain, expiry.
func DescribeTLS(state *tls.ConnectionState) string {
	parts := []string{fmt.Sprintf("%s, %s", tls.VersionName(state.Version), tls.CipherSuiteName(state.CipherSuite))}
	if state.NegotiatedProtocol != "h2" {
		parts = append(parts, "it does not offer HTTP/2 by ALPN, which gRPC needs")
	}
	if len(state.PeerCertificates) == 0 {
		return strings.Join(append(parts, "no certificate"), "; ")
	}
	leaf := state.PeerCertificates[0]
	var chain []string
	for _, c := range state.PeerCertificates {
		chain = append(chain, name(c.Subject.String()))
	}
	if last := state.PeerCertificates[len(chain)-1]; last.Issuer.String() != last.Subject.String() {
		chain = append(chain, name(last.Issuer.String()))
	} else if len(chain) == 1 {
		chain = append(chain, "itself")
	}
	parts = append(parts, "certificate for "+strings.Join(names(leaf), ", "), "signed by "+strings.Join(chain[1:], ", by "), expiry(leaf))
	return strings.Join(parts, "; ")
}

func name(subject string) string {
	if subject == "" {
		return "(no name)"
	}
	return subject
}

// names are the names that a certificate is valid for.
func names(c *x509.Certificate) []string {
	all := append([]string{}, c.DNSNames...)
	for _, ip := range c.IPAddresses {
		all = append(all, ip.String())
	}
	if len(all) == 0 {
		all = append(all, "no host ("+name(c.Subject.String())+")")
	}
	return all
}

func expiry(c *x509.Certificate) string {
	end := c.NotAfter.Format(time.DateOnly)
	switch left := time.Until(c.NotAfter); {
	case left < 0:
		return "expired on " + end
	case time.Now().Before(c.NotBefore):
		return "not valid before " + c.NotBefore.Format(time.DateOnly)
	default:
		return fmt.Sprintf("valid until %s (%d days)", end, int(left.Hours()/24))
	}
}

// tlsRemedy says what a client must set for a server's TLS.
func (x *examiner) tlsRemedy(state *tls.ConnectionState) string {
	w := x.cfg.Words
	parts := []string{w.AddTLS}
	if len(state.PeerCertificates) > 0 {
		leaf := state.PeerCertificates[0]
		if leaf.VerifyHostname(x.host()) != nil {
			parts = append(parts, w.ServerName)
		}
		pool := x509.NewCertPool()
		for _, c := range state.PeerCertificates[1:] {
			pool.AddCert(c)
		}
		var unknown x509.UnknownAuthorityError
		if _, err := leaf.Verify(x509.VerifyOptions{Intermediates: pool}); errors.As(err, &unknown) {
			parts = append(parts, w.CACert)
		}
	}
	return join(parts...)
}
