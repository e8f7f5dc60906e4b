package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"time"
)

// peerEnv names the folder of the .NET programs, as for the tests in interop/.
const peerEnv = "GRPCPIPE_DOTNET_PEER"

// dotnetName is the pair of Microsoft's own programs: its client and its server.
const dotnetName = "dotnet"

func init() {
	program := dotnetProgram()
	if program == "" {
		return
	}
	register(&contender{
		name: dotnetName, about: ".NET 10: grpc-dotnet's client and Kestrel over the same pipe",
		listen: func(addr string) (net.Listener, error) { return startDotnet(program, addr) },
		serve:  func(lis net.Listener) error { return lis.(*dotnetServer).cmd.Wait() },
		run: func(addr string, l line, d time.Duration) (*outcome, error) {
			return dotnetLoad(program, addr, l, d)
		},
	})
}

// dotnetProgram is the path of the .NET program, or empty.
func dotnetProgram() string {
	dir := os.Getenv(peerEnv)
	if dir == "" {
		return ""
	}
	p := filepath.Join(dir, "linux-x64", "dotnet-peer")
	if runtime.GOOS == "windows" {
		p = filepath.Join(dir, "win-x64", "dotnet-peer.exe")
	}
	if _, err := os.Stat(p); err != nil {
		return ""
	}
	return p
}

func dotnetCommand(program string, args ...string) *exec.Cmd {
	cmd := exec.Command(program, args...)
	cmd.Stderr = os.Stderr
	if runtime.GOOS == "windows" {
		// .NET's code for newer vector instructions computes wrong results under Wine.
		cmd.Env = append(os.Environ(), "DOTNET_EnableAVX=0")
	}
	return cmd
}

// A dotnetServer is a net.Listener that stands for a server in another program.
type dotnetServer struct {
	cmd   *exec.Cmd
	stdin io.Closer
	addr  string
}

func startDotnet(program, addr string) (*dotnetServer, error) {
	cmd := dotnetCommand(program, "server", "--pipe", addr)
	stdin, err := cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	// It prints "ready" once it listens, and nothing after that.
	if s, err := bufio.NewReader(out).ReadString('\n'); err != nil {
		cmd.Process.Kill()
		return nil, fmt.Errorf("%s said %q and not that it is ready: %w", program, s, err)
	}
	return &dotnetServer{cmd, stdin, addr}, nil
}

func (s *dotnetServer) Accept() (net.Conn, error) { return nil, net.ErrClosed }
func (s *dotnetServer) Addr() net.Addr            { return pipeName(s.addr) }

// Close asks the server to stop, and kills it if it doesn't.
func (s *dotnetServer) Close() error {
	s.stdin.Close()
	time.AfterFunc(time.Second, func() { s.cmd.Process.Kill() })
	_, err := s.cmd.Process.Wait()
	return err
}

type pipeName string

func (pipeName) Network() string  { return "pipe" }
func (a pipeName) String() string { return string(a) }

// dotnetLoad runs the client for longer than others: it is slow until its
// just-in-time compiler has finished.
func dotnetLoad(program, addr string, l line, d time.Duration) (*outcome, error) {
	args := []string{"bench", "--pipe", addr, "--concurrency", strconv.Itoa(l.InFlight), "--payload", strconv.Itoa(l.Size),
		"--seconds", strconv.FormatFloat(max(5*d, time.Second).Seconds(), 'f', 2, 64)}
	switch {
	case l.Deadline || l.Metadata || l.Kind == "send" || l.Kind == "receive" && l.Size > 64<<10:
		return nil, errNot
	case l.Kind == "receive":
		args = append(args, "--stream")
	case l.Kind == "dial":
		args = append(args, "--connect")
	}
	out, err := dotnetCommand(program, args...).Output()
	if err != nil {
		return nil, err
	}
	var r struct {
		Calls    int64   `json:"calls"`
		Rate     float64 `json:"calls_per_second"`
		Messages float64 `json:"messages_per_second"`
		P50      float64 `json:"p50_us"`
		P99      float64 `json:"p99_us"`
	}
	if err := json.Unmarshal(out, &r); err != nil {
		return nil, fmt.Errorf("%s: %w", program, err)
	}
	if r.Rate <= 0 {
		return nil, fmt.Errorf("%s made no calls", program)
	}
	us := func(v float64) time.Duration { return time.Duration(v * 1e3) }
	o := &outcome{Ops: r.Calls, Elapsed: time.Duration(float64(r.Calls) / r.Rate * 1e9), P50: us(r.P50), P99: us(r.P99)}
	if r.Messages > 0 {
		o.Ops = int64(r.Messages * o.Elapsed.Seconds())
	}
	return o, nil
}
